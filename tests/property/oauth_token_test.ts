import { assert } from "@std/assert";
import fc from "fast-check";
import { jwtValidator } from "../../lib/sasl/oauth/jwt.ts";
import { KeySource } from "../../lib/sasl/oauth/key_set.ts";
import { FakeClock } from "../support/fake_clock.ts";
import { jwtPart, makeTestKey } from "../support/oauth_issuer.ts";

const RULES = { issuer: "https://login.example", audience: "mail", claim: "email", scopes: [] };
const CLAIMS = {
  iss: RULES.issuer,
  aud: "mail",
  email: "alice@example.org",
  exp: Date.parse("2026-01-01T01:00:00Z") / 1000,
};

Deno.test("no change of a token makes it one of somebody else, or a fault of ours", async () => {
  const keys = await Promise.all(["ES256", "RS256", "EdDSA"].map((alg) => makeTestKey(alg, alg)));
  const tokens = await Promise.all(keys.map((key) => key.sign(CLAIMS)));
  const clock = new FakeClock();
  const object = { keys: keys.map(({ jwk }) => jwk) };
  const source = new KeySource({ clock, load: () => Promise.resolve({ kind: "object", object }) });
  const validator = jwtValidator({ keys: source, rules: RULES, clock });
  const token = fc.constantFrom(...tokens);
  const header = fc.record({
    alg: fc.oneof(fc.constantFrom("none", "HS256", "ES256", "RS256", "EdDSA"), fc.jsonValue()),
    kid: fc.oneof(fc.constantFrom("ES256", "RS256", "EdDSA"), fc.jsonValue()),
    crit: fc.jsonValue(),
    b64: fc.jsonValue(),
    jwk: fc.constantFrom(...object.keys),
  }, { requiredKeys: [] });
  const changed = fc.oneof(
    fc.string(),
    // Some characters of a good one are others.
    fc.tuple(token, fc.nat(), fc.stringMatching(/^[\w.=-]{0,3}$/), fc.nat(3)).map(([text, at, put, length]) =>
      text.slice(0, at % text.length) + put + text.slice(at % text.length + length)
    ),
    // Another header or other claims under the old signature.
    fc.tuple(token, header, fc.jsonValue()).map(([text, head, claims]) => {
      const [, payload, signature] = text.split(".");
      return `${jwtPart(head)}.${claims === null ? payload : jwtPart({ ...CLAIMS, email: claims })}.${signature}`;
    }),
    // Parts of different ones.
    fc.tuple(token, token, token).map((all) => all.map((text, at) => text.split(".")[at]).join(".")),
  );
  await fc.assert(
    fc.asyncProperty(changed, async (text) => {
      const verdict = await validator.validate(text);
      assert(verdict.kind !== "unavailable", JSON.stringify(verdict));
      // The same octets may be written in several ways.
      assert(verdict.kind === "invalid" || verdict.identity === "alice@example.org");
    }),
    { numRuns: 1000 },
  );
});
