/** Reads the content of messages from a wire, and sees that it comes fast enough. */

import { type ContentProblem, ContentReader } from "../smtp/content_reader.ts";
import type { Clock } from "../system/clock.ts";
import type { InboundTimeouts } from "./services.ts";
import type { Session } from "./session.ts";
import { bareLfRule } from "./submission.ts";
import type { ContentSink } from "./verb.ts";
import type { Wire } from "./wire.ts";

/** What an intake is made of. */
export interface ContentIntakeOptions {
  /** Of the connection. */
  readonly wire: Wire;
  /** Its limits hold; what comes in is counted in `spent`. */
  readonly session: Session;
  /** Its monotonic time is used. */
  readonly clock: Clock;
  /** How long the client may take. */
  readonly timeouts: InboundTimeouts;
}

/** Reads what is behind DATA and BDAT. */
export class ContentIntake {
  readonly #wire: Wire;
  readonly #session: Session;
  readonly #clock: Clock;
  readonly #timeouts: InboundTimeouts;
  #isActive = false;
  /** When the content that is being read began; later where we kept the client waiting. */
  #startMs = 0;
  #octets = 0;

  /** Reads nothing yet. */
  constructor({ wire, session, clock, timeouts }: ContentIntakeOptions) {
    this.#wire = wire;
    this.#session = session;
    this.#clock = clock;
    this.#timeouts = timeouts;
  }

  /** True in the middle of content. */
  get isActive(): boolean {
    return this.#isActive;
  }

  /** Monotonic time at which content that goes on coming as slowly as it did is given up. */
  get paceDeadlineMs(): number {
    return this.#startMs + this.#timeouts.contentGraceMs + earnedMs(this.#octets, this.#session, this.#timeouts);
  }

  /** Reads up to the final dot. @returns What is wrong with it. */
  readData(sink: ContentSink): Promise<ContentProblem | undefined> {
    return this.#during(async () => {
      await this.#wire.flush();
      const { input } = this.#wire;
      const reader = new ContentReader(bareLfRule(this.#session));
      let waiting: Promise<void> | undefined;
      const emit = (piece: Uint8Array): void => {
        waiting = bothOf(waiting, sink.write(piece));
      };
      for (;;) {
        if (input.length > 0) this.#take(reader.push(input.peek(), emit));
        if (waiting !== undefined) await this.#hold(waiting);
        waiting = undefined;
        if (reader.isDone) return reader.problem;
        await this.#fill();
      }
    });
  }

  /** Reads exactly so many octets. */
  readChunk(octets: number, sink: ContentSink): Promise<void> {
    return this.#during(async () => {
      const { input } = this.#wire;
      for (let left = octets;;) {
        const piece = input.peek().subarray(0, left);
        const waiting = piece.length > 0 ? sink.write(piece) : undefined;
        this.#take(piece.length);
        left -= piece.length;
        if (waiting !== undefined) await this.#hold(waiting);
        if (left === 0) return;
        await this.#wire.flush();
        await this.#fill();
      }
    });
  }

  async #during<T>(read: () => Promise<T>): Promise<T> {
    this.#isActive = true;
    this.#wire.input.expect("content");
    this.#startMs = this.#clock.monotonic();
    this.#octets = 0;
    const { spent } = this.#session;
    try {
      return await read();
    } finally {
      this.#isActive = false;
      this.#wire.input.expect("command");
      spent.contentOctets += this.#octets;
    }
  }

  #take(octets: number): void {
    this.#wire.input.consume(octets);
    this.#octets += octets;
  }

  /** Waits for our disk: that time is not the client's. */
  async #hold(waiting: Promise<void>): Promise<void> {
    const fromMs = this.#clock.monotonic();
    await waiting;
    this.#startMs += this.#clock.monotonic() - fromMs;
  }

  async #fill(): Promise<void> {
    await this.#wire.fill(Math.min(this.#clock.monotonic() + this.#timeouts.contentMs, this.paceDeadlineMs));
  }
}

/** What settles when both have. */
export function bothOf(one: Promise<void> | undefined, other: Promise<void> | undefined): Promise<void> | undefined {
  if (one === undefined || other === undefined) return one ?? other;
  return Promise.all([one, other]).then();
}

/** Time that a client has earned with octets of content, in milliseconds; those beyond the size limit earn nothing. */
export function earnedMs(octets: number, { settings }: Session, { contentOctetsPerSecond }: InboundTimeouts): number {
  return Math.min(octets, settings.limits.messageOctets) * 1000 / contentOctetsPerSecond;
}
