/** The names of Maildir folders and files. @see https://cr.yp.to/proto/maildir.html */

import { parseLocalPart } from "../mail/mailbox.ts";
import type { Clock } from "../system/clock.ts";

// What cannot stand in a file name, or would mislead a person who reads it: controls, blanks, lone surrogates, the
// separators of paths and of Maildir flags, direction marks; a leading dot hides the folder or means its parent.
const UNSAFE = /[\p{Cc}\p{Cs}\p{Z}/\\:%"\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff]|^\./gu;

const encoder = new TextEncoder();

/**
 * Returns the folder of a mailbox: `mailRoot/DOMAIN/LOCAL`, without a final slash.
 *
 * @param address Canonical `local@domain`. What is not safe in a file name is percent-encoded, as octets of UTF-8; two
 * addresses never share a folder.
 */
export function mailboxFolder(mailRoot: string, address: string): string {
  const at = address.lastIndexOf("@");
  const rawLocalPart = address.slice(0, at);
  const localPart = rawLocalPart.startsWith('"') ? parseLocalPart(rawLocalPart) ?? rawLocalPart : rawLocalPart;
  return `${mailRoot}/${encodeFileName(address.slice(at + 1))}/${encodeFileName(localPart)}`;
}

function encodeFileName(name: string): string {
  // An empty name cannot come from a parsed address other than `""@domain`; "%" alone is no encoding of anything else.
  return name === "" ? "%" : name.replace(UNSAFE, percentEncode);
}

function percentEncode(character: string): string {
  let encoded = "";
  for (const octet of encoder.encode(character)) encoded += `%${octet.toString(16).toUpperCase().padStart(2, "0")}`;
  return encoded;
}

/** What makes names of this process differ from all others. */
export interface UniqueNameOptions {
  /** Its wall clock goes into the names. */
  readonly clock: Clock;
  /** Ours. `/` and `:` in it are written as `\057` and `\072`. */
  readonly hostname: string;
  /** Process id. In a container it is often the same after each start; time and `random` tell the runs apart. */
  readonly pid: number;
  /** At least 64 random bits in hexadecimal, chosen at start: a clock set back must not repeat a name. */
  readonly random: string;
}

/**
 * Makes a function that returns a new unique name at each call: `seconds.M<microseconds>P<pid>Q<count>R<random>.<host>`.
 * What is random tells apart two machines that share mailboxes, should they have the same host name.
 */
export function uniqueNames(options: UniqueNameOptions): () => string {
  const host = options.hostname.replaceAll("/", "\\057").replaceAll(":", "\\072");
  let count = 0;
  return () => {
    const nowMs = options.clock.now();
    const seconds = Math.floor(nowMs / 1000);
    const microseconds = Math.floor((nowMs - seconds * 1000) * 1000);
    return `${seconds}.M${microseconds}P${options.pid}Q${count++}R${options.random}.${host}`;
  };
}

/**
 * Adds the sizes to a unique name. Dovecot and Courier take them from there instead of reading the file.
 *
 * @param octets Size of the file.
 * @param crlfOctets Its size with CRLF at the end of each line, as IMAP tells it.
 */
export function sizedName(name: string, octets: number, crlfOctets: number): string {
  return `${name},S=${octets},W=${crlfOctets}`;
}
