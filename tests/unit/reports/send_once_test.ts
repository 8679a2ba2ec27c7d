import { assertEquals, assertRejects } from "@std/assert";
import type { ReportKey } from "../../../lib/reports/outcome.ts";
import { hasReport, noteDone, sendOnce, settleDoubts, StateUnusableError } from "../../../lib/reports/send_once.ts";
import { queueSubmit } from "../../../lib/reports/submit.ts";
import { MIGRATIONS } from "../../../lib/state/schema.ts";
import { StateDatabase } from "../../../lib/state/state_database.ts";
import { FakeClock } from "../../support/fake_clock.ts";
import { LogLines } from "../../support/log_lines.ts";
import { MemorySpool } from "../../support/memory_spool.ts";

const KEY: ReportKey = { kind: "dmarc", day: "2026-03-01", domain: "example.com" };
const CONTENT = new TextEncoder().encode("From: postmaster@example.org\r\n\r\nhello\r\n");
const messageTo = (to: string): { from: string; to: string; content: Uint8Array<ArrayBuffer> } => ({
  from: "postmaster@example.org",
  to,
  content: CONTENT,
});

interface Lab extends AsyncDisposable {
  readonly spool: MemorySpool;
  readonly state: StateDatabase;
  readonly queued: readonly string[];
  send(to: string): Promise<void>;
  /** The server dies and starts again: what is in spool and file is there. */
  crash(): Promise<void>;
}

/** @param enqueue Instead of the queue. */
async function lab(enqueue?: () => void): Promise<Lab> {
  const folder = await Deno.makeTempDir();
  const clock = new FakeClock("2026-03-02T01:00:00Z");
  const open = (): Promise<StateDatabase> =>
    StateDatabase.open({ path: `${folder}/state.db`, migrations: MIGRATIONS, clock, logger: new LogLines() });
  const spool = new MemorySpool();
  const queued: string[] = [];
  const submit = queueSubmit({
    spool,
    clock,
    hostname: "mail.example.org",
    enqueue: enqueue ?? (({ queueId }): unknown => queued.push(queueId)),
  });
  let state = await open();
  return {
    spool,
    get state(): StateDatabase {
      return state;
    },
    queued,
    send: (to) => sendOnce({ state, submit }, KEY, messageTo(to)),
    crash: async () => {
      state[Symbol.dispose]();
      state = await open();
      await settleDoubts(state, async (queueId) => await spool.load(queueId) !== undefined);
    },
    [Symbol.asyncDispose]: async (): Promise<void> => {
      state[Symbol.dispose]();
      await Deno.remove(folder, { recursive: true });
    },
  };
}

Deno.test("Where a report gets to one address and not to another, only the other is tried again", async () => {
  await using at = await lab();
  await at.send("a@example.com");
  at.spool.faults.commit = new Error("no room");
  await assertRejects(() => at.send("b@example.com"), Error, "no room");
  delete at.spool.faults.commit;
  await at.crash();
  for (const to of ["a@example.com", "b@example.com"]) await at.send(to);
  const recipients = at.spool.messages.map(({ envelope }) => envelope.recipients[0]?.address);
  assertEquals(recipients, ["a@example.com", "b@example.com"]);
});

Deno.test("A report is sent once where the server dies when it is in the queue, and where it dies before", async () => {
  const dies = (): never => {
    throw new Error("killed");
  };
  await using after = await lab(dies);
  await assertRejects(() => after.send("a@example.com"), Error, "killed");
  // Killed a moment earlier: it is not known yet that the queue has it.
  after.state.transact((sql) =>
    sql.prepare("INSERT OR REPLACE INTO report_sent VALUES ('dmarc', ?, ?, 'a@example.com', ?)").run(
      KEY.day,
      KEY.domain,
      after.spool.messages[0]?.queueId ?? "",
    )
  );
  await after.crash();
  assertEquals(hasReport(after.state, KEY, "a@example.com"), true);

  await using before = await lab();
  before.state.transact((sql) =>
    sql.prepare("INSERT INTO report_sent VALUES ('dmarc', ?, ?, 'a@example.com', 'q77')").run(KEY.day, KEY.domain)
  );
  await before.crash();
  await before.send("a@example.com");
  assertEquals(before.spool.messages.length, 1);
});

Deno.test("A report that is durable is not sent again where the queue did not take it on: it waits for a restart", async () => {
  await using at = await lab(() => {
    throw new Error("the queue is broken");
  });
  await assertRejects(() => at.send("a@example.com"), Error, "the queue is broken");
  await at.send("a@example.com");
  assertEquals(at.spool.messages.length, 1);
});

Deno.test("A spool file that the disk does not give up stops no start, and its report counts as sent", async () => {
  await using at = await lab();
  at.state.transact((sql) =>
    sql.prepare("INSERT INTO report_sent VALUES ('dmarc', ?, ?, 'a@example.com', 'q77')").run(KEY.day, KEY.domain)
  );
  await settleDoubts(at.state, () => Promise.reject(new Error("I/O error")));
  assertEquals(hasReport(at.state, KEY, "a@example.com"), true);
});

Deno.test("While it cannot be written who has a report, none is sent", async () => {
  await using at = await lab();
  at.state[Symbol.dispose]();
  await assertRejects(() => at.send("a@example.com"), StateUnusableError);
  assertEquals([at.spool.messages.length, at.spool.openReceptions, at.queued], [0, 0, []]);
});

Deno.test("Of a report that is done with nothing is kept but that", async () => {
  await using at = await lab();
  await at.send("a@example.com");
  at.state.transact((sql) => noteDone(sql, KEY));
  assertEquals(hasReport(at.state, KEY, "a@example.com"), false);
  assertEquals(at.state.read((sql) => sql.prepare("SELECT kind FROM report_done").all().length), 1);
});
