import { assertEquals } from "@std/assert";
import { jwtValidator } from "../../../../lib/sasl/oauth/jwt.ts";
import { KeySource } from "../../../../lib/sasl/oauth/key_set.ts";
import type { TokenVerdict } from "../../../../lib/sasl/oauth/validator.ts";
import { FakeClock } from "../../../support/fake_clock.ts";
import { jwtPart, makeTestKey, type TestKey } from "../../../support/oauth_issuer.ts";

const RULES = { issuer: "https://login.example", audience: "mail", claim: "email", scopes: [] };
const EXP = Date.parse("2026-01-01T00:05:00Z") / 1000;
const CLAIMS = { iss: RULES.issuer, aud: "mail", exp: EXP, email: "alice@example.org" };

interface Bench {
  readonly clock: FakeClock;
  keys: unknown[];
  loads: number;
  /** The reason, or the identity of a good token. */
  judge(token: string): Promise<string>;
  validate(token: string): Promise<TokenVerdict>;
}

function bench(keys: unknown[]): Bench {
  const clock = new FakeClock();
  const source = new KeySource({
    clock,
    load: () => {
      self.loads++;
      return Promise.resolve({ kind: "object", object: { keys: self.keys } });
    },
  });
  const validator = jwtValidator({ keys: source, rules: RULES, clock });
  const self: Bench = {
    clock,
    keys,
    loads: 0,
    validate: (token) => validator.validate(token),
    judge: async (token) => {
      const verdict = await validator.validate(token);
      return verdict.kind === "valid" ? `good for ${verdict.identity}` : `${verdict.kind}: ${verdict.reason}`;
    },
  };
  return self;
}

Deno.test("tokens with each of the five algorithms are good, among the keys of all", async () => {
  const names = ["RS256", "PS256", "ES256", "ES384", "EdDSA"];
  const keys = await Promise.all(names.map((alg) => makeTestKey(alg, `key of ${alg}`)));
  const { validate, loads } = bench(keys.map(({ jwk }) => jwk));
  for (const key of keys) {
    assertEquals(await validate(await key.sign(CLAIMS)), {
      kind: "valid",
      identity: "alice@example.org",
      expiresAtMs: EXP * 1000,
    });
  }
  assertEquals(loads, 0);
});

Deno.test("no unsigned token and no secret key is taken, whatever the header says", async () => {
  const key = await makeTestKey("RS256", "k");
  const { judge } = bench([key.jwk, { kty: "oct", kid: "h", k: jwtPart("secret"), alg: "HS256" }]);
  const claims = jwtPart(CLAIMS);
  // The public key as the secret of HMAC, the classic confusion (RFC 8725 §2.1).
  const hmac = async (kid: string, secret: string): Promise<string> => {
    const head = `${jwtPart({ alg: "HS256", kid })}.${claims}`;
    const algorithm = { name: "HMAC", hash: "SHA-256" };
    const raw = await crypto.subtle.importKey("raw", new TextEncoder().encode(secret), algorithm, false, ["sign"]);
    const mac = new Uint8Array(await crypto.subtle.sign("HMAC", raw, new TextEncoder().encode(head)));
    return `${head}.${mac.toBase64({ alphabet: "base64url", omitPadding: true })}`;
  };
  for (
    const token of [
      `${jwtPart({ alg: "none" })}.${claims}.`,
      `${jwtPart({ alg: "None", kid: "k" })}.${claims}.AA`,
      await hmac("h", "secret"),
      await hmac("k", key.jwk.n ?? ""),
    ]
  ) assertEquals(await judge(token), "invalid: its algorithm is not allowed");
  const other = await makeTestKey("RS512", "k");
  assertEquals(await judge(await other.sign(CLAIMS)), "invalid: its algorithm is not allowed");
});

Deno.test("a changed, foreign or malformed token is refused, and causes no request for keys", async () => {
  const [key, thief] = await Promise.all([makeTestKey("ES256", "k"), makeTestKey("ES256", "k")]);
  const b = bench([key.jwk]);
  const token = await key.sign(CLAIMS);
  const [head, , signature] = token.split(".");
  const wrong = "invalid: its signature is wrong";
  assertEquals(await b.judge(`${head}.${jwtPart({ ...CLAIMS, email: "bob@example.org" })}.${signature}`), wrong);
  assertEquals(await b.judge(await thief.sign(CLAIMS)), wrong);
  assertEquals(await b.judge(await thief.sign(CLAIMS, { jwk: thief.jwk, jku: "http://127.0.0.1/" })), wrong);
  assertEquals(await b.judge(await thief.sign(CLAIMS, { alg: "ES256", kid: "k" })), wrong);
  for (const no of ["opaque", "a.b", "a.b.c", `${token}.x`, `${token}.x.y`, `.${token}`, `${jwtPart("{")}.e30.AA`]) {
    assertEquals(await b.judge(no), "invalid: it is no signed JWT", no);
  }
  const critical = `${jwtPart({ alg: "ES256", kid: "k", crit: ["x"], x: 1 })}.e30.AA`;
  assertEquals(await b.judge(critical), "invalid: it cannot be verified");
  assertEquals(b.loads, 1);
});

Deno.test("the claims of a token are judged by the clock", async () => {
  const key = await makeTestKey("ES256", "k");
  const b = bench([key.jwk]);
  const token = await key.sign(CLAIMS);
  assertEquals(await b.judge(token), "good for alice@example.org");
  b.clock.setWall((EXP + 60) * 1000);
  assertEquals(await b.judge(token), "invalid: it has expired");
  assertEquals(await b.judge(await key.sign({ ...CLAIMS, aud: "web" })), "invalid: it is for another audience");
});

Deno.test("a new key is found when a token names it", async () => {
  const [old, fresh] = await Promise.all([makeTestKey("ES256", "old"), makeTestKey("ES256", "fresh")]);
  const b = bench([old.jwk]);
  assertEquals(await b.judge(await old.sign(CLAIMS)), "good for alice@example.org");
  const token = await fresh.sign(CLAIMS);
  b.keys = [old.jwk, fresh.jwk];
  assertEquals([await b.judge(token), b.loads], ["invalid: its key is not one of the issuer", 1]);
  await b.clock.advance(30_000);
  assertEquals([await b.judge(token), b.loads], ["good for alice@example.org", 2]);
  // A flood of invented names costs the issuer nothing.
  for (let i = 0; i < 100; i++) await b.judge(await old.sign(CLAIMS, { kid: `x${i}` }));
  assertEquals(b.loads, 2);
});

Deno.test("a token without the name of its key is good where one key fits only", async () => {
  const keys: readonly TestKey[] = await Promise.all([makeTestKey("ES256", "a"), makeTestKey("ES256", "b")]);
  const token = await keys[0]?.sign(CLAIMS, { kid: undefined }) ?? "";
  assertEquals(await bench([keys[0]?.jwk]).judge(token), "good for alice@example.org");
  assertEquals(await bench(keys.map(({ jwk }) => jwk)).judge(token), "invalid: it does not say which key signed it");
});

Deno.test("keys that are too short, malformed, for encryption or private are not used", async () => {
  const key = await makeTestKey("RS256", "k");
  const token = await key.sign(CLAIMS);
  const unusable = "unavailable: gave a key that cannot be used";
  assertEquals(await bench([{ ...key.jwk, n: "AQAB" }]).judge(token), unusable);
  assertEquals(await bench([{ ...key.jwk, n: 5 }]).judge(token), unusable);
  assertEquals(await bench([{ ...key.jwk, d: "AQAB" }]).judge(token), unusable);
  const other = "invalid: its key is not one of the issuer";
  assertEquals(await bench([{ ...key.jwk, use: "enc" }]).judge(token), other);
  assertEquals(await bench([{ ...key.jwk, alg: "PS256" }]).judge(token), other);
  assertEquals(await bench([]).judge(token), other);
});
