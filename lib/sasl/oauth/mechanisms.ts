/** The exchanges of OAUTHBEARER (RFC 7628) and of XOAUTH2, the older form that Google and Microsoft use. */

import { done, type SaslChannel, type SaslMechanism, type SaslStep } from "../mechanism.ts";
import type { SaslOffer } from "../mechanisms.ts";
import type { CheckBearer } from "./bearer_login.ts";
import { type ParsedBearerMessage, parseOauthBearer, parseXoauth2 } from "./client_message.ts";
import type { TokenError } from "./validator.ts";

/** What a client is told that came with a token that is not accepted, so that it can get another one. */
export interface TokenHint {
  /** The issuer as the configuration has it. */
  readonly issuer: string;
  /** The scopes that are needed. */
  readonly scopes: readonly string[];
}

/** What differs between the two. */
interface Form {
  readonly name: string;
  readonly parse: (octets: Uint8Array) => ParsedBearerMessage;
  /** The content of the challenge that says why a token is not accepted. */
  readonly explain: (error: TokenError, hint: TokenHint) => Readonly<Record<string, string>>;
}

const FORMS: readonly Form[] = [
  {
    name: "OAUTHBEARER",
    parse: parseOauthBearer,
    // RFC 7628 §3.2.2; the last one is of OpenID Connect Discovery 1.0 §4.
    explain: (status, { issuer, scopes }) => ({
      status,
      ...scopeMember(scopes),
      "openid-configuration": `${issuer.replace(/\/$/, "")}/.well-known/openid-configuration`,
    }),
  },
  {
    name: "XOAUTH2",
    parse: parseXoauth2,
    // As Google's server says it: the status is that of HTTP (RFC 6750 §3.1).
    explain: (error, { scopes }) => ({
      status: error === "insufficient_scope" ? "403" : "401",
      schemes: "bearer",
      ...scopeMember(scopes),
    }),
  },
];

/** Makes the offers of both mechanisms. A token is as good as a password, so they are for TLS only (RFC 7628 §5). */
export function bearerOffers(check: CheckBearer, hint: TokenHint): readonly SaslOffer[] {
  return FORMS.map((form) => ({
    name: form.name,
    isUsable: ({ isTls }: SaslChannel) => isTls,
    start: (channel: SaslChannel) => bearerMechanism(form, check, hint, channel),
  }));
}

function bearerMechanism(form: Form, check: CheckBearer, hint: TokenHint, channel: SaslChannel): SaslMechanism {
  let isRefused = false;
  const step = async (response: Uint8Array): Promise<SaslStep> => {
    // The client has read why, and says %x01 (RFC 7628 §3.2.3) or, for XOAUTH2, nothing; some mix these up.
    if (isRefused) return done({ kind: "refused", reason: "the token is not accepted" });
    const parsed = form.parse(response);
    if (parsed.kind === "invalid") return parsed;
    const result = await check(parsed.message, channel);
    if (result.kind !== "refused") return done(result);
    isRefused = true;
    return { kind: "challenge", octets: new TextEncoder().encode(JSON.stringify(form.explain(result.error, hint))) };
  };
  return {
    // RFC 4954 §4: without an initial response the server sends an empty challenge.
    start: (initial) => initial === undefined ? { kind: "challenge", octets: new Uint8Array(0) } : step(initial),
    step,
  };
}

function scopeMember(scopes: readonly string[]): { readonly scope?: string } {
  return scopes.length === 0 ? {} : { scope: scopes.join(" ") };
}
