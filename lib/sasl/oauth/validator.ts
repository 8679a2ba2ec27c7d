/** What says whether a bearer token is good, and for whom. */

/** The error codes that a client is told (RFC 6750 §3.1, RFC 7628 §3.2.2). */
export type TokenError = "invalid_token" | "insufficient_scope";

/** What is known of a token. Reasons are for the log, and never contain the token. */
export type TokenVerdict =
  /** It is good. */
  | {
    readonly kind: "valid";
    /** The account that it names, as the claim says it. Never empty. */
    readonly identity: string;
    /** Wall clock, milliseconds; undefined where nobody said. */
    readonly expiresAtMs: number | undefined;
  }
  /** It is not good. */
  | { readonly kind: "invalid"; readonly error: TokenError; readonly reason: string }
  /** Nobody could say now. The reason says what the service did. */
  | { readonly kind: "unavailable"; readonly reason: string };

/** Judges tokens. */
export interface TokenValidator {
  /**
   * Judges one, within some ten seconds. Does not reject for a bad token or a server that is down.
   *
   * @param token A `b64token` (RFC 6750 §2.1), at most 9,216 octets.
   */
  validate(token: string): Promise<TokenVerdict>;
}
