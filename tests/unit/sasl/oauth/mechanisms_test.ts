import { assert, assertEquals } from "@std/assert";
import type { SaslChannel, SaslMechanism, SaslStep } from "../../../../lib/sasl/mechanism.ts";
import type { BearerResult } from "../../../../lib/sasl/oauth/bearer_login.ts";
import { bearerOffers } from "../../../../lib/sasl/oauth/mechanisms.ts";

const CHANNEL: SaslChannel = { clientAddress: "192.0.2.1", localAddress: "192.0.2.2", isTls: true };
const HINT = { issuer: "https://login.example/realm/", scopes: ["mail", "send"] };
const encode = (text: string): Uint8Array => new TextEncoder().encode(text);

function start(name: string, result: BearerResult, hint = HINT): SaslMechanism {
  const offer = bearerOffers(() => Promise.resolve(result), hint).find((each) => each.name === name);
  assert(offer !== undefined);
  return offer.start(CHANNEL, [name]);
}

function json(step: SaslStep): unknown {
  assert(step.kind === "challenge", step.kind);
  return JSON.parse(new TextDecoder().decode(step.octets));
}

const MESSAGES = {
  OAUTHBEARER: encode("n,,\x01auth=Bearer x\x01\x01"),
  XOAUTH2: encode("user=alice@example.org\x01auth=Bearer x\x01\x01"),
};

Deno.test("both mechanisms are for TLS only", () => {
  const offers = bearerOffers(() => Promise.reject(new Error("not asked")), HINT);
  assertEquals(offers.map(({ name }) => name), ["OAUTHBEARER", "XOAUTH2"]);
  for (const { isUsable } of offers) {
    assertEquals([isUsable?.(CHANNEL), isUsable?.({ ...CHANNEL, isTls: false })], [true, false]);
  }
});

Deno.test("the message comes with AUTH or after an empty challenge", async () => {
  for (const name of ["OAUTHBEARER", "XOAUTH2"] as const) {
    const accepted = { kind: "done", result: { kind: "accepted", address: "alice@example.org" } } as const;
    assertEquals(await start(name, accepted.result).start(MESSAGES[name]), accepted);
    const mechanism = start(name, accepted.result);
    assertEquals(await mechanism.start(), { kind: "challenge", octets: new Uint8Array(0) });
    assertEquals(await mechanism.step(MESSAGES[name]), accepted);
    assertEquals((await start(name, accepted.result).start(new Uint8Array(0))).kind, "invalid");
  }
});

Deno.test("a client whose token is refused is told why, and then refused", async () => {
  const refused: BearerResult = { kind: "refused", error: "invalid_token" };
  const bearer = start("OAUTHBEARER", refused);
  assertEquals(json(await bearer.start(MESSAGES.OAUTHBEARER)), {
    "status": "invalid_token",
    "scope": "mail send",
    "openid-configuration": "https://login.example/realm/.well-known/openid-configuration",
  });
  const end: SaslStep = { kind: "done", result: { kind: "refused", reason: "the token is not accepted" } };
  assertEquals(await bearer.step(Uint8Array.of(1)), end);
  const xoauth2 = start("XOAUTH2", refused);
  assertEquals(json(await xoauth2.start(MESSAGES.XOAUTH2)), {
    status: "401",
    schemes: "bearer",
    scope: "mail send",
  });
  assertEquals(await xoauth2.step(new Uint8Array(0)), end);
});

Deno.test("a missing scope has a status of its own, and a configuration without scopes names none", async () => {
  const refused: BearerResult = { kind: "refused", error: "insufficient_scope" };
  const hint = { issuer: "https://login.example", scopes: [] };
  assertEquals(json(await start("OAUTHBEARER", refused, hint).start(MESSAGES.OAUTHBEARER)), {
    "status": "insufficient_scope",
    "openid-configuration": "https://login.example/.well-known/openid-configuration",
  });
  assertEquals(json(await start("XOAUTH2", refused, hint).start(MESSAGES.XOAUTH2)), {
    status: "403",
    schemes: "bearer",
  });
});

Deno.test("what cannot be checked now ends the exchange without a challenge", async () => {
  for (const kind of ["busy", "unavailable"] as const) {
    for (const name of ["OAUTHBEARER", "XOAUTH2"] as const) {
      assertEquals(await start(name, { kind }).start(MESSAGES[name]), { kind: "done", result: { kind } });
    }
  }
});
