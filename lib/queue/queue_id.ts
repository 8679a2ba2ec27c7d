/**
 * Queue ids: 16 characters of Crockford's base32 in lower case (no i, l, o, u), safe in file names, URLs and on the phone.
 *
 * ```
 * 2tb1k9  q7x0m2ha  d4
 * second  random    bucket
 * ```
 *
 * Six characters of time sort the ids, 40 random bits make them hard to guess, and the last two name the folder of the
 * spool. That bucket is the same for all messages of a moment, so that one folder sync serves them all.
 */

import type { Clock } from "../system/clock.ts";

/** Parts that ids are made of. */
export interface QueueIdsOptions {
  /** The time. */
  readonly clock: Clock;
  /** Fills an array with unpredictable octets: `crypto.getRandomValues`. */
  readonly randomOctets: (into: Uint8Array<ArrayBuffer>) => void;
}

const ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz";
const PATTERN = /^[0-9a-hjkmnp-tv-z]{16}$/;
/** Two characters for each number of ten bits. */
const PAIRS: readonly string[] = Array.from(
  { length: 1024 },
  (_, value) => ALPHABET.charAt(value >> 5) + ALPHABET.charAt(value & 31),
);
/** 2024-01-01; six characters last for 34 years from there, and then only the order of ids starts anew. */
const EPOCH_SECONDS = 1_704_067_200;
const MAX_IDS_PER_SECOND = 50_000;
const BUCKET_SECONDS = 4;
const BUCKET_MESSAGES = 2_000;
const RANDOM_OCTETS = 5;

/** True for a text that could be a queue id; anything else never becomes part of a path. */
export function isQueueId(text: string): boolean {
  return PATTERN.test(text);
}

/** The name of the folder below `queue/` for a message. */
export function bucketOf(queueId: string): string {
  return queueId.slice(-2);
}

/** The part of a queue id that all messages of one second share. */
export function secondOf(queueId: string): string {
  return queueId.slice(0, 6);
}

/** Makes queue ids; no two are the same in the life of a process. */
export class QueueIds {
  readonly #options: QueueIdsOptions;
  readonly #random: Uint8Array<ArrayBuffer> = new Uint8Array(RANDOM_OCTETS * 200);
  #randomUsed: number = this.#random.length;
  #second = -Infinity;
  #time = "";
  /** Random parts given out in this second: makes a repetition impossible instead of improbable. */
  readonly #issued: Set<string> = new Set();
  #bucket = -1;
  #bucketPeriod = 0;
  #bucketMessages = 0;

  /** Takes the parts. */
  constructor(options: QueueIdsOptions) {
    this.#options = options;
  }

  /** Makes the next id. */
  next(): string {
    this.#moveTime();
    let random = this.#randomPart();
    while (this.#issued.has(random)) random = this.#randomPart();
    this.#issued.add(random);
    return this.#time + random + PAIRS[this.#bucket];
  }

  /** A clock that is set back does not bring back seconds that were used; a second that is full makes way for the next. */
  #moveTime(): void {
    const now = Math.floor(this.#options.clock.now() / 1000);
    const second = this.#issued.size >= MAX_IDS_PER_SECOND
      ? Math.max(now, this.#second + 1)
      : Math.max(now, this.#second);
    if (second !== this.#second) {
      this.#second = second;
      this.#issued.clear();
      const value = (((second - EPOCH_SECONDS) % 2 ** 30) + 2 ** 30) % 2 ** 30;
      this.#time = `${PAIRS[value >> 20]}${PAIRS[(value >> 10) & 1023]}${PAIRS[value & 1023]}`;
    }
    const period = Math.floor(second / BUCKET_SECONDS);
    if (this.#bucket === -1) this.#bucket = ((period % 1024) + 1024) % 1024;
    else if (period !== this.#bucketPeriod || this.#bucketMessages >= BUCKET_MESSAGES) {
      this.#bucket = (this.#bucket + 1) % 1024;
      this.#bucketMessages = 0;
    }
    this.#bucketPeriod = period;
    this.#bucketMessages++;
  }

  #randomPart(): string {
    if (this.#randomUsed === this.#random.length) {
      this.#options.randomOctets(this.#random);
      this.#randomUsed = 0;
    }
    const at = this.#randomUsed;
    this.#randomUsed += RANDOM_OCTETS;
    const octet = (offset: number): number => this.#random[at + offset] ?? 0;
    return `${PAIRS[(octet(0) << 2) | (octet(1) >> 6)]}${PAIRS[((octet(1) & 63) << 4) | (octet(2) >> 4)]}` +
      `${PAIRS[((octet(2) & 15) << 6) | (octet(3) >> 2)]}${PAIRS[((octet(3) & 3) << 8) | octet(4)]}`;
  }
}
