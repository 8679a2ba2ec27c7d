/**
 * The path of a message from the spool to its end, on a disk in memory: spool, queue, Maildir and reports are the real
 * ones, what lies beyond the network is an `Outside`. A machine may stop in the middle, and another start on its disk.
 */

import { getLogger } from "@logtape/logtape";
import { MaildirTarget } from "../../lib/delivery/maildir.ts";
import type { RouteDecision } from "../../lib/delivery/next_hop.ts";
import type { DeliveryRequest } from "../../lib/delivery/target.ts";
import type { Logger } from "../../lib/log/logger.ts";
import type { Envelope } from "../../lib/mail/envelope.ts";
import { headerSectionEnd } from "../../lib/mail/header.ts";
import type { Outcome } from "../../lib/mail/outcome.ts";
import type { Deliver } from "../../lib/queue/attempt.ts";
import { type DirectDelivery, directDelivery, type OpenMailbox } from "../../lib/queue/direct_delivery.ts";
import { Intake } from "../../lib/queue/intake.ts";
import { dsnReporter } from "../../lib/queue/reporter.ts";
import { QueueRunner } from "../../lib/queue/runner.ts";
import { openFileSpool } from "../../lib/queue/file_spool.ts";
import type { QueuedMessage, Spool } from "../../lib/queue/spool.ts";
import type { Clock } from "../../lib/system/clock.ts";
import { FolderSync } from "../../lib/system/folder_sync.ts";
import { withCrlf } from "./crlf.ts";
import type { FakeClock } from "./fake_clock.ts";
import type { MemoryFiles } from "./memory_files.ts";
import { outcome, sampleEnvelope } from "./queue_samples.ts";

const MINUTE = 60_000;
const SPOOL = "/data/spool";
const MAIL = "/data/mail";

/** Times that make a life short: three attempts, a warning, and the end after an hour. */
export const PATH_SETTINGS = {
  retryMs: [5 * MINUTE, 30 * MINUTE],
  warnAfterMs: 20 * MINUTE,
  expireAfterMs: 60 * MINUTE,
  concurrency: 20,
  limitsOf: (): { concurrency: number; initial: number } => ({ concurrency: 5, initial: 5 }),
};

/** A message of a test, known by its name at every place that it comes to. */
export interface PathMessage {
  readonly name: string;
  /** Local parts: `…@local.example` has a mailbox here, the others are outside. */
  readonly recipients: readonly string[];
  readonly reversePath?: string;
  readonly contentOctets?: number;
}

/** Who is told of failures. */
export const SENDER = "alice@sender.example";

/** What a message becomes for one recipient; the local part says it. */
export function destinyOf(address: string): "delivered" | "failed" {
  return /^(never|dead)/.test(address) ? "failed" : "delivered";
}

/** Everybody else on the internet: survives what happens to a machine of ours. */
export class Outside {
  /** Deliveries that were taken, `name recipient`, in order. */
  readonly taken: string[] = [];
  /** Lines `name action recipient` of the reports that came to the sender. */
  readonly reports: string[] = [];
  #asked = new Set<string>();

  /** The same, for another course of events. */
  copy(): Outside {
    const copy = new Outside();
    copy.taken.push(...this.taken);
    copy.reports.push(...this.reports);
    copy.#asked = new Set(this.#asked);
    return copy;
  }

  /** Takes a message as the local parts say: `later` at the second attempt, `never` not, `dead` is not reached. */
  async deliver({ envelope, content, recipients }: DeliveryRequest): Promise<Outcome[]> {
    let text = "";
    for await (const chunk of content.chunks()) text += new TextDecoder("latin1").decode(chunk);
    return recipients.map(({ address }) => {
      if (envelope.reversePath === "" && address === SENDER) return this.#takeReport(text);
      const which = `${nameIn(text)} ${address}`;
      if (address.startsWith("never")) return outcome("failed", "5.1.1", "550 nobody");
      if (address.startsWith("dead")) return outcome("delayed", "4.4.1", "no answer");
      if (address.startsWith("later") && !this.#asked.has(which)) {
        this.#asked.add(which);
        return outcome("delayed", "4.2.0", "450 later");
      }
      this.taken.push(which);
      return outcome("relayed", "2.0.0", "250 taken");
    });
  }

  #takeReport(text: string): Outcome {
    const name = /^Original-Envelope-Id: (.+)\r$/m.exec(text)?.[1];
    for (const [, address, action] of text.matchAll(/^Final-Recipient: rfc822; (.+)\r\nAction: (.+)\r$/gm)) {
      this.reports.push(`${name} ${action} ${address}`);
    }
    return outcome("relayed", "2.0.0", "250 taken");
  }
}

/** What a machine told: by these promises it is judged. */
export interface Told {
  /** Names of the messages whose commit resolved. */
  readonly accepted: Set<string>;
  /** `name recipient` whose final outcome is in a journal: its append resolved. */
  readonly recorded: Set<string>;
  /** Names of messages whose removal resolved. */
  readonly removed: Set<string>;
}

/** Nothing yet, or what was told before. */
export function toldSoFar(before?: Told): Told {
  return {
    accepted: new Set(before?.accepted),
    recorded: new Set(before?.recorded),
    removed: new Set(before?.removed),
  };
}

/** How a machine is started. */
export interface PathOptions {
  readonly files: MemoryFiles;
  readonly clock: FakeClock;
  readonly outside: Outside;
  readonly told?: Told;
  /** True from the moment at which the machine has stopped: nothing that it does after that counts. */
  readonly isOver?: () => boolean;
  readonly logger?: Logger;
  /** The clock of the queue, where that is another. */
  readonly queueClock?: Clock;
  /** Mail for mailboxes here goes straight into them. */
  readonly isDirect?: boolean;
  /** Default: `PATH_SETTINGS`. */
  readonly settings?: typeof PATH_SETTINGS;
}

/** A machine of ours. */
export class MailPath implements AsyncDisposable {
  readonly #options: PathOptions;
  readonly #folderSync: FolderSync;
  readonly spool: Spool;
  readonly runner: QueueRunner;
  readonly #direct: DirectDelivery | undefined;

  private constructor(options: PathOptions, spool: Spool) {
    const { files, clock, outside, isOver = (): boolean => false } = options;
    const logger = options.logger ?? getLogger(["test", "path"]);
    this.#options = options;
    this.#folderSync = new FolderSync(files, { clock });
    const maildir = new MaildirTarget({
      mailRoot: MAIL,
      files,
      clock,
      hostname: "mail.example.org",
      pid: 1,
      folderSync: this.#folderSync,
      logger,
      lineEndings: () => "lf",
    });
    this.spool = options.told === undefined ? spool : listening(spool, options.told, isOver);
    const deliver: Deliver = (request) => {
      const { hop } = request;
      return hop.kind === "maildir" ? maildir.deliver({ ...request, hop }) : outside.deliver(request);
    };
    const { signal } = new AbortController();
    const openMailbox: OpenMailbox = async (request) => {
      const { hop } = request;
      return hop.kind === "maildir" ? await maildir.open({ ...request, hop }) : undefined;
    };
    this.#direct = options.isDirect
      ? directDelivery({ route, deliver, openMailbox, clock, logger, signal })
      : undefined;
    this.runner = new QueueRunner({
      spool: this.spool,
      clock: options.queueClock ?? clock,
      logger,
      route,
      deliver: (request) => isOver() ? new Promise(() => {}) : deliver(request),
      reporter: dsnReporter({
        spool: this.spool,
        clock,
        hostname: "mail.example.org",
        randomOctets,
        expireAfterMs: () => PATH_SETTINGS.expireAfterMs,
        expand: (address) => [{ address }],
      }),
      random: () => 0,
      settings: options.settings ?? PATH_SETTINGS,
    });
  }

  /** Opens the spool. The queue is not started yet. */
  static async open(options: PathOptions): Promise<MailPath> {
    const { files, clock, logger = getLogger(["test", "path"]) } = options;
    const spool = await openFileSpool({
      folder: SPOOL,
      files,
      clock,
      logger,
      randomOctets,
      processId: 1,
      memoryOctets: 4_000,
    });
    return new MailPath(options, spool);
  }

  /** Takes a message; resolves when it is acknowledged, and hands it to the queue. */
  async accept(message: PathMessage): Promise<void> {
    const { clock, told, isOver } = this.#options;
    const { name, recipients, reversePath = SENDER } = message;
    const arrived = new Date(clock.now()).toISOString();
    const envelope: Envelope = { ...sampleEnvelope(recipients), reversePath, arrived, envid: name };
    const content = contentOf(message);
    const header = content.subarray(0, headerSectionEnd(content));
    const intake = new Intake({
      reception: this.spool.receive(),
      direct: this.#direct,
      draft: () => ({ envelope, header }),
      streamFromOctets: 2_000,
    });
    try {
      for (let at = 0; at < content.length; at += 1_500) await intake.write(content.subarray(at, at + 1_500));
      const stored = await intake.commit(envelope);
      if (isOver?.() || stored.kind === "refused") return;
      told?.accepted.add(name);
      if (stored.queued !== undefined) this.runner.enqueue(stored.queued);
    } finally {
      await intake.abort();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.runner[Symbol.asyncDispose]();
    await this.#folderSync[Symbol.asyncDispose]();
    await this.spool[Symbol.asyncDispose]();
  }
}

/** Moves the clock until the queue is empty, or the machine has stopped. @returns False where it is neither in time. */
export async function untilEmpty(
  files: MemoryFiles,
  clock: FakeClock,
  withinMs: number,
  isOver: () => boolean = () => false,
): Promise<boolean> {
  const endMs = clock.monotonic() + withinMs;
  for (;;) {
    await clock.advance(0);
    if (isOver() || files.tree(`${SPOOL}/queue`).size === 0) return true;
    const stepMs = clock.nextDueMs;
    if (stepMs === undefined || clock.monotonic() + stepMs > endMs) return false;
    await clock.advance(stepMs);
  }
}

/** Deliveries into mailboxes of this disk, `name recipient`. @throws {Error} A file in `new/` is not whole. */
export function mailboxes(files: MemoryFiles, messages: readonly PathMessage[]): string[] {
  const found: string[] = [];
  for (const [path, octets] of folderTree(files, MAIL)) {
    const [, account, folder] = /^\/data\/mail\/local\.example\/([^/]+)\/(\w+)\/[^/]+$/.exec(path) ?? [];
    if (folder !== "new") continue;
    const text = new TextDecoder("latin1").decode(withCrlf(octets));
    const message = messages.find(({ name }) => name === nameIn(text));
    const whole = message === undefined ? "" : new TextDecoder("latin1").decode(contentOf(message));
    if (whole === "" || !text.startsWith("Return-Path: <") || !text.endsWith(`\r\n${whole}`)) {
      throw new Error(`${path} is not whole: ${text.length} octets: ${text.slice(0, 300)}`);
    }
    found.push(`${message?.name} ${account}@local.example`);
  }
  return found;
}

/** Files below a folder that may be missing. */
export function folderTree(files: MemoryFiles, folder: string): Map<string, Uint8Array> {
  try {
    return files.tree(folder);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return new Map();
    throw error;
  }
}

/** Remembers what the spool told the queue. */
function listening(spool: Spool, told: Told, isOver: () => boolean): Spool {
  const envelopes = new Map<string, Envelope>();
  const know = <T extends QueuedMessage | undefined>(message: T): T => {
    if (message !== undefined) envelopes.set(message.queueId, message.envelope);
    return message;
  };
  return {
    receive: () => {
      const reception = spool.receive();
      return {
        queueId: reception.queueId,
        get octets(): number {
          return reception.octets;
        },
        get inMemory(): Uint8Array | undefined {
          return reception.inMemory;
        },
        write: (octets) => reception.write(octets),
        commit: async (envelope) => know(await reception.commit(envelope)),
        abort: () => reception.abort(),
      };
    },
    load: async (queueId) => know(await spool.load(queueId)),
    append: async (queueId, events) => {
      await spool.append(queueId, events);
      const envelope = envelopes.get(queueId);
      if (isOver() || envelope === undefined) return;
      for (const event of events) {
        if (event.event !== "attempt" || event.outcome.action === "delayed") continue;
        for (const index of event.recipients) {
          told.recorded.add(`${envelope.envid} ${envelope.recipients[index]?.address}`);
        }
      }
    },
    remove: async (queueId) => {
      await spool.remove(queueId);
      const name = envelopes.get(queueId)?.envid;
      if (!isOver() && name !== undefined) told.removed.add(name);
    },
    recover: async function* (...args): AsyncGenerator<QueuedMessage> {
      for await (const message of spool.recover(...args)) yield know(message);
    },
    [Symbol.asyncDispose]: () => spool[Symbol.asyncDispose](),
  };
}

function contentOf({ name, contentOctets = 300 }: PathMessage): Uint8Array {
  const filling = "x".repeat(contentOctets);
  return new TextEncoder().encode(`Subject: ${name}\r\nMessage-ID: <${name}@sender.example>\r\n\r\n${filling}\r\n`);
}

function nameIn(text: string): string | undefined {
  return /^Subject: (.+)\r$/m.exec(text)?.[1];
}

function route(address: string): RouteDecision {
  const domain = address.slice(address.lastIndexOf("@") + 1);
  return domain === "local.example"
    ? { kind: "hop", hop: { kind: "maildir", account: address, key: `maildir:${address}` } }
    : { kind: "hop", hop: { kind: "mx", domain, key: `mx:${domain}` } };
}

function randomOctets(into: Uint8Array<ArrayBuffer>): void {
  crypto.getRandomValues(into);
}
