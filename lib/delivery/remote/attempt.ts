/** One delivery attempt over the network: which host is tried next, and what each recipient's outcome is in the end. */

import type { EnvelopeRecipient } from "../../mail/envelope.ts";
import { domainOf } from "../../mail/mailbox.ts";
import type { Outcome } from "../../mail/outcome.ts";
import type { SmtpConnection } from "../../smtp/client/connection.ts";
import type { PeerExtensions } from "../../smtp/client/extensions.ts";
import { ClientError, type ClientFault, errorText } from "../../smtp/client/client_error.ts";
import type { RaceResult } from "../../smtp/client/race.ts";
import { runTransaction, type StageReply, type TransactionResult } from "../../smtp/client/transaction.ts";
import type { Wire } from "../../smtp/client/wire.ts";
import type { DeliveryRequest } from "../target.ts";
import { type Chunking, CHUNKING_OCTETS, isUnknownBdat } from "./chunking.ts";
import { type MailPlan, planMail } from "./mail_parameters.ts";
import { faultOutcome, ownOutcome, type Peer, refusalOutcome, replyOutcome, stageText } from "./outcomes.ts";
import type { HostsAnswer, RemoteHost } from "./remote_host.ts";
import type { Session, SessionResult } from "./session.ts";
import type { RemoteHop } from "./tls_policy.ts";

/** What the attempt is given to work with. */
export interface AttemptTools {
  /** A kept connection for the hop, or where `hosts` are given, to one of the best of them. */
  readonly takeKept: (hosts?: readonly RemoteHost[]) => Session | undefined;
  /** Takes a connection back. */
  readonly give: (session: Session) => void;
  /** Looks up the hosts of the hop. */
  readonly findHosts: () => Promise<HostsAnswer>;
  /** Why a host must not be used, before it is connected to; undefined where it may. */
  readonly refusal: (host: RemoteHost) => Promise<Outcome | undefined>;
  /** Connects to one of the addresses of a host, at least one. */
  readonly connect: (addresses: readonly RemoteHost[]) => Promise<RaceResult<Wire>>;
  /** Opens a session with a host that is connected already. */
  readonly open: (
    host: RemoteHost,
    wire: Wire,
    onConnection: (connection: SmtpConnection) => void,
  ) => Promise<SessionResult>;
  /** Knows which hosts may get BDAT. */
  readonly chunking: Chunking;
  /** Wall clock, milliseconds since 1970. */
  readonly now: () => number;
  /** Told why a host could not be used. */
  readonly onUnusable: (host: RemoteHost, outcome: Outcome) => void;
  /** Told what a host that has seen the message said, before another host is asked to take it. */
  readonly onPutOff: (host: RemoteHost, recipients: readonly string[], outcome: Outcome) => void;
  /** Told of a fault on our own side: the message cannot be read, or a bug. */
  readonly onBroken: (error: unknown) => void;
}

/** Addresses tried in one attempt. */
const MAX_ADDRESSES = 10;
/** Of these at one host: the others are for the hosts behind it. */
const MAX_ADDRESSES_OF_HOST = 4;
/** Hosts that get to see the message in one attempt. */
const MAX_SESSIONS = 2;
/** What every server takes in one transaction (RFC 5321 §4.5.3.1.8). */
const MAX_RECIPIENTS = 100;

const ENCODER = new TextEncoder();

/** `dead`: the kept connection was closed before it answered anything; `limited`: the host takes more over another. */
type SendResult = "sent" | "dead" | "limited";

/** What was heard of the hosts that were tried; `none`: nothing that says anything about them. */
type Contact = "none" | "silence" | "heard";

/** Where no connection came about; whatever else happens, something was heard. */
const CONTACT_OF_FAULT: Partial<Record<ClientFault, Contact>> = { connect: "silence", local: "none" };

/** One attempt; use it once. */
export class Attempt {
  readonly #request: DeliveryRequest<RemoteHop>;
  readonly #tools: AttemptTools;
  readonly #outcomes: (Outcome | undefined)[];
  /** Indexes of recipients that another host may still take. */
  #pending: number[];
  /** Those among them that the host at work has seen, while others go to it over another connection. */
  #seen: number[] = [];
  /** Outcomes of hosts that have seen the message: not yet logged while another host may make good for them. */
  readonly #sayings: Map<Outcome, RemoteHost> = new Map();
  readonly #head: Uint8Array;
  #connection: SmtpConnection | undefined;
  #contact: Contact = "none";

  /** Takes what is to be delivered and what to do it with. */
  constructor(request: DeliveryRequest<RemoteHop>, tools: AttemptTools) {
    this.#request = request;
    this.#tools = tools;
    this.#outcomes = request.recipients.map(() => undefined);
    this.#pending = request.recipients.map((_, index) => index);
    this.#head = ENCODER.encode(request.envelope.trace);
  }

  /** Tries, and returns one outcome for each recipient, in their order. */
  async run(): Promise<readonly Outcome[]> {
    const { signal } = this.#request;
    const stop = (): void => this.#connection?.stop();
    signal.addEventListener("abort", stop);
    let unknown = ownOutcome("delayed", "4.4.1", "No mail server could be reached");
    try {
      const spentHost = signal.aborted ? undefined : await this.#overKept(this.#tools.takeKept());
      if (this.#pending.length > 0) await this.#overHosts(spentHost);
    } catch (error) {
      // What was delivered so far stays delivered.
      this.#tools.onBroken(error);
      unknown = ownOutcome("delayed", "4.3.0", "Delivery broke off on our side");
    } finally {
      signal.removeEventListener("abort", stop);
    }
    const stopped = ownOutcome("delayed", "4.3.2", "Stopped, because the server shuts down");
    const isDown = this.#contact === "silence" && !signal.aborted;
    return this.#outcomes.map((outcome) => {
      const final = outcome ?? (signal.aborted ? stopped : unknown);
      return isDown && final.action === "delayed" ? { ...final, destination: "down" } : final;
    });
  }

  /** Returns the name of the host that has seen the message, if one has. */
  async #overKept(session: Session | undefined): Promise<string | undefined> {
    if (session === undefined) return undefined;
    return await this.#send(session, true) === "sent" ? session.host.name : undefined;
  }

  async #overHosts(spentHost: string | undefined): Promise<void> {
    const { signal } = this.#request;
    if (signal.aborted) return;
    const answer = await this.#tools.findHosts();
    if (answer.kind === "none") return this.#note(this.#pending, answer.outcome);
    if (signal.aborted) return;
    // Another domain of the same site may have left one.
    const spent = spentHost ?? await this.#overKept(this.#tools.takeKept(answer.hosts));
    let sessions = spent === undefined ? 0 : 1;
    let tries = MAX_ADDRESSES;
    for (const addresses of byName(answer.hosts)) {
      if (signal.aborted || sessions >= MAX_SESSIONS || tries === 0 || this.#pending.length === 0) return;
      // Another address of a host that put the message off would only put it off again.
      if (addresses[0]?.name === spent) continue;
      if (await this.#isRefused(addresses)) continue;
      const usable = addresses.slice(0, Math.min(tries, MAX_ADDRESSES_OF_HOST));
      tries -= usable.length;
      if (await this.#overHost(usable)) sessions++;
    }
  }

  async #isRefused([host]: readonly RemoteHost[]): Promise<boolean> {
    const outcome = host === undefined ? undefined : await this.#tools.refusal(host);
    if (host !== undefined && outcome !== undefined) this.#noteUnusable(host, outcome, "heard");
    return outcome !== undefined;
  }

  /** Returns false where the host could not be used. `addresses` loses those that were tried. */
  async #overHost(addresses: RemoteHost[]): Promise<boolean> {
    const isUsed = await this.#overConnections(addresses);
    this.#pending.push(...this.#seen.splice(0));
    return isUsed;
  }

  async #overConnections(addresses: RemoteHost[]): Promise<boolean> {
    for (let isUsed = false;; isUsed = true) {
      const session = await this.#open(addresses);
      if (session === undefined) return isUsed;
      if (this.#request.signal.aborted) this.#tools.give(session);
      else if (await this.#send(session, false) === "limited") {
        addresses.unshift(session.host);
        continue;
      }
      return true;
    }
  }

  /** Opens a session at one of the addresses, which loses those that were tried; undefined where none can be used. */
  async #open(addresses: RemoteHost[]): Promise<Session | undefined> {
    while (addresses.length > 0) {
      const { winner, failures } = await this.#tools.connect(addresses);
      const failed = failures.map(({ at, error }) => ({ host: addresses[at], error }));
      const host = winner === undefined ? undefined : addresses[winner.at];
      const tried = new Set([...failed.map(({ host }) => host), host]);
      addresses.splice(0, Infinity, ...addresses.filter((address) => !tried.has(address)));
      for (const { host, error } of failed) {
        if (host === undefined) continue;
        const outcome = faultOutcome(error, "connecting", { host });
        this.#noteUnusable(host, outcome, CONTACT_OF_FAULT[error.fault] ?? "heard");
      }
      if (winner === undefined || host === undefined) return undefined;
      const result = await this.#tools.open(host, winner.racer, (connection) => this.#connection = connection);
      if (result.kind === "open") return result.session;
      this.#noteUnusable(host, result.outcome, result.isSilent === true ? "silence" : "heard");
      if (this.#request.signal.aborted) return undefined;
    }
    return undefined;
  }

  #noteUnusable(host: RemoteHost, outcome: Outcome, contact: Contact): void {
    this.#tools.onUnusable(host, outcome);
    this.#noteContact(contact);
    // What may be better later is not given up because of another host.
    const isFinal = outcome.action === "failed";
    this.#note(this.#pending.filter((index) => !isFinal || this.#outcomes[index] === undefined), outcome);
  }

  /** Whoever says something stands for all: then the destination is not down. */
  #noteContact(contact: Contact): void {
    if (contact === "heard" || this.#contact === "none") this.#contact = contact;
  }

  /** Sends to all pending recipients over one connection, and leaves pending those that another host may take. */
  async #send(session: Session, isKept: boolean): Promise<SendResult> {
    const { connection, host } = session;
    this.#connection = connection;
    const { tlsInfo: tls, extensions: { dsn: offersDsn, startTls } } = connection;
    const peer: Peer = { host, tls, offersDsn, offersTls: startTls && tls === undefined };
    const left = this.#pending;
    this.#pending = [];
    this.#tellPutOff(left, host);
    let isFresh = !isKept;
    let isLimited = false;
    // Unless it says so in LIMITS, a peer shows only by 452 how many it takes.
    let mostTaken = MAX_RECIPIENTS;
    while (left.length > 0) {
      if (!connection.mayTransact) {
        // RFC 9422 §4.1: over another connection.
        this.#seen.push(...this.#pending.splice(0));
        this.#pending = left.splice(0);
        isLimited = true;
        break;
      }
      const indexes = left.splice(0, Math.min(mostTaken, this.#groupSize(left, connection.extensions)));
      const result = await this.#transact(connection, indexes, peer);
      if (result === undefined) continue;
      if (!isFresh && isDead(result)) {
        this.#pending = [...indexes, ...left];
        break;
      }
      isFresh = true;
      const tooMany = this.#judge(result, indexes, peer);
      left.unshift(...tooMany);
      const taken = result.replies.filter(isTaken).length;
      if (tooMany.length > 0 && taken > 0) mostTaken = taken;
      if (result.failure !== undefined) this.#judgeFailure(result.failure, left.splice(0), peer);
    }
    this.#connection = undefined;
    this.#tools.give(session);
    if (isFresh) this.#noteContact("heard");
    if (isLimited) return "limited";
    return isFresh ? "sent" : "dead";
  }

  /** The outcome of this attempt will be that of the next host: what the last one said is told now. */
  #tellPutOff(indexes: readonly number[], next: RemoteHost): void {
    for (const [outcome, host] of this.#sayings) {
      const concerned = indexes.filter((index) => this.#outcomes[index] === outcome);
      if (host.name === next.name || concerned.length === 0) continue;
      this.#tools.onPutOff(host, concerned.map((index) => this.#recipient(index).address), outcome);
      this.#sayings.delete(outcome);
    }
  }

  /** How many of the next recipients go in one transaction, at least one (RFC 9422 §4.2, §4.3). */
  #groupSize(
    indexes: readonly number[],
    { limits: { rcptMax = Infinity, rcptDomainMax = Infinity } }: PeerExtensions,
  ): number {
    const most = Math.min(MAX_RECIPIENTS, rcptMax, indexes.length);
    if (rcptDomainMax >= most) return most;
    const domains = new Set<string>();
    const size = indexes.slice(0, most).findIndex((index) =>
      domains.add(domainOf(this.#recipient(index).address)).size > rcptDomainMax
    );
    return size < 0 ? most : size;
  }

  /** One transaction; `indexes` loses those that are settled without asking the peer. */
  async #transact(connection: SmtpConnection, indexes: number[], peer: Peer): Promise<TransactionResult | undefined> {
    const { envelope, content } = this.#request;
    const recipients = indexes.map((index) => this.#recipient(index));
    let plan: MailPlan;
    try {
      const outgoing = {
        envelope,
        recipients,
        head: this.#head,
        content,
        isLastHop: connection.protocol === "lmtp",
        nowMs: this.#tools.now(),
      };
      plan = await planMail(outgoing, connection.extensions, peer);
    } catch (cause) {
      const error = new ClientError("content", `Cannot read the message: ${errorText(cause)}`, { cause });
      return { replies: indexes.map(() => undefined), failure: { stage: "mail", error } };
    }
    if (plan.kind === "refused") {
      this.#note(indexes, plan.outcome);
      return undefined;
    }
    const commands: string[] = [];
    const asked = indexes.filter((index, at) => {
      const command = plan.recipients[at];
      if (typeof command === "string") commands.push(command);
      else if (command !== undefined) this.#note([index], command);
      return typeof command === "string";
    });
    indexes.splice(0, Infinity, ...asked);
    if (asked.length === 0) return undefined;
    const mayChunk = connection.extensions.chunking && this.#head.length + content.octets >= CHUNKING_OCTETS &&
      this.#tools.chunking.isTrusted(peer.host.name);
    const chunks = plan.isBinary ? { chunks: "binary" as const } : mayChunk ? { chunks: "lines" as const } : {};
    const transaction = { mail: plan.mail, recipients: commands, head: this.#head, content, ...chunks };
    return await runTransaction(connection, transaction);
  }

  /** Notes the outcomes. Returns recipients for another transaction: that were too many (RFC 5321 §4.5.3.1.10), or by DATA. */
  #judge({ replies, failure, chunks }: TransactionResult, indexes: readonly number[], peer: Peer): number[] {
    const success = this.#request.hop.kind === "smarthost" && this.#request.hop.smarthost.scheme === "lmtp"
      ? "delivered"
      : "relayed";
    const tooMany: number[] = [];
    const isChunkRefusal = (answer: StageReply): boolean => chunks === "lines" && isUnknownBdat(answer);
    if (chunks === "lines") this.#tools.chunking.judge(peer.host.name, replies, failure);
    const areSomeTaken = failure === undefined && replies.some(isTaken);
    for (const [at, index] of indexes.entries()) {
      const answer = replies[at];
      if (answer === undefined) continue;
      if (isChunkRefusal(answer)) {
        // The message itself was not refused: once more, with DATA.
        tooMany.push(index);
        continue;
      }
      if (areSomeTaken && isTooMany(answer)) {
        tooMany.push(index);
        continue;
      }
      const outcome = replyOutcome(answer, success, peer);
      this.#note([index], outcome);
      if (outcome.action !== "delayed") continue;
      this.#pending.push(index);
      this.#sayings.set(outcome, peer.host);
    }
    if (failure !== undefined) this.#judgeFailure(failure, indexes.filter((_, at) => replies[at] === undefined), peer);
    return tooMany;
  }

  /** Another host may take them, but not where this one may have: a message must not arrive twice without need. */
  #judgeFailure(failure: NonNullable<TransactionResult["failure"]>, indexes: readonly number[], peer: Peer): void {
    const { stage, error, farewell } = failure;
    if (error.fault === "content" && indexes.length > 0) this.#tools.onBroken(error);
    const outcome = farewell === undefined
      ? faultOutcome(error, stageText(stage), peer)
      : refusalOutcome(farewell, peer, stage);
    this.#note(indexes, outcome);
    this.#sayings.set(outcome, peer.host);
    if (stage !== "dot" && error.fault !== "aborted" && error.fault !== "content") this.#pending.push(...indexes);
  }

  /** What a host said about a message tells more than that another could not be reached. */
  #note(indexes: readonly number[], outcome: Outcome): void {
    for (const index of indexes) {
      if (this.#outcomes[index]?.isRemoteReply && !outcome.isRemoteReply) continue;
      this.#outcomes[index] = outcome;
    }
  }

  #recipient(index: number): EnvelopeRecipient {
    const recipient = this.#request.recipients[index];
    if (recipient === undefined) throw new RangeError(`Cannot find recipient ${index}`);
    return recipient;
  }
}

function isTaken(answer: StageReply | undefined): boolean {
  return answer?.stage === "dot" && answer.reply.code < 300;
}

/** 452, formerly 552 (RFC 5321 §4.5.3.1.10); but some say the same of a mailbox, with a status of its own (RFC 3463 §3.3). */
function isTooMany({ stage, reply: { code, enhanced } }: StageReply): boolean {
  return stage === "rcpt" && (code === 452 || code === 552) && enhanced?.split(".")[1] !== "2";
}

/** The peer closed a kept connection, said 421, or got confused, before it answered MAIL: it was idle or used for too long. */
function isDead({ replies, failure }: TransactionResult): boolean {
  if (failure !== undefined) {
    const { stage, error, farewell } = failure;
    // `protocol`: RSET was refused, or it answers something else.
    if (stage === "mail") return error.fault === "closed" || error.fault === "protocol" || farewell !== undefined;
    // With PIPELINING: 421 to MAIL, and the connection was closed before the answers to RCPT.
    return stage === "rcpt" && farewell !== undefined && replies.every((answer) => answer === undefined);
  }
  return replies.every((answer) => answer?.stage === "mail" && answer.reply.code === 421);
}

/** The addresses of each host, in the order in which they come. */
function byName(hosts: readonly RemoteHost[]): readonly (readonly RemoteHost[])[] {
  const groups = new Map<string, RemoteHost[]>();
  for (const host of hosts) {
    const group = groups.get(host.name);
    if (group === undefined) groups.set(host.name, [host]);
    else group.push(host);
  }
  return [...groups.values()];
}
