/**
 * What must hold for every session, whatever the client sends. It reads the octets of the client and the replies side by
 * side, knows only how SMTP is framed (which octets are a line, a chunk, content), and takes the rest from the replies:
 * so it finds a reply too many, too few or too early, and content that is not what was sent.
 */

import { assert, assertEquals } from "@std/assert";
import { LIMITS, octetsOf, type Played } from "./play.ts";
import type { SessionCase } from "./session_case.ts";

/** One reply of the server. */
export interface SeenReply {
  readonly code: number;
  readonly enhanced: string;
  readonly text: string;
  /** Where it begins in the output. */
  readonly start: number;
}

/** What a judged session has shown. */
export interface Judged {
  /** All replies in order, with the verb that they answer. */
  readonly answers: readonly { readonly verb: string; readonly reply: SeenReply }[];
  readonly accepted: number;
}

const MAX_COMMAND_OCTETS = 2048;
const MAX_SUBMISSION_COMMAND_OCTETS = 12_288 + 64;
const MAX_RESPONSE_OCTETS = 12_288;
/** RFC 5321 §4.5.3.1.5, without CRLF. */
const MAX_REPLY_CHARACTERS = 510;
const VERBS = new Set(
  "EHLO HELO LHLO MAIL RCPT DATA BDAT RSET NOOP QUIT VRFY EXPN HELP AUTH STARTTLS XCLIENT ETRN".split(" "),
);
/** Addresses that are ours, or behind an alias of ours. */
const OWN_RECIPIENT = /@example\.org$|^(?:carol|dora)@elsewhere\.test$|^postmaster$/;

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Throws where a session breaks a rule. */
export function judge(session: SessionCase, played: Played): Judged {
  assertEquals(played.errors, [], "internal errors");
  const { closes, openReceptions, heldBuffers, isReset } = played;
  assertEquals({ closes, openReceptions, heldBuffers, isReset }, {
    closes: 1,
    openReceptions: 0,
    heldBuffers: 0,
    isReset: true,
  });
  return new Judge(session, played).read();
}

/** Cuts output into replies, and sees that each is well-formed. */
export function repliesOf(output: string): SeenReply[] {
  assert(output === "" || output.endsWith("\r\n"), "the last reply has no end");
  const replies: SeenReply[] = [];
  let start = 0;
  for (let at = 0; at < output.length;) {
    const end = output.indexOf("\r\n", at);
    const line = output.slice(at, end);
    const [, digits, separator, enhanced = ""] = /^([2-5]\d\d)([ -])(?:([245]\.\d{1,3}\.\d{1,3})(?: |$))?/.exec(line) ??
      [];
    assert(digits !== undefined, `malformed reply: ${line}`);
    const code = Number(digits);
    assert(/^[\x20-\x7e]*$/.test(line), `a reply is not printable US-ASCII: ${JSON.stringify(line)}`);
    assert(line.length <= MAX_REPLY_CHARACTERS || code === 334, `a reply line has ${line.length} characters`);
    assert(enhanced === "" || enhanced[0] === digits[0], `the classes differ: ${line}`);
    assert(enhanced !== "" || [220, 250, 334, 354].includes(code), `no enhanced status code: ${line}`);
    if (separator === " ") {
      const text = output.slice(start, end);
      for (const each of text.split("\r\n")) assertEquals(each.slice(0, 3), digits, "the codes of one reply differ");
      replies.push({ code, enhanced, text, start });
      start = end + 2;
    }
    at = end + 2;
  }
  assertEquals(start, output.length, "the last reply is not complete");
  return replies;
}

/** A line cut off the octets of the client, or why there is none. */
type Line = { readonly text: string } | "incomplete" | "too long" | "bare";

class Judge {
  readonly #session: SessionCase;
  readonly #played: Played;
  readonly #sent: string;
  /** Octets sent up to the end of each step. */
  readonly #sentAfter: readonly number[];
  readonly #replies: readonly SeenReply[];
  readonly #answers: { verb: string; reply: SeenReply }[] = [];
  #at = 0;
  #next = 1;
  #step = 0;
  #accepted = 0;
  #isGreeted = false;
  #isLoggedIn = false;
  #isTrusted: boolean;
  #isInTransaction = false;
  #isBinary = false;
  #recipients = 0;
  #chunks = "";
  #lacksChunk = false;

  constructor(session: SessionCase, played: Played) {
    this.#session = session;
    this.#played = played;
    this.#sent = session.steps.join("");
    this.#isTrusted = session.setup.isTrusted;
    let octets = 0;
    this.#sentAfter = session.steps.map((step) => octets += step.length);
    this.#replies = repliesOf(played.output);
    assertEquals(this.#replies[0]?.code, 220, "the greeting");
  }

  read(): Judged {
    while (this.#readCommand());
    // What is left is the last word of a server that ends the session.
    if (this.#replies[this.#next]?.code === 421) this.#next++;
    assertEquals(this.#replies.slice(this.#next).map(({ text }) => text), [], "replies that nothing asked for");
    assertEquals(this.#accepted, this.#played.messages.length, "accepted messages");
    return { answers: this.#answers, accepted: this.#accepted };
  }

  /** Reads one command and its replies. @returns False at the end of the session. */
  #readCommand(): boolean {
    const isSubmission = this.#session.setup.service === "submission";
    const line = this.#readLine(isSubmission ? MAX_SUBMISSION_COMMAND_OCTETS : MAX_COMMAND_OCTETS);
    if (line === "incomplete") return false;
    if (line === "bare" || line === "too long") {
      const reply = this.#expect("(line)");
      if (reply === undefined) return false;
      assertEquals([reply.code, reply.enhanced], [500, "5.5.2"], reply.text);
      assert(reply.text.includes(line === "bare" ? "Bare" : "Line too long"), reply.text);
      return line === "too long" || this.#seesEnd();
    }
    return this.#readAnswer(line.text);
  }

  #readAnswer(line: string): boolean {
    const command = decoded(line)?.trimEnd() ?? "";
    const word = /^[^ ]*/.exec(command)?.[0].replace(/[a-z]/g, (letter) => letter.toUpperCase()) ?? "";
    const verb = VERBS.has(word) ? word : "(unknown)";
    const chunk = /^bdat (\d+)( last)?$/i.exec(command);
    if (chunk !== null && Number.isSafeInteger(Number(chunk[1]))) {
      return this.#readChunk(Number(chunk[1]), chunk[2] !== undefined);
    }
    const reply = this.#expect(verb);
    if (reply === undefined) return false;
    const isGood = reply.code >= 200 && reply.code < 300;
    if (verb === "(unknown)") assertEquals([reply.code, reply.enhanced], [500, "5.5.2"], reply.text);
    switch (verb) {
      case "DATA":
        if (reply.code === 354) return this.#readContent();
        break;
      case "AUTH":
        return this.#readExchange(reply);
      case "EHLO":
      case "HELO":
      case "LHLO":
        if (!isGood) break;
        this.#endTransaction();
        this.#isGreeted = true;
        break;
      case "STARTTLS":
        if (!isGood) break;
        this.#endTransaction();
        this.#isGreeted = this.#isLoggedIn = false;
        if (this.#session.setup.tls === "fails") return this.#seesEnd();
        break;
      case "XCLIENT":
        if (isGood) this.#beSomebodyElse(command);
        break;
      case "MAIL":
        if (isGood) this.#begin(command);
        break;
      case "RCPT":
        if (!isGood) break;
        assert(this.#isInTransaction, "RCPT was accepted outside a transaction");
        assert(++this.#recipients <= LIMITS.recipients, "too many recipients were accepted");
        break;
      case "RSET":
        if (isGood) this.#endTransaction();
        break;
      case "QUIT":
        if (isGood) return this.#seesEnd();
        break;
      case "BDAT":
        // Its size is malformed: nobody knows where the chunk ends.
        this.#lacksChunk ||= this.#recipients > 0;
        break;
    }
    if (/Nothing may be sent after/.test(reply.text)) return this.#seesEnd();
    return true;
  }

  #beSomebodyElse(command: string): void {
    assert(this.#session.setup.isProxy, "XCLIENT of a stranger was accepted");
    assert(!this.#isInTransaction, "XCLIENT was accepted in a transaction");
    this.#isGreeted = false;
    for (const [, name = "", value = ""] of command.matchAll(/ (addr|login)=(\S*)/gi)) {
      if (name.toUpperCase() === "LOGIN") this.#isLoggedIn = !value.startsWith("[");
      else this.#isTrusted = this.#session.setup.isTrusted && value.startsWith("192.0.2.");
    }
  }

  #begin(command: string): void {
    assert(this.#isGreeted, "MAIL was accepted before a greeting");
    assert(!this.#isInTransaction, "MAIL was accepted in a transaction");
    this.#endTransaction();
    this.#isInTransaction = true;
    this.#isBinary = / BODY=BINARYMIME\b/i.test(command);
  }

  #endTransaction(): void {
    this.#isInTransaction = this.#isBinary = this.#lacksChunk = false;
    this.#recipients = 0;
    this.#chunks = "";
  }

  /** Content behind DATA. */
  #readContent(): boolean {
    assert(this.#isInTransaction && this.#recipients > 0, "354 without recipients");
    const begin = this.#at;
    const end = this.#sent.startsWith(".\r\n", begin) ? begin - 2 : this.#sent.indexOf("\r\n.\r\n", begin);
    if (end === -1) return false;
    this.#at = end + 5;
    const raw = this.#sent.slice(begin, end + 2);
    const reply = this.#expectAll("(content)");
    if (reply === undefined) return false;
    this.#checkOffset(reply, raw);
    if (reply.code === 250) this.#accept(this.#asKept(raw, true));
    this.#endTransaction();
    return true;
  }

  /** A chunk behind BDAT. */
  #readChunk(octets: number, isLast: boolean): boolean {
    // Where it is not complete there is no reply, and nothing may come but the end.
    if (octets > this.#sent.length - this.#at) return false;
    const chunk = this.#sent.slice(this.#at, this.#at + octets);
    this.#at += octets;
    const reply = isLast && this.#recipients > 0 ? this.#expectAll("BDAT LAST") : this.#expect("BDAT");
    if (reply === undefined) return false;
    this.#chunks += chunk;
    if (this.#isBinary) assert(reply.code !== 554 || !/ NUL /.test(reply.text) || this.#chunks.includes("\0"));
    else this.#checkOffset(reply, this.#chunks);
    if (reply.code === 250) {
      assert(!this.#lacksChunk, "a chunk was accepted after one that was refused");
      assert(this.#recipients > 0, "a chunk was accepted without recipients");
      if (isLast) this.#accept(this.#isBinary ? this.#chunks : this.#asKept(this.#chunks, false));
    } else this.#lacksChunk = true;
    if (isLast) this.#endTransaction();
    return true;
  }

  /** Where a reply says what is wrong with the content, that is so. */
  #checkOffset({ text }: SeenReply, raw: string): void {
    const [, what, offset] = /has a (bare CR|bare LF|NUL) at octet (\d+)/.exec(text) ?? [];
    if (what === undefined) return;
    assertEquals(raw[Number(offset)], { "bare CR": "\r", "bare LF": "\n", NUL: "\0" }[what], text);
  }

  /** Content on the wire as it has to be in the spool. */
  #asKept(raw: string, isStuffed: boolean): string {
    const { service, bareLf } = this.#session.setup;
    const isRepaired = service === "submission" && bareLf === "repair";
    assert(!/\r(?!\n)|\0/.test(raw), "content with a bare CR or NUL was accepted");
    assert(isRepaired || !/(?<!\r)\n/.test(raw), "content with a bare LF was accepted");
    return (isStuffed ? raw.replace(/(^|\n)\./g, "$1") : raw).replace(/\r?\n/g, "\r\n");
  }

  #accept(content: string): void {
    const message = this.#played.messages[this.#accepted++];
    assert(message !== undefined, "the client was told of a message that is not there");
    assertEquals(message.content, content, "the content is not what the client sent");
    assert(content.length <= LIMITS.messageOctets, "a message over the size limit was accepted");
    const { service } = this.#session.setup;
    const { recipients, reversePath, session: { login } } = message.envelope;
    assertEquals(login !== undefined, this.#isLoggedIn, "the login of the envelope");
    assert(recipients.length > 0);
    if (this.#isLoggedIn || this.#isTrusted) return;
    assert(service !== "submission", "a submission without a login was accepted");
    for (const { address, original = "" } of recipients) {
      // A report to a sender that we rewrote (`conversations/srs_report.smtp`) goes on to that sender.
      const isReport = reversePath === "" && /^SRS[01][=+-].*@example\.org$/i.test(original);
      assert(isReport || OWN_RECIPIENT.test(address), `relayed for a stranger: ${address}`);
    }
  }

  /** Challenges, responses and the result of AUTH. */
  #readExchange(first: SeenReply): boolean {
    for (let reply = first;;) {
      if (reply.code === 235) {
        assertEquals(this.#session.setup.service, "submission");
        this.#isLoggedIn = true;
      }
      if (/Nothing may be sent after/.test(reply.text)) return this.#seesEnd();
      if (reply.code !== 334) return true;
      const line = this.#readLine(MAX_RESPONSE_OCTETS);
      if (line === "incomplete") return false;
      const next = this.#expect("(response)");
      if (next === undefined) return false;
      if (line === "bare") {
        assert(next.code === 500 && next.text.includes("Bare"), next.text);
        return this.#seesEnd();
      }
      if (line === "too long") assertEquals(next.enhanced, "5.5.6", next.text);
      reply = next;
    }
  }

  /** Nothing may come any more. */
  #seesEnd(): false {
    assertEquals(this.#replies.slice(this.#next).map(({ text }) => text), [], "replies after the end");
    return false;
  }

  #readLine(maxOctets: number): Line {
    const begin = this.#at;
    const limit = begin + maxOctets;
    const end = lineEnd(this.#sent, begin);
    if (end !== -1 && end < limit && this.#sent[end] === "\n") {
      this.#at = end + 1;
      return "bare";
    }
    // A CR that is the last octet of the limit has no room for its LF.
    if (end !== -1 && end + 1 < limit) {
      if (end + 1 === this.#sent.length) return "incomplete";
      this.#at = end + 2;
      return this.#sent[end + 1] === "\n" ? { text: this.#sent.slice(begin, end) } : "bare";
    }
    const crlf = this.#sent.length < limit ? -1 : this.#sent.indexOf("\r\n", begin);
    if (crlf === -1) return "incomplete";
    this.#at = crlf + 2;
    return "too long";
  }

  /** As many replies as the client may expect at the end of a message; all are the same. */
  #expectAll(verb: string): SeenReply | undefined {
    const reply = this.#expect(verb);
    if (reply === undefined || this.#session.setup.service !== "lmtp") return reply;
    for (let i = 1; i < this.#recipients; i++) assertEquals(this.#expect(verb)?.text, reply.text);
    return reply;
  }

  /**
   * Takes the next reply: the one to what ends where we are. It came neither before the octets that it answers, nor later
   * than it could.
   *
   * @returns Undefined where the session has ended instead.
   */
  #expect(verb: string): SeenReply | undefined {
    while (this.#step < this.#sentAfter.length - 1 && (this.#sentAfter[this.#step] as number) < this.#at) this.#step++;
    const reply = this.#replies[this.#next];
    const isDeaf = this.#session.leaving === "is deaf" && this.#step === this.#sentAfter.length - 1;
    if (reply === undefined || isDeaf) {
      // Nobody hears what is said to it.
      if (isDeaf) this.#accepted = Math.max(this.#accepted, this.#played.messages.length);
      else assert(this.#isOver, `no reply to ${verb} at octet ${this.#at} of the client`);
      return undefined;
    }
    if (reply.code === 421) return undefined;
    this.#next++;
    const { outputBefore } = this.#played;
    assert(reply.start >= (outputBefore[this.#step] as number), `too early: ${reply.text}`);
    assert(reply.start < (outputBefore[this.#step + 1] as number), `too late: ${reply.text}`);
    const isOurFault = reply.enhanced.startsWith("4.3.");
    assert(!isOurFault || this.#session.setup.spool !== "works", `nothing is wrong here: ${reply.text}`);
    this.#answers.push({ verb, reply });
    return reply;
  }

  /** The last reply was one that may end a session. */
  get #isOver(): boolean {
    const last = this.#replies.at(-1);
    return last !== undefined && (last.code === 421 || /^501 5\.5\.4 Syntax: BDAT/.test(last.text));
  }
}

/** The first CR or LF; -1 where there is none. */
function lineEnd(text: string, from: number): number {
  const lf = text.indexOf("\n", from);
  const cr = text.indexOf("\r", from);
  return lf === -1 || (cr !== -1 && cr < lf) ? cr : lf;
}

/** Text of a line; undefined where it is not UTF-8, or has a NUL. */
function decoded(line: string): string | undefined {
  if (line.includes("\0")) return undefined;
  if (/^[\x00-\x7f]*$/.test(line)) return line;
  try {
    return utf8.decode(octetsOf(line));
  } catch {
    return undefined;
  }
}
