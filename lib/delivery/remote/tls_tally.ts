/** Counts TLS results in memory by day, domain and policy, within bounds. */

import type { Clock } from "../../system/clock.ts";
import type { PublishedPolicy, TlsFailure, TlsResult, TlsResults } from "./tls_results.ts";

/** Sessions that failed alike. */
export interface FailureCount {
  /** What kind. */
  readonly failure: TlsFailure;
  /** The host. */
  readonly mxHost?: string;
  /** Its address. */
  readonly receivingIp?: string;
  /** That of the first of them. */
  readonly reason?: string;
  /** How many. */
  readonly count: number;
}

/** A day's results under one policy. */
export interface PolicyTally {
  /** Whose mail it was. */
  readonly recipientDomain: string;
  /** The latest one of the day. */
  readonly policy: PublishedPolicy;
  /** Sessions as the policy wants them. */
  readonly successes: number;
  /** All failures, also those that have no entry in `failures`, which is bounded. */
  readonly failureCount: number;
  /** By kind, host and address. */
  readonly failures: readonly FailureCount[];
}

/** The bounds; what is beyond them is not counted. */
export interface TallyOptions {
  /** Its wall clock says which day it is. */
  readonly clock: Clock;
  /** Policies of a day; default 10000. */
  readonly maxPolicies?: number;
  /** Of the texts of these policies; default 8 MiB. */
  readonly maxOctets?: number;
  /** Kinds of failure of a policy; default 100. */
  readonly maxFailures?: number;
  /** Days, today included; default 3. */
  readonly maxDays?: number;
}

interface Entry {
  readonly recipientDomain: string;
  /** The latest one of the day for which there was room. */
  policy: PublishedPolicy;
  successes: number;
  failureCount: number;
  readonly failures: Map<string, FailureCount>;
}

interface Day {
  readonly entries: Map<string, Entry>;
  /** Of the policies of all entries. */
  octets: number;
}

/** The results of the last days. A restart forgets what was not written elsewhere. */
export class TlsTally implements TlsResults {
  readonly #options: Required<TallyOptions>;
  readonly #days = new Map<string, Day>();

  /** Starts empty. */
  constructor(options: TallyOptions) {
    this.#options = { maxPolicies: 10_000, maxOctets: 8 * 2 ** 20, maxFailures: 100, maxDays: 3, ...options };
  }

  /** Counts one session. */
  record({ recipientDomain, policy, failure, ...details }: TlsResult): void {
    const day = this.#today();
    const key = `${policy.type} ${policy.domain} ${recipientDomain}`;
    let entry = day.entries.get(key);
    const octets = day.octets + octetsOf(policy) - (entry === undefined ? 0 : octetsOf(entry.policy));
    const { maxOctets, maxPolicies } = this.#options;
    if (entry === undefined) {
      if (day.entries.size >= maxPolicies || octets > maxOctets) return;
      day.entries.set(key, entry = { recipientDomain, policy, successes: 0, failureCount: 0, failures: new Map() });
    }
    if (octets <= maxOctets) {
      entry.policy = policy;
      day.octets = octets;
    }
    if (failure === undefined) entry.successes++;
    else this.#countFailure(entry, { failure, ...details });
  }

  /** The results of a day in UTC, `2026-01-31`. */
  of(day: string): readonly PolicyTally[] {
    const entries = this.#days.get(day)?.entries.values() ?? [];
    return [...entries].map((entry) => ({ ...entry, failures: [...entry.failures.values()] }));
  }

  /** The days that something was counted on, in UTC. */
  days(): readonly string[] {
    return [...this.#days.keys()];
  }

  /** Forgets everything, once it is written elsewhere. */
  clear(): void {
    this.#days.clear();
  }

  #countFailure(entry: Entry, details: Omit<FailureCount, "count">): void {
    entry.failureCount++;
    const key = `${details.failure} ${details.mxHost} ${details.receivingIp}`;
    const same = entry.failures.get(key);
    if (same !== undefined) entry.failures.set(key, { ...same, count: same.count + 1 });
    else if (entry.failures.size < this.#options.maxFailures) entry.failures.set(key, { ...details, count: 1 });
  }

  #today(): Day {
    const date = new Date(this.#options.clock.now()).toISOString().slice(0, 10);
    let day = this.#days.get(date);
    if (day === undefined) this.#days.set(date, day = { entries: new Map(), octets: 0 });
    for (const oldest of [...this.#days.keys()].sort().slice(0, -this.#options.maxDays)) this.#days.delete(oldest);
    return day;
  }
}

function octetsOf({ strings }: PublishedPolicy): number {
  return strings.reduce((sum, text) => sum + text.length, 0);
}
