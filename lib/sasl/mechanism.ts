/** What a SASL mechanism is on the server's side: steps without input or output of their own (RFC 4422 §3). */

import type { ClientCertificate } from "../tls/tls_conn.ts";

/** What an exchange may know of its connection. */
export interface SaslChannel {
  /** Without port; undefined for a Unix socket. */
  readonly clientAddress: string | undefined;
  /** Ours, without port; undefined for a Unix socket. */
  readonly localAddress: string | undefined;
  /** Whether what is sent is hidden from others. */
  readonly isTls: boolean;
  /** The hash of the certificate that we showed: `tls-server-end-point` (RFC 5929 §4.1). Absent where it is not known. */
  readonly serverEndPoint?: Uint8Array;
  /** The certificate of the client; absent unless it was asked for, given, and verified. */
  readonly clientCertificate?: ClientCertificate;
}

/** The end of an exchange (RFC 4954 §6). */
export type LoginResult =
  /** 235 2.7.0. */
  | { readonly kind: "accepted"; /** The account, canonical. */ readonly address: string }
  /** 535 5.7.8. The reason is for the client, where it is not "wrong name or password". */
  | { readonly kind: "refused"; readonly reason?: string }
  /** 454 4.7.0: too much to check at once. */
  | { readonly kind: "busy" }
  /** 454 4.7.0: whoever checks logins does not answer. */
  | { readonly kind: "unavailable" };

/** What follows from the start or from a response of the client. */
export type SaslStep =
  /** Send these octets and wait for a response. */
  | { readonly kind: "challenge"; readonly octets: Uint8Array }
  /** The exchange is over. */
  | { readonly kind: "done"; readonly result: LoginResult }
  /** The client broke the rules of the mechanism. The reason never contains what it sent. */
  | { readonly kind: "invalid"; readonly reason: string };

/** One exchange. Made anew for each AUTH command; nothing is called after `done` or `invalid`. */
export interface SaslMechanism {
  /**
   * Begins the exchange.
   *
   * @param initial Decoded initial response; undefined when the client sent none.
   */
  start(initial?: Uint8Array): SaslStep | Promise<SaslStep>;
  /** Takes the decoded response to the last challenge. */
  step(response: Uint8Array): SaslStep | Promise<SaslStep>;
  /** The exchange ended before its time: the client sent `*` or a bad line, or is gone. */
  abort?(): void;
}

/**
 * Checks a login name and a password, both of them valid UTF-8 without NUL and not empty. Neither is ever logged by a
 * mechanism. Does not reject for a wrong login or a back end that is down.
 */
export type CheckPassword = (identity: string, password: string, channel: SaslChannel) => Promise<LoginResult>;

/** Longest login name or password in octets: RFC 4616 §2 demands 255 at least. */
const MAX_FIELD_OCTETS = 1024;

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/**
 * Decodes a login name, authorization identity or password.
 *
 * @returns undefined unless it is UTF-8 without NUL, of at most 1,024 octets.
 */
export function decodeField(octets: Uint8Array): string | undefined {
  if (octets.length > MAX_FIELD_OCTETS || octets.includes(0)) return undefined;
  try {
    return utf8.decode(octets);
  } catch {
    return undefined;
  }
}

/** The step that a result is. */
export function done(result: LoginResult): SaslStep {
  return { kind: "done", result };
}
