/**
 * Counts what DMARC found out about received mail, in memory, until it is written in one go. Strangers choose nearly all of
 * what is counted, so everything has a bound: what is beyond it is not counted.
 */

import type { DkimFinding, DmarcFinding, DmarcRecord, DmarcRequest, Findings } from "../../msgauth/findings.ts";
import type { Clock } from "../../system/clock.ts";
import { utcDay } from "../utc_day.ts";
import {
  type AggregateResults,
  type DkimAuthResult,
  MAX_SIGNATURES,
  type OverrideReason,
  type PublishedPolicy,
  type SpfAuthResult,
} from "./aggregate.ts";

/** One message, with its end known. */
export interface DmarcObservation {
  /** All that the checks found out. Without a DMARC record that asks for reports nothing is counted. */
  readonly findings: Findings;
  /** The client's IP address; undefined: it has none, and a row of a report is about one. */
  readonly clientAddress: string | undefined;
  /** The domain of the reverse-path; empty for the null one. */
  readonly envelopeFrom: string;
  /** What was done with the message. */
  readonly disposition: DmarcRequest;
  /** Why that is not what the policy asks, besides `pct` and `t` of the record: those are known from the finding. */
  readonly reasons: readonly OverrideReason[];
}

/** What was counted alike. */
export interface DmarcCount {
  /** UTC. */
  readonly day: string;
  /** As seen last. */
  readonly policy: PublishedPolicy;
  /** As seen last. */
  readonly rua: readonly string[];
  /** What the messages have in common. */
  readonly results: AggregateResults;
  /** How many there are. */
  count: number;
}

/** The bounds. */
export interface DmarcCollectorOptions {
  /** Its wall clock says which day it is. */
  readonly clock: Clock;
  /** Different results in memory; default 10,000. */
  readonly maxResults?: number;
  /** From so many on, {@linkcode DmarcCollectorOptions.onFull} is called; default 1,000. */
  readonly fullAt?: number;
  /** Asks for what is counted to be taken soon. */
  readonly onFull?: () => void;
}

const MAX_RUA = 10;
const MAX_URI = 500;
const MAX_REASONS = 5;
const MAX_DOMAIN = 255;

/** Counts messages. */
export class DmarcCollector {
  readonly #options: Required<DmarcCollectorOptions>;
  readonly #counts = new Map<string, DmarcCount>();
  #missed = 0;

  /** Starts empty. */
  constructor(options: DmarcCollectorOptions) {
    this.#options = { maxResults: 10_000, fullAt: 1_000, onFull: () => {}, ...options };
  }

  /** Messages that found no room since they were asked for last. */
  takeMissed(): number {
    const missed = this.#missed;
    this.#missed = 0;
    return missed;
  }

  /** Counts one message. Quick; never throws. */
  note(observation: DmarcObservation): void {
    const { dmarc } = observation.findings;
    const results = resultsOf(observation);
    if (dmarc?.policyDomain === undefined || dmarc.record === undefined || results === undefined) return;
    const rua = ruaOf(dmarc.record);
    if (rua.length === 0) return;
    const policy = policyOf(dmarc.policyDomain, dmarc.record);
    const day = utcDay(this.#options.clock.now());
    const key = `${day} ${JSON.stringify([policy, results])}`;
    const same = this.#counts.get(key);
    if (same !== undefined) {
      same.count++;
      return;
    }
    if (this.#counts.size >= this.#options.maxResults) {
      this.#missed++;
      return;
    }
    this.#counts.set(key, { day, policy, rua, results, count: 1 });
    if (this.#counts.size === this.#options.fullAt) this.#options.onFull();
  }

  /** What was counted since the last {@linkcode clear}. */
  counts(): readonly DmarcCount[] {
    return [...this.#counts.values()];
  }

  /** Forgets it, once it is written. */
  clear(): void {
    this.#counts.clear();
  }
}

/** A size limit stands behind the URI again, as it was published (RFC 7489 §6.2). */
function ruaOf({ aggregateUris }: DmarcRecord): readonly string[] {
  return aggregateUris.slice(0, MAX_RUA).map(({ uri, maxOctets }) =>
    maxOctets === undefined ? uri : `${uri}!${maxOctets}`
  ).filter((text) => text.length <= MAX_URI);
}

function policyOf(domain: string, record: DmarcRecord): PublishedPolicy {
  const { policy: p, subdomainPolicy: sp = p, absentDomainPolicy: np, isTesting } = record;
  return {
    domain,
    adkim: record.isDkimStrict ? "s" : "r",
    aspf: record.isSpfStrict ? "s" : "r",
    p,
    sp,
    ...(np === undefined ? {} : { np }),
    pct: record.percent,
    fo: record.failureOptions.slice(0, 50),
    ...(isTesting ? { isTesting } : {}),
  };
}

function resultsOf(observation: DmarcObservation): AggregateResults | undefined {
  const { findings: { dmarc, dkim, spf }, clientAddress, envelopeFrom, disposition, reasons } = observation;
  if (dmarc?.fromDomain === undefined || clientAddress === undefined) return undefined;
  // Nobody knows yet what a message is that a transient error kept from being judged.
  if (dmarc.result === "temperror" || dmarc.result === "none") return undefined;
  return {
    sourceIp: clientAddress,
    disposition,
    isDkimAligned: dmarc.isDkimAligned,
    isSpfAligned: dmarc.isSpfAligned,
    reasons: reasonsOf(reasons, dmarc.leniency, disposition),
    headerFrom: dmarc.fromDomain.slice(0, MAX_DOMAIN),
    envelopeFrom: envelopeFrom.slice(0, MAX_DOMAIN),
    dkim: signaturesOf(dkim, dmarc.fromDomain),
    // RFC 7489 Appendix C: there is always an SPF result. The null reverse-path leaves the HELO name.
    spf: spfOf(spf, envelopeFrom),
  };
}

/** What the record itself makes milder is a reason only where nothing stricter was done all the same. */
function reasonsOf(
  reasons: readonly OverrideReason[],
  leniency: DmarcFinding["leniency"],
  disposition: DmarcRequest,
): readonly OverrideReason[] {
  const isSaid = leniency === undefined || disposition === "reject" || reasons.some(({ type }) => type === leniency);
  const own = isSaid ? [] : [{ type: leniency }];
  return [...own, ...reasons].slice(0, MAX_REASONS).map(({ type, comment }: OverrideReason) => ({
    type,
    ...(comment === undefined ? {} : { comment: comment.slice(0, 200) }),
  }));
}

/** Passing ones of the From domain first, then other passing ones, then the rest (RFC 9990 §3.1.3). */
function signaturesOf(findings: readonly DkimFinding[], fromDomain: string): readonly DkimAuthResult[] {
  const worth = ({ result, domain }: DkimFinding): number => result !== "pass" ? 0 : domain === fromDomain ? 2 : 1;
  return findings.filter(({ domain }) => domain !== undefined).toSorted((a, b) => worth(b) - worth(a))
    .slice(0, MAX_SIGNATURES).map(({ domain = "", selector, result }) => ({
      domain: domain.slice(0, MAX_DOMAIN),
      ...(selector === undefined ? {} : { selector: selector.slice(0, MAX_DOMAIN) }),
      result,
    }));
}

function spfOf(findings: Findings["spf"], envelopeFrom: string): readonly SpfAuthResult[] {
  const scopeOf = { mailfrom: "mfrom", helo: "helo" } as const;
  const all = findings.map(({ identity, domain, result }) => ({
    domain: domain.slice(0, MAX_DOMAIN),
    scope: scopeOf[identity],
    result,
  })).toSorted((a, b) => Number(b.scope === "mfrom") - Number(a.scope === "mfrom"));
  // One is enough, and what DMARC looked at: MAIL where there is one (RFC 9990 §3.1.1.12).
  const [first = { domain: envelopeFrom, scope: "mfrom", result: "none" } as const] = all;
  return [first];
}
