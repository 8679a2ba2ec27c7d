/** TLS reports as data, whether we send or receive them. @see RFC 8460 §4.4 */

/** Sessions that failed alike. */
export interface TlsFailureDetails {
  /** RFC 8460 §4.3, or what another reporter calls it. */
  readonly resultType: string;
  /** The MX host. */
  readonly mxHost?: string;
  /** Its address. */
  readonly receivingIp?: string;
  /** The address that was connected from. */
  readonly sendingIp?: string;
  /** How many sessions. */
  readonly count: number;
  /** For people. */
  readonly reason?: string;
}

/** What became of sessions under a policy. */
export interface TlsPolicyResult {
  /** `tlsa`, `sts` or `no-policy-found`. */
  readonly type: string;
  /** Whose policy it is. */
  readonly domain: string;
  /** TLSA records, or lines of an MTA-STS policy. */
  readonly strings: readonly string[];
  /** The `mx` patterns of an MTA-STS policy. */
  readonly mxHosts: readonly string[];
  /** Sessions as the policy wants them. */
  readonly successes: number;
  /** All other sessions. */
  readonly failures: number;
  /** More about them. */
  readonly details: readonly TlsFailureDetails[];
}

/** A whole report. */
export interface TlsReport {
  /** Who reports. */
  readonly organization: string;
  /** Whom to ask about it. */
  readonly contact: string;
  /** The same in all copies. */
  readonly reportId: string;
  /** Seconds since 1970. */
  readonly beginSeconds: number;
  /** Seconds since 1970. */
  readonly endSeconds: number;
  /** One for each policy. */
  readonly policies: readonly TlsPolicyResult[];
}
