/** Judges what a token says, whoever vouches for it: the signature (RFC 7519, RFC 9068) or the server (RFC 7662). */

import type { TokenVerdict } from "./validator.ts";

/** What a token must say. */
export interface TokenRules {
  /** The authorization server, compared octet for octet (RFC 7519 §4.1.1). */
  readonly issuer: string;
  /** The name that the token must be meant for (RFC 7519 §4.1.3); undefined: any. */
  readonly audience: string | undefined;
  /** The claim that holds the address of the account, e.g. `email`. */
  readonly claim: string;
  /** All of these must have been granted; empty: none is needed. */
  readonly scopes: readonly string[];
}

/** Claims as they came. */
export type Claims = Readonly<Record<string, unknown>>;

/** The clocks of two machines may differ by this much. */
const LEEWAY_MS = 60_000;
/** Longer values of the identity claim are no address (RFC 5321 §4.5.3.1). */
const MAX_IDENTITY_LENGTH = 1024;

/**
 * Judges claims.
 *
 * @param isSelfContained True for a JWT, which must name issuer and expiry itself (RFC 9068 §2.2); an introspection
 *   response may leave both out (RFC 7662 §2.2), because the server that answered knows them.
 * @param nowMs Wall clock.
 */
export function judgeClaims(
  claims: Claims,
  { issuer, audience, claim, scopes }: TokenRules,
  isSelfContained: boolean,
  nowMs: number,
): TokenVerdict {
  const { iss, aud, exp, nbf } = claims;
  if (iss === undefined ? isSelfContained : iss !== issuer) return invalid("it is of another issuer");
  if (audience !== undefined && aud !== audience && !(Array.isArray(aud) && aud.includes(audience))) {
    return invalid("it is for another audience");
  }
  if (exp === undefined ? isSelfContained : !isTime(exp)) return invalid("it does not say when it expires");
  const expiresAtMs = isTime(exp) ? exp * 1000 : undefined;
  if (expiresAtMs !== undefined && expiresAtMs + LEEWAY_MS <= nowMs) return invalid("it has expired");
  if (nbf !== undefined && !(isTime(nbf) && nbf * 1000 - LEEWAY_MS <= nowMs)) return invalid("it is not valid yet");
  const identity = claims[claim];
  if (typeof identity !== "string" || identity === "" || identity.length > MAX_IDENTITY_LENGTH) {
    return invalid(`it has no claim "${claim}"`);
  }
  // OpenID Connect Core 1.0 §5.1: an address that its user only claims to have. Some servers write the boolean as text.
  const isVerified = claims["email_verified"];
  if (claim === "email" && (isVerified === false || isVerified === "false")) {
    return invalid("its address is not verified by the issuer");
  }
  const granted = grantedScopes(claims);
  if (!scopes.every((scope) => granted.includes(scope))) {
    return { kind: "invalid", error: "insufficient_scope", reason: "it lacks a scope" };
  }
  return { kind: "valid", identity, expiresAtMs };
}

/** Scopes are words in one text (RFC 8693 §4.2); some servers write a list, and Microsoft calls it `scp`. */
function grantedScopes({ scope, scp }: Claims): readonly unknown[] {
  return [scope, scp].flatMap((value) =>
    typeof value === "string" ? value.split(" ") : Array.isArray(value) ? value : []
  );
}

/** NumericDate (RFC 7519 §2): seconds, also with a fraction. */
function isTime(value: unknown): value is number {
  return typeof value === "number" && Number.isFinite(value);
}

function invalid(reason: string): TokenVerdict {
  return { kind: "invalid", error: "invalid_token", reason };
}
