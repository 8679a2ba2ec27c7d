import { assert, assertEquals } from "@std/assert";
import type { Account } from "../../../../lib/config/config.ts";
import type { Logger } from "../../../../lib/log/logger.ts";
import type { SaslChannel } from "../../../../lib/sasl/mechanism.ts";
import { bearerChecker, type BearerResult } from "../../../../lib/sasl/oauth/bearer_login.ts";
import type { TokenVerdict } from "../../../../lib/sasl/oauth/validator.ts";
import { LoginThrottle } from "../../../../lib/sasl/throttle.ts";
import { FakeClock } from "../../../support/fake_clock.ts";

const CHANNEL: SaslChannel = { clientAddress: "192.0.2.1", localAddress: "192.0.2.2", isTls: true };

interface Bench {
  readonly clock: FakeClock;
  readonly lines: string[];
  readonly asked: string[];
  readonly throttle: LoginThrottle;
  login(identity: string | undefined, token: string | undefined, channel?: SaslChannel): Promise<BearerResult>;
}

/** A token is the identity that it names; `bad`, `scopeless` and `down` are what they say, and `slow` never ends. */
function judge(token: string): Promise<TokenVerdict> {
  if (token === "slow") return new Promise(() => {});
  const verdicts: Readonly<Record<string, TokenVerdict>> = {
    bad: { kind: "invalid", error: "invalid_token", reason: "it has expired" },
    scopeless: { kind: "invalid", error: "insufficient_scope", reason: "it lacks a scope" },
    down: { kind: "unavailable", reason: "https://login.example/: answered with status 503" },
  };
  return Promise.resolve(verdicts[token] ?? { kind: "valid", identity: token, expiresAtMs: undefined });
}

function bench(): Bench {
  const clock = new FakeClock();
  const lines: string[] = [];
  const asked: string[] = [];
  const take = (message: string, fields: Record<string, unknown> = {}): void => {
    lines.push(message.replace(/\{(\w+)\}/g, (_, name) => String(fields[name])));
  };
  const logger: Logger = { debug: take, info: take, warning: take, error: take };
  const throttle = new LoginThrottle({ clock });
  const findAccount = (address: string): Account | undefined => {
    const folded = address.toLowerCase();
    return ["alice@example.org", "bob@example.org"].includes(folded) ? { address: folded } : undefined;
  };
  const check = bearerChecker({
    clock,
    logger,
    throttle,
    findAccount,
    validator: {
      validate: (token) => {
        asked.push(token);
        return judge(token);
      },
    },
  });
  return {
    clock,
    lines,
    asked,
    throttle,
    login: (identity, token, channel = CHANNEL) => check({ identity, token }, channel),
  };
}

const ALICE: BearerResult = { kind: "accepted", address: "alice@example.org" };
const REFUSED: BearerResult = { kind: "refused", error: "invalid_token" };

Deno.test("the account is the one that the token names, however it is spelt", async () => {
  const { login, lines } = bench();
  assertEquals(await login(undefined, "alice@example.org"), ALICE);
  assertEquals(await login("alice@example.org", "Alice@Example.org"), ALICE);
  assertEquals(await login("ALICE@example.org", "alice@example.org"), ALICE);
  assertEquals(lines, []);
});

Deno.test("a token of another account, of none or not good is refused, with one line each", async () => {
  const { login, lines, clock } = bench();
  const logins: readonly (readonly [string | undefined, string])[] = [
    ["bob@example.org", "alice@example.org"],
    ["nobody@example.org", "alice@example.org"],
    [undefined, "eve@example.net"],
    ["alice@example.org", "eve@example.net"],
    ["alice@example.org", "bad"],
    ["hunter2", "bad"],
    [undefined, "bad"],
  ];
  for (const [identity, token] of logins) {
    const result = login(identity, token);
    await clock.advance(30_000);
    assertEquals(await result, REFUSED);
  }
  assertEquals(lines, [
    "Login as bob@example.org from 192.0.2.1 refused: the token is for alice@example.org",
    "Login from 192.0.2.1 refused: the token is for alice@example.org",
    'Login from 192.0.2.1 refused: the token is for "eve@example.net", which is no account',
    'Login as alice@example.org from 192.0.2.1 refused: the token is for "eve@example.net", which is no account',
    "Login as alice@example.org from 192.0.2.1 refused: the token is not accepted: it has expired",
    "Login from 192.0.2.1 refused: the token is not accepted: it has expired",
    "Login from 192.0.2.1 refused: the token is not accepted: it has expired",
  ]);
});

Deno.test("a client learns that a scope is missing", async () => {
  assertEquals(await bench().login("alice@example.org", "scopeless"), { kind: "refused", error: "insufficient_scope" });
});

Deno.test("failures slow the account and the address down, as with passwords", async () => {
  const { login, clock, asked } = bench();
  await login("alice@example.org", "bad");
  const second = login("alice@example.org", "alice@example.org", { ...CHANNEL, clientAddress: "198.51.100.9" });
  await clock.advance(999);
  assertEquals(asked, ["bad"]);
  await clock.advance(1);
  assertEquals(await second, ALICE);
  // Who names no account is known by address.
  await login(undefined, "bad");
  const third = login(undefined, "alice@example.org");
  await clock.advance(1999);
  assertEquals(asked.length, 3);
  await clock.advance(1);
  assertEquals(await third, ALICE);
});

Deno.test("a service that is down is no failure of the user, and has one line for each login", async () => {
  const { login, lines, throttle } = bench();
  for (let i = 0; i < 3; i++) assertEquals(await login("alice@example.org", "down"), { kind: "unavailable" });
  assertEquals(
    lines,
    Array(3).fill("Login from 192.0.2.1 not checked: https://login.example/: answered with status 503"),
  );
  assertEquals(throttle.size, { accounts: 0, addresses: 0, waiting: 0 });
});

Deno.test("a client that only asks where to get a token is no failure", async () => {
  const { login, asked, lines, throttle } = bench();
  assertEquals(await login(undefined, undefined), REFUSED);
  assertEquals([asked, lines, throttle.size.addresses], [[], [], 0]);
});

Deno.test("at most a hundred tokens are checked at a time", async () => {
  const { login, asked, lines } = bench();
  for (let i = 0; i < 100; i++) void login("alice@example.org", "slow");
  assertEquals(await login("alice@example.org", "alice@example.org"), { kind: "busy" });
  assertEquals(asked.length, 100);
  assert(lines.at(-1)?.endsWith("not checked: too many tokens are being checked"));
});
