/**
 * The form of `maildirsize`, the quota file of Maildir++, which Dovecot, Courier and maildrop read and write as well:
 *
 * ```
 * 2147483648S,100000C      the quota: octets (S) and messages (C)
 *      31337       12      what the mailbox held when the file was made
 *       2048        1      a change since then, one line each
 *      -2048       -1
 * ```
 *
 * @see https://www.courier-mta.org/imap/README.maildirquota.html, "Contents of maildirsize"
 */

import type { QuotaLimits } from "../../config/config.ts";
import { plus, type Usage } from "./limits.ts";

/** What a file says. */
export interface Maildirsize {
  /** Its first line, 0 where there is no limit; undefined where it is not understood. */
  readonly definition: { readonly octets: number; readonly messages: number } | undefined;
  /** The sum of the other lines. */
  readonly usage: Usage;
  /** How many these are. */
  readonly lines: number;
}

/** A file of so many octets is made anew: sooner or later that mends whatever made the sum wrong. */
export const LONG_MAILDIRSIZE_OCTETS = 5120;
/** Where a file says that the mailbox is over its quota, it is believed for so long. */
const OVER_QUOTA_IS_TRUE_FOR_MS = 15 * 60_000;
/** Courier fills its lines up to 14 octets with the LF: where two machines write in one place on NFS, no line is torn. */
const LINE_WIDTH = 13;
/** Longer numbers are no counts of anything, and are not exact as a `number`. */
const MEMBER = /^(\d{1,15})([A-Za-z])$/;
const LINE = /^[ \t]*([-+]?\d{1,15})[ \t]+([-+]?\d{1,15})[ \t]*$/;

/**
 * Reads a file. Text behind the last LF is not looked at: somebody is writing it.
 *
 * @returns Undefined where there is no sense in it: no first line, another line that is not two numbers, or a sum below 0.
 */
export function parseMaildirsize(text: string): Maildirsize | undefined {
  const [first, ...rest] = text.split("\n").slice(0, -1);
  if (first === undefined || rest.length === 0) return undefined;
  let usage: Usage = { octets: 0, messages: 0 };
  for (const line of rest) {
    const [, octets, messages] = LINE.exec(line) ?? [];
    if (octets === undefined || messages === undefined) return undefined;
    usage = plus(usage, { octets: Number(octets), messages: Number(messages) });
  }
  const isSound = [usage.octets, usage.messages].every((sum) => sum >= 0 && Number.isSafeInteger(sum));
  return isSound ? { definition: parseDefinition(first), usage, lines: rest.length } : undefined;
}

function parseDefinition(line: string): Maildirsize["definition"] {
  let [octets, messages] = [0, 0];
  for (const member of line.trim().split(",")) {
    const [, digits, kind] = MEMBER.exec(member) ?? [];
    if (kind === "S") octets = Number(digits);
    else if (kind === "C") messages = Number(digits);
    else return undefined;
  }
  return { octets, messages };
}

/** The content of a new file. */
export function formatMaildirsize(limits: QuotaLimits, usage: Usage): string {
  return `${formatDefinition(limits)}\n${formatChange(usage)}`;
}

/** As Dovecot writes it: what is not limited is left out, so that it finds its own file in ours. */
function formatDefinition({ octets = 0, messages = 0 }: QuotaLimits): string {
  const size = octets > 0 || messages === 0 ? [`${octets}S`] : [];
  return [...size, ...(messages > 0 ? [`${messages}C`] : [])].join(",");
}

/** A line, with its LF. @param change Negative for what is taken out. */
export function formatChange({ octets, messages }: Usage): string {
  return `${`${octets} ${messages}`.padStart(LINE_WIDTH)}\n`;
}

/** The first line for these limits, as it is read. */
export function definitionOf({ octets = 0, messages = 0 }: QuotaLimits): NonNullable<Maildirsize["definition"]> {
  return { octets, messages };
}

/** Whether a file with this first line was made for these limits. */
export function isDefinitionOf(limits: QuotaLimits, definition: Maildirsize["definition"]): boolean {
  const { octets, messages } = definitionOf(limits);
  return definition?.octets === octets && definition.messages === messages;
}

/**
 * Whether a file may be believed that says "over quota": it was just made, and nothing was added ("Calculating the quota
 * for a Maildir++", 4).
 */
export function isBelievedWhenOver(lines: number, ageMs: number): boolean {
  return lines <= 1 && ageMs < OVER_QUOTA_IS_TRUE_FOR_MS;
}
