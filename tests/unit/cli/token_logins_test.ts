import { assert, assertEquals } from "@std/assert";
import type { Live } from "../../../lib/cli/live.ts";
import { makeLogins } from "../../../lib/cli/logins.ts";
import type { OauthConfig } from "../../../lib/config/config.ts";
import type { Logger } from "../../../lib/log/logger.ts";
import { encodeBase64 } from "../../../lib/sasl/base64.ts";
import type { SaslChannel, SaslStep } from "../../../lib/sasl/mechanism.ts";
import type { SaslServer } from "../../../lib/sasl/mechanisms.ts";
import type { Files } from "../../../lib/system/files.ts";
import { FakeClock } from "../../support/fake_clock.ts";

const TLS: SaslChannel = { clientAddress: "192.0.2.1", localAddress: "192.0.2.2", isTls: true };

function oauth(name: string): OauthConfig {
  const issuer = `https://${name}.example`;
  return {
    rules: { issuer, audience: undefined, claim: "email", scopes: [] },
    service: { kind: "introspection", url: `${issuer}/introspect`, client: undefined },
  };
}

interface Bench {
  readonly sasl: SaslServer;
  readonly asked: string[];
  /** What the configuration has now. */
  auth: { oauth?: OauthConfig; mechanisms?: readonly string[] };
  /** Logs in as alice with a token, by XOAUTH2 or OAUTHBEARER. */
  login(name: string, token: string): Promise<SaslStep>;
}

/** An issuer whose only good token is `good`, of alice. */
async function bench(): Promise<Bench> {
  const asked: string[] = [];
  const router: Pick<Live["router"], "findAccount"> = {
    findAccount: (address) => address === "alice@example.org" ? { address } : undefined,
  };
  const live = (): Live =>
    ({ config: { data: "/data", auth: self.auth }, router, canScram: false, passwordHashes: [] }) as unknown as Live;
  const logger: Logger = { debug: () => {}, info: () => {}, warning: () => {}, error: () => {} };
  const self: Omit<Bench, "sasl"> = {
    asked,
    auth: {},
    login: async (name, token) => {
      const message = name === "XOAUTH2"
        ? `user=alice@example.org\x01auth=Bearer ${token}\x01\x01`
        : `n,,\x01auth=Bearer ${token}\x01\x01`;
      const step = await sasl.start(name, TLS)?.start(new TextEncoder().encode(message));
      assert(step !== undefined, "not offered");
      return step;
    },
  };
  const { sasl } = await makeLogins({
    live,
    io: { readText: () => Promise.resolve(encodeBase64(new Uint8Array(32))) },
    files: {} as unknown as Files,
    clock: new FakeClock(),
    logger,
    randomOctets: () => {},
    fetch: (url, { body }) => {
      asked.push(url);
      const isGood = new URLSearchParams(String(body)).get("token") === "good";
      return Promise.resolve(Response.json(isGood ? { active: true, email: "alice@example.org" } : { active: false }));
    },
  });
  return Object.assign(self, { sasl });
}

Deno.test("tokens are offered after everything else, under TLS and with an authorization server only", async () => {
  const b = await bench();
  assertEquals(b.sasl.mechanisms(TLS), ["PLAIN", "LOGIN"]);
  b.auth = { oauth: oauth("login") };
  assertEquals(b.sasl.mechanisms(TLS), ["PLAIN", "LOGIN", "OAUTHBEARER", "XOAUTH2"]);
  assertEquals(b.sasl.mechanisms({ ...TLS, isTls: false }), ["PLAIN", "LOGIN"]);
  b.auth = { oauth: oauth("login"), mechanisms: ["XOAUTH2"] };
  assertEquals(b.sasl.mechanisms(TLS), ["XOAUTH2"]);
});

Deno.test("both mechanisms share what is known of a token, until the configuration is read again", async () => {
  const b = await bench();
  b.auth = { oauth: oauth("old") };
  const accepted: SaslStep = { kind: "done", result: { kind: "accepted", address: "alice@example.org" } };
  assertEquals([await b.login("XOAUTH2", "good"), await b.login("OAUTHBEARER", "good")], [accepted, accepted]);
  assertEquals(b.asked, ["https://old.example/introspect"]);
  b.auth = { oauth: oauth("new") };
  assertEquals(await b.login("OAUTHBEARER", "good"), accepted);
  assertEquals(b.asked, ["https://old.example/introspect", "https://new.example/introspect"]);
  const refused = await b.login("OAUTHBEARER", "stale");
  assert(refused.kind === "challenge");
  assertEquals(
    JSON.parse(new TextDecoder().decode(refused.octets))["openid-configuration"],
    "https://new.example/.well-known/openid-configuration",
  );
});
