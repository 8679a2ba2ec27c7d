import { assert, assertEquals, assertRejects } from "@std/assert";
import type { Logger } from "@logtape/logtape";
import type { Account } from "../../../lib/config/config.ts";
import { checkInTurn, type LoginGate, passwordChecker } from "../../../lib/sasl/authenticate.ts";
import type { LoginResult } from "../../../lib/sasl/mechanism.ts";
import { PasswordHasher } from "../../../lib/sasl/password.ts";
import { LoginThrottle } from "../../../lib/sasl/throttle.ts";
import type { Clock } from "../../../lib/system/clock.ts";

const HASH = "$scrypt$ln=4,r=8,p=1$MDEyMzQ1Njc4OWFiY2RlZg$gEeb/KeWbm5g+kBQOFr1yJbkjBxxxDOkhSmrSXFFwOg";

/** A clock that sleeps by jumping ahead. */
function jumpingClock(): Clock & { waits: number[]; skip(ms: number): void } {
  let now = 0;
  const waits: number[] = [];
  return {
    waits,
    skip: (ms) => void (now += ms),
    now: () => now,
    monotonic: () => now,
    sleep: (ms, signal) => {
      if (signal?.aborted) return Promise.reject(signal.reason);
      waits.push(ms);
      now += ms;
      return Promise.resolve();
    },
  };
}

interface Bench {
  readonly clock: ReturnType<typeof jumpingClock>;
  readonly throttle: LoginThrottle;
  readonly lines: string[];
  readonly gate: LoginGate;
  login(identity: string, password: string, host?: string): Promise<LoginResult>;
}

function bench(): Bench {
  const clock = jumpingClock();
  const throttle = new LoginThrottle({ clock, maxEntries: 100 });
  const lines: string[] = [];
  const take = (message: string, fields: Record<string, unknown>): void => {
    lines.push(message.replace(/\{(\w+)\}/g, (_, name) => String(fields[name])));
  };
  const logger = { info: take, warning: take } as unknown as Logger;
  const account: Account = { address: "tim@example.org", passwordHash: HASH };
  const findAccount = (identity: string): Account | undefined => identity === account.address ? account : undefined;
  const gate = { throttle, clock, logger };
  const check = passwordChecker({ ...gate, findAccount, hasher: new PasswordHasher() });
  return {
    clock,
    throttle,
    lines,
    gate,
    login: (identity, password, host = "192.0.2.1") =>
      check(identity, password, { clientAddress: host, localAddress: undefined, isTls: true }),
  };
}

Deno.test("the right password is accepted, a wrong one and an unknown name are refused with a line in the log", async () => {
  const { login, lines } = bench();
  const accepted = await login("tim@example.org", "secret");
  assert(accepted.kind === "accepted" && accepted.address === "tim@example.org");
  assertEquals((await login("tim@example.org", "wrong-pw")).kind, "refused");
  assertEquals((await login("my-passw0rd", "tim@example.org")).kind, "refused");
  assertEquals(lines, [
    "Login as tim@example.org from 192.0.2.1 refused: wrong password",
    "Login from 192.0.2.1 refused: no such account",
  ]);
});

Deno.test("failures wait 1 s, then twice as long up to 30 s, and a success ends that", async () => {
  const { login, clock, throttle } = bench();
  for (let i = 0; i < 8; i++) await login("tim@example.org", "wrong");
  assertEquals(clock.waits, [1000, 2000, 4000, 8000, 16_000, 30_000, 30_000]);
  assertEquals((await login("tim@example.org", "secret")).kind, "accepted");
  assertEquals(clock.waits.length, 8);
  await login("tim@example.org", "secret");
  assertEquals(clock.waits.length, 8);
  assertEquals(throttle.size, { accounts: 0, addresses: 0, waiting: 0 });
});

Deno.test("failures count by account from any address, and by address for any account", async () => {
  const { login, clock } = bench();
  await login("tim@example.org", "wrong", "192.0.2.1");
  await login("TIM@example.org", "wrong", "192.0.2.2");
  assertEquals(clock.waits, [1000]);
  await login("other@example.org", "wrong", "192.0.2.2");
  assertEquals(clock.waits, [1000, 1000]);
  await login("third@example.org", "wrong", "2001:db8:1:2::5");
  await login("fourth@example.org", "wrong", "2001:0db8:1:2:ffff::1");
  assertEquals(clock.waits, [1000, 1000, 1000]);
  await login("fifth@example.org", "wrong", "2001:db8:1:3::5");
  await login("sixth@example.org", "wrong", "::ffff:192.0.2.77");
  assertEquals(clock.waits.length, 3);
});

Deno.test("failures are forgotten after an hour", async () => {
  const { login, clock } = bench();
  for (let i = 0; i < 5; i++) await login("tim@example.org", "wrong");
  clock.skip(60 * 60 * 1000 + 1);
  clock.waits.length = 0;
  await login("tim@example.org", "wrong");
  await login("tim@example.org", "wrong");
  assertEquals(clock.waits, [1000]);
});

Deno.test("a wait that is aborted counts as no attempt and frees its place", async () => {
  const { login, throttle, gate } = bench();
  await login("tim@example.org", "wrong");
  const refuse = (): LoginResult => ({ kind: "refused" });
  const signal = AbortSignal.abort(new Error("session ended"));
  for (let i = 0; i < 6; i++) {
    await assertRejects(() => checkInTurn("tim@example.org", "192.0.2.1", gate, refuse, signal), Error, "ended");
  }
  assertEquals(throttle.size, { accounts: 1, addresses: 1, waiting: 0 });
});

Deno.test("only four attempts of an account or address wait at once, however many connections guess", () => {
  const throttle = new LoginThrottle({ clock: { monotonic: () => 0 } });
  throttle.enter("tim", "192.0.2.1")?.end("failed");
  const waiting = Array.from({ length: 4 }, () => throttle.enter("tim", "192.0.2.2"));
  assert(waiting.every((turn) => turn?.waitMs === 1000));
  assertEquals(throttle.enter("tim", "192.0.2.9"), undefined);
  assert(throttle.enter("eve", "192.0.2.9")?.waitMs === 0);
  waiting[0]?.end("abandoned");
  waiting[0]?.end("abandoned");
  assert(throttle.enter("tim", "192.0.2.9") !== undefined);
  assertEquals(throttle.enter("tim", "192.0.2.9"), undefined);
});

Deno.test("a flood of names and addresses does not grow the memory, and the newest failures stay", () => {
  const throttle = new LoginThrottle({ clock: { monotonic: () => 0 }, maxEntries: 100 });
  for (let i = 0; i < 5000; i++) throttle.enter(`user${i}`, `2001:db8:${i.toString(16)}::1`)?.end("failed");
  assertEquals(throttle.size, { accounts: 100, addresses: 100, waiting: 0 });
  assertEquals(throttle.enter("user4999", "192.0.2.1")?.waitMs, 1000);
  assertEquals(throttle.enter("user0", "192.0.2.1")?.waitMs, 0);
});
