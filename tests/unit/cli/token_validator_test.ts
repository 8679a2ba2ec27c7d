import { assert, assertEquals, assertMatch } from "@std/assert";
import { tokenValidator } from "../../../lib/cli/token_validator.ts";
import type { OauthConfig } from "../../../lib/config/config.ts";
import type { TokenVerdict } from "../../../lib/sasl/oauth/validator.ts";
import { makeSelfSigned } from "../../../lib/tls/self_signed.ts";
import { FakeClock } from "../../support/fake_clock.ts";
import { makeTestKey, startIssuer } from "../../support/oauth_issuer.ts";

const RULES = { issuer: "https://login.example", audience: "mail", claim: "email", scopes: [] };
const EXP = Date.parse("2026-01-01T01:00:00Z") / 1000;
const CLAIMS = { iss: RULES.issuer, aud: "mail", email: "alice@example.org", exp: EXP };
const VALID: TokenVerdict = { kind: "valid", identity: "alice@example.org", expiresAtMs: EXP * 1000 };

const noFiles = (): Promise<string> => Promise.reject(new Deno.errors.NotFound("no such file or folder (os error 2)"));

function validate(
  service: OauthConfig["service"],
  readText: (path: string) => Promise<string> = noFiles,
): (token: string) => Promise<TokenVerdict> {
  const validator = tokenValidator({ rules: RULES, service }, { fetch, clock: new FakeClock(), readText });
  return (token) => validator.validate(token);
}

Deno.test("a server is asked once a minute about a good token, and each time about another", async () => {
  await using issuer = startIssuer(({ body }) =>
    Response.json(new URLSearchParams(body).get("token") === "good" ? { active: true, ...CLAIMS } : { active: false })
  );
  const ask = validate({ kind: "introspection", url: `${issuer.url}/introspect?realm=a`, client: undefined });
  assertEquals([await ask("good"), await ask("good"), (await ask("bad")).kind, (await ask("bad")).kind], [
    VALID,
    VALID,
    "invalid",
    "invalid",
  ]);
  assertEquals(issuer.requests.map(({ path, method }) => `${method} ${path}`), Array(3).fill("POST /introspect"));
});

Deno.test("keys come from a URL or a file, once for many tokens", async () => {
  const key = await makeTestKey("ES256", "k");
  const token = await key.sign(CLAIMS);
  const text = JSON.stringify({ keys: [key.jwk] });
  await using issuer = startIssuer(() => new Response(text));
  const byUrl = validate({ kind: "jwks-url", url: `${issuer.url}/keys` });
  assertEquals([await byUrl(token), await byUrl(token)], [VALID, VALID]);
  assertEquals(issuer.requests.map(({ path, method }) => `${method} ${path}`), ["GET /keys"]);
  const read: string[] = [];
  const byFile = validate({ kind: "jwks-file", path: "/etc/keys.json" }, (path) => {
    read.push(path);
    return Promise.resolve(text);
  });
  assertEquals([await byFile(token), await byFile(token), read], [VALID, VALID, ["/etc/keys.json"]]);
});

Deno.test("a reason names the place that has failed", async () => {
  const path = "/etc/keys.json";
  assertEquals(await validate({ kind: "jwks-file", path })("x.y.z"), {
    kind: "unavailable",
    reason: "/etc/keys.json: no such file",
  });
  assertEquals(await validate({ kind: "jwks-file", path }, () => Promise.resolve("{"))("x.y.z"), {
    kind: "unavailable",
    reason: "/etc/keys.json: gave what is not JSON",
  });
  await using issuer = startIssuer(() => new Response(null, { status: 500 }));
  const client = { id: "posthorn", secret: "hunter2" };
  assertEquals(await validate({ kind: "introspection", url: `${issuer.url}/i`, client })("s3cret"), {
    kind: "unavailable",
    reason: `${issuer.url}/i: answered with status 500`,
  });
});

Deno.test("a token is not sent to an https server whose certificate is not trusted", async () => {
  const { chain: cert, key } = await makeSelfSigned("localhost", Date.now());
  let requests = 0;
  await using server = Deno.serve({ hostname: "127.0.0.1", port: 0, cert, key, onListen: () => {} }, () => {
    requests++;
    return Response.json({ active: true, ...CLAIMS });
  });
  const url = `https://localhost:${server.addr.port}/i`;
  const verdict = await validate({ kind: "introspection", url, client: undefined })("s3cret");
  assert(verdict.kind === "unavailable" && !verdict.reason.includes("s3cret"));
  assertMatch(verdict.reason, /certificate/i);
  assertEquals(requests, 0);
});
