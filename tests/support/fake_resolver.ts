/** A resolver that answers from memory: what is not in it does not exist. */

import type { DnsAnswer, RecordData, RecordType, Resolver } from "../../lib/dns/resolver.ts";

/** Records of one name; a type that is left out is NODATA. */
export interface FakeRecords {
  readonly A?: readonly string[];
  readonly AAAA?: readonly string[];
  readonly MX?: readonly RecordData["MX"][];
  readonly TXT?: readonly string[];
  readonly PTR?: readonly string[];
  readonly TLSA?: readonly RecordData["TLSA"][];
  readonly SRV?: readonly RecordData["SRV"][];
  /** Another name of the zone whose records count. Whether the link is secure is said by `isSecure` here. */
  readonly cname?: string;
  /** What a lookup of type CNAME gives: set by `cname`. */
  readonly CNAME?: never;
  /** Lookups of these types fail (time limit, SERVFAIL). */
  readonly failing?: readonly RecordType[];
  /** The AD bit; of a name that is left out it is not set. */
  readonly isSecure?: boolean;
}

/** A {@linkcode Resolver} on a plain object; `zone` may be changed during a test. */
export class FakeResolver implements Resolver {
  /** Records by name, lower case, without final dot. */
  zone: Record<string, FakeRecords>;
  /** Every question so far, e.g. `MX example.org`. */
  readonly questions: string[] = [];

  /** Takes the zone; without one every name is NXDOMAIN. */
  constructor(zone: Record<string, FakeRecords> = {}) {
    this.zone = zone;
  }

  /** Answers at once. */
  lookup<T extends RecordType>(name: string, type: T): Promise<DnsAnswer<RecordData[T]>> {
    let canonicalName = name.toLowerCase().replace(/\.$/, "");
    this.questions.push(`${type} ${canonicalName}`);
    let records = this.zone[canonicalName];
    let isSecure = records?.isSecure ?? false;
    if (type === "CNAME" && records?.cname !== undefined) {
      const found = [records.cname] as readonly string[] as readonly RecordData[T][];
      return Promise.resolve({ kind: "found", records: found, canonicalName, isSecure, ttlSeconds: 60 });
    }
    for (let hops = 0; records?.cname !== undefined && hops < 10; hops++) {
      canonicalName = records.cname;
      records = this.zone[canonicalName];
      isSecure &&= records?.isSecure ?? false;
    }
    const common = { isSecure, ttlSeconds: 60 };
    if (records === undefined) return Promise.resolve({ kind: "noName", ...common });
    if (records.failing?.includes(type)) return Promise.resolve({ kind: "failed", reason: "SERVFAIL from fake" });
    const found = records[type] as readonly RecordData[T][] | undefined;
    if (found === undefined || found.length === 0) return Promise.resolve({ kind: "noData", canonicalName, ...common });
    return Promise.resolve({ kind: "found", records: found, canonicalName, ...common });
  }
}
