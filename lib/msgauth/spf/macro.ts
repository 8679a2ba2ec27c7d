/**
 * Macros of SPF: texts of a record in which `%{…}` stands for something of the connection (RFC 7208 §7).
 *
 * ```abnf
 * macro-string  = *( macro-expand / macro-literal )
 * macro-expand  = ( "%{" macro-letter transformers *delimiter "}" ) / "%%" / "%_" / "%-"
 * macro-literal = %x21-24 / %x26-7E
 * macro-letter  = "s" / "l" / "o" / "d" / "i" / "p" / "h" / "c" / "r" / "t" / "v"
 * transformers  = *DIGIT [ "r" ]
 * delimiter     = "." / "-" / "+" / "," / "/" / "_" / "="
 * ```
 */

import { quoted, SpfError } from "./spf_error.ts";

/** What a macro stands for (RFC 7208 §7.2); `c`, `r` and `t` are for explanations only. */
export type MacroLetter = "s" | "l" | "o" | "d" | "i" | "p" | "h" | "c" | "r" | "t" | "v";

/** `%{…}` */
export interface Macro {
  /** Lower case. */
  readonly letter: MacroLetter;
  /** An upper-case letter: the text is escaped for a URL. */
  readonly isEscaped: boolean;
  /** How many parts are kept, from the right; Infinity: all. */
  readonly keptParts: number;
  /** The parts change their order before some are kept. */
  readonly isReversed: boolean;
  /** Each of these characters splits the text into parts. */
  readonly delimiters: string;
}

/** A macro-string or explain-string. */
export interface MacroString {
  /** Literal texts and macros in their order. */
  readonly parts: readonly (string | Macro)[];
  /** The last part is a macro-expand, which also `%%`, `%_` and `%-` are. */
  readonly endsInMacro: boolean;
}

/** A text for each letter. */
export type MacroValues = Readonly<Record<MacroLetter, string>>;

const LITERALS: Readonly<Record<string, string>> = { "%%": "%", "%_": " ", "%-": "%20" };

/**
 * Reads a macro-string; in an explanation also blanks and the letters c, r and t (§6.2, §7.2).
 *
 * @throws {SpfError} `permerror` for a character that may not stand there, or a broken or unknown macro.
 */
export function parseMacroString(text: string, isExplanation = false): MacroString {
  const token = isExplanation
    ? /%(?:\{([slodiphcrtv])(\d*)(r?)([.\-+,/_=]*)\}|[%_-])|[\x20-\x24\x26-\x7e]+/giy
    : /%(?:\{([slodiphv])(\d*)(r?)([.\-+,/_=]*)\}|[%_-])|[\x21-\x24\x26-\x7e]+/giy;
  const parts: (string | Macro)[] = [];
  let endsInMacro = false;
  while (token.lastIndex < text.length) {
    const at = token.lastIndex;
    const match = token.exec(text);
    if (match === null) throw new SpfError("permerror", brokenAt(text.slice(at, at + 40)));
    const [whole, letter, digits = "", reverse, delimiters = ""] = match;
    endsInMacro = whole.startsWith("%");
    if (letter === undefined) {
      parts.push(LITERALS[whole] ?? whole);
      continue;
    }
    // §7.3: the number is of parts to keep, and not zero.
    const keptParts = digits === "" ? Infinity : Number(digits);
    if (keptParts === 0) throw new SpfError("permerror", `A macro cannot keep 0 parts: ${quoted(whole)}`);
    parts.push({
      letter: letter.toLowerCase() as MacroLetter,
      isEscaped: letter < "a",
      keptParts,
      isReversed: reverse !== "",
      delimiters: delimiters === "" ? "." : delimiters,
    });
  }
  return { parts, endsInMacro };
}

function brokenAt(rest: string): string {
  if (!rest.startsWith("%")) return `A character that may not stand there, at ${quoted(rest)}`;
  return /^%\{[crt]/i.test(rest)
    ? `A macro that is for explanations only, at ${quoted(rest)}`
    : `A "%" that begins no macro, at ${quoted(rest)}`;
}

/** True where one of the letters occurs. */
export function usesMacro({ parts }: MacroString, letters: string): boolean {
  return parts.some((part) => typeof part !== "string" && letters.includes(part.letter));
}

/** The text of one part (§7.3). */
export function expandPart(part: string | Macro, values: MacroValues): string {
  if (typeof part === "string") return part;
  let text = values[part.letter];
  if (part.isReversed || part.keptParts !== Infinity || part.delimiters !== ".") {
    const pieces = split(text, part.delimiters);
    if (part.isReversed) pieces.reverse();
    text = pieces.slice(-Math.min(part.keptParts, pieces.length)).join(".");
  }
  return part.isEscaped ? escapeForUrl(text) : text;
}

function split(text: string, delimiters: string): string[] {
  if (delimiters.length === 1) return text.split(delimiters);
  const pieces: string[] = [];
  let start = 0;
  for (let at = 0; at < text.length; at++) {
    if (!delimiters.includes(text.charAt(at))) continue;
    pieces.push(text.slice(start, at));
    start = at + 1;
  }
  return [...pieces, text.slice(start)];
}

/** Leaves only what RFC 3986 §2.3 calls unreserved. */
function escapeForUrl(text: string): string {
  return encodeURIComponent(text.toWellFormed()).replace(
    /[!'()*]/g,
    (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`,
  );
}
