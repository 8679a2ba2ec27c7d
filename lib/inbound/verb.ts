/** What a verb is to the session: its rule and its handler. */

import type { Command, CommandOf, Verb } from "../smtp/command.ts";
import type { Reply } from "../smtp/reply.ts";
import type { ContentProblem } from "../smtp/content_reader.ts";
import type { Services } from "./services.ts";
import type { Session } from "./session.ts";

/** Takes content while it is read. */
export interface ContentSink {
  /** A view that is valid only during the call. The promise, if any, holds the reading back. */
  write(octets: Uint8Array): Promise<void> | undefined;
}

/** What a handler may do with the connection. Replies that are due go out before anything is read. */
export interface SessionIo {
  /** Sends a reply that is not the last one of the command: 354 and 334. */
  send(reply: Reply): void;
  /** True when octets behind the command have arrived already. */
  hasMore(): boolean;
  /** Reads one line (AUTH); throws `SmtpError` for a bad one. */
  readLine(maxOctets: number): Promise<string>;
  /** Reads content up to the final dot; undefined where nothing is wrong with it. */
  readContent(sink: ContentSink): Promise<ContentProblem | undefined>;
  /** Reads exactly so many octets of content. */
  readChunk(octets: number, sink: ContentSink): Promise<void>;
  /** Sends what is due, does the handshake, and goes on under TLS with nothing kept from before. */
  startTls(): Promise<void>;
  /** Ends the connection after the reply. */
  close(): void;
}

/** What a handler works with. */
export interface Context {
  /** Handlers change it; they alone, and one at a time. */
  readonly session: Session;
  /** What lies outside the connection. */
  readonly services: Services;
  /** The connection, for the few verbs that read or send in the middle of a command. */
  readonly io: SessionIo;
}

/** One reply, or in LMTP one for each recipient; none where all was said already. */
export type Replies = Reply | readonly Reply[];

/** Carries a command out. Called only when the rule allows it; what it throws becomes a reply. */
export type Handler<C extends Command = Command> = (context: Context, command: C) => Replies | Promise<Replies>;

/** The rule of one verb: what holds for several verbs stands here, not in handlers. */
export interface VerbRule<C extends Command = Command> {
  /** May rely on `needs` and `needsLogin`: they were checked. */
  readonly handle: Handler<C>;
  /** For a verb with octets behind its line: takes them before the reply, where the rule does not allow the command. */
  readonly drop?: (context: Context, command: C, refusal: Reply) => Promise<void>;
  /** What must have come before (RFC 5321 §4.1.4): a greeting, MAIL, an accepted RCPT. */
  readonly needs: "nothing" | "greeting" | "transaction" | "recipient";
  /** Must not be followed by another command before its reply (RFC 2920 §3.1, RFC 3207 §4, RFC 4954 §4). */
  readonly isLastInGroup: boolean;
  /** On a submission port, only after a login (RFC 6409 §4.3) or from an address that may relay. */
  readonly needsLogin: boolean;
}

/** The rule of each verb. */
export type VerbRules = { readonly [V in Verb]: VerbRule<CommandOf<V>> };
