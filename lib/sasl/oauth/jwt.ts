/** Judges tokens that are signed JWTs (RFC 7519, RFC 9068) with the public keys of the authorization server. */

import type { LocalJWKSet } from "jose";
import type { Clock } from "../../system/clock.ts";
import { judgeClaims, type TokenRules } from "./claims.ts";
import { parseObject } from "./fetch_json.ts";
import type { KeySet, KeySource } from "./key_set.ts";
import type { TokenValidator, TokenVerdict } from "./validator.ts";

/** What judging needs. */
export interface JwtOptions {
  /** The keys of the issuer. */
  readonly keys: KeySource;
  /** What the token must say. */
  readonly rules: TokenRules;
  /** Its wall clock is compared with the expiry. */
  readonly clock: Pick<Clock, "now">;
}

/** Signatures with public keys only: with HMAC or `none` whoever knows the public key could sign (RFC 8725 §2.1). */
const ALGORITHMS = ["RS256", "PS256", "ES256", "ES384", "EdDSA"];

/** Why a token is refused, by the error code of the library; other codes are "it cannot be verified". */
const REASONS: Readonly<Record<string, string>> = {
  ERR_JOSE_ALG_NOT_ALLOWED: "its algorithm is not allowed",
  ERR_JWKS_NO_MATCHING_KEY: "its key is not one of the issuer",
  ERR_JWKS_MULTIPLE_MATCHING_KEYS: "it does not say which key signed it",
  ERR_JWS_INVALID: "it is no signed JWT",
  ERR_JWS_SIGNATURE_VERIFICATION_FAILED: "its signature is wrong",
};

type Verification =
  | { readonly kind: "verified"; readonly payload: Uint8Array }
  | { readonly kind: "unknown-key" }
  | Exclude<TokenVerdict, { readonly kind: "valid" }>;

/**
 * Makes a validator of JWTs. Whether it is an access token or another token of the issuer (RFC 9068 §4 has a type for
 * that, which many servers do not write) is told by its audience.
 */
export function jwtValidator({ keys, rules, clock }: JwtOptions): TokenValidator {
  const verify = signatureVerifier();
  return {
    validate: async (token) => {
      const answer = await keys.current();
      if (answer.kind === "unavailable") return answer;
      let verification = await verify(token, answer.keys);
      if (verification.kind === "unknown-key") {
        const newer = await keys.newer(answer.keys);
        if (newer !== undefined) verification = await verify(token, newer);
      }
      if (verification.kind === "unknown-key") return refused("ERR_JWKS_NO_MATCHING_KEY");
      if (verification.kind !== "verified") return verification;
      const claims = parseObject(new TextDecoder().decode(verification.payload));
      if (claims.kind === "failed") return refused("ERR_JWS_INVALID");
      return judgeClaims(claims.object, rules, true, clock.now());
    },
  };
}

/** Makes what checks signatures; it keeps the last set of keys in the form that is ready to use. */
function signatureVerifier(): (token: string, keys: KeySet) => Promise<Verification> {
  let last: { readonly keys: KeySet; readonly find: LocalJWKSet } | undefined;
  return async (token, keys) => {
    const { compactVerify, createLocalJWKSet, errors } = await import("jose"); // Loaded only where it is used.
    try {
      if (last?.keys !== keys) last = { keys, find: createLocalJWKSet({ keys: [...keys.jwks] }) };
      const { payload, protectedHeader } = await compactVerify(token, last.find, { algorithms: ALGORITHMS });
      // RFC 7797 §7: a JWT never has an unencoded payload.
      return protectedHeader.b64 === false ? refused("ERR_JWS_INVALID") : { kind: "verified", payload };
    } catch (error) {
      // What is no error of the token is one of the key: too short, or malformed.
      if (!(error instanceof errors.JOSEError)) {
        return { kind: "unavailable", reason: "gave a key that cannot be used" };
      }
      return error.code === "ERR_JWKS_NO_MATCHING_KEY" ? { kind: "unknown-key" } : refused(error.code);
    }
  };
}

function refused(code: string): Exclude<TokenVerdict, { readonly kind: "valid" }> {
  return { kind: "invalid", error: "invalid_token", reason: REASONS[code] ?? "it cannot be verified" };
}
