import { assert, assertEquals, assertFalse, assertMatch, assertStringIncludes, assertThrows } from "@std/assert";
import { DatabaseSync } from "node:sqlite";
import { MIGRATIONS } from "../../../lib/state/schema.ts";
import { StateDatabase } from "../../../lib/state/state_database.ts";
import { FakeClock } from "../../support/fake_clock.ts";
import { LogLines } from "../../support/log_lines.ts";

interface Lab extends AsyncDisposable {
  readonly path: string;
  readonly clock: FakeClock;
  readonly log: LogLines;
  open(maxOctets?: number): Promise<StateDatabase>;
}

async function lab(): Promise<Lab> {
  const folder = await Deno.makeTempDir();
  const [clock, log, path] = [new FakeClock(), new LogLines(), `${folder}/state.db`];
  return {
    path,
    clock,
    log,
    open: (maxOctets) =>
      StateDatabase.open({ path, migrations: MIGRATIONS, clock, logger: log, ...(maxOctets && { maxOctets }) }),
    [Symbol.asyncDispose]: () => Deno.remove(folder, { recursive: true }),
  };
}

const insert = (state: StateDatabase, domain: string): true | undefined =>
  state.transact((sql) => {
    sql.prepare("INSERT INTO report_done VALUES ('tls', '2026-01-01', ?)").run(domain);
    return true;
  });
const domains = (state: StateDatabase): unknown[] | undefined =>
  state.transact((sql) =>
    sql.prepare("SELECT domain FROM report_done ORDER BY domain").all().map(({ domain }) => domain)
  );

Deno.test("What was written is there after the database is opened again, and nobody else may read it", async () => {
  await using at = await lab();
  {
    using state = await at.open();
    assert(insert(state, "a.example"));
  }
  using state = await at.open();
  assertEquals(domains(state), ["a.example"]);
  assertEquals(((await Deno.stat(at.path)).mode ?? 0) & 0o777, 0o600);
  assertEquals(((await Deno.stat(`${at.path}-wal`)).mode ?? 0) & 0o777, 0o600);
  assertEquals(at.log.lines, []);
});

Deno.test("Work that throws leaves nothing behind", async () => {
  await using at = await lab();
  using state = await at.open();
  assertThrows(() =>
    state.transact((sql) => {
      sql.exec("INSERT INTO report_done VALUES ('tls', '2026-01-01', 'a.example')");
      throw new RangeError("oops");
    }), RangeError);
  assertEquals(domains(state), []);
});

Deno.test("A damaged database is kept aside, and a new one begins", async () => {
  await using at = await lab();
  await Deno.writeTextFile(at.path, "this is no database ".repeat(500));
  using state = await at.open();
  assertEquals(at.log.lines.length, 1);
  assertMatch(
    at.log.lines[0] ?? "",
    /^error: .*state\.db is damaged .*is kept as .*\.broken-20260101T000000Z; a new one begins/,
  );
  assertStringIncludes(await Deno.readTextFile(`${at.path}.broken-20260101T000000Z`), "this is no database");
  assert(insert(state, "a.example"));
});

Deno.test("A database that is damaged while the server runs is kept aside, too", async () => {
  await using at = await lab();
  {
    using state = await at.open();
    assert(insert(state, "a.example"));
  }
  const octets = await Deno.readFile(at.path);
  octets.fill(0x5a, 4096);
  await Deno.writeFile(at.path, octets);
  using state = await at.open();
  assertEquals(domains(state), undefined);
  assertEquals(domains(state), []);
  assertStringIncludes(at.log.lines.join(), "is damaged");
});

Deno.test("A database that cannot be opened is a log line, once, and is tried again after a minute", async () => {
  await using at = await lab();
  await Deno.mkdir(at.path);
  using state = await at.open();
  assertEquals(insert(state, "a.example"), undefined);
  await at.clock.advance(60_000);
  assertEquals(insert(state, "a.example"), undefined);
  assertEquals(at.log.lines.length, 1);
  assertMatch(at.log.lines[0] ?? "", /^error: Cannot use .*state\.db, going on without counters and reports/);
  await Deno.remove(at.path);
  await at.clock.advance(60_000);
  assert(insert(state, "a.example"));
});

Deno.test("A database that another process is writing to is tried again later", async () => {
  await using at = await lab();
  using state = await at.open();
  const other = new DatabaseSync(at.path);
  other.exec("BEGIN IMMEDIATE");
  assertEquals(insert(state, "a.example"), undefined);
  assertMatch(at.log.lines[0] ?? "", /locked/);
  other.exec("COMMIT");
  other.close();
  await at.clock.advance(60_000);
  assert(insert(state, "a.example"));
  assertEquals(domains(state), ["a.example"]);
});

Deno.test("Who only reads neither waits for another process nor keeps it from writing, and sees one state", async () => {
  await using at = await lab();
  using state = await at.open();
  assert(insert(state, "a.example"));
  using other = new DatabaseSync(at.path);
  other.exec("BEGIN IMMEDIATE");
  const read = state.read((sql) => {
    const count = (): unknown => sql.prepare("SELECT count(*) AS n FROM report_done").get()?.["n"];
    const before = count();
    other.exec("INSERT INTO report_done VALUES ('tls', '2026-01-01', 'b.example'); COMMIT");
    return [before, count()];
  });
  assertEquals([read, domains(state), at.log.lines], [[1, 1], ["a.example", "b.example"], []]);
});

Deno.test("A full database takes nothing more, and keeps what it has", async () => {
  await using at = await lab();
  using state = await at.open(200_000);
  assert(insert(state, "a.example"));
  const result = state.transact((sql) => {
    for (let i = 0; i < 10_000; i++) sql.prepare("INSERT INTO report_done VALUES ('tls', 'x', ?)").run(`${i}.example`);
  });
  assertEquals(result, undefined);
  assertMatch(at.log.lines[0] ?? "", /full/);
  await at.clock.advance(60_000);
  assertEquals(domains(state), ["a.example"]);
});

Deno.test("A database of a later version of posthorn is left as it is", async () => {
  await using at = await lab();
  const later = new DatabaseSync(at.path);
  later.exec("CREATE TABLE future (x); PRAGMA user_version = 99");
  later.close();
  using state = await at.open();
  assertEquals(insert(state, "a.example"), undefined);
  assertStringIncludes(at.log.lines[0] ?? "", "it was written by a later version of posthorn (schema 99)");
  const again = new DatabaseSync(at.path);
  assertEquals(again.prepare("PRAGMA user_version").get()?.["user_version"], 99);
  again.close();
  assertFalse(await Deno.stat(`${at.path}.broken-20260101T000000Z`).then(() => true, () => false));
});
