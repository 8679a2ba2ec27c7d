/** The `auth.oauth` section: its keys, what they must satisfy together, and what becomes of them. */

import { isIP } from "node:net";
import { resolve } from "node:path";
import type { OauthConfig } from "./config.ts";
import { type Located, located, optional, partial, required, scalar, type Type, withDefault } from "./schema.ts";
import type { Source } from "./source.ts";
import * as value from "./values.ts";

/** The section as it stands in the file: the keys that are right; "" stands for a wrong value that another key needs. */
export interface OauthDraft {
  /** A URL. */
  readonly issuer: string;
  /** Absent: any. */
  readonly audience?: Located<string>;
  /** A URL, or a path as written. */
  readonly jwks?: Located<string>;
  /** A URL. */
  readonly introspection?: Located<string>;
  /** With a secret or not at all. */
  readonly clientId?: Located<string>;
  /** Never to be shown. */
  readonly clientSecret?: Located<string>;
  /** The name of a claim. */
  readonly claim: string;
  /** Absent: none is needed. */
  readonly scopes?: readonly string[];
}

const URL_EXPECTS = "an https URL without user name, or an http URL of this machine";

const issuer = scalar({
  expects: `${URL_EXPECTS}, without query, such as "https://login.example.org"`,
  parse: (text) => serviceUrl(text)?.search === "" ? text : undefined,
  isSecret: mayHoldPassword,
});

const endPoint = scalar({
  expects: `${URL_EXPECTS}, such as "https://login.example.org/introspect"`,
  parse: (text) => serviceUrl(text) === undefined ? undefined : text,
  isSecret: mayHoldPassword,
});

const keySet = scalar({
  expects: `a path, or ${URL_EXPECTS}, such as "https://login.example.org/jwks.json"`,
  parse: (text) => isUrl(text) ? serviceUrl(text) && text : value.parsePath(text),
  isSecret: mayHoldPassword,
});

const scopes = scalar({
  expects: 'one or more scopes with a space between, such as "mail.send"',
  // RFC 6749 §3.3: scope-token = 1*( %x21 / %x23-5B / %x5D-7E )
  parse: (text) => /^[!#-[\]-~]+(?: [!#-[\]-~]+)*$/.test(text) ? text.split(" ") : undefined,
});

/** Reads the section. */
export const oauth: Type<Partial<OauthDraft>> = partial({
  issuer: required("issuer", issuer, "The authorization server, exactly as its tokens name it."),
  audience: optional("audience", located(value.text("a name"), ""), "Whom tokens must be meant for. Needed with jwks."),
  jwks: optional("jwks", located(keySet, ""), "The keys that sign its tokens: a URL, or a file."),
  introspection: optional("introspection", located(endPoint, ""), "Or: the URL that is asked about each token."),
  clientId: optional("client_id", located(value.text("a name"), ""), "Our name at the introspection end point."),
  clientSecret: optional(
    "client_secret",
    located(value.secret("a secret in quotes, or !file with its path"), ""),
    "Our password there.",
  ),
  claim: withDefault(
    "claim",
    value.matching(/^[\w.:/-]{1,256}$/, 'the name of a claim such as "email"'),
    "email",
    "What a token calls the address of the account.",
  ),
  scopes: optional("scope", scopes, "Scopes that a token must have. Default: none."),
});

/** Checks what the keys must satisfy together. */
export function checkOauth({ value: draft, at }: Located<Partial<OauthDraft>>, source: Source): void {
  const { jwks, introspection, audience, clientId, clientSecret } = draft;
  if (jwks === undefined && introspection === undefined) {
    source.report(at, 'auth.oauth: expected the key "jwks" or the key "introspection", found neither');
  }
  if (jwks !== undefined && introspection !== undefined) {
    source.report(introspection.at, 'auth.oauth.introspection: never used with "jwks": remove one of them');
  }
  if (jwks !== undefined && audience === undefined) {
    source.report(at, 'auth.oauth: missing key "audience": with "jwks" it keeps tokens for other services out');
  }
  if (introspection === undefined) {
    for (const [key, found] of [["client_id", clientId], ["client_secret", clientSecret]] as const) {
      if (found !== undefined) source.report(found.at, `auth.oauth.${key}: only for "introspection"`);
    }
  } else if (clientId !== undefined && clientSecret === undefined) {
    source.report(clientId.at, 'auth.oauth.client_id: expected a "client_secret" with it, found none');
  } else if (clientSecret !== undefined && clientId === undefined) {
    source.report(clientSecret.at, 'auth.oauth.client_secret: expected a "client_id" with it, found none');
  }
}

/** Brings a right section into the form that the rest of posthorn uses. */
export function oauthConfig(draft: OauthDraft, folder: string): OauthConfig {
  const { issuer, audience, jwks, introspection, clientId, clientSecret, claim, scopes = [] } = draft;
  const rules = { issuer, audience: audience?.value, claim, scopes };
  if (introspection !== undefined) {
    const hasClient = clientId !== undefined && clientSecret !== undefined;
    const client = hasClient ? { id: clientId.value, secret: clientSecret.value } : undefined;
    return { rules, service: { kind: "introspection", url: introspection.value, client } };
  }
  const place = jwks?.value ?? "";
  const service = isUrl(place)
    ? { kind: "jwks-url", url: place } as const
    : { kind: "jwks-file", path: resolve(folder, place) } as const;
  return { rules, service };
}

function isUrl(text: string): boolean {
  return /^[a-z][a-z0-9+.-]*:\/\//i.test(text);
}

/** The URL of a service that tokens may be sent to: nobody can read them on the way, nor pose as the service. */
function serviceUrl(text: string): URL | undefined {
  const url = isUrl(text) ? URL.parse(text) : null;
  if (url === null || url.username !== "" || url.password !== "" || text.includes("#")) return undefined;
  return url.protocol === "https:" || (url.protocol === "http:" && isLoopback(url.hostname)) ? url : undefined;
}

function isLoopback(hostname: string): boolean {
  const host = hostname.replace(/^\[(.*)\]$/, "$1");
  return host === "localhost" || host === "::1" || (isIP(host) === 4 && host.startsWith("127."));
}

/** Somebody may have written https://user:password@host. */
function mayHoldPassword(text: string): boolean {
  return text.includes("@");
}
