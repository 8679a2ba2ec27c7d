/**
 * Who gets an aggregate report: the addresses that the domain names, as far as they agreed to it. Otherwise anybody could
 * have reports sent to anybody (RFC 7489 §7.1, RFC 9990 §4).
 */

import type { Resolver } from "../../dns/resolver.ts";
import { recordLookup, walkUp } from "../../msgauth/dmarc/discover.ts";
import { parseReportUri, type ReportUri } from "../report_uri.ts";

/** A mail address and its limit. */
export type MailUri = Extract<ReportUri, { kind: "mail" }>;

/** Who wants a report. */
export interface Destinations {
  /** Each address once. */
  readonly uris: readonly MailUri[];
  /** Domains of which DNS did not say now whether they agreed. */
  readonly unknown: readonly string[];
  /** Domains that did not agree. */
  readonly refused: readonly string[];
}

/** URIs of a record that are looked at. RFC 7489 §6.2 asks for at least two. */
const MAX_URIS = 5;
const MAX_NAME = 253;
/** RFC 7489 §7.1 step 6: the version is there and comes first. */
const RECORD = /^v[ \t]*=[ \t]*DMARC1[ \t]*(?:;|$)/;

/** Finds who gets the report of a policy domain. */
export async function findDestinations(
  policyDomain: string,
  rua: readonly string[],
  resolver: Resolver,
  signal: AbortSignal,
): Promise<Destinations> {
  const wanted = rua.slice(0, MAX_URIS).map(parseReportUri).filter((uri) => uri?.kind === "mail");
  const uris = new Map<string, MailUri>();
  const unknown = new Set<string>();
  const refused = new Set<string>();
  for (const uri of wanted) {
    const verdict = await verify(policyDomain, uri, resolver, signal);
    if (verdict === "unknown") unknown.add(uri.domain);
    else if (verdict === "refused") refused.add(uri.domain);
    else for (const one of verdict) uris.set(one.address, one);
  }
  return { uris: [...uris.values()], unknown: [...unknown], refused: [...refused] };
}

async function verify(
  policyDomain: string,
  uri: MailUri,
  resolver: Resolver,
  signal: AbortSignal,
): Promise<readonly MailUri[] | "unknown" | "refused"> {
  if (uri.domain === policyDomain) return [uri];
  const lookup = recordLookup(resolver, signal);
  const [ours, theirs] = [await walkUp(policyDomain, lookup), await walkUp(uri.domain, lookup)];
  const isAnswered = ours.kind === "walked" && theirs.kind === "walked";
  if (isAnswered && ours.organization === theirs.organization) return [uri];
  const name = `${policyDomain}._report._dmarc.${uri.domain}`;
  if (name.length > MAX_NAME) return "refused";
  const answer = await resolver.lookup(name, "TXT", signal);
  if (answer.kind === "failed") return "unknown";
  const records = answer.kind === "found" ? answer.records.filter((text) => RECORD.test(text)) : [];
  if (records.length === 0) return isAnswered ? "refused" : "unknown";
  // Step 8: the other side may name another address, at the same host only.
  const others = records.flatMap(ruaOf).map(parseReportUri).filter((other) => other?.kind === "mail")
    .filter(({ domain }) => domain === uri.domain);
  return others.length === 0 ? [uri] : others.slice(0, MAX_URIS);
}

function ruaOf(record: string): readonly string[] {
  for (const tag of record.slice(0, 2000).split(";")) {
    const [name = "", value = ""] = tag.split("=", 2);
    if (name.trim().toLowerCase() === "rua") return value.split(",").slice(0, MAX_URIS);
  }
  return [];
}
