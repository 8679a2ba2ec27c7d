/** The DNS lookups of one SPF check, with the limits that hold over the whole of it (RFC 7208 §4.6.4). */

import type { RecordData, RecordType, Resolver } from "../../dns/resolver.ts";
import type { Clock } from "../../system/clock.ts";
import { type ClientNames, leadsBack, lookUpClientNames } from "../client_names.ts";
import { queryName } from "./domain_spec.ts";
import { printable, quoted, SpfError } from "./spf_error.ts";

/** Terms that need DNS, over all records of a check. */
const MAX_TERMS = 10;
/** Lookups without a result, over all records of a check. */
const MAX_VOID_LOOKUPS = 2;
/** Octets of all records of a check that are read: twice as much as one answer of DNS can hold. */
const MAX_RECORD_OCTETS = 131_072;

/** For all names of the client together: who owns its address could otherwise let the time of the whole check run out. */
const CLIENT_NAMES_LIMIT_MS = 5_000;

/** Lives as long as one check; keeps what was found about the client's names. */
export class SpfLookups {
  readonly #resolver: Resolver;
  readonly #signal: AbortSignal;
  readonly #clock: Clock;
  #clientSignal: AbortSignal | undefined;
  readonly #address: Uint8Array;
  readonly #confirmed = new Map<string, boolean>();
  #names: Promise<ClientNames> | undefined;
  #terms = 0;
  #recordOctets = 0;
  #voids = 0;

  /** Takes the client's address: 4 or 16 octets. The signal is aborted when the check is over, too. */
  constructor(resolver: Resolver, address: Uint8Array, clock: Clock, signal: AbortSignal) {
    this.#clock = clock;
    this.#resolver = resolver;
    this.#address = address;
    this.#signal = signal;
  }

  /** Counts a term that needs DNS. @throws {SpfError} `permerror` when there are too many. */
  countTerm(): void {
    if (++this.#terms > MAX_TERMS) throw new SpfError("permerror", `More than ${MAX_TERMS} terms need DNS lookups`);
  }

  /** Counts a record that is read. @throws {SpfError} `permerror` when they are too long together. */
  countRecord(record: string): void {
    this.#recordOctets += record.length;
    if (this.#recordOctets <= MAX_RECORD_OCTETS) return;
    throw new SpfError("permerror", `The SPF records have more than ${MAX_RECORD_OCTETS} octets in all`);
  }

  /**
   * Looks up what a term is about.
   *
   * @param name A target-name; one that cannot exist is not asked for.
   * @returns No records where there are none.
   * @throws {SpfError} `temperror` where DNS fails, `permerror` where too many lookups have given nothing.
   */
  async find<T extends RecordType>(name: string, type: T): Promise<readonly RecordData[T][]> {
    const asked = queryName(name);
    if (asked === undefined) return [];
    const answer = await this.#resolver.lookup(asked, type, this.#signal);
    if (answer.kind === "found") return answer.records;
    if (answer.kind === "failed") throw lookupFailed(name, type, answer.reason);
    if (++this.#voids > MAX_VOID_LOOKUPS) {
      throw new SpfError(
        "permerror",
        `More than ${MAX_VOID_LOOKUPS} lookups gave nothing, the last one ${type} of ${quoted(name)}`,
      );
    }
    return [];
  }

  /**
   * The TXT records of a domain; none where it has none.
   *
   * They do not count as void lookups: without a record a check ends at once, or goes on as if there were no `exp`.
   *
   * @throws {SpfError} `temperror` where DNS fails.
   */
  async texts(domain: string): Promise<readonly string[]> {
    const asked = queryName(domain);
    if (asked === undefined) return [];
    const answer = await this.#resolver.lookup(asked, "TXT", this.#signal);
    if (answer.kind === "failed") throw lookupFailed(domain, "TXT", answer.reason);
    return answer.kind === "found" ? answer.records : [];
  }

  /**
   * True where a name of the client that leads back to it is `domain` or below it (§5.5).
   *
   * A failed lookup is no match. None counts as void: who owns the address wrote those records, and could otherwise turn
   * the `fail` of a domain into a `permerror`.
   */
  async hasClientName(domain: string): Promise<boolean> {
    for (const name of await this.#clientNames()) {
      if (isAtOrBelow(name, domain.toLowerCase()) && await this.#isConfirmed(name)) return true;
    }
    return false;
  }

  /** What `%{p}` stands for: the domain itself if it is a name of the client, or one below it, or any, or "unknown" (§7.3). */
  async clientName(domain: string): Promise<string> {
    const lower = domain.toLowerCase();
    const names = await this.#clientNames();
    const rank = (name: string): number => name === lower ? 0 : isAtOrBelow(name, lower) ? 1 : 2;
    for (const name of names.toSorted((a, b) => rank(a) - rank(b))) {
      if (await this.#isConfirmed(name)) return name;
    }
    return "unknown";
  }

  async #clientNames(): Promise<readonly string[]> {
    this.#names ??= lookUpClientNames(this.#address, this.#resolver, this.#limited());
    const found = await this.#names;
    return found.kind === "found" ? found.names : [];
  }

  /** The time begins with the first question. */
  #limited(): AbortSignal {
    if (this.#clientSignal !== undefined) return this.#clientSignal;
    const late = new AbortController();
    this.#clock.sleep(CLIENT_NAMES_LIMIT_MS, this.#signal).then(
      () => late.abort(new Error("The names of the client take too long")),
      () => {}, // The check is over.
    );
    return this.#clientSignal = AbortSignal.any([this.#signal, late.signal]);
  }

  async #isConfirmed(name: string): Promise<boolean> {
    const known = this.#confirmed.get(name);
    if (known !== undefined) return known;
    const isConfirmed = await leadsBack(name, this.#address, this.#resolver, this.#limited()) === "yes";
    this.#confirmed.set(name, isConfirmed);
    return isConfirmed;
  }
}

function isAtOrBelow(name: string, domain: string): boolean {
  return name === domain || name.endsWith(`.${domain}`);
}

function lookupFailed(name: string, type: RecordType, reason: string): SpfError {
  return new SpfError("temperror", `Cannot look up ${type} of ${quoted(name)}: ${printable(reason, 200)}`);
}
