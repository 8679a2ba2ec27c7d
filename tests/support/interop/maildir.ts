/** Reading a Maildir as a mail reader would, and comparing what arrived with what was sent. */

import { withCrlf } from "../crlf.ts";
import { waitUntil } from "./wait.ts";

/** A message in `new/`. */
export interface MaildirMessage {
  readonly name: string;
  /** With CRLF at the end of each line, however the file has it. */
  readonly octets: Uint8Array<ArrayBuffer>;
  /** The octets, each as the character of the same number. */
  readonly text: string;
}

/** The Maildir of one mailbox; it need not exist yet. */
export class Maildir {
  /** @param path The folder with `tmp`, `new` and `cur`. */
  constructor(readonly path: string) {}

  /** File names in one of the three folders, sorted; empty where the folder is missing. */
  async names(folder: "new" | "cur" | "tmp" = "new"): Promise<string[]> {
    const names: string[] = [];
    try {
      for await (const entry of Deno.readDir(`${this.path}/${folder}`)) names.push(entry.name);
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
    return names.sort();
  }

  /** Reads one message of `new/`. */
  async read(name: string): Promise<MaildirMessage> {
    const octets = withCrlf(await Deno.readFile(`${this.path}/new/${name}`));
    return { name, octets, text: latin1(octets) };
  }

  /** All messages of `new/`, in the order of their names. */
  async messages(): Promise<MaildirMessage[]> {
    return await Promise.all((await this.names()).map((name) => this.read(name)));
  }

  /** Waits until `new/` holds at least `count` messages, and returns all. */
  async waitFor(
    count: number,
    options: { readonly timeoutMs?: number; readonly detail?: () => string } = {},
  ): Promise<MaildirMessage[]> {
    await waitUntil(async () => (await this.names()).length >= count ? true : undefined, {
      what: `${count} message(s) in ${this.path}/new`,
      ...options,
    });
    return await this.messages();
  }
}

/** Octets as text, each octet the character of the same number. */
export function latin1(octets: Uint8Array): string {
  let text = "";
  for (let at = 0; at < octets.length; at += 8192) text += String.fromCharCode(...octets.subarray(at, at + 8192));
  return text;
}

/** Text of characters up to 255 as octets. */
export function latin1Octets(text: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(text, (character) => character.charCodeAt(0));
}

/** With those that Cyrus puts in front. */
const TRACE_FIELDS = new Set(["return-path", "delivered-to", "received", "x-cyrus-session-id", "x-sieve"]);
/** What message authentication puts in front. */
const AUTHENTICATION_FIELDS = new Set(["authentication-results", "dkim-signature"]);

/**
 * Checks that a delivered message is the content that was sent, octet for octet, with nothing but trace header fields
 * in front (RFC 5321 §4.4), and returns those fields unfolded; results of checks and signatures are passed over.
 *
 * @throws {Error} Where they differ, with the place.
 */
export function traceFieldsBefore(content: Uint8Array, delivered: Uint8Array): string[] {
  const start = delivered.length - content.length;
  for (let at = content.length - 1; at >= 0; at--) {
    if (start + at < 0 || delivered[start + at] !== content[at]) {
      throw new Error(
        `Delivered message of ${delivered.length} octets does not end in the ${content.length} octets sent: ` +
          `they differ ${content.length - at} octets before the end\n${latin1(delivered)}`,
      );
    }
  }
  const fields = latin1(delivered.subarray(0, start)).replace(/\r\n[ \t]+/g, " ").split("\r\n");
  if (fields.pop() !== "") throw new Error("Trace fields do not end with CRLF");
  const nameOf = (field: string): string => field.split(":")[0]?.toLowerCase() ?? "";
  const traces = fields.filter((field) => !AUTHENTICATION_FIELDS.has(nameOf(field)));
  const other = traces.find((field) => !TRACE_FIELDS.has(nameOf(field)));
  if (other !== undefined) throw new Error(`Not a trace field: ${other}`);
  return traces;
}

/** Content as it goes over the wire: a dot more where a line begins with one (RFC 5321 §4.5.2), no final dot. */
export function dotStuffed(content: Uint8Array): Uint8Array<ArrayBuffer> {
  const starts: number[] = [];
  for (let dot = content.indexOf(0x2e); dot >= 0; dot = content.indexOf(0x2e, dot + 1)) {
    if (dot === 0 || (content[dot - 1] === 0x0a && content[dot - 2] === 0x0d)) starts.push(dot);
  }
  const stuffed = new Uint8Array(content.length + starts.length);
  let from = 0;
  for (const [count, dot] of [...starts.entries(), [starts.length, content.length] as const]) {
    stuffed.set(content.subarray(from, dot), from + count);
    if (count < starts.length) stuffed[dot + count] = 0x2e;
    from = dot;
  }
  return stuffed;
}
