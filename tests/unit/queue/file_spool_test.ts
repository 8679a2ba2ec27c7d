import type { BulkReader } from "../../../lib/system/bulk_reader.ts";
import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import type { Spool } from "../../../lib/queue/spool.ts";
import { encodeHead } from "../../../lib/queue/spool_file.ts";
import { type OpenFile, systemFiles } from "../../../lib/system/files.ts";
import { FakeClock } from "../../support/fake_clock.ts";
import { diskFull, MemoryFiles } from "../../support/memory_files.ts";
import {
  catchLog,
  delayedEvent,
  openSpool,
  put,
  readContent,
  recoverAll,
  sampleContent,
  sampleEnvelope,
} from "../../support/queue_samples.ts";
import { testSpool } from "./spool_conformance.ts";

testSpool("spool on disk", async () => {
  const data = await Deno.makeTempDir();
  return {
    open: () => openSpool(systemFiles, { folder: `${data}/spool` }),
    [Symbol.asyncDispose]: () => Deno.remove(data, { recursive: true }),
  };
});

testSpool("spool in memory", () => {
  const files = new MemoryFiles();
  return Promise.resolve({
    open: () => openSpool(files),
    [Symbol.asyncDispose]: () => {
      assertEquals(files.openHandles, 0, "handles left open");
      return Promise.resolve();
    },
  });
});

/** The path of the only message. */
function pathOf(files: MemoryFiles): string {
  const [path] = files.tree("/data/spool/queue").keys();
  assert(path !== undefined);
  return path;
}

Deno.test("a spool file can be read by a person: head line, content, envelope, events", async () => {
  const files = new MemoryFiles();
  await using spool = await openSpool(files);
  const { queueId } = await put(spool, sampleEnvelope(), new TextEncoder().encode("Subject: hello\r\n\r\nworld\r\n"));
  await spool.append(queueId, [delayedEvent()]);
  const path = pathOf(files);
  assertEquals(path, `/data/spool/queue/${queueId.slice(-2)}/${queueId}`);
  const lines = new TextDecoder().decode(files.tree("/data/spool").get(path)).split("\n");
  assertEquals(lines[0], "posthorn-spool 1 000000000025");
  assertEquals(lines.slice(1, 4), ["Subject: hello\r", "\r", "world\r"]);
  assertMatch(lines[4] ?? "", /^\{"id":"[0-9a-z]{16}","envelope":\{"reversePath":"alice@example.net",/);
  assertMatch(lines[5] ?? "", /^\{"event":"attempt",/);
  assertEquals(lines[6], "");
});

Deno.test("spool files and folders are closed to other users", async () => {
  const data = await Deno.makeTempDir();
  try {
    await using spool = await openSpool(systemFiles, { folder: `${data}/spool`, memoryOctets: 100 });
    for (const octets of [10, 1_000]) {
      const { queueId } = await put(spool, sampleEnvelope(), sampleContent(octets));
      const { mode } = await Deno.stat(`${data}/spool/queue/${queueId.slice(-2)}/${queueId}`);
      assertEquals((mode ?? 0) & 0o777, 0o600);
    }
    assertEquals(((await Deno.stat(`${data}/spool`)).mode ?? 0) & 0o777, 0o700);
  } finally {
    await Deno.remove(data, { recursive: true });
  }
});

Deno.test("a second server on the same spool is refused with the process that holds it", async () => {
  const data = await Deno.makeTempDir();
  try {
    {
      await using _spool = await openSpool(systemFiles, { folder: `${data}/spool` });
      const error = await assertRejects(() => openSpool(systemFiles, { folder: `${data}/spool` }), Error);
      assertEquals(error.message, `Cannot lock spool folder "${data}/spool": in use by process 4711`);
    }
    await using _again = await openSpool(systemFiles, { folder: `${data}/spool` });
  } finally {
    await Deno.remove(data, { recursive: true });
  }
});

Deno.test("messages that arrive together cost one file sync each and share their folder syncs", async () => {
  const files = new MemoryFiles();
  await using spool = await openSpool(files);
  await put(spool);
  const counts: Record<string, number> = {};
  files.fault = ({ name }) => void (counts[name] = (counts[name] ?? 0) + 1);
  await Promise.all(Array.from({ length: 50 }, () => put(spool)));
  assertEquals(counts.syncData, 50);
  assertEquals(counts.write, 50);
  assertEquals(counts.rename, 50);
  assert((counts.sync ?? 0) <= 3, `${counts.sync} folder syncs for 50 messages`);
});

Deno.test("messages in reception share a bound of memory, and go to disk beyond it", async () => {
  const files = new MemoryFiles();
  await using spool = await openSpool(files);
  const receptions = Array.from({ length: 400 }, () => spool.receive());
  const content = sampleContent(100_000);
  for (const reception of receptions) await reception.write(content);
  const onDisk = files.tree("/data/spool/incoming").size;
  assert(onDisk >= 50 && onDisk < 400, `${onDisk} of 400 on disk`);
  await Promise.all(receptions.map((reception) => reception.abort()));
  assertEquals(files.tree("/data/spool/incoming").size, 0);
  await put(spool, sampleEnvelope(), sampleContent(100_000));
});

const BROKEN: readonly [string, (file: Uint8Array) => Uint8Array, RegExp][] = [
  ["an empty file", () => new Uint8Array(0), /first line is not/],
  ["a file of another kind", () => new TextEncoder().encode("From: me\n".repeat(10)), /first line is not/],
  ["a newer format", (file) => replaced(file, "posthorn-spool 1", "posthorn-spool 2"), /format 2 is not known/],
  ["a file that is cut off in the content", (file) => file.slice(0, 100), /envelope is missing/],
  ["a file that is cut off in the envelope", (file) => file.slice(0, 2_100), /envelope is missing/],
  [
    "a wrong length of content",
    (file) => concat(encodeHead(1_999), file.slice(30)),
    /no envelope where the content ends/,
  ],
  [
    "an envelope without recipients",
    (file) => replaced(file, '"recipients":[{', '"receivers":[{'),
    /"recipients" is missing/,
  ],
  [
    "an event of a newer version",
    (file) => concat(file, line({ event: "frozen", at: "2026-01-01T00:00:00Z" })),
    /"frozen"/,
  ],
  ["an event of a recipient that is not there", (file) => concat(file, line(delayedEvent("x", [7]))), /recipient that/],
];

for (const [what, damage, reason] of BROKEN) {
  Deno.test(`${what} is set aside with one log line, and the rest is found`, async () => {
    await using log = await catchLog();
    const files = new MemoryFiles();
    await using spool = await openSpool(files);
    const { queueId } = await put(spool);
    const path = pathOf(files);
    const damaged = damage(files.tree("/data/spool").get(path) ?? new Uint8Array(0));
    files.overwrite(path, damaged);
    const other = await put(spool);
    assertEquals([...(await recoverAll(spool)).keys()], [other.queueId]);
    assertEquals(files.tree("/data/spool/broken"), new Map([[`/data/spool/broken/${queueId}`, damaged]]));
    assertEquals(log.lines.length, 1);
    assertMatch(log.lines[0] ?? "", reason);
    assert(log.lines[0]?.includes(path) && log.lines[0].includes(`/data/spool/broken/${queueId}`));
  });
}

Deno.test("a file that is no message, in the queue by mistake, is set aside and replaces nothing there", async () => {
  await using log = await catchLog();
  const files = new MemoryFiles();
  await using spool = await openSpool(files);
  const { queueId } = await put(spool);
  const folder = `/data/spool/queue/${queueId.slice(-2)}`;
  files.overwrite(`${folder}/core`, new Uint8Array(1));
  files.overwrite("/data/spool/broken/core", new Uint8Array(2));
  assertEquals([...(await recoverAll(spool)).keys()], [queueId]);
  assertEquals([...files.tree("/data/spool/broken").values()].map((data) => data.length).sort(), [1, 2]);
  assertEquals(log.lines.length, 1);
});

Deno.test("a line that a crash tore is passed over, and the next append does not merge with it", async () => {
  const files = new MemoryFiles();
  await using spool = await openSpool(files);
  const { queueId } = await put(spool);
  await spool.append(queueId, [delayedEvent("first")]);
  const path = pathOf(files);
  const whole = files.tree("/data/spool").get(path) ?? new Uint8Array(0);
  for (const torn of ["{", '{"event":"atte', JSON.stringify(delayedEvent("torn")), "\0\0\0\0", "x".repeat(10_000)]) {
    files.overwrite(path, concat(whole, new TextEncoder().encode(torn)));
    assertEquals((await spool.load(queueId))?.recipients[0]?.lastOutcome?.text, "first");
    await spool.append(queueId, [delayedEvent("second")]);
    const state = (await spool.load(queueId))?.recipients[0];
    assertEquals([state?.attempts, state?.lastOutcome?.text], [2, "second"]);
  }
});

Deno.test("an unreadable line inside the journal does not lose the message", async () => {
  await using log = await catchLog();
  const files = new MemoryFiles();
  await using spool = await openSpool(files);
  const { queueId } = await put(spool);
  const path = pathOf(files);
  const whole = files.tree("/data/spool").get(path) ?? new Uint8Array(0);
  files.overwrite(path, concat(whole, new TextEncoder().encode('{"event":"att\n'), line(delayedEvent("after"))));
  assertEquals((await spool.load(queueId))?.recipients[0]?.lastOutcome?.text, "after");
  assertMatch(log.lines.join("\n"), /1 unreadable lines/);
});

Deno.test("an append on a full disk is taken back, and succeeds later", async () => {
  const files = new MemoryFiles();
  await using spool = await openSpool(files);
  const { queueId } = await put(spool);
  const before = files.tree("/data/spool").get(pathOf(files));
  for (const failing of ["write", "syncData"]) {
    files.fault = ({ name }) => {
      if (name === failing) throw diskFull();
    };
    const error = await assertRejects(() => spool.append(queueId, [delayedEvent()]), Error);
    assert("code" in error && error.code === "ENOSPC");
    assertEquals(files.tree("/data/spool").get(pathOf(files)), before);
  }
  files.fault = undefined;
  await spool.append(queueId, [delayedEvent()]);
  assertEquals((await spool.load(queueId))?.recipients[0]?.attempts, 1);
});

Deno.test("a folder of the queue that somebody removed is made again", async () => {
  const files = new MemoryFiles();
  await using spool = await openSpool(files);
  const { queueId } = await put(spool);
  await spool.remove(queueId);
  await files.remove(`/data/spool/queue/${queueId.slice(-2)}`);
  await assertRejects(() => put(spool), Deno.errors.NotFound);
  assert(await spool.load((await put(spool)).queueId) !== undefined);
});

Deno.test("content is read from disk in pieces when it is not in memory", async () => {
  const files = new MemoryFiles();
  await using spool = await openSpool(files, { memoryOctets: 1_000, clock: new FakeClock() });
  const content = sampleContent(300_000, 3);
  const message = await put(spool, sampleEnvelope(), content, 10_000);
  assertEquals(message.content.inMemory, undefined);
  assertEquals(await readContent(message), content);
  const small = await put(spool, sampleEnvelope(), sampleContent(1_000));
  assertEquals(small.content.inMemory, sampleContent(1_000));
});

function line(value: unknown): Uint8Array {
  return new TextEncoder().encode(`${JSON.stringify(value)}\n`);
}

function concat(...parts: readonly Uint8Array[]): Uint8Array {
  const all = new Uint8Array(parts.reduce((octets, part) => octets + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

/** Replaces ASCII text, whatever octets stand around it. */
function replaced(file: Uint8Array, from: string, to: string): Uint8Array {
  const text = Array.from(file, (octet) => String.fromCharCode(octet)).join("");
  assert(text.includes(from));
  return Uint8Array.from(text.replace(from, to), (character) => character.charCodeAt(0));
}

Deno.test("what is not yet acknowledged is not found by recover: its commit hands it over", async () => {
  const gate = Promise.withResolvers<void>();
  class SlowFolders extends MemoryFiles {
    override async open(path: string, options: Deno.OpenOptions): Promise<OpenFile> {
      const file = await super.open(path, options);
      return /\/queue\/..$/.test(path) ? { ...file, sync: () => gate.promise.then(() => file.sync()) } : file;
    }
  }
  const files = new SlowFolders();
  await using spool = await openSpool(files);
  const committing = put(spool);
  while (![...files.tree("/data/spool/queue").keys()].length) await new Promise((resolve) => setTimeout(resolve));
  assertEquals((await recoverAll(spool)).size, 0);
  gate.resolve();
  const { queueId } = await committing;
  assertEquals([...(await recoverAll(spool)).keys()], [queueId]);
});

Deno.test("a server starts on a full disk, or the queue could never drain", async () => {
  const files = new MemoryFiles();
  await (await openSpool(files))[Symbol.asyncDispose]();
  files.fault = ({ name }): void => {
    if (name === "write") throw diskFull();
  };
  await using spool = await openSpool(files);
  assertEquals((await recoverAll(spool)).size, 0);
});

/** A reader of many files at once, which cannot read those whose turn is a multiple of `everyNth`. */
function bulkReader(files: MemoryFiles, everyNth: number, jobs: number[]): BulkReader {
  let count = 0;
  return {
    read: async ({ paths, maxOctets }) => {
      jobs.push(paths.length);
      const found: Uint8Array[] = [];
      for (const path of paths) {
        const octets = new Uint8Array(maxOctets);
        const file = await files.open(path, { read: true });
        const length = await file.read(octets) ?? 0;
        file.close();
        found.push(++count % everyNth === 0 ? new Uint8Array(0) : octets.subarray(0, length));
      }
      const octets = new Uint8Array(await new Blob(found as Uint8Array<ArrayBuffer>[]).arrayBuffer());
      return { octets, lengths: found.map(({ length }) => length === 0 ? -1 : length) };
    },
    [Symbol.dispose]: (): void => void jobs.push(-1),
  };
}

Deno.test("very many messages are read in bulk, and those that cannot be are read alone", async () => {
  const files = new MemoryFiles();
  const jobs: number[] = [];
  await using spool = await openSpool(files, { openBulkReader: () => bulkReader(files, 7, jobs) });
  const ids: string[] = [];
  for (let i = 0; i < 4_100; i++) ids.push((await put(spool, sampleEnvelope(), sampleContent(10))).queueId);
  const found = await recoverAll(spool);
  assertEquals([...found.keys()].sort(), ids.sort());
  assertEquals(found.get(ids[3_000] ?? "")?.recipients.length, 1);
  assert(jobs.length > 20 && jobs.slice(0, -1).every((count) => count > 0 && count <= 64), jobs.join(" "));
  assertEquals(jobs.at(-1), -1, "the thread is ended");
});

Deno.test("where no thread can be had, all messages are found all the same, and the log says it once", async () => {
  await using log = await catchLog();
  const files = new MemoryFiles();
  const broken = { read: () => Promise.reject(new Error("no threads")), [Symbol.dispose]: () => {} };
  await using spool = await openSpool(files, { logger: log.logger, openBulkReader: () => broken });
  for (let i = 0; i < 2_100; i++) await put(spool, sampleEnvelope(), sampleContent(10));
  assertEquals((await recoverAll(spool)).size, 2_100);
  assertEquals(log.lines, ["No thread reads the queue, so that the start takes longer: Error: no threads"]);
});

/** Sends so many messages through the spool, one after the other, each of so many octets. Their files may be used again. */
async function passThrough(spool: Spool, messages: number, octets: number): Promise<void> {
  for (let sent = 0; sent < messages; sent++) {
    const { queueId } = await put(spool, sampleEnvelope(), sampleContent(octets, sent));
    await spool.remove(queueId, octets);
  }
}

async function inodesOf(folder: string): Promise<Set<number | null>> {
  const inodes = new Set<number | null>();
  for await (const entry of Deno.readDir(folder)) inodes.add((await Deno.lstat(`${folder}/${entry.name}`)).ino);
  return inodes;
}

Deno.test("the files of messages that are done are written over: the next ones make none, and hold nothing of the old ones", async () => {
  const data = await Deno.makeTempDir();
  try {
    const folder = `${data}/spool`;
    await using spool = await openSpool(systemFiles, { folder });
    await passThrough(spool, 40, 3_000);
    const spare = await inodesOf(`${folder}/spare`);
    assert(spare.size >= 16, `${spare.size} files are spare`);
    for (const octets of [2_990, 100, 3_000, 9_000]) {
      const content = sampleContent(octets, 77);
      const { queueId } = await put(spool, sampleEnvelope(), content);
      const path = `${folder}/queue/${queueId.slice(-2)}/${queueId}`;
      const { ino, size } = await Deno.lstat(path);
      assert(spare.has(ino), `${octets} octets: a new file was made`);
      const message = await spool.load(queueId);
      assert(message !== undefined);
      assertEquals(await readContent(message), content);
      assertEquals(message.envelope, sampleEnvelope());
      const tail = (await Deno.readTextFile(path)).slice(encodeHead(0).length + octets);
      assertMatch(tail, /^\{"id":.*\} *\n$/, `${octets} octets: ${size} in the file`);
      await spool.append(queueId, [delayedEvent()]);
      assertEquals((await spool.load(queueId))?.recipients[0]?.attempts, 1);
    }
  } finally {
    await Deno.remove(data, { recursive: true });
  }
});

Deno.test("no file is used again before the folder is synced in which it had its old name", async () => {
  const files = new MemoryFiles();
  await using spool = await openSpool(files);
  let isSynced = true;
  files.fault = ({ name, path }) => {
    if (name === "sync" && path.startsWith("/data/spool/queue/") && !isSynced) throw new Error("not now");
  };
  const messages = await Promise.all(Array.from({ length: 20 }, () => put(spool)));
  isSynced = false;
  for (const { queueId } of messages) await spool.remove(queueId, 100);
  isSynced = true;
  const before = new Set(files.tree("/data/spool/spare").keys());
  await put(spool);
  assertEquals(files.tree("/data/spool/incoming").size, 0);
  for (const path of files.tree("/data/spool/spare").keys()) assert(before.has(path));
  for (let turns = 0; turns < 100; turns++) await Promise.resolve();
  assertEquals(files.tree("/data/spool/spare").size, 4, "those whose sync failed are gone, the others wait for more");
});

Deno.test("spare files are removed when nobody needed them for a minute or two, and when the spool is opened or closed", async () => {
  const files = new MemoryFiles();
  const clock = new FakeClock();
  {
    await using spool = await openSpool(files, { clock });
    await passThrough(spool, 40, 300);
    assert(files.tree("/data/spool/spare").size > 0);
    await clock.advance(120_000);
    assertEquals(files.tree("/data/spool/spare").size, 0);
    assertEquals(clock.sleeping, 0);
    await passThrough(spool, 40, 300);
    assert(files.tree("/data/spool/spare").size > 0);
    const crashed = files.afterCrash(() => true);
    assert(crashed.tree("/data/spool/spare").size > 0);
    await using next = await openSpool(crashed);
    assertEquals(crashed.tree("/data/spool/spare").size, 0);
    assertEquals((await recoverAll(next)).size, 0);
  }
  assertEquals(files.tree("/data/spool/spare").size, 0);
});

Deno.test("spare files take no more than 32 MiB, and are 4,096 at most", async () => {
  for (const [count, octets, kept] of [[4_200, 100, 4_096], [800, 50_000, 585]] as const) {
    const files = new MemoryFiles();
    await using spool = await openSpool(files);
    const queueIds: string[] = [];
    for (let i = 0; i < count; i++) {
      queueIds.push((await put(spool, sampleEnvelope(), sampleContent(octets, i))).queueId);
    }
    for (const queueId of queueIds) await spool.remove(queueId, octets);
    assertEquals(files.tree("/data/spool/spare").size, kept);
  }
});

Deno.test("a short message is written over a short one, a long one over a long one, and either where there is no other", async () => {
  const files = new MemoryFiles();
  await using spool = await openSpool(files);
  const spares = (): string[] => [...files.tree("/data/spool/spare").keys()];
  const done: (() => Promise<void>)[] = [];
  const receive = async (octets: number): Promise<void> => {
    const coming = Array.from({ length: 32 }, (_, at) => put(spool, sampleEnvelope(), sampleContent(octets, at)));
    // Both lengths come before any is done, or the second would be written over the first.
    const queueIds = (await Promise.all(coming)).map(({ queueId }) => queueId);
    done.push(async () => {
      for (const queueId of queueIds) await spool.remove(queueId, octets);
    });
  };
  await receive(2_000);
  await receive(50_000);
  const kept: string[][] = [];
  for (const remove of done) {
    const before = spares();
    await remove();
    for (let turns = 0; turns < 100; turns++) await Promise.resolve();
    kept.push(spares().filter((path) => !before.includes(path)));
  }
  const [short = [], long = []] = kept;
  const takenFor = async (octets: number): Promise<string | undefined> => {
    const before = spares();
    await put(spool, sampleEnvelope(), sampleContent(octets, 1));
    return before.find((path) => !spares().includes(path));
  };
  for (let i = 0; i < 16; i++) {
    assert(short.includes(await takenFor(3_000) ?? ""));
    assert(long.includes(await takenFor(60_000) ?? ""));
  }
  for (let i = 0; i < 32; i++) assert(await takenFor(3_000) !== undefined, `${i}: a new file was made`);
  assertEquals(spares(), []);
});

Deno.test("long messages and those that an operator removes leave no spare file", async () => {
  const files = new MemoryFiles();
  await using spool = await openSpool(files);
  await passThrough(spool, 20, 128 * 1024 + 1);
  for (let sent = 0; sent < 20; sent++) await spool.remove((await put(spool)).queueId);
  assertEquals(files.tree("/data/spool/spare").size, 0);
});

Deno.test("a file that says it is another message is set aside", async () => {
  const files = new MemoryFiles();
  await using spool = await openSpool(files);
  const { queueId } = await put(spool);
  const path = pathOf(files);
  const other = `${queueId.slice(0, -3)}${queueId.at(-3) === "0" ? "1" : "0"}${queueId.slice(-2)}`;
  await files.rename(path, path.replace(queueId, other));
  assertEquals(await spool.load(other), undefined);
  assertEquals(files.tree("/data/spool/broken").size, 1);
});
