import { assert, assertEquals, assertMatch } from "@std/assert";
import { TlsMemory } from "../../../../lib/delivery/remote/tls_memory.ts";
import { FakeClock } from "../../../support/fake_clock.ts";
import { LogLines } from "../../../support/log_lines.ts";

const HOUR_MS = 3_600_000;

function setUp(maxHosts?: number): { clock: FakeClock; log: LogLines; memory: TlsMemory } {
  const clock = new FakeClock();
  const log = new LogLines();
  return { clock, log, memory: new TlsMemory({ clock, logger: log, ...(maxHosts === undefined ? {} : { maxHosts }) }) };
}

Deno.test("a handshake that failed is not tried again for four hours, and nobody is warned", async () => {
  const { clock, log, memory } = setUp();
  assertEquals(memory.isHopeless("mx.test"), false);
  memory.failed("mx.test", "no cipher in common");
  assertEquals(memory.isHopeless("mx.test"), true);
  assertEquals(memory.isHopeless("other.test"), false);
  await clock.advance(4 * HOUR_MS - 1);
  assertEquals(memory.isHopeless("mx.test"), true);
  await clock.advance(1);
  assertEquals(memory.isHopeless("mx.test"), false);
  assertEquals(log.lines, []);
});

Deno.test("where TLS worked, one broken handshake does not switch it off, and is a warning once a day", async () => {
  const { clock, log, memory } = setUp();
  memory.worked("mx.test");
  await clock.advance(3 * HOUR_MS);
  memory.failed("mx.test", "connection reset by peer");
  memory.failed("mx.test", "connection reset by peer");
  assertEquals(memory.isHopeless("mx.test"), false);
  assertEquals(log.lines, [
    "warning: mx.test had TLS 3 h ago, but its handshake fails: connection reset by peer; mail goes in the clear. " +
    "Somebody on the way may have removed it",
  ]);
  await clock.advance(24 * HOUR_MS);
  memory.failed("mx.test", "connection reset by peer");
  assertEquals(log.lines.length, 2);
});

Deno.test("STARTTLS that is not offered any more is a warning for a week, and never news where it was not there", async () => {
  const { clock, log, memory } = setUp();
  memory.missed("plain.test");
  assertEquals(log.lines, []);
  memory.worked("mx.test");
  await clock.advance(7 * 24 * HOUR_MS - 1);
  memory.missed("mx.test");
  assertMatch(log.lines[0] ?? "", /^warning: mx\.test had TLS 168 h ago, but it does not offer STARTTLS any more; /);
  await clock.advance(1);
  memory.missed("mx.test");
  assertEquals(log.lines.length, 1);
});

Deno.test("a week after TLS worked last, a host whose handshake fails is left alone like any other", async () => {
  const { clock, memory } = setUp();
  memory.worked("mx.test");
  await clock.advance(7 * 24 * HOUR_MS);
  memory.failed("mx.test", "broken");
  assert(memory.isHopeless("mx.test"));
  memory.worked("mx.test");
  assert(!memory.isHopeless("mx.test"));
});

Deno.test("the host that was seen longest ago is forgotten first", () => {
  const { memory } = setUp(2);
  memory.failed("a.test", "x");
  memory.failed("b.test", "x");
  memory.failed("a.test", "x");
  memory.failed("c.test", "x");
  assertEquals(["a.test", "b.test", "c.test"].map((host) => memory.isHopeless(host)), [true, false, true]);
});
