/** Asks the authorization server about each token (RFC 7662). */

import { judgeClaims, type TokenRules } from "./claims.ts";
import { fetchJson, type Http } from "./fetch_json.ts";
import type { TokenValidator } from "./validator.ts";

/** What asking needs. */
export interface IntrospectionOptions {
  /** The end point: https, or http on this machine. */
  readonly url: string;
  /** How we log in there (RFC 7662 §2.1); undefined: not at all. */
  readonly client: { readonly id: string; /** Never to be logged. */ readonly secret: string } | undefined;
  /** What the answer must say. */
  readonly rules: TokenRules;
  /** Does the request; its wall clock is compared with the expiry. */
  readonly http: Http;
}

/** Makes a validator that asks the introspection end point, once for each call. */
export function introspectionValidator({ url, client, rules, http }: IntrospectionOptions): TokenValidator {
  const headers = {
    Accept: "application/json",
    "Content-Type": "application/x-www-form-urlencoded",
    ...(client === undefined ? {} : { Authorization: basicCredentials(client) }),
  };
  return {
    validate: async (token) => {
      // RFC 7662 §2.1: in the body, where it reaches no access log.
      const body = new URLSearchParams({ token, token_type_hint: "access_token" }).toString();
      const answer = await fetchJson(url, { method: "POST", headers, body }, http);
      if (answer.kind === "failed") return { kind: "unavailable", reason: answer.reason };
      const { active } = answer.object;
      if (typeof active !== "boolean") return { kind: "unavailable", reason: 'gave no "active"' };
      // RFC 7662 §2.2: expired, revoked, unknown or not for us; the server does not say which.
      if (!active) return { kind: "invalid", error: "invalid_token", reason: "it is not active" };
      return judgeClaims(answer.object, rules, false, http.clock.now());
    },
  };
}

/** RFC 6749 §2.3.1: name and password of Basic are form-encoded first. */
function basicCredentials({ id, secret }: { readonly id: string; readonly secret: string }): string {
  const encoded = [id, secret].map((text) => new URLSearchParams({ _: text }).toString().slice(2)).join(":");
  return `Basic ${btoa(encoded)}`;
}
