/** One connection to a scripted peer. */

import { Buffer } from "node:buffer";
import { faultOf } from "./bad_peer.ts";
import { DEFAULT_EXTENSIONS, type PeerPoint, type PeerSaid, type ScriptedPeer } from "./scripted_peer.ts";

const ENCODER = new TextEncoder();
const END = "\r\n.\r\n";
/** TLS 1.2 record: fatal alert 40, handshake_failure (RFC 5246 §7.2). */
const TLS_ALERT = "\u0015\u0003\u0003\u0000\u0002\u0002\u0028";

class Dropped extends Error {}

/** The server side of one connection: state that scripts may look at, and the command loop. */
export class PeerConversation {
  /** 1 for the first connection of the peer. */
  readonly number: number;
  /** Argument of MAIL while a transaction is open. */
  mail: string | undefined;
  /** Arguments of accepted RCPT commands. */
  recipients: string[] = [];
  isTls: boolean;
  login: string | undefined;
  /** Transactions that reached their final dot on this connection. */
  transactions = 0;
  readonly #peer: ScriptedPeer;
  #connection: Deno.Conn;
  // Octets as Latin-1, so that text functions work on them unchanged.
  #unread = "";
  #isReadingContent = false;
  #restTimer: ReturnType<typeof setTimeout> | undefined;
  #chunks = "";
  /** Octets in all chunks of BDAT so far. */
  chunkOctets = 0;

  /** Takes over a fresh connection. */
  constructor(peer: ScriptedPeer, connection: Deno.Conn, number: number) {
    this.#peer = peer;
    this.#connection = connection;
    this.number = number;
    this.isTls = peer.options.tls === "implicit";
  }

  /** Talks until either side ends; never rejects. */
  async run(): Promise<void> {
    try {
      if (this.#connection.remoteAddr.transport === "tcp") (this.#connection as Deno.TcpConn).setNoDelay?.();
      await this.#answer("greeting", "", "220 peer.test ESMTP scripted");
      for (;;) {
        const line = await this.#readTo("\r\n");
        this.#peer.commands.push(line);
        if (await this.#command(line)) break;
      }
    } catch {
      // Dropped by script, by the client, or by the end of the test.
    }
    clearTimeout(this.#restTimer);
    this.#close();
  }

  #close(): void {
    try {
      this.#connection.close();
    } catch {
      // Closed already.
    }
  }

  async #command(line: string): Promise<boolean> {
    const [verb = "", argument = ""] = line.split(/ (.*)/s);
    switch (verb.toUpperCase()) {
      case "EHLO":
      case "LHLO":
        this.#reset();
        await this.#answer("ehlo", line, ["peer.test", ...this.#extensions()].map(asEhloLine).join("\r\n"));
        return false;
      case "HELO":
        await this.#answer("helo", line, "250 peer.test");
        return false;
      case "STARTTLS":
        await this.#startTls(line);
        return false;
      case "AUTH":
        await this.#authenticate(line, argument);
        return false;
      case "MAIL":
        await this.#mail(line, argument);
        return false;
      case "RCPT":
        await this.#rcpt(line, argument);
        return false;
      case "DATA":
        await this.#data(line);
        return false;
      case "BDAT":
        await this.#chunk(line, argument);
        return false;
      case "RSET":
        this.#reset();
        await this.#answer("rset", line, "250 2.0.0 Flushed");
        return false;
      case "XCLIENT":
        this.#reset();
        await this.#answer("xclient", line, "220 peer.test ESMTP scripted");
        return false;
      case "QUIT":
        await this.#answer("quit", line, "221 2.0.0 Bye");
        return true;
      default:
        await this.#send("500 5.5.2 What?");
        return false;
    }
  }

  #extensions(): string[] {
    const { options } = this.#peer;
    const list = [...(options.extensions ?? DEFAULT_EXTENSIONS)];
    if (options.tls === "starttls" && !this.isTls) list.push("STARTTLS");
    if (options.login !== undefined) list.push(`AUTH ${options.login.mechanisms ?? "PLAIN LOGIN"}`);
    return list;
  }

  #reset(): void {
    this.mail = undefined;
    this.recipients = [];
    this.#chunks = "";
  }

  async #mail(line: string, argument: string): Promise<void> {
    const usual = this.mail === undefined ? "250 2.1.0 Sender ok" : "503 5.5.1 Nested MAIL command";
    const sent = await this.#answer("mail", line, usual);
    if (sent.startsWith("2")) this.mail = argument;
  }

  async #rcpt(line: string, argument: string): Promise<void> {
    const localPart = localPartOf(argument);
    let usual: PeerSaid = this.mail === undefined ? "503 5.5.1 Need MAIL before RCPT" : "250 2.1.5 Recipient ok";
    const code = /^reply-([2-5]\d\d)/.exec(localPart)?.[1];
    if (code !== undefined) usual = `${code} ${code[0]}.2.0 As asked`;
    else if (localPart === "drop-rcpt") usual = "drop";
    else if (localPart === "silent") usual = "silent";
    else if (localPart === "garbage") usual = "\u0000\u00ff garbage";
    else if (localPart === "overlong") usual = `250 ${"x".repeat(100_000)}`;
    else usual = this.#faultOf(localPart, "rcpt") ?? usual;
    const sent = await this.#answer("rcpt", line, usual);
    if (sent.startsWith("2")) this.recipients.push(argument);
  }

  async #data(line: string): Promise<void> {
    const usual = this.recipients.length > 0 ? "354 Go ahead" : "554 5.5.1 No recipients";
    const sent = await this.#answer("data", line, this.#fault("data") ?? usual);
    if (!sent.startsWith("354")) return;
    if (this.#hasRecipient("drop-data")) throw new Dropped();
    const early = this.#fault("content");
    if (early !== undefined) {
      if (this.#unread === "") this.#unread = await this.#read();
      await this.#say(early);
    }
    this.#isReadingContent = true;
    // The CRLF of the DATA line counts as the one before the dot of an empty message (RFC 5321 §4.1.1.4).
    this.#unread = "\r\n" + this.#unread;
    const stuffed = await this.#readTo(END);
    this.#isReadingContent = false;
    const text = (stuffed + "\r\n").slice(2).replace(/^\./gm, "");
    const content = binaryOctets(stuffed === "" ? "" : text);
    await this.#endOfData(content);
  }

  async #chunk(line: string, argument: string): Promise<void> {
    const [, digits, last] = /^(\d+)( LAST)?$/.exec(argument) ?? [];
    const octets = Number(digits);
    this.#isReadingContent = true;
    while (this.#unread.length < octets) this.#unread += await this.#read();
    this.#isReadingContent = false;
    this.chunkOctets += octets;
    this.#chunks += this.#unread.slice(0, octets);
    this.#unread = this.#unread.slice(octets);
    const scripted = this.#scripted("chunk", line) ??
      (this.recipients.length > 0 ? undefined : "503 5.5.1 No recipients");
    if (scripted !== undefined) {
      this.#reset();
      return await this.#say(scripted);
    }
    if (last === undefined) return await this.#send(`250 2.0.0 ${octets} octets`);
    const content = binaryOctets(this.#chunks);
    this.#chunks = "";
    await this.#endOfData(content);
  }

  async #endOfData(content: Uint8Array): Promise<void> {
    const isLmtp = this.#peer.options.protocol === "lmtp";
    const answers = (isLmtp ? this.recipients : [this.recipients.join(" ")]).map((recipient) => {
      const localParts = recipient.split(" ").map(localPartOf);
      const fault = localParts.map((localPart) => this.#faultOf(localPart, "dot")).find((each) => each !== undefined);
      return this.#scripted("dot", recipient) ?? fault ?? "250 2.6.0 Taken";
    });
    this.transactions++;
    this.#peer.record({
      mail: this.mail ?? "",
      recipients: this.recipients,
      content,
      isTls: this.isTls,
      connection: this.number,
      ...(this.login === undefined ? {} : { login: this.login }),
      isAccepted: answers.some((answer) => textOf(answer).startsWith("2")) && !this.#hasRecipient("drop-dot"),
    });
    if (this.#hasRecipient("drop-dot")) throw new Dropped();
    this.#reset();
    for (const answer of answers) await this.#say(answer);
    if (this.transactions === this.#peer.options.maxTransactions) throw new Dropped();
  }

  /** What the first accepted recipient with a fault wants at a point. */
  #fault(point: "data" | "content"): PeerSaid | undefined {
    return this.recipients.map((each) => this.#faultOf(localPartOf(each), point)).find((each) => each !== undefined);
  }

  #faultOf(localPart: string, point: "rcpt" | "data" | "content" | "dot"): PeerSaid | undefined {
    const fault = faultOf(localPart, point);
    return fault !== undefined && this.#peer.spendFault(localPart) ? fault : undefined;
  }

  #hasRecipient(localPart: string): boolean {
    return this.recipients.some((recipient) => recipient.includes(`<${localPart}@`));
  }

  async #startTls(line: string): Promise<void> {
    const { tlsFault } = this.#peer.options;
    if (tlsFault === "injection") {
      await this.#send("220 2.0.0 Go\r\n250-peer.test\r\n250 AUTH PLAIN");
      return;
    }
    const sent = await this.#answer("starttls", line, "220 2.0.0 Go");
    if (!sent.startsWith("220")) return;
    if (tlsFault === "silence") return await this.#say("silent");
    if (tlsFault === "garbage") {
      await this.#send("this is no handshake");
      throw new Dropped();
    }
    if (tlsFault === "alert" || tlsFault === "closed") {
      await this.#read();
      return await this.#say(tlsFault === "alert" ? { octets: TLS_ALERT, then: "drop" } : "drop");
    }
    this.#unread = "";
    this.#reset();
    this.#connection = await this.#peer.upgrade(this.#connection);
    this.isTls = true;
  }

  async #authenticate(line: string, argument: string): Promise<void> {
    const scripted = this.#scripted("auth", line);
    if (scripted !== undefined) return await this.#say(scripted);
    const [mechanism, initial] = argument.split(" ");
    let username = "";
    let password = "";
    if (mechanism === "PLAIN") {
      const response = initial ?? await this.#challenge("");
      [, username = "", password = ""] = fromBase64(response).split("\0");
    } else {
      username = fromBase64(await this.#challenge(btoa("Username:")));
      password = fromBase64(await this.#challenge(btoa("Password:")));
    }
    const { login } = this.#peer.options;
    if (username !== login?.username || password !== login.password) return await this.#send("535 5.7.8 Wrong");
    this.login = username;
    await this.#send("235 2.7.0 Welcome");
  }

  async #challenge(text: string): Promise<string> {
    await this.#send(`334 ${text}`);
    return await this.#readTo("\r\n");
  }

  #scripted(point: PeerPoint, line: string): PeerSaid | undefined {
    const answer = this.#peer.options.replies?.[point];
    return typeof answer === "function" ? answer(line, this) : answer;
  }

  async #answer(point: PeerPoint, line: string, usual: PeerSaid): Promise<string> {
    const said = this.#scripted(point, line) ?? usual;
    await this.#say(said);
    return textOf(said);
  }

  async #say(said: PeerSaid): Promise<void> {
    if (said === "drop") throw new Dropped();
    if (said === "silent") return await this.#stall();
    if (typeof said === "string") return await this.#send(said);
    const octets = Uint8Array.from(said.octets, (character) => character.charCodeAt(0));
    if (said.everyMs !== undefined) this.#rest();
    do {
      if (said.everyMs === undefined) await this.#write(octets);
      else await this.#drip(octets, said.everyMs);
    } while (said.isEndless);
    if (said.then === "drop") throw new Dropped();
    if (said.then === "silent") await this.#stall();
    if (said.then === "deaf") await this.#goDeaf();
  }

  #rest(): void {
    this.#peer.noteStall();
    const { restMs } = this.#peer.options;
    if (restMs !== undefined) this.#restTimer = setTimeout(() => this.#close(), restMs);
  }

  async #goDeaf(): Promise<void> {
    this.#rest();
    await this.#peer.ended;
    throw new Dropped();
  }

  /** Silent for good: the answer to the next pipelined command would look like the one that is missing. */
  async #stall(): Promise<void> {
    this.#rest();
    await this.#readTo("\u0100");
  }

  async #drip(octets: Uint8Array, everyMs: number): Promise<void> {
    for (let at = 0; at < octets.length; at++) {
      await this.#write(octets.subarray(at, at + 1));
      await new Promise((resolve) => setTimeout(resolve, everyMs));
    }
  }

  async #send(text: string): Promise<void> {
    await this.#write(ENCODER.encode(text + "\r\n"));
  }

  async #write(octets: Uint8Array): Promise<void> {
    for (let sent = 0; sent < octets.length;) sent += await this.#connection.write(octets.subarray(sent));
  }

  async #read(): Promise<string> {
    const buffer = new Uint8Array(65_536);
    const count = await this.#connection.read(buffer);
    if (count === null) throw new Dropped();
    return binaryText(buffer.subarray(0, count));
  }

  /** Reads up to a delimiter and returns what is before it. */
  async #readTo(delimiter: string): Promise<string> {
    const parts = [this.#unread];
    let tail = this.#unread;
    while (!tail.includes(delimiter)) {
      const text = await this.#read();
      if (!this.#isReadingContent) this.#peer.reads.push(text);
      parts.push(text);
      tail = tail.slice(-delimiter.length) + text;
    }
    const all = parts.join("");
    const end = all.indexOf(delimiter);
    this.#unread = all.slice(end + delimiter.length);
    return all.slice(0, end);
  }
}

/** The text that decides how the conversation goes on. */
function textOf(said: PeerSaid): string {
  return typeof said === "string" ? said : said.octets;
}

/** Of the argument of RCPT. */
function localPartOf(argument: string): string {
  return /^TO:<"?([^@">]*)/i.exec(argument)?.[1] ?? "";
}

/** One character for each octet. */
function binaryText(octets: Uint8Array): string {
  return Buffer.from(octets.buffer, octets.byteOffset, octets.length).toString("latin1");
}

function binaryOctets(text: string): Uint8Array {
  return new Uint8Array(Buffer.from(text, "latin1"));
}

function asEhloLine(text: string, index: number, all: readonly string[]): string {
  return `250${index === all.length - 1 ? " " : "-"}${text}`;
}

function fromBase64(text: string): string {
  return new TextDecoder().decode(Uint8Array.from(atob(text), (character) => character.charCodeAt(0)));
}
