/** Runs the real queue for days of simulated time against a simulated internet, and takes its figures. */

import { memoryContent } from "../../lib/mail/content.ts";
import type { Envelope, EnvelopeRecipient } from "../../lib/mail/envelope.ts";
import { limitsByRules } from "../../lib/queue/destination_rules.ts";
import { dsnReporter, type Reporter } from "../../lib/queue/reporter.ts";
import { QueueRunner } from "../../lib/queue/runner.ts";
import type { Logger } from "../../lib/log/logger.ts";
import { DiscreteClock } from "../support/discrete_clock.ts";
import { seededRandom } from "../support/seeded_random.ts";
import { Internet, type Site } from "./internet.ts";
import { JournalSpool } from "./journal_spool.ts";

/** What is simulated. */
export interface SimulationOptions {
  readonly messages: number;
  readonly seed: number;
  /** Days in which they arrive. */
  readonly days: number;
}

/** How long messages of a kind took, in seconds. */
export interface Delays {
  readonly count: number;
  readonly median: number;
  readonly most: number;
}

/** What came of it. */
export interface Figures {
  /** Recipients of the messages, and what became of them. */
  readonly recipients: number;
  readonly delivered: number;
  readonly deliveredTwice: number;
  readonly reported: number;
  /** Failed, and nobody wants to hear of it. */
  readonly silent: number;
  /** Neither delivered nor reported. */
  readonly lost: number;
  /** Delivered, and yet reported as failed. */
  readonly contradictions: number;
  readonly reports: Readonly<Record<string, number>>;
  /** Messages left in the spool, and in the index of the queue. */
  readonly left: number;
  readonly leftInMemory: number;
  /** Attempts of the queue, and what came of the sites. */
  readonly attempts: number;
  readonly postponed: number;
  readonly loads: number;
  readonly sites: readonly Site[];
  /** The most messages at work at a time, and in the queue. */
  readonly mostActive: number;
  readonly mostQueued: number;
  /** Fresh mail for sites that are well: all of it, and what came while large sites got the mail of an outage. */
  readonly healthy: Delays;
  readonly healthyInFlood: Delays;
  /** When the last message was gone, in days. */
  readonly endedDays: number;
  readonly wallSeconds: number;
  readonly peakHeapMib: number;
  /** Log lines at the level of an error. */
  readonly errors: readonly string[];
}

/** Deliveries to one site at a time. */
export const PER_DESTINATION = 20;
/** Messages at work at a time, besides new ones. */
export const MAX_ACTIVE = 10_000;

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const START_MS = Date.parse("2026-03-02T00:00:00Z");
const CONTENT = memoryContent(new TextEncoder().encode(`Subject: news\r\n\r\n${"What is new? ".repeat(155)}\r\n`));

// What is known of a recipient, as bits.
const TAKEN = 1;
const TAKEN_TWICE = 2;
const REPORTED = 4;
const UNREPORTABLE = 8;
const IS_HEALTHY = 16;

/** One simulation. */
class Simulation {
  readonly #options: SimulationOptions;
  readonly #random: () => number;
  readonly #clock = new DiscreteClock(START_MS);
  readonly #internet: Internet;
  readonly #spool: JournalSpool;
  readonly #reporter: Reporter;
  readonly #logger: Logger;
  readonly #errors: string[] = [];
  readonly #reports: Record<string, number> = {};
  /** By recipient. */
  readonly #states: Uint8Array;
  readonly #arrivedMs: Float64Array;
  readonly #delaySeconds: Float32Array;
  #recipients = 0;
  #mostActive = 0;
  #peakHeap = 0;
  #queue: QueueRunner;

  constructor(options: SimulationOptions) {
    this.#options = options;
    const random = this.#random = seededRandom(options.seed);
    const clock = this.#clock;
    const randomOctets = (into: Uint8Array<ArrayBuffer>): void => void into.set(into.map(() => random() * 256));
    this.#internet = new Internet({ domains: 2_000, sites: 300, days: options.days, clock, random });
    this.#internet.onFinal = (address, isTaken) => isTaken && this.#noteTaken(address);
    this.#spool = new JournalSpool({ clock, randomOctets });
    this.#states = new Uint8Array(2 * options.messages);
    this.#arrivedMs = new Float64Array(2 * options.messages);
    this.#delaySeconds = new Float32Array(2 * options.messages);
    const nothing = (): void => {};
    const error: Logger["error"] = (message, fields) => void this.#errors.push(`${message} ${JSON.stringify(fields)}`);
    this.#logger = { debug: nothing, info: nothing, warning: nothing, error };
    const reporter = dsnReporter({
      spool: this.#spool,
      clock,
      hostname: "mail.example.net",
      randomOctets,
      expireAfterMs: () => 5 * DAY,
      expand: (address) => [{ address }],
    });
    this.#reporter = {
      report: (message, states, kind) => {
        this.#reports[kind] = (this.#reports[kind] ?? 0) + 1;
        for (const { index } of kind === "failed" ? states : []) {
          this.#mark(message.envelope.recipients[index]?.address ?? "", REPORTED);
        }
        return reporter.report(message, states, kind);
      },
    };
    this.#queue = this.#openQueue();
  }

  async run(): Promise<Figures> {
    const beganMs = performance.now();
    await this.#clock.runUntil(this.#live());
    return this.#figures((performance.now() - beganMs) / 1000);
  }

  #openQueue(): QueueRunner {
    return new QueueRunner({
      spool: this.#spool,
      clock: this.#clock,
      logger: this.#logger,
      route: (address) => {
        const domain = address.slice(address.lastIndexOf("@") + 1);
        return { kind: "hop", hop: { kind: "mx", domain, key: `mx:${domain}` } };
      },
      destinationOf: (hop) => hop.kind === "mx" ? this.#internet.siteOf(hop.domain).name : hop.key,
      deliver: (request) => this.#internet.deliver(request),
      reporter: this.#reporter,
      settings: {
        retryMs: [5 * MINUTE, 10 * MINUTE, 20 * MINUTE, 30 * MINUTE, HOUR, 2 * HOUR, 4 * HOUR],
        warnAfterMs: 4 * HOUR,
        expireAfterMs: 5 * DAY,
        concurrency: 200,
        limitsOf: (name) => limitsByRules([], PER_DESTINATION, name, this.#clock.now()),
      },
      random: this.#random,
      maxActive: MAX_ACTIVE,
    });
  }

  /** Mail arrives; half way through the server is started anew; then the queue is left to become empty. */
  async #live(): Promise<void> {
    const { messages, days } = this.#options;
    const times = this.#arrivals();
    await this.#queue.start();
    for (const [number, atMs] of times.entries()) {
      const waitMs = atMs - this.#clock.monotonic();
      if (waitMs > 0) await this.#clock.sleep(waitMs);
      if (number === Math.floor(messages / 2)) await this.#restart();
      this.#queue.enqueue(this.#spool.accept(this.#makeEnvelope(), CONTENT));
      this.#watch(number);
    }
    // A report about a message of the last day may itself wait for five days.
    const endMs = (days + 11) * DAY;
    while (this.#spool.size > 0 && this.#clock.monotonic() < endMs) {
      await this.#clock.sleep(10 * MINUTE);
      this.#watch(0);
    }
  }

  /** Aborts what is under way, and finds the queue as it is on disk. */
  async #restart(): Promise<void> {
    await this.#queue.drain(0);
    this.#queue = this.#openQueue();
    await this.#queue.start();
  }

  /** Monotonic times, in order: evenly over the days, and a twentieth of all in ten minutes of each morning. */
  #arrivals(): Float64Array {
    const { messages, days } = this.#options;
    const times = Float64Array.from({ length: messages }, () => {
      if (this.#random() >= days / 20) return this.#random() * days * DAY;
      return Math.floor(this.#random() * days) * DAY + 9 * HOUR + this.#random() * 10 * MINUTE;
    });
    return times.sort();
  }

  #makeEnvelope(): Envelope {
    const chance = this.#random();
    const isBounce = chance < 0.02;
    const recipients = [this.#makeRecipient(isBounce)];
    if (this.#random() < 0.05) recipients.push(this.#makeRecipient(isBounce));
    return {
      // Most senders are on a site that is well; reports to the others are late, or come to nothing.
      reversePath: isBounce ? "" : `fine@${chance < 0.05 ? this.#internet.domain() : "d0.example"}`,
      arrived: new Date(this.#clock.now()).toISOString(),
      body: "7BIT",
      smtpUtf8: false,
      trace: "",
      session: { service: "submission" },
      recipients,
    };
  }

  #makeRecipient(isBounce: boolean): EnvelopeRecipient {
    const number = this.#recipients++;
    const chance = this.#random();
    const fate = chance < 0.01 ? "unknown" : chance < 0.013 ? "full" : "fine";
    const domain = this.#internet.domain();
    const notify = this.#random();
    const isSilent = isBounce || notify < 0.01;
    const isHealthy = fate === "fine" && this.#internet.siteOf(domain).kind === "healthy";
    this.#states[number] = (isSilent ? UNREPORTABLE : 0) | (isHealthy ? IS_HEALTHY : 0);
    this.#arrivedMs[number] = this.#clock.monotonic();
    const address = `${fate}${number}@${domain}`;
    if (notify < 0.01) return { address, notify: "never" };
    return notify < 0.02 ? { address, notify: ["success", "failure"] } : { address };
  }

  #noteTaken(address: string): void {
    const number = numberOf(address);
    if (number === undefined) return;
    this.#mark(address, ((this.#states[number] ?? 0) & TAKEN) === 0 ? TAKEN : TAKEN_TWICE);
    this.#delaySeconds[number] = (this.#clock.monotonic() - (this.#arrivedMs[number] ?? 0)) / 1000;
  }

  #mark(address: string, bits: number): void {
    const number = numberOf(address);
    if (number !== undefined) this.#states[number] = (this.#states[number] ?? 0) | bits;
  }

  #watch(number: number): void {
    this.#mostActive = Math.max(this.#mostActive, this.#queue.size.active);
    if (number % 5_000 === 0) this.#peakHeap = Math.max(this.#peakHeap, Deno.memoryUsage().heapUsed);
  }

  #figures(wallSeconds: number): Figures {
    const states = this.#states.subarray(0, this.#recipients);
    const count = (isCounted: (state: number) => boolean): number =>
      states.reduce((sum, state) => sum + (isCounted(state) ? 1 : 0), 0);
    const { active, scheduled } = this.#queue.size;
    const events = this.#spool.events;
    return {
      recipients: this.#recipients,
      delivered: count((state) => (state & TAKEN) !== 0),
      deliveredTwice: count((state) => (state & TAKEN_TWICE) !== 0),
      reported: count((state) => (state & REPORTED) !== 0),
      silent: count((state) => (state & (TAKEN | REPORTED)) === 0 && (state & UNREPORTABLE) !== 0),
      lost: count((state) => (state & (TAKEN | REPORTED | UNREPORTABLE)) === 0),
      contradictions: count((state) => (state & TAKEN) !== 0 && (state & REPORTED) !== 0),
      reports: this.#reports,
      left: this.#spool.size,
      leftInMemory: active + scheduled,
      attempts: this.#internet.sites.reduce((sum, { attempts }) => sum + attempts, 0),
      postponed: events.get("postponed") ?? 0,
      loads: this.#spool.loads,
      sites: this.#internet.sites,
      mostActive: this.#mostActive,
      mostQueued: this.#spool.most,
      healthy: this.#delays(() => true),
      healthyInFlood: this.#delays((ms) => this.#isFlood(ms)),
      endedDays: this.#clock.monotonic() / DAY,
      wallSeconds,
      peakHeapMib: this.#peakHeap / 2 ** 20,
      errors: this.#errors,
    };
  }

  /** Half an hour from the end of an outage of one of the large sites. */
  #isFlood(ms: number): boolean {
    return this.#internet.sites.slice(0, 30).some(({ outages }) =>
      outages.some(([, endMs]) => endMs <= ms && ms < endMs + 30 * MINUTE)
    );
  }

  #delays(isCounted: (arrivedMs: number) => boolean): Delays {
    const wanted = IS_HEALTHY | TAKEN;
    const delays = this.#delaySeconds.subarray(0, this.#recipients).filter((_, number) =>
      ((this.#states[number] ?? 0) & wanted) === wanted && isCounted(this.#arrivedMs[number] ?? 0)
    ).sort();
    const at = (part: number): number => delays[Math.floor(delays.length * part)] ?? 0;
    return { count: delays.length, median: at(0.5), most: at(0.99) };
  }
}

/** Runs one. */
export function simulate(options: SimulationOptions): Promise<Figures> {
  return new Simulation(options).run();
}

/** The number of a recipient; undefined for a sender. */
function numberOf(address: string): number | undefined {
  const digits = /^[a-z]+(\d+)@/.exec(address)?.[1];
  return digits === undefined ? undefined : Number(digits);
}
