/**
 * The faults of bad peers, by name: `POINT-WHAT`, e.g. `greeting-drop`, `rcpt-451`, `data-http`, `dot-silent`.
 *
 * `rcpt`, `data`, `content` and `dot` are chosen by the local part of a recipient at any scripted peer; what comes before
 * a recipient is known (`greeting`, `ehlo`, `starttls`, `tls`, `mail`, and `rset`, `quit`) by the peer: {@linkcode badPeer}.
 */

import type { PeerAnswer, PeerOptions, PeerPoint, PeerSaid, TlsFault } from "./scripted_peer.ts";

/** Milliseconds an octet: of a peer that drips for real, and of one whose client has a clock that a test moves. */
const DRIP_MS = { drip: 1_000, trickle: 1 };

/** What a good peer answers, where a fault needs something to begin with. */
const USUAL: Readonly<Record<PeerPoint, string>> = {
  greeting: "220 peer.test ESMTP",
  ehlo: "250 peer.test",
  helo: "250 peer.test",
  starttls: "220 2.0.0 Go",
  xclient: "220 peer.test ESMTP",
  auth: "235 2.7.0 Welcome",
  mail: "250 2.1.0 Sender ok",
  rcpt: "250 2.1.5 Recipient ok",
  data: "354 Go ahead",
  chunk: "250 2.0.0 Chunk taken",
  dot: "250 2.6.0 Taken",
  rset: "250 2.0.0 Flushed",
  quit: "221 2.0.0 Bye",
};

/** Codes that answer something else than what was asked. */
const WRONG: Readonly<Record<PeerPoint, string>> = {
  ...USUAL,
  greeting: "250 2.0.0 Hello",
  ehlo: "354 Go ahead",
  starttls: "250 2.0.0 Fine",
  mail: "354 Go ahead",
  rcpt: "354 Go ahead",
  data: "250 2.0.0 Fine",
  dot: "354 Go ahead",
  rset: "354 Go ahead",
  quit: "354 Go ahead",
};

/** Points that a local part can choose. */
const LOCAL_PART_FAULT = /^(rcpt|data|content|dot)-(.+)$/;

/** What a peer does at a point for the sake of a recipient; undefined: the usual. */
export function faultOf(localPart: string, point: "rcpt" | "data" | "content" | "dot"): PeerSaid | undefined {
  const [, named, what = ""] = LOCAL_PART_FAULT.exec(localPart) ?? [];
  if (named !== point) return undefined;
  return badAnswer(point === "content" ? "dot" : point, what);
}

/**
 * Makes the options of a peer that has a fault in every connection.
 *
 * @param isOver Asked each time before the fault happens: true where it does not any more. Default: never.
 */
export function badPeer(fault: string, isOver: () => boolean = (): boolean => false): PeerOptions {
  const at = fault.indexOf("-");
  const point = fault.slice(0, at);
  const what = fault.slice(at + 1);
  if (point === "tls") return { tls: "starttls", tlsFault: what as TlsFault };
  const answer: PeerAnswer = () => isOver() ? undefined : badAnswer(point as PeerPoint, what);
  return {
    replies: { [point]: answer, ...(point === "ehlo" && { helo: answer }) },
    ...(point === "starttls" && { tls: "starttls" }),
  };
}

/** What a peer with a fault sends instead of an answer. */
export function badAnswer(point: PeerPoint, what: string): PeerSaid {
  const usual = USUAL[point];
  const code = usual.slice(0, 3);
  if (/^[2-5]\d\d$/.test(what)) {
    const line = `${what} ${what[0]}.3.0 As asked`;
    // RFC 5321 §3.8: who says 421 closes.
    return what === "421" ? { octets: `${line}\r\n`, then: "drop" } : line;
  }
  switch (what) {
    case "drop":
    case "silent":
      return what;
    case "half":
      return { octets: usual.slice(0, 2), then: "drop" };
    case "drip":
    case "trickle":
      return { octets: `${code}-${"slow ".repeat(400)}\r\n`.repeat(9), everyMs: DRIP_MS[what], then: "silent" };
    case "endless":
      return { octets: `${code}-and so on\r\n`, isEndless: true };
    case "flood":
      return { octets: `${code}-${"x".repeat(1_000)}`, isEndless: true };
    case "binary":
      return { octets: String.fromCharCode(...Array.from({ length: 256 }, (_, at) => 255 - at)) + "\r\n" };
    case "http":
      return { octets: "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n", then: "drop" };
    case "wrong":
      return WRONG[point];
    case "early":
      return `${usual}\r\n250 2.0.0 And one more`;
    case "longline":
      return `${code} ${"x".repeat(5_000)}`;
    case "manylines":
      return `${code}-x\r\n`.repeat(99) + `${code} x`;
    case "toomanylines":
      return `${code}-x\r\n`.repeat(100) + `${code} x`;
    case "large":
      return `${code}-${"x".repeat(4_000)}\r\n`.repeat(9) + `${code} x`;
    case "barelf":
      return { octets: `${code}-one\n${code} two\n` };
    case "barecr":
      return { octets: `${code} one\r`, then: "silent" };
    case "change":
      return `${code}-one\r\n550 5.3.0 two`;
    case "nul":
      return { octets: "550 5.1.1 No\u0000 such\u001b[2J user\r\n" };
    case "latin1":
      return { octets: "550 5.1.1 Unbekannter Empf\u00e4nger\r\n" };
    default:
      throw new RangeError(`No fault is called "${point}-${what}"`);
  }
}
