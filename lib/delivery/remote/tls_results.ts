/** What became of TLS with other servers, counted for the reports of RFC 8460. The reports themselves are not made here. */

import type { ClientError } from "../../smtp/client/client_error.ts";

/** RFC 8460 §4.3. */
export type TlsFailure =
  | "starttls-not-supported"
  | "certificate-host-mismatch"
  | "certificate-expired"
  | "certificate-not-trusted"
  | "validation-failure"
  | "tlsa-invalid"
  | "dnssec-invalid"
  | "dane-required"
  | "sts-policy-fetch-error"
  | "sts-policy-invalid"
  | "sts-webpki-invalid";

/** The policy that a session was under (RFC 8460 §4.4). */
export interface PublishedPolicy {
  /** `tlsa` is DANE, `sts` is MTA-STS. */
  readonly type: "tlsa" | "sts" | "no-policy-found";
  /** Whose policy it is: the TLSA base domain for DANE, otherwise the domain of the recipients. */
  readonly domain: string;
  /** The TLSA records, or the lines of the MTA-STS policy. */
  readonly strings: readonly string[];
  /** The `mx` patterns of an MTA-STS policy. */
  readonly mxHosts?: readonly string[];
}

/** One session, or one attempt at it. */
export interface TlsResult {
  /** The domain of the recipients: it says where reports go. */
  readonly recipientDomain: string;
  /** What it counts for. */
  readonly policy: PublishedPolicy;
  /** Absent where no host was talked to. */
  readonly mxHost?: string;
  /** Its IP address. */
  readonly receivingIp?: string;
  /** Absent: TLS came about as the policy wants it. */
  readonly failure?: TlsFailure;
  /** For people: one line. */
  readonly reason?: string;
}

/** Takes the results. Must be quick, and never throws. */
export interface TlsResults {
  /** Counts one. */
  record(result: TlsResult): void;
}

/** A {@linkcode ClientError} whose kind of failure is known. */
export interface KnownFailure {
  /** For {@linkcode failureOf}. */
  readonly tlsFailure: TlsFailure;
}

/** What a fault of TLS is called in a report. */
export function failureOf({ fault, cause, message }: ClientError): TlsFailure {
  if (typeof cause === "object" && cause !== null && "tlsFailure" in cause) {
    return (cause as KnownFailure).tlsFailure;
  }
  if (fault !== "certificate") return "validation-failure";
  const code = typeof cause === "object" && cause !== null && "code" in cause ? String(cause.code) : "";
  const text = `${code} ${message}`;
  if (/ALTNAME|NotValidForName|altnames/i.test(text)) return "certificate-host-mismatch";
  if (/EXPIRED/i.test(text)) return "certificate-expired";
  return "certificate-not-trusted";
}
