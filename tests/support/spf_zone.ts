/** DNS data written as the official SPF test suite has it, and a resolver on it. */

import type { DnsAnswer, RecordData, RecordType, Resolver } from "../../lib/dns/resolver.ts";

/** A record: its type and data, as `{ A: "192.0.2.1" }`, or the word TIMEOUT. */
export type SpfZoneRecord = "TIMEOUT" | Readonly<Record<string, unknown>>;

/** Records by owner, in any case. An owner that is not listed does not exist. */
export type SpfZone = Readonly<Record<string, readonly SpfZoneRecord[]>>;

/**
 * A {@linkcode Resolver} on such data: `SPF` stands for TXT as well, unless the owner lists a TXT of its own (`NONE`: no
 * TXT at all); a bare TIMEOUT fails lookups of the types that do not stand before it.
 */
export class SpfZoneResolver implements Resolver {
  /** How many questions there were. */
  questions = 0;
  readonly #zone: ReadonlyMap<string, readonly SpfZoneRecord[]>;

  /** Takes the data as it is. */
  constructor(zone: SpfZone) {
    this.#zone = new Map(Object.entries(zone).map(([owner, records]) => [owner.toLowerCase(), records]));
  }

  /** Answers at once. */
  lookup<T extends RecordType>(name: string, type: T): Promise<DnsAnswer<RecordData[T]>> {
    this.questions++;
    const answer: unknown = this.#answer(plainName(name), type, 0);
    return Promise.resolve(answer as DnsAnswer<RecordData[T]>);
  }

  #answer(canonicalName: string, type: RecordType, links: number): DnsAnswer<unknown> {
    const common = { isSecure: false, ttlSeconds: 60 };
    const owned = this.#zone.get(canonicalName);
    if (owned === undefined) return { kind: "noName", ...common };
    const records: unknown[] = [];
    const written = type !== "TXT" || owned.some((record) => record !== "TIMEOUT" && "TXT" in record) ? type : "SPF";
    for (const record of owned) {
      if (record === "TIMEOUT") {
        if (records.length === 0) return { kind: "failed", reason: "no answer" };
        break;
      }
      const alias = record["CNAME"];
      if (typeof alias === "string") {
        if (links > 8) return { kind: "failed", reason: "CNAME loop" };
        return this.#answer(plainName(alias), type, links + 1);
      }
      if (written in record && record[written] !== "NONE") records.push(dataOf(type, record[written]));
    }
    if (records.length === 0) return { kind: "noData", canonicalName, ...common };
    return { kind: "found", records, canonicalName, ...common };
  }
}

function dataOf(type: RecordType, data: unknown): unknown {
  if (type === "TXT") return Array.isArray(data) ? data.join("") : String(data);
  if (type === "MX" && Array.isArray(data)) return { preference: Number(data[0]), exchange: String(data[1]) };
  return String(data).replace(/\.$/, "");
}

/** The name without the escapes that a resolver takes, lower case, without final dot. */
function plainName(name: string): string {
  return name.toLowerCase().replace(/\.$/, "")
    .replace(
      /\\(\d{3}|.)/g,
      (_, escaped: string) => escaped.length === 3 ? String.fromCharCode(Number(escaped)) : escaped,
    );
}
