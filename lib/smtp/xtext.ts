/** xtext: how a value of any US-ASCII text is written into a parameter (RFC 3461 §4). */

/** Writes text of US-ASCII. */
export function encodeXtext(text: string): string {
  return text.replace(
    /[^!-*,-<>-~]/g,
    (character) => `+${character.charCodeAt(0).toString(16).toUpperCase().padStart(2, "0")}`,
  );
}

/** Reads it: `+` and two upper-case hexadecimal digits stand for an octet. Undefined where it is malformed. */
export function decodeXtext(text: string): string | undefined {
  if (/\+(?![0-9A-F]{2})/.test(text)) return undefined;
  return text.replace(/\+([0-9A-F]{2})/g, (_, hex: string) => String.fromCharCode(parseInt(hex, 16)));
}
