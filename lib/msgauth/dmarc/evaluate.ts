/** DMARC for one message: from the From field and what SPF and DKIM found to a result, and what the domain asks for. */

import type { Resolver } from "../../dns/resolver.ts";
import type { DkimFinding, DmarcFinding, DmarcRecord, DmarcRequest, SpfFinding } from "../findings.ts";
import { alignDkim, type Alignment, alignSpf, relaxedTest } from "./align.ts";
import { type Authors, MAX_AUTHOR_DOMAINS, readAuthors } from "./authors.ts";
import { domainExists, type RecordLookup, recordLookup, walkUp } from "./discover.ts";

/** What an evaluation needs. */
export interface DmarcInput {
  /** The whole header section: a From field that is cut off is not seen. */
  readonly headerSection: Uint8Array;
  /** HELO may stand alone only where the reverse-path is empty: then it is the SPF identity (RFC 7208 §2.4). */
  readonly spf: readonly SpfFinding[];
  /** Each signature. */
  readonly dkim: readonly DkimFinding[];
  /** Asked for the records, for each domain one question after the other: 8 at most for each walk. */
  readonly resolver: Resolver;
  /** Ends waiting: what is not known by then is `temperror`. */
  readonly signal?: AbortSignal;
  /** From 0 up to 1, for `pct`. */
  readonly random: () => number;
}

interface Context extends DmarcInput {
  readonly lookup: RecordLookup;
}

/** The record that holds for a domain, or what stands in its place. */
type Holding =
  | { readonly kind: "failed"; readonly reason: string }
  | { readonly kind: "none" }
  | { readonly kind: "record"; readonly policyDomain: string; readonly record: DmarcRecord };

const STRENGTH: Readonly<Record<DmarcRequest, number>> = { none: 0, quarantine: 1, reject: 2 };
const MILDER: Readonly<Record<DmarcRequest, DmarcRequest>> = { none: "none", quarantine: "none", reject: "quarantine" };

/**
 * Evaluates DMARC; never throws.
 *
 * Where a From field names several domains, each must pass, and the worst result counts (RFC 7489 §6.6.1). Several From
 * fields are `permerror`: nobody knows which one a reader sees and which one was signed, so that the strictest policy of all
 * their domains is asked for, whatever passed. More than four domains are `permerror` with `reject`: with the domains of signatures, all
 * of them below one organisation, there are 100 questions at most. Domains are judged side by side: one whose servers do not
 * answer must not take the time of the others.
 *
 * @see RFC 9989 §5.3, RFC 7489 §6.6.2
 */
export async function evaluateDmarc(input: DmarcInput): Promise<DmarcFinding> {
  const context: Context = { ...input, lookup: recordLookup(input.resolver, input.signal) };
  const authors = readAuthors(input.headerSection);
  const problem = problemOf(authors);
  if (problem === undefined) {
    return worst(await Promise.all(authors.domains.map((domain) => judge(domain, context))));
  }
  if (authors.isCut) return unjudged("permerror", { request: "reject", problem });
  if (authors.domains.length === 0) return unjudged("permerror", { problem });
  const claims = await Promise.all(authors.domains.map((domain) => failureFor(domain, context)));
  const strictest = worst(claims);
  return strictest.result === "temperror" ? strictest : { ...strictest, result: "permerror", problem };
}

/** Why nobody can tell whom the message is from. */
function problemOf({ domains, isCut, fieldCount }: Authors): string | undefined {
  if (isCut) return `more than ${MAX_AUTHOR_DOMAINS} domains in From, or too long to tell`;
  if (fieldCount === 0) return "no From field";
  if (fieldCount > 1) return `${fieldCount} From fields`;
  return domains.length === 0 ? "no domain in From" : undefined;
}

/** The worst of some findings, the first one of equals. @param findings At least one. */
function worst(findings: readonly DmarcFinding[]): DmarcFinding {
  const badness = ({ result, request, requestIfFailed = "none" }: DmarcFinding): number => {
    if (result === "fail") return request === "none" ? 2 : 3 + STRENGTH[request];
    if (result === "temperror") return 3 + STRENGTH[requestIfFailed] / 10;
    return { permerror: 3, none: 1, pass: 0 }[result];
  };
  return findings.reduce((one, other) => badness(other) > badness(one) ? other : one);
}

function unjudged(result: DmarcFinding["result"], facts: Partial<DmarcFinding>): DmarcFinding {
  return { result, request: "none", isSpfAligned: false, isDkimAligned: false, ...facts };
}

/** What the message comes to where it is from this domain. */
async function judge(domain: string, context: Context): Promise<DmarcFinding> {
  const holding = await holdingFor(domain, context.lookup);
  if (holding.kind !== "record") return withoutRecord(domain, holding);
  const { record, policyDomain } = holding;
  const test = relaxedTest(domain, () => walkUp(domain, context.lookup), context.lookup);
  const spf = await alignSpf(context.spf, domain, record.isSpfStrict, test);
  const dkim = await alignDkim(context.dkim, domain, record.isDkimStrict, test);
  const alignment = { isSpfAligned: spf.isAligned, isDkimAligned: dkim.isAligned };
  if (spf.isAligned || dkim.isAligned) {
    const policy = inTest(publishedPolicy(domain, policyDomain, record, true), record);
    return { ...unjudged("pass", { fromDomain: domain, policyDomain, record }), policy, ...alignment };
  }
  const doubt = doubtOf(spf, dkim);
  const failure = await failureFor(domain, context);
  if (doubt === undefined) return failure;
  const { requestIfFailed = failure.request } = failure;
  return unjudged("temperror", { fromDomain: domain, policyDomain, record, problem: doubt, requestIfFailed });
}

function doubtOf(spf: Alignment, dkim: Alignment): string | undefined {
  return spf.doubt ?? dkim.doubt;
}

function withoutRecord(fromDomain: string, holding: Exclude<Holding, { kind: "record" }>): DmarcFinding {
  return holding.kind === "none"
    ? unjudged("none", { fromDomain })
    : unjudged("temperror", { fromDomain, problem: holding.reason });
}

/** RFC 9989 §4.10.1; above the domain itself is looked only where it has no record. */
async function holdingFor(domain: string, lookup: RecordLookup): Promise<Holding> {
  const own = await lookup(domain);
  if (own.kind === "failed") return own;
  const walk = own.kind === "found" ? undefined : await walkUp(domain, lookup);
  if (walk?.kind === "failed") return walk;
  const found = own.kind === "found" ? { domain, published: own.published } : walk?.policy;
  const record = found?.published.record;
  if (found === undefined || record === undefined) return { kind: "none" };
  return { kind: "record", policyDomain: found.domain, record };
}

/** What the domain asks for mail that fails. */
async function failureFor(domain: string, context: Context): Promise<DmarcFinding> {
  const holding = await holdingFor(domain, context.lookup);
  if (holding.kind !== "record") return withoutRecord(domain, holding);
  const { record, policyDomain } = holding;
  const facts = { fromDomain: domain, policyDomain, record };
  const isExistenceAsked = policyDomain !== domain && record.absentDomainPolicy !== undefined;
  const exists = isExistenceAsked ? await domainExists(domain, context.resolver, context.signal) : true;
  // Drawn once, so that both answers of a doubt are of one draw.
  const isSampledOut = record.isTesting === undefined && context.random() * 100 >= record.percent;
  const asked = (isThere: boolean): Pick<DmarcFinding, "policy" | "request" | "leniency"> => {
    const published = publishedPolicy(domain, policyDomain, record, isThere);
    const policy = inTest(published, record);
    const request = isSampledOut ? MILDER[policy] : policy;
    const leniency = isSampledOut ? "sampled_out" : "policy_test_mode";
    return { policy, request, ...(request === published ? {} : { leniency }) };
  };
  if (exists !== undefined) return unjudged("fail", { ...facts, ...asked(exists) });
  const [one, other] = [asked(true).request, asked(false).request];
  const requestIfFailed = STRENGTH[one] > STRENGTH[other] ? one : other;
  return unjudged("temperror", { ...facts, problem: `whether ${domain} exists is not known`, requestIfFailed });
}

/** p, sp or np. */
function publishedPolicy(domain: string, policyDomain: string, record: DmarcRecord, exists: boolean): DmarcRequest {
  const { policy, subdomainPolicy = policy, absentDomainPolicy = subdomainPolicy } = record;
  return domain === policyDomain ? policy : exists ? subdomainPolicy : absentDomainPolicy;
}

/** One step milder under `t=y` (RFC 9989 §4.7). */
function inTest(policy: DmarcRequest, { isTesting = false }: DmarcRecord): DmarcRequest {
  return isTesting ? MILDER[policy] : policy;
}
