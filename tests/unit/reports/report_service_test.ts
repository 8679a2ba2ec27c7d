import { assertEquals, assertRejects } from "@std/assert";
import { TlsTally } from "../../../lib/delivery/remote/tls_tally.ts";
import { dueDmarcReports } from "../../../lib/reports/dmarc/store.ts";
import type { ReportOutcome } from "../../../lib/reports/outcome.ts";
import { ReportService } from "../../../lib/reports/report_service.ts";
import { StateUnusableError } from "../../../lib/reports/send_once.ts";
import { dueTlsReports } from "../../../lib/reports/tls/store.ts";
import { FakeClock } from "../../support/fake_clock.ts";
import { breathe, OBSERVATION, rowsOf, stateLab } from "./samples.ts";

const HOUR = 3_600_000;
const SESSION = {
  recipientDomain: "example.net",
  policy: { type: "no-policy-found", domain: "example.net", strings: [] },
} as const;

Deno.test("Counts are written every five seconds, and at the end; reports go out in the first hours of the next day", async () => {
  const clock = new FakeClock("2026-03-01T23:40:00Z", true);
  await using at = await stateLab(clock);
  const tally = new TlsTally({ clock });
  const calls: string[] = [];
  const noteCall = (kind: string) => (today: string): Promise<readonly ReportOutcome[]> => {
    calls.push(`${kind} ${today} at ${new Date(clock.now()).toISOString().slice(11, 16)}`);
    return Promise.resolve([]);
  };
  const service = new ReportService({
    state: at.state,
    clock,
    logger: at.log,
    random: () => 0.05,
    sendDmarc: noteCall("dmarc"),
    tls: { tally, send: noteCall("tls") },
    keepMs: () => HOUR,
    breathe,
  });
  service.start();
  const written = (): number => rowsOf(at.state, { day: "2026-03-01", domain: "example.com" })[0]?.count ?? 0;
  service.dmarc?.note(OBSERVATION);
  tally.record(SESSION);
  assertEquals(written(), 0);
  await clock.advance(5_000);
  assertEquals(written(), 1);
  assertEquals(tally.days(), []);
  assertEquals(at.state.transact((sql) => dueTlsReports(sql, "2026-03-02")), [{
    day: "2026-03-01",
    domain: "example.net",
  }]);
  // After the start, what earlier days left.
  await clock.advance(10 * 60_000);
  assertEquals(calls, ["dmarc 2026-03-01 at 23:41", "tls 2026-03-01 at 23:41"]);
  calls.length = 0;
  await clock.advance(HOUR / 2);
  // Left is what could not be sent: it is looked for each quarter of an hour.
  assertEquals(calls, [
    "dmarc 2026-03-01 at 23:56",
    "tls 2026-03-01 at 23:56",
    "dmarc 2026-03-02 at 00:16",
    "tls 2026-03-02 at 00:16",
  ]);
  service.dmarc?.note(OBSERVATION);
  await service[Symbol.asyncDispose]();
  assertEquals(at.state.transact((sql) => dueDmarcReports(sql, "2026-03-03"))?.map(({ day }) => day), [
    "2026-03-01",
    "2026-03-02",
  ]);
});

Deno.test("A thousand different results are written at once", async () => {
  const clock = new FakeClock("2026-03-01T12:00:00Z", true);
  await using at = await stateLab(clock);
  const send = (): Promise<readonly ReportOutcome[]> => Promise.resolve([]);
  const service = new ReportService({
    state: at.state,
    clock,
    logger: at.log,
    random: () => 0,
    sendDmarc: send,
    keepMs: () => HOUR,
    breathe,
  });
  service.start();
  for (let i = 0; i < 1_000; i++) service.dmarc?.note({ ...OBSERVATION, clientAddress: `2001:db8::${i}` });
  await clock.advance(1);
  assertEquals(service.dmarc?.counts().length, 0);
  await service[Symbol.asyncDispose]();
});

Deno.test("While the database cannot be used, counts stay in memory", async () => {
  const clock = new FakeClock("2026-03-01T12:00:00Z", true);
  await using at = await stateLab(clock);
  const send = (): Promise<readonly ReportOutcome[]> => Promise.resolve([]);
  const service = new ReportService({
    state: at.state,
    clock,
    logger: at.log,
    random: () => 0,
    sendDmarc: send,
    keepMs: () => HOUR,
    breathe,
  });
  service.start();
  at.state[Symbol.dispose]();
  service.dmarc?.note(OBSERVATION);
  await clock.advance(10_000);
  assertEquals(service.dmarc?.counts().length, 1);
  await service[Symbol.asyncDispose]();
});

Deno.test("Who asks for reports while the database cannot be used is told so, and not that none are due", async () => {
  const clock = new FakeClock("2026-03-01T12:00:00Z", true);
  await using at = await stateLab(clock);
  const service = new ReportService({
    state: at.state,
    clock,
    logger: at.log,
    random: () => 0,
    sendDmarc: () => Promise.resolve([]),
    keepMs: () => HOUR,
    breathe,
  });
  at.state[Symbol.dispose]();
  await assertRejects(() => service.sendNow(), StateUnusableError);
  service.dmarc?.note(OBSERVATION);
  await assertRejects(() => service.sendNow(), StateUnusableError);
});

Deno.test("A run that an operator asked for is over before the database and the spool are closed", async () => {
  const clock = new FakeClock("2026-03-01T12:00:00Z", true);
  await using at = await stateLab(clock);
  const submitting = Promise.withResolvers<readonly ReportOutcome[]>();
  const service = new ReportService({
    state: at.state,
    clock,
    logger: at.log,
    random: () => 0,
    sendDmarc: () => submitting.promise,
    keepMs: () => HOUR,
    breathe,
  });
  service.start();
  const ends: string[] = [];
  const run = service.sendNow().then(() => ends.push("run"));
  await clock.advance(1);
  const end = service[Symbol.asyncDispose]().then(() => ends.push("service"));
  await clock.advance(1_000);
  submitting.resolve([]);
  await Promise.all([run, end]);
  assertEquals(ends, ["run", "service"]);
});
