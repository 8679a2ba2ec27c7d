/** DMARC aggregate reports as data, whether we send or receive them. @see RFC 7489 §7.2, Appendix C */

import type { DkimResult, DmarcRequest, SpfResult } from "../../msgauth/findings.ts";

/** The record that a domain has published, with defaults filled in. */
export interface PublishedPolicy {
  /** Where the record was found; A-labels, lower case. */
  readonly domain: string;
  /** Alignment of DKIM: relaxed or strict. */
  readonly adkim: "r" | "s";
  /** Alignment of SPF. */
  readonly aspf: "r" | "s";
  /** For mail of the domain itself. */
  readonly p: DmarcRequest;
  /** For mail of its subdomains. */
  readonly sp: DmarcRequest;
  /** For mail of subdomains that do not exist; absent: as `sp`. */
  readonly np?: DmarcRequest;
  /** 0 to 100. */
  readonly pct: number;
  /** Failure reporting options, as published; `0` by default. */
  readonly fo: string;
  /** `t=y`: the policy is only tested. */
  readonly isTesting?: boolean;
}

/** Why something else was done than the policy asks. */
export type OverrideType =
  | "forwarded"
  | "sampled_out"
  | "trusted_forwarder"
  | "mailing_list"
  | "local_policy"
  | "policy_test_mode"
  | "other";

/** A reason, and what there is to say about it. */
export interface OverrideReason {
  /** Its kind. */
  readonly type: OverrideType;
  /** For people. */
  readonly comment?: string;
}

/** One DKIM signature, checked, whether aligned or not. */
export interface DkimAuthResult {
  /** `d=` */
  readonly domain: string;
  /** `s=` */
  readonly selector?: string;
  /** What came of it. */
  readonly result: DkimResult;
}

/** SPF, whether aligned or not. */
export interface SpfAuthResult {
  /** The domain that was checked. */
  readonly domain: string;
  /** Where it was taken from. */
  readonly scope: "helo" | "mfrom";
  /** What came of it. */
  readonly result: SpfResult;
}

/** What messages that are counted together have in common. */
export interface AggregateResults {
  /** The client's address. */
  readonly sourceIp: string;
  /** What was done. */
  readonly disposition: DmarcRequest;
  /** An aligned signature passed. */
  readonly isDkimAligned: boolean;
  /** An aligned SPF passed. */
  readonly isSpfAligned: boolean;
  /** Why `disposition` differs from the policy; empty: it does not. */
  readonly reasons: readonly OverrideReason[];
  /** The domain of the From field. */
  readonly headerFrom: string;
  /** The domain of the reverse-path; empty for the null one. */
  readonly envelopeFrom: string;
  /** In the order of importance; at most {@linkcode MAX_SIGNATURES}. */
  readonly dkim: readonly DkimAuthResult[];
  /** The identity that DMARC looked at, first. */
  readonly spf: readonly SpfAuthResult[];
}

/** A row of a report. */
export interface AggregateRow extends AggregateResults {
  /** Messages. */
  readonly count: number;
}

/** A whole report. */
export interface AggregateReport {
  /** Who reports. */
  readonly organization: string;
  /** Whom to ask about it. */
  readonly email: string;
  /** More of that; absent: nothing. */
  readonly contactInfo?: string;
  /** The same in all copies of the report. */
  readonly reportId: string;
  /** Seconds since 1970. */
  readonly beginSeconds: number;
  /** Seconds since 1970. */
  readonly endSeconds: number;
  /** What the domain has published. */
  readonly policy: PublishedPolicy;
  /** At least one where we send it. */
  readonly rows: readonly AggregateRow[];
}

/** Signatures of a row; more say nothing new. RFC 9990 §3.1.3 suggests no more than 100. */
export const MAX_SIGNATURES = 10;
