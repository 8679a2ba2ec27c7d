/** What a comparison of our records with live DNS finds, and what it works with. */

import type { StsFetch } from "../../delivery/remote/mta_sts_fetch.ts";
import type { DnsAnswer, RecordData, RecordType, Resolver } from "../../dns/resolver.ts";
import type { SpfFinding } from "../../msgauth/findings.ts";
import { type PublishedRecord, zoneLine } from "../record.ts";
import type { Site } from "../site.ts";

/** One finding, about the records of one name and type. */
export interface Finding {
  /**
   * `wrong`: mail is lost, refused or less safe than it should be. `advice`: it works, and could be better. `unknown`: DNS
   * or a server did not answer.
   */
  readonly kind: "good" | "wrong" | "advice" | "unknown";
  /** Owner without final dot. */
  readonly name: string;
  /** Type of the records, or `HTTPS` for a policy file. */
  readonly type: string;
  /** What is there and what it means, in a sentence without final dot. */
  readonly text: string;
  /** What to do about it, in a sentence without final dot; for `wrong` always. */
  readonly mend?: string;
}

/** Whether a client may use a domain; as `checkSpf`. */
export type SpfQuestion = (
  identity: SpfFinding["identity"],
  domain: string,
  address: string,
) => Promise<SpfFinding>;

/** What the checks work with. */
export interface CheckContext {
  /** What we know of ourselves. */
  readonly site: Site;
  /** Asked for all records; without a cache, so that a mend shows at once. */
  readonly resolver: Resolver;
  /** Whether the resolver's AD bit is believed. */
  readonly isTrusted: boolean;
  /** Judges SPF records. */
  readonly checkSpf: SpfQuestion;
  /** Fetches MTA-STS policies. */
  readonly fetchPolicy: StsFetch;
  /** Ends the checks. */
  readonly signal: AbortSignal;
}

/** Where a finding belongs. */
export interface Place {
  /** Owner without final dot. */
  readonly name: string;
  /** Type, or `HTTPS`. */
  readonly type: string;
}

/** All is as it should be. */
export function good({ name, type }: Place, text: string): Finding {
  return { kind: "good", name, type, text };
}

/** Something must be mended. */
export function wrong({ name, type }: Place, text: string, mend: string): Finding {
  return { kind: "wrong", name, type, text, mend };
}

/** Something could be better. */
export function advice({ name, type }: Place, text: string, mend?: string): Finding {
  return { kind: "advice", name, type, text, ...(mend === undefined ? {} : { mend }) };
}

/** It could not be found out. */
export function unknown({ name, type }: Place, reason: string): Finding {
  const mend = "Try again later; where it stays so, look at the servers of dns.servers and of the zone";
  return { kind: "unknown", name, type, text: `There is no answer: ${reason}`, mend };
}

/** What to do where a record is not there. */
export function publish(record: PublishedRecord): string {
  return `Publish: ${zoneLine(record)}`;
}

/** What to do where another one is there. */
export function replace(record: PublishedRecord): string {
  return `Publish in its place: ${zoneLine(record)}`;
}

/** Looks up one record set. */
export async function ask<T extends RecordType>(
  { resolver, signal }: Pick<CheckContext, "resolver" | "signal">,
  name: string,
  type: T,
): Promise<DnsAnswer<RecordData[T]>> {
  return await resolver.lookup(name, type, signal);
}

/** The records of an answer; none where there are none. */
export function recordsIn<T>(answer: DnsAnswer<T>): readonly T[] {
  return answer.kind === "found" ? answer.records : [];
}

/** Text of others, fit for a line of a terminal: printable ASCII, of bounded length. */
export function shown(text: string, maxOctets = 120): string {
  const printable = text.replace(/[^\x20-\x7e]/g, "?");
  return printable.length > maxOctets ? `"${printable.slice(0, maxOctets)}…"` : `"${printable}"`;
}
