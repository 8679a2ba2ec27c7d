/**
 * What the checks of message authentication find out, as plain data: each check gives its own, and the header field, the
 * policy, the log and the reports are made from them. No check throws: what could not be looked up is `temperror`, what is
 * wrong at the other side is `permerror`.
 *
 * @see RFC 8601 §2.7
 */

/** RFC 7208 §2.6. */
export type SpfResult = "none" | "neutral" | "pass" | "fail" | "softfail" | "temperror" | "permerror";

/** An SPF check of one identity. */
export interface SpfFinding {
  /** Which identity was checked (RFC 7208 §2.3, §2.4). */
  readonly identity: "mailfrom" | "helo";
  /** The domain that was checked, A-labels, lower case. */
  readonly domain: string;
  /** What came of it. */
  readonly result: SpfResult;
  /** The mechanism that matched, as in the record, e.g. `ip4:192.0.2.0/24` or `all`; absent: none. */
  readonly mechanism?: string;
  /** What went wrong, in one line for people; for `temperror` and `permerror`, and for `none` without an address to check. */
  readonly problem?: string;
  /** The explanation that the domain publishes (exp=), for the reply; only for `fail`; US-ASCII, cleaned, bounded. */
  readonly explanation?: string;
}

/**
 * RFC 8601 §2.7.1. `policy`: something about it is not good enough for us, whether it verifies or not (a short key, From or a
 * part of the body not signed, expired). `neutral`: it cannot be understood. `permerror`: it can never be verified.
 */
export type DkimResult = "none" | "pass" | "fail" | "policy" | "neutral" | "temperror" | "permerror";

/** One DKIM-Signature field, checked. */
export interface DkimFinding {
  /** What came of it; never `none`. */
  readonly result: Exclude<DkimResult, "none">;
  /** `d=`, A-labels, lower case; absent where the field cannot be read. */
  readonly domain?: string;
  /** `s=` */
  readonly selector?: string;
  /** `a=` */
  readonly algorithm?: string;
  /** `i=`, or what stands for it. */
  readonly identity?: string;
  /** The beginning of `b=` (RFC 6008 §4), enough to tell it from the others. */
  readonly signatureStart?: string;
  /** Size of an RSA key. */
  readonly keyBits?: number;
  /** The key record says that the domain is only testing (`t=y`). */
  readonly isTesting: boolean;
  /** Octets of body that `l=` leaves unsigned; absent: none. */
  readonly unsignedOctets?: number;
  /** In one line for people; absent for `pass`. */
  readonly problem?: string;
}

/** RFC 8601 §2.7.3, and DMARC itself. */
export type DmarcResult = "none" | "pass" | "fail" | "temperror" | "permerror";

/** What a domain asks for mail that does not prove itself. */
export type DmarcRequest = "none" | "quarantine" | "reject";

/** A place that reports are asked to be sent to. */
export interface DmarcReportUri {
  /** E.g. `mailto:dmarc@example.org`; of URI characters only (RFC 3986 §2). */
  readonly uri: string;
  /** The largest report that is taken there (RFC 7489 §6.2, removed by RFC 9989), in octets; absent: no limit given. */
  readonly maxOctets?: number;
}

/** What a DMARC record says (RFC 9989 §4.7, RFC 7489 §6.3), with defaults filled in. */
export interface DmarcRecord {
  /** `p`, for the domain itself. */
  readonly policy: DmarcRequest;
  /** `sp`, for domains below it; absent: as `p`. */
  readonly subdomainPolicy?: DmarcRequest;
  /** `np`, for domains below it that do not exist; absent: as `sp`. */
  readonly absentDomainPolicy?: DmarcRequest;
  /** `adkim=s`: only a signature of the very same domain counts. */
  readonly isDkimStrict: boolean;
  /** `aspf=s` */
  readonly isSpfStrict: boolean;
  /** Whether registrars sell names below this one: `y` or `n`, or `u` where the record leaves it open. */
  readonly psd: "y" | "n" | "u";
  /** `t`: one step milder than the policies say; absent: the record has no `t` that can be read. */
  readonly isTesting?: boolean;
  /** `pct`, 0 to 100; it counts only where `t` is absent. */
  readonly percent: number;
  /** `rua`, for aggregate reports. */
  readonly aggregateUris: readonly DmarcReportUri[];
  /** `ruf`, for reports on single messages. */
  readonly failureUris: readonly DmarcReportUri[];
  /** `fo` as published, `0` where it is absent. */
  readonly failureOptions: string;
}

/** DMARC for the author domain. */
export interface DmarcFinding {
  /** What came of it. */
  readonly result: DmarcResult;
  /**
   * The domain of the From field, A-labels, lower case. Of several, the one that decided; absent where there is none that
   * can be read.
   */
  readonly fromDomain?: string;
  /** The domain whose record holds: the From domain or one above it. */
  readonly policyDomain?: string;
  /** That record, for reports; absent: there is none, or it asks for nothing that could be done. */
  readonly record?: DmarcRecord;
  /** The policy of that record for the From domain, after sp, np and t; absent where there is no record. */
  readonly policy?: DmarcRequest;
  /**
   * What it asks for this message, after pct too: `none` unless the result is `fail`, or is `permerror` because nobody can
   * tell whom the message is from.
   */
  readonly request: DmarcRequest;
  /** Why that is milder than published, for reports (RFC 9990, RFC 7489 appendix C); absent: it is not. */
  readonly leniency?: "policy_test_mode" | "sampled_out";
  /** For `temperror` with a record: what it would ask for if the message had failed, at the worst; absent: it is not known. */
  readonly requestIfFailed?: DmarcRequest;
  /** Whether an aligned SPF passed. */
  readonly isSpfAligned: boolean;
  /** Whether an aligned DKIM signature passed. */
  readonly isDkimAligned: boolean;
  /** In one line for people, for `temperror` and `permerror`. */
  readonly problem?: string;
}

/** The ARC chain of a message (RFC 8617 §4.4). */
export interface ArcFinding {
  /** The cv of the chain. */
  readonly result: "none" | "pass" | "fail";
  /** Sealers from the oldest on, `d=` of each ARC-Seal; none where the fields form no chain. */
  readonly sealers: readonly string[];
  /** What each of them found, in the same order: ARC-Authentication-Results without `i=`. Only where the chain passed. */
  readonly authenticationResults?: readonly string[];
  /** In one line for people, for `fail`. */
  readonly problem?: string;
  /** The highest instance that a field names, 1 to 50; absent: none does. */
  readonly instance?: number;
  /** For `fail`: a key could not be looked up, so that somebody else may find the chain good. */
  readonly isTransient?: true;
  /** For `fail`: the newest seal says so itself, and nothing is added to such a chain (RFC 8617 §5.1). */
  readonly isEnded?: true;
}

/** The name of the client's address (RFC 8601 §2.7.3, iprev). */
export interface IprevFinding {
  /** `pass`: a name of the address leads back to it. */
  readonly result: "pass" | "fail" | "temperror" | "permerror";
  /** That name, lower case, without final dot; absent where there is none. */
  readonly name?: string;
}

/** All that was found out about a message. */
export interface Findings {
  /** Absent: not checked, because the client has no address or may relay. */
  readonly iprev?: IprevFinding;
  /** HELO and MAIL, in this order; only what was checked. */
  readonly spf: readonly SpfFinding[];
  /** In the order of the fields, from the top. */
  readonly dkim: readonly DkimFinding[];
  /** Absent: not checked. */
  readonly arc?: ArcFinding;
  /** Absent: not checked. */
  readonly dmarc?: DmarcFinding;
}
