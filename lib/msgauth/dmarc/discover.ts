/** Finds the DMARC record of a domain, and the organisation that a domain belongs to, by walking up the DNS. */

import type { DnsAnswer, Resolver } from "../../dns/resolver.ts";
import { parseDmarcRecord, type PublishedDmarc } from "./record.ts";

/** Queries of one walk (RFC 9989 §4.10). */
const MAX_QUERIES = 8;

/** A DNS question that got no answer; the walk cannot go on. */
export interface Unanswered {
  /** Tells it from the results. */
  readonly kind: "failed";
  /** For people, in one line: the question and what became of it. */
  readonly reason: string;
}

/** The record at one name. */
export type RecordAnswer =
  | Unanswered
  | { readonly kind: "found"; readonly published: PublishedDmarc }
  /** No record, none of this version, or several, which count as none (RFC 9989 §4.10). */
  | { readonly kind: "none" };

/** Looks up the record of a domain, without looking above it. */
export type RecordLookup = (domain: string) => Promise<RecordAnswer>;

/** A record that a walk came by. */
export interface FoundRecord {
  /** Where, without `_dmarc`. */
  readonly domain: string;
  /** What it says. */
  readonly published: PublishedDmarc;
}

/** A walk from a domain to its top. */
export type Walk = Unanswered | {
  readonly kind: "walked";
  /** The organisational domain: where there is no record, the domain itself. */
  readonly organization: string;
  /** The record that holds for the domain: its own, that of its organisation, or that of the public suffix above. */
  readonly policy?: FoundRecord;
};

/**
 * Makes a lookup that asks for each name once, for all the walks about one message.
 *
 * @param signal Ends waiting; a name that has no answer then is `failed`.
 */
export function recordLookup(resolver: Resolver, signal?: AbortSignal): RecordLookup {
  const asked = new Map<string, Promise<RecordAnswer>>();
  return (domain) => {
    const known = asked.get(domain);
    if (known !== undefined) return known;
    const answer = resolver.lookup(`_dmarc.${domain}`, "TXT", signal).then((found) => readAnswer(domain, found));
    asked.set(domain, answer);
    return answer;
  };
}

function readAnswer(domain: string, answer: DnsAnswer<string>): RecordAnswer {
  if (answer.kind === "failed") return { kind: "failed", reason: `TXT of _dmarc.${domain}: ${answer.reason}` };
  if (answer.kind !== "found") return { kind: "none" };
  const records = answer.records.map(parseDmarcRecord).filter((record) => record !== undefined);
  const [published] = records;
  return published === undefined || records.length > 1 ? { kind: "none" } : { kind: "found", published };
}

/**
 * The names that a walk asks about: the domain, then those above it, the first of them with seven labels at most.
 *
 * @param domain A-labels, without final dot.
 * @see RFC 9989 §4.10
 */
export function walkTargets(domain: string): readonly string[] {
  const labels = domain.split(".");
  const first = Math.max(1, labels.length - (MAX_QUERIES - 1));
  return [domain, ...labels.slice(first).map((_, i) => labels.slice(first + i).join("."))];
}

/**
 * Walks from a domain upwards.
 *
 * A record at a name of one label counts as `psd=y` where it says nothing: a top-level domain that forgot the tag must
 * not make all that is below it one organisation. It may still say `psd=n`.
 *
 * @see RFC 9989 §4.10.1, §4.10.2
 */
export async function walkUp(domain: string, lookup: RecordLookup): Promise<Walk> {
  const found: FoundRecord[] = [];
  for (const target of walkTargets(domain)) {
    const answer = await lookup(target);
    if (answer.kind === "failed") return answer;
    if (answer.kind === "none") continue;
    found.push({ domain: target, published: answer.published });
    if (psdOf(target, answer.published) !== "u") break;
  }
  const organization = organizationOf(domain, found);
  const top = found.at(-1);
  const policy = found.find((record) => record.domain === domain) ??
    found.find((record) => record.domain === organization) ??
    (top !== undefined && psdOf(top.domain, top.published) === "y" ? top : undefined);
  return { kind: "walked", organization, ...(policy === undefined ? {} : { policy }) };
}

function psdOf(domain: string, { psd }: PublishedDmarc): PublishedDmarc["psd"] {
  return psd === "u" && !domain.includes(".") ? "y" : psd;
}

/** @param found From the longest name to the shortest; only the last may have a psd of y or n. */
function organizationOf(domain: string, found: readonly FoundRecord[]): string {
  const top = found.at(-1);
  if (top === undefined) return domain;
  if (top.domain === domain || psdOf(top.domain, top.published) !== "y") return top.domain;
  const labels = domain.split(".");
  return labels.slice(-(top.domain.split(".").length + 1)).join(".");
}

/**
 * Whether a domain exists, for `np`: only NXDOMAIN says that it does not (RFC 9989 §3.2.13, RFC 8020).
 *
 * @returns Undefined where nobody answered.
 */
export async function domainExists(
  domain: string,
  resolver: Resolver,
  signal?: AbortSignal,
): Promise<boolean | undefined> {
  const { kind } = await resolver.lookup(domain, "A", signal);
  if (kind === "failed") return undefined;
  if (kind !== "noName") return true;
  // NXDOMAIN may be about the end of a chain (RFC 6604 §3): a name that is an alias exists.
  const alias = await resolver.lookup(domain, "CNAME", signal);
  return alias.kind === "failed" ? undefined : alias.kind !== "noName";
}
