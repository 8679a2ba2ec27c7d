/** How the parts of an SPF check give up. */

/** Ends a check with `temperror` or `permerror`; `checkSpf` makes a finding of it. */
export class SpfError extends Error {
  /** Tells this error from others. */
  override readonly name = "SpfError";
  /** `temperror`: a later check may give another result (RFC 7208 §2.6.6, §2.6.7). */
  readonly result: "temperror" | "permerror";

  /** Takes what went wrong in one line, sentence case, without full stop. */
  constructor(result: "temperror" | "permerror", problem: string) {
    super(problem);
    this.result = result;
  }
}

/** The longest text of others that is put into a problem or a finding, in octets. */
const MAX_QUOTED_OCTETS = 100;

/** A text of others, made printable US-ASCII and short. */
export function printable(text: string, maxOctets = MAX_QUOTED_OCTETS): string {
  const short = text.length > maxOctets ? `${text.slice(0, maxOctets - 3)}...` : text;
  return short.replace(/[^\x20-\x7e]/g, "?");
}

/** The same in double quotes, to stand in a problem. */
export function quoted(text: string): string {
  return `"${printable(text).replace(/["\\]/g, "\\$&")}"`;
}
