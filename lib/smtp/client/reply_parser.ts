/** Reads replies from the octets of a peer, wherever the network cut them. */

import type { Reply } from "../reply.ts";
import { ClientError } from "./client_error.ts";

const LINE_OCTETS = 4096;
const REPLY_LINES = 100;
const REPLY_OCTETS = 32 * 1024;

const LF = 0x0a;
const CR = 0x0d;
const DECODER = new TextDecoder("utf-8", { ignoreBOM: true });

/** RFC 3463 §2: class "." subject "." detail, put in front of the text of a reply line (RFC 2034 §4). */
const ENHANCED = /^([245]\.\d{1,3}\.\d{1,3})(?: |$)/;

/**
 * Splits octets into replies.
 *
 * ```abnf
 * Reply-line = *( Reply-code "-" [ textstring ] CRLF ) Reply-code [ SP textstring ] CRLF
 * Reply-code = %x32-35 %x30-35 %x30-39
 * ```
 *
 * A bare LF ends a line too: some peers send it, and what we send does not depend on it. A line has at most 4,096
 * octets, a reply 100 lines and 32 KiB.
 *
 * @see RFC 5321 §4.2
 */
export class ReplyParser {
  #octets: Uint8Array = new Uint8Array(0);
  #at = 0;
  #code = 0;
  #lines: string[] = [];
  #replyOctets = 0;

  /** True where octets were taken that no returned reply has used. */
  get hasUnused(): boolean {
    return this.#at < this.#octets.length || this.#lines.length > 0;
  }

  /** Takes octets as they came; they must not change afterwards. Call {@linkcode next} until it gives nothing. */
  push(octets: Uint8Array): void {
    if (this.#at === this.#octets.length) {
      this.#octets = octets;
    } else {
      const rest = this.#octets.length - this.#at;
      const joined = new Uint8Array(rest + octets.length);
      joined.set(this.#octets.subarray(this.#at));
      joined.set(octets, rest);
      this.#octets = joined;
    }
    this.#at = 0;
  }

  /**
   * Returns the next whole reply, or undefined where more octets are needed.
   *
   * @throws {ClientError} `protocol`, where this is no reply or one beyond the bounds; the parser is then useless.
   */
  next(): Reply | undefined {
    for (;;) {
      const end = this.#octets.indexOf(LF, this.#at);
      const octets = (end < 0 ? this.#octets.length : end + 1) - this.#at;
      if (octets > LINE_OCTETS) throw new ClientError("protocol", `Reply line is longer than ${LINE_OCTETS} octets`);
      if (end < 0) return undefined;
      const stop = end > this.#at && this.#octets[end - 1] === CR ? end - 1 : end;
      const isLast = this.#line(this.#octets.subarray(this.#at, stop));
      this.#at = end + 1;
      if (isLast) return this.#take();
    }
  }

  #line(line: Uint8Array): boolean {
    const code = replyCode(line);
    const separator = line[3] ?? 0x20;
    if (code === undefined || (separator !== 0x20 && separator !== 0x2d)) {
      throw new ClientError("protocol", `Peer sent what is no reply: ${printable(line)}`);
    }
    if (this.#lines.length > 0 && code !== this.#code) {
      throw new ClientError("protocol", `Peer changed the code within a reply: ${this.#code}, then ${code}`);
    }
    this.#code = code;
    this.#replyOctets += line.length + 2;
    this.#lines.push(DECODER.decode(line.subarray(4)));
    if (this.#lines.length > REPLY_LINES || this.#replyOctets > REPLY_OCTETS) {
      throw new ClientError("protocol", `Reply has more than ${REPLY_LINES} lines or ${REPLY_OCTETS} octets`);
    }
    return separator === 0x20;
  }

  #take(): Reply {
    const reply = withEnhanced(this.#code, this.#lines);
    this.#lines = [];
    this.#replyOctets = 0;
    return reply;
  }
}

function replyCode(line: Uint8Array): number | undefined {
  const [first = 0, second = 0, third = 0] = line;
  if (first < 0x32 || first > 0x35 || second < 0x30 || second > 0x39 || third < 0x30 || third > 0x39) return undefined;
  return (first - 0x30) * 100 + (second - 0x30) * 10 + (third - 0x30);
}

/**
 * Takes the enhanced status code out of the lines, where its class is that of the code. Each line has it (RFC 2034 §4), but
 * Cyrus has it in the last one only.
 */
function withEnhanced(code: number, lines: string[]): Reply {
  const enhanced = [lines[0], lines.at(-1)].map((line = "") => ENHANCED.exec(line)?.[1])
    .find((found) => found !== undefined && Number(found[0]) === Math.floor(code / 100));
  if (enhanced === undefined) return { code, lines };
  return { code, enhanced, lines: lines.map((line) => withoutPrefix(line, enhanced)) };
}

function withoutPrefix(line: string, enhanced: string): string {
  if (line === enhanced) return "";
  return line.startsWith(enhanced) && line[enhanced.length] === " " ? line.slice(enhanced.length + 1) : line;
}

/**
 * Writes a peer's reply as one line of printable text, for Diagnostic-Code, log and people.
 *
 * @returns At most about 1,000 characters, without control characters: `550 5.1.1 No such user`.
 */
export function replyText({ code, enhanced, lines }: Reply): string {
  const text = `${code} ${enhanced ?? ""} ${lines.join(" ")}`;
  return text.replace(/[\s\p{Cc}]+/gu, " ").trim().slice(0, 1000);
}

function printable(octets: Uint8Array): string {
  return JSON.stringify(DECODER.decode(octets.subarray(0, 60)));
}
