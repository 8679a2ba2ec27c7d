/** An authorization server for tests: it signs tokens, shows its keys, and answers questions about tokens. */

import { exportJWK, generateKeyPair, type JWK, SignJWT } from "jose";

/** The claims of a token that is right unless something says otherwise. */
export type TestClaims = Readonly<Record<string, unknown>>;

/** One key pair of the issuer. */
export interface TestKey {
  /** As the issuer shows it. */
  readonly jwk: JWK;
  /** Signs claims; `header` replaces parts of the usual one. */
  sign(claims: TestClaims, header?: Readonly<Record<string, unknown>>): Promise<string>;
}

/** Makes a key pair. */
export async function makeTestKey(alg: string, kid: string): Promise<TestKey> {
  const { publicKey, privateKey } = await generateKeyPair(alg, { extractable: true });
  return {
    jwk: { ...await exportJWK(publicKey), kid, alg, use: "sig" },
    sign: (claims, header = {}) =>
      new SignJWT({ ...claims }).setProtectedHeader({ alg, kid, typ: "at+jwt", ...header }).sign(privateKey),
  };
}

/** Makes a text look like a part of a JWT. */
export function jwtPart(value: unknown): string {
  const text = typeof value === "string" ? value : JSON.stringify(value);
  return new TextEncoder().encode(text).toBase64({ alphabet: "base64url", omitPadding: true });
}

/** One request that the server got. */
export interface IssuerRequest {
  readonly path: string;
  readonly method: string;
  readonly headers: Headers;
  readonly body: string;
}

/** A server on loopback whose answers a test sets. */
export interface TestIssuer extends AsyncDisposable {
  /** Without a slash at the end. */
  readonly url: string;
  /** In the order in which they came. */
  readonly requests: readonly IssuerRequest[];
}

/** Starts a server. */
export function startIssuer(answer: (request: IssuerRequest) => Response | Promise<Response>): TestIssuer {
  const requests: IssuerRequest[] = [];
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, async (request) => {
    const { pathname: path } = new URL(request.url);
    const taken = { path, method: request.method, headers: request.headers, body: await request.text() };
    requests.push(taken);
    return await answer(taken);
  });
  return {
    url: `http://127.0.0.1:${server.addr.port}`,
    requests,
    [Symbol.asyncDispose]: () => server.shutdown(),
  };
}
