import { assertEquals } from "@std/assert";
import { ClientError } from "../../../../lib/smtp/client/client_error.ts";
import { race, type Racer, type RaceResult } from "../../../../lib/smtp/client/race.ts";
import { FakeClock } from "../../../support/fake_clock.ts";

/** An address of which a test says when it connects or fails. */
class FakeRacer implements Racer {
  readonly #opening = Promise.withResolvers<void>();
  end = "";

  opened(): Promise<void> {
    return this.#opening.promise;
  }
  connect(): void {
    this.#opening.resolve();
  }
  refuse(): void {
    this.#opening.reject(new ClientError("connect", "connection refused"));
  }
  fail(error: ClientError): void {
    this.end = error.fault;
    this.#opening.reject(error);
  }
}

/** A race that is under way; `started` are the addresses that were tried so far. */
function begin(addresses: readonly string[]): {
  readonly started: string[];
  readonly racers: Map<string, FakeRacer>;
  readonly clock: FakeClock;
  readonly stop: AbortController;
  readonly over: Promise<RaceResult<FakeRacer>>;
} {
  const [racers, clock, stop] = [new Map<string, FakeRacer>(), new FakeClock(), new AbortController()];
  const started: string[] = [];
  const start = (address: string): FakeRacer => {
    const racer = new FakeRacer();
    racers.set(address, racer);
    started.push(address);
    return racer;
  };
  const over = race(addresses, start, { connectMs: 30_000, nextAddressMs: 250, clock, signal: stop.signal });
  return { started, racers, clock, stop, over };
}

function summary({ winner, failures }: RaceResult<FakeRacer>): unknown[] {
  return [winner?.at, ...failures.map(({ at, error }) => `${at} ${error.fault}`)];
}

Deno.test("an address that answers at once is the only one that is tried", async () => {
  const { started, racers, clock, over } = begin(["v6", "v4"]);
  racers.get("v6")?.connect();
  assertEquals(summary(await over), [0]);
  await clock.advance(60_000);
  assertEquals([started, clock.sleeping], [["v6"], 0]);
});

Deno.test("after a quarter of a second the next address is tried; the first connection counts, the other is closed", async () => {
  const { started, racers, clock, over } = begin(["v6", "v4", "v6b"]);
  await clock.advance(249);
  assertEquals(started, ["v6"]);
  await clock.advance(1);
  assertEquals(started, ["v6", "v4"]);
  racers.get("v4")?.connect();
  assertEquals(summary(await over), [1]);
  assertEquals([racers.get("v6")?.end, racers.get("v4")?.end], ["aborted", ""]);
  await clock.advance(1_000);
  assertEquals(started, ["v6", "v4"]);
});

Deno.test("the first address may still win after others were started", async () => {
  const { racers, clock, over } = begin(["v6", "v4"]);
  await clock.advance(300);
  racers.get("v6")?.connect();
  assertEquals(summary(await over), [0]);
  assertEquals(racers.get("v4")?.end, "aborted");
});

Deno.test("an address that fails makes room for the next at once", async () => {
  const { started, racers, clock, over } = begin(["v6", "v4"]);
  racers.get("v6")?.refuse();
  await clock.advance(0);
  assertEquals(started, ["v6", "v4"]);
  racers.get("v4")?.connect();
  assertEquals(summary(await over), [1, "0 connect"]);
});

Deno.test("where every address fails there is no winner, and all reasons are known", async () => {
  const { racers, clock, over } = begin(["a", "b"]);
  await clock.advance(250);
  racers.get("b")?.refuse();
  await clock.advance(0);
  racers.get("a")?.refuse();
  assertEquals(summary(await over), [undefined, "1 connect", "0 connect"]);
  assertEquals(clock.sleeping, 0);
});

Deno.test("of two that connect in the same moment one is closed", async () => {
  const { racers, clock, over } = begin(["a", "b"]);
  await clock.advance(250);
  racers.get("a")?.connect();
  racers.get("b")?.connect();
  assertEquals(summary(await over), [0]);
  assertEquals(racers.get("b")?.end, "aborted");
});

Deno.test("an abort gives up all addresses and starts none", async () => {
  const { started, racers, clock, stop, over } = begin(["a", "b", "c"]);
  await clock.advance(250);
  stop.abort();
  assertEquals(summary(await over), [undefined, "0 aborted", "1 aborted"]);
  assertEquals([started, racers.get("b")?.end], [["a", "b"], "aborted"]);
});
