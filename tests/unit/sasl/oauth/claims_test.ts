import { assertEquals } from "@std/assert";
import { judgeClaims, type TokenRules } from "../../../../lib/sasl/oauth/claims.ts";

const NOW_MS = Date.parse("2026-01-01T00:00:00Z");
const NOW = NOW_MS / 1000;
const RULES: TokenRules = { issuer: "https://login.example", audience: "mail", claim: "email", scopes: [] };
const GOOD = { iss: RULES.issuer, aud: "mail", exp: NOW + 300, email: "alice@example.org" };

/** The reason, or the identity of a good token. */
function judge(claims: Record<string, unknown>, rules: Partial<TokenRules> = {}, isSelfContained = true): string {
  const verdict = judgeClaims(claims, { ...RULES, ...rules }, isSelfContained, NOW_MS);
  return verdict.kind === "valid" ? `good for ${verdict.identity}` : verdict.reason;
}

Deno.test("a token with the right claims is good, and says until when", () => {
  assertEquals(judgeClaims({ ...GOOD, nbf: NOW }, RULES, true, NOW_MS), {
    kind: "valid",
    identity: "alice@example.org",
    expiresAtMs: NOW_MS + 300_000,
  });
  assertEquals(judge({ ...GOOD, aud: ["web", "mail"] }), "good for alice@example.org");
  assertEquals(judge({ ...GOOD, preferred_username: "a@b" }, { claim: "preferred_username" }), "good for a@b");
});

Deno.test("issuer and audience are compared exactly", () => {
  for (const iss of [undefined, "https://login.example/", "HTTPS://login.example", ["https://login.example"], 1]) {
    assertEquals(judge({ ...GOOD, iss }), "it is of another issuer");
  }
  for (const aud of [undefined, "Mail", "mail web", ["web"], [["mail"]], { mail: true }]) {
    assertEquals(judge({ ...GOOD, aud }), "it is for another audience");
  }
  assertEquals(judge({ ...GOOD, aud: "web" }, { audience: undefined }), "good for alice@example.org");
});

Deno.test("times have a minute of leeway, and must be numbers", () => {
  assertEquals(judge({ ...GOOD, exp: NOW - 59 }), "good for alice@example.org");
  assertEquals(judge({ ...GOOD, exp: NOW - 60 }), "it has expired");
  assertEquals(judge({ ...GOOD, nbf: NOW + 60 }), "good for alice@example.org");
  assertEquals(judge({ ...GOOD, nbf: NOW + 60.5 }), "it is not valid yet");
  assertEquals(judge({ ...GOOD, nbf: "0" }), "it is not valid yet");
  for (const exp of [undefined, null, "9999999999", NaN, Infinity]) {
    assertEquals(judge({ ...GOOD, exp }), "it does not say when it expires");
  }
});

Deno.test("an introspection response may leave issuer and expiry out, but not contradict", () => {
  const { email, aud } = GOOD;
  assertEquals(judge({ email, aud }, {}, false), "good for alice@example.org");
  assertEquals(judge({ ...GOOD, iss: "https://other.example" }, {}, false), "it is of another issuer");
  assertEquals(judge({ ...GOOD, exp: NOW - 3600 }, {}, false), "it has expired");
  assertEquals(judge({ ...GOOD, exp: "soon" }, {}, false), "it does not say when it expires");
});

Deno.test("the claim of the account must be text, and an address must not be known as unverified", () => {
  for (const email of [undefined, "", 5, ["alice@example.org"], "a".repeat(1025)]) {
    assertEquals(judge({ ...GOOD, email }), 'it has no claim "email"');
  }
  for (const no of [false, "false"]) {
    assertEquals(judge({ ...GOOD, email_verified: no }), "its address is not verified by the issuer");
    assertEquals(judge({ ...GOOD, sub: "a@b", email_verified: no }, { claim: "sub" }), "good for a@b");
  }
  assertEquals(judge({ ...GOOD, email_verified: true }), "good for alice@example.org");
});

Deno.test("all scopes must have been granted, in any of the usual spellings", () => {
  const scopes = ["mail", "send"];
  const good = [{ scope: "send openid mail" }, { scope: ["mail", "send"] }, { scp: "mail send" }, { scp: scopes }];
  for (const claims of good) assertEquals(judge({ ...GOOD, ...claims }, { scopes }), "good for alice@example.org");
  for (const scope of [undefined, "", "mail", "mailsend", "mail Send", { mail: 1 }]) {
    assertEquals(judgeClaims({ ...GOOD, scope }, { ...RULES, scopes }, true, NOW_MS), {
      kind: "invalid",
      error: "insufficient_scope",
      reason: "it lacks a scope",
    });
  }
});
