/**
 * Text for the fields and lines of a report. Much of it comes from strangers (replies, addresses): here it loses
 * everything that could end a line, a field or a MIME part, and no line gets longer than RFC 5322 §2.1.1 allows.
 */

/** Longest text taken from a stranger, in characters. */
const MAX_TEXT = 2000;
/** A word without blanks is cut into pieces of this many characters, at most 4 octets each: 998 octets are the limit of a line. */
const MAX_WORD = 200;
/** Longest value of a field on one line, in octets; addresses have 320 at most. */
const MAX_PLAIN = 900;

// Controls of C0 and C1, line and paragraph separators, lone surrogates.
const UNPRINTABLE = /[\p{Cc}\p{Cs}\p{Zl}\p{Zp}]+/gu;
const NON_ASCII = /[^\x00-\x7f]/;
const NON_ASCII_CHARACTER = /[\u{80}-\u{10ffff}]/gu;

const encoder = new TextEncoder();

/** Makes text one line: controls and blanks become single spaces; longer text is cut at 2,000 characters. */
export function cleanText(text: string): string {
  return text.slice(0, MAX_TEXT).replace(UNPRINTABLE, " ").replace(/ {2,}/g, " ").trim();
}

/** Writes each character outside US-ASCII as `\x{HEX}`, the EmbeddedUnicodeChar of RFC 6533 §3. */
export function asciiText(text: string): string {
  return text.replace(NON_ASCII_CHARACTER, (character) => {
    return `\\x{${(character.codePointAt(0) ?? 0).toString(16).toUpperCase()}}`;
  });
}

/** True where the text needs more than US-ASCII. */
export function hasNonAscii(text: string): boolean {
  return NON_ASCII.test(text);
}

/**
 * Breaks one line of text into lines at blanks.
 *
 * @param width Wanted length in characters; a longer word stands alone, but is cut where it would break the hard limit.
 * @param indent In front of every line.
 */
export function wrapText(text: string, width: number, indent: string): string[] {
  const lines: string[] = [];
  let line = "";
  for (const word of text.split(" ").flatMap(cutWord)) {
    if (line !== "" && indent.length + line.length + 1 + word.length > width) {
      lines.push(indent + line);
      line = word;
    } else {
      line = line === "" ? word : `${line} ${word}`;
    }
  }
  if (line !== "") lines.push(indent + line);
  return lines;
}

function cutWord(word: string): string[] {
  if (word.length <= MAX_WORD) return word === "" ? [] : [word];
  const characters = Array.from(word);
  const pieces: string[] = [];
  for (let at = 0; at < characters.length; at += MAX_WORD) pieces.push(characters.slice(at, at + MAX_WORD).join(""));
  return pieces;
}

/** Formats a field with free text, folded (RFC 5322 §2.2.3) and ended by CRLF. */
export function textField(name: string, text: string): string {
  return wrapText(`${name}: ${cleanText(text)}`, 78, "").join("\r\n ") + "\r\n";
}

/** Formats a field that parsers expect on one line: addresses, dates, short tokens. It is cut where it cannot be one. */
export function plainField(name: string, value: string): string {
  const clean = cleanText(value);
  return `${name}: ${encoder.encode(clean).length > MAX_PLAIN ? clean.slice(0, MAX_WORD) : clean}\r\n`;
}

/** Formats an unstructured header field; text outside US-ASCII becomes encoded words (RFC 2047 §5). */
export function encodedField(name: string, text: string): string {
  const clean = cleanText(text);
  if (!hasNonAscii(clean)) return textField(name, clean);
  const characters = Array.from(clean);
  const words: string[] = [];
  // 11 characters are at most 44 octets, 60 of base64: an encoded word may have 75 in all (RFC 2047 §2).
  for (let at = 0; at < characters.length; at += 11) {
    const octets = encoder.encode(characters.slice(at, at + 11).join(""));
    words.push(`=?utf-8?B?${btoa(String.fromCharCode(...octets))}?=`);
  }
  return `${name}: ${words.join("\r\n ")}\r\n`;
}
