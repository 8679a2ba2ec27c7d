/** A queue on a spool in memory, with scripted delivery and a clock that a test moves. */

import type { RouteDecision } from "../../lib/delivery/next_hop.ts";
import type { DeliveryRequest } from "../../lib/delivery/target.ts";
import type { ReportKind } from "../../lib/dsn/report.ts";
import type { Envelope } from "../../lib/mail/envelope.ts";
import type { Outcome } from "../../lib/mail/outcome.ts";
import type { Reporter } from "../../lib/queue/reporter.ts";
import { QueueRunner, type QueueRunnerOptions } from "../../lib/queue/runner.ts";
import type { QueuedMessage, Spool } from "../../lib/queue/spool.ts";
import { FakeClock } from "./fake_clock.ts";
import { MemoryFiles } from "./memory_files.ts";
import { catchLog, openSpool, outcome, put, recoverAll, sampleEnvelope } from "./queue_samples.ts";

/** In milliseconds. */
export const MINUTE = 60_000;
/** In milliseconds. */
export const HOUR = 60 * MINUTE;
export const DELIVERED = outcome("delivered", "2.0.0", "stored");
export const LATER = outcome("delayed", "4.2.0", "450 later");
export const NEVER = outcome("failed", "5.1.1", "550 nobody");

type Answer = (address: string, request: DeliveryRequest) => Outcome | Promise<Outcome>;

/** A queue on a spool in memory, with scripted delivery. */
export class QueueLab implements AsyncDisposable {
  readonly clock: FakeClock;
  /** Each attempt as `address@time in minutes`. */
  readonly attempts: string[] = [];
  readonly requests: DeliveryRequest[] = [];
  readonly reports: { kind: ReportKind; recipients: string[]; queueId: string }[] = [];
  answer: Answer = () => DELIVERED;
  reportFault: Error | undefined;
  running = 0;
  mostRunning = 0;
  readonly spool: Spool;
  readonly runner: QueueRunner;
  readonly log: Awaited<ReturnType<typeof catchLog>>;

  private constructor(
    readonly files: MemoryFiles,
    clock: FakeClock,
    spool: Spool,
    log: Awaited<ReturnType<typeof catchLog>>,
    more: Partial<QueueRunnerOptions>,
  ) {
    this.clock = clock;
    this.spool = spool;
    this.log = log;
    this.runner = new QueueRunner({
      spool,
      clock,
      logger: log.logger,
      route: routeByDomain,
      deliver: (request) => this.#deliver(request),
      reporter: this.#reporter(),
      random: () => 0,
      settings: {
        retryMs: [5 * MINUTE, 10 * MINUTE, HOUR],
        warnAfterMs: 4 * HOUR,
        expireAfterMs: 24 * HOUR,
        concurrency: 20,
        limitsOf: () => ({ concurrency: 2, initial: 2 }),
      },
      ...more,
    });
  }

  static async open(
    more: Partial<QueueRunnerOptions> = {},
    files: MemoryFiles = new MemoryFiles(),
    start?: string,
  ): Promise<QueueLab> {
    const log = await catchLog();
    const clock = new FakeClock(start);
    return new QueueLab(files, clock, await openSpool(files, { clock }), log, more);
  }

  /** Accepts a message and hands it to the queue. */
  async accept(envelope: Envelope, content?: Uint8Array): Promise<QueuedMessage> {
    const arrived = new Date(this.clock.now()).toISOString();
    const message = await put(this.spool, { ...envelope, arrived }, content);
    this.runner.enqueue(message);
    return message;
  }

  async advance(ms: number): Promise<void> {
    await this.clock.advance(ms);
    await settle();
  }

  /** The queue ids on disk. */
  async onDisk(): Promise<string[]> {
    return [...(await recoverAll(this.spool)).keys()];
  }

  async #deliver(request: DeliveryRequest): Promise<Outcome[]> {
    this.requests.push(request);
    this.mostRunning = Math.max(this.mostRunning, ++this.running);
    const outcomes: Outcome[] = [];
    try {
      for (const { address } of request.recipients) {
        this.attempts.push(`${address} ${Math.round(this.clock.monotonic() / MINUTE)}`);
        outcomes.push(await this.answer(address, request));
      }
    } finally {
      this.running--;
    }
    return outcomes;
  }

  #reporter(): Reporter {
    return {
      report: async (message, recipients, kind): Promise<QueuedMessage> => {
        if (this.reportFault !== undefined) throw this.reportFault;
        const addresses = recipients.map(({ index }) => message.envelope.recipients[index]?.address ?? "");
        this.reports.push({ kind, recipients: addresses, queueId: message.queueId });
        return await put(this.spool, sampleEnvelope([message.envelope.reversePath], { reversePath: "" }));
      },
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.runner[Symbol.asyncDispose]();
    await this.spool[Symbol.asyncDispose]();
    await this.log[Symbol.asyncDispose]();
  }
}

/** `local.example` is ours, `nowhere.example` has no route, everything else has an MX. */
export function routeByDomain(address: string): RouteDecision {
  const domain = address.slice(address.lastIndexOf("@") + 1);
  if (domain === "nowhere.example") return { kind: "refused", status: "5.4.4", text: "No route" };
  if (domain === "local.example") {
    return { kind: "hop", hop: { kind: "maildir", account: address, key: `maildir:${address}` } };
  }
  return { kind: "hop", hop: { kind: "mx", domain, key: `mx:${domain}` } };
}

/** Lets the spool in memory, which needs a few turns, come to rest. */
export async function settle(): Promise<void> {
  for (let i = 0; i < 5; i++) await new Promise((resolve) => setTimeout(resolve, 0));
}
