/** Stops, power losses and disk errors at every single operation of the spool: what was acknowledged is there, whole. */

import { assert, assertEquals } from "@std/assert";
import type { QueuedMessage, Spool } from "../../lib/queue/spool.ts";
import { coin, diskFull, MemoryFiles } from "../support/memory_files.ts";
import {
  delayedEvent,
  openSpool,
  put,
  readContent,
  recoverAll,
  sampleContent,
  sampleEnvelope,
} from "../support/queue_samples.ts";

/** What the world was told. */
interface Told {
  /** Content of all messages that were begun, by queue id. */
  readonly begun: Map<string, Uint8Array>;
  /** Commit resolved. */
  readonly accepted: Set<string>;
  /** Attempts that append acknowledged. */
  readonly recorded: Map<string, number>;
  /** Remove was called. */
  readonly removed: Set<string>;
}

const CONTENTS: readonly Uint8Array[] = [
  sampleContent(500, 1),
  sampleContent(3_000, 2),
  sampleContent(200_000, 3),
  sampleContent(20, 4),
];

type Life = (files: MemoryFiles, told: Told, isOver: () => boolean) => Promise<void>;

/** A short life of a spool: small and large messages, alone and together, delayed and done. Every step may fail. */
async function live(files: MemoryFiles, told: Told, isOver: () => boolean): Promise<void> {
  await attempt(isOver, async () => {
    await using spool = await openSpool(files, { memoryOctets: 1_000 });
    for (const content of CONTENTS) await attempt(isOver, () => accept(spool, content, told, isOver));
    await Promise.all(CONTENTS.map((content) => attempt(isOver, () => accept(spool, content, told, isOver))));
    const ids = [...told.accepted];
    for (const id of ids.slice(0, 3)) {
      for (let i = 0; i < 2; i++) await attempt(isOver, () => record(spool, id, told, isOver));
    }
    for (const id of ids.slice(2, 4)) {
      if (isOver()) return;
      told.removed.add(id);
      await attempt(isOver, () => spool.remove(id));
    }
    await attempt(isOver, () => accept(spool, sampleContent(2_000, 9), told, isOver));
  });
}

/** Mail that goes on at once: files of messages that are done are written over for others, shorter and longer ones. */
async function relay(files: MemoryFiles, told: Told, isOver: () => boolean): Promise<void> {
  await attempt(isOver, async () => {
    await using spool = await openSpool(files, { memoryOctets: 1_000 });
    for (let round = 0; round < 3; round++) {
      const before = new Set(told.accepted);
      await Promise.all(Array.from({ length: 18 }, (_, at) => {
        const content = sampleContent(20 + (at * 137 + round * 61) % 900, 100 * round + at);
        return attempt(isOver, () => accept(spool, content, told, isOver));
      }));
      const fresh = [...told.accepted].filter((id) => !before.has(id));
      // The last ones stay.
      await Promise.all(
        fresh.slice(0, 17).map((id) => {
          if (isOver()) return;
          told.removed.add(id);
          return attempt(isOver, () => spool.remove(id, told.begun.get(id)?.length));
        }),
      );
    }
  });
}

async function attempt(isOver: () => boolean, run: () => Promise<unknown>): Promise<void> {
  if (isOver()) return;
  await run().catch(() => {});
}

async function accept(spool: Spool, content: Uint8Array, told: Told, isOver: () => boolean): Promise<void> {
  const reception = spool.receive();
  told.begun.set(reception.queueId, content);
  try {
    for (let at = 0; at < content.length; at += 50_000) await reception.write(content.subarray(at, at + 50_000));
    await reception.commit(sampleEnvelope());
    if (!isOver()) told.accepted.add(reception.queueId);
  } finally {
    if (!isOver()) await reception.abort();
  }
}

async function record(spool: Spool, id: string, told: Told, isOver: () => boolean): Promise<void> {
  await spool.append(id, [delayedEvent()]);
  if (!isOver()) told.recorded.set(id, (told.recorded.get(id) ?? 0) + 1);
}

function nothingTold(): Told {
  return { begun: new Map(), accepted: new Set(), recorded: new Map(), removed: new Set() };
}

/** Starts on what is left of the disk and compares it with what was told. */
async function check(files: MemoryFiles, told: Told, where: string): Promise<Map<string, QueuedMessage>> {
  await using spool = await openSpool(files);
  const found = await recoverAll(spool);
  assertEquals(files.tree("/data/spool/broken").size, 0, `${where}: something half-written was visible`);
  assertEquals(files.tree("/data/spool/incoming").size, 0, `${where}: incoming was not cleared`);
  for (const id of told.accepted) {
    assert(found.has(id) || told.removed.has(id), `${where}: acknowledged message ${id} is lost`);
  }
  for (const [id, message] of found) {
    assertEquals(await readContent(message), told.begun.get(id), `${where}: content of ${id}`);
    assertEquals(message.envelope, sampleEnvelope());
    const attempts = message.recipients[0]?.attempts ?? 0;
    assert(attempts >= (told.recorded.get(id) ?? 0), `${where}: ${id} forgot an attempt`);
    await spool.append(id, [delayedEvent()]);
    assertEquals((await spool.load(id))?.recipients[0]?.attempts, attempts + 1, `${where}: ${id} takes no event`);
  }
  const added = await put(spool);
  assert(await spool.load(added.queueId) !== undefined, `${where}: takes no mail`);
  return found;
}

async function countOperations(live: Life): Promise<number> {
  const files = new MemoryFiles();
  await live(files, nothingTold(), () => false);
  return files.operations;
}

/** Lives until the machine stops in the middle of its n-th operation. */
async function liveUntil(live: Life, stopAt: number): Promise<{ readonly files: MemoryFiles; readonly told: Told }> {
  const files = new MemoryFiles();
  const told = nothingTold();
  let isOver = false;
  files.fault = ({ count }) => {
    if (count >= stopAt) isOver = true;
    if (isOver) throw new Error("The machine stopped");
  };
  await live(files, told, () => isOver);
  return { files, told };
}

const LIVES: Readonly<Record<string, Life>> = { "mail that stays": live, "files used again": relay };

for (const [kind, life] of Object.entries(LIVES)) {
  Deno.test(`${kind}: kill -9 at any operation loses no acknowledged message and shows none half-written`, async () => {
    const operations = await countOperations(life);
    assert(operations > 50, `only ${operations} operations`);
    for (let n = 1; n <= operations; n++) {
      const { files, told } = await liveUntil(life, n);
      await check(files.afterCrash(() => true), told, `operation ${n}`);
    }
  });

  Deno.test(`${kind}: power loss at any operation, where nothing unsynced reached the disk, loses no acknowledged message`, async () => {
    const operations = await countOperations(life);
    for (let n = 1; n <= operations; n++) {
      const { files, told } = await liveUntil(life, n);
      await check(files.afterCrash(() => false), told, `operation ${n}`);
    }
  });

  Deno.test(`${kind}: power loss at any operation, where some of it reached the disk, loses no acknowledged message`, async () => {
    const operations = await countOperations(life);
    for (let n = 1; n <= operations; n++) {
      const { files, told } = await liveUntil(life, n);
      for (let seed = 1; seed <= 3; seed++) {
        await check(files.afterCrash(coin(n * 1_000 + seed)), told, `operation ${n}, seed ${seed}`);
      }
    }
  });

  for (
    const [what, error] of [["a full disk", diskFull()], [
      "an I/O error",
      new Error("Input/output error (os error 5)"),
    ]] as const
  ) {
    Deno.test(`${kind}: ${what} at any one operation loses no acknowledged message and leaves nothing behind`, async () => {
      const operations = await countOperations(life);
      for (let n = 1; n <= operations; n++) {
        const files = new MemoryFiles();
        const told = nothingTold();
        let failed = "";
        files.fault = ({ name, count }) => {
          if (count !== n || name === "list" || name === "read" || failed !== "") return;
          failed = name;
          throw error;
        };
        await life(files, told, () => false);
        const where = `operation ${n} (${failed})`;
        assertEquals(files.openHandles, 0, `${where}: handles left open`);
        files.fault = undefined;
        if (failed !== "remove" && told.begun.size > 0) {
          assertEquals(files.tree("/data/spool/incoming").size, 0, `${where}: left in incoming`);
        }
        // What a failed sync lost is lost, whatever later syncs said.
        await check(files.afterCrash(() => false), told, `${where}, then power loss`);
        const found = await check(files.afterCrash(() => true), told, where);
        for (const id of found.keys()) {
          // A file that could not be removed is delivered again; one that was refused must not be there.
          assert(told.accepted.has(id), `${where}: ${id} was refused and is there`);
        }
      }
    });
  }
}

Deno.test("a disk that stays full refuses everything, loses nothing, and recovers by itself", async () => {
  const files = new MemoryFiles();
  await using spool = await openSpool(files, { memoryOctets: 1_000 });
  const before = await put(spool);
  files.fault = ({ name }) => {
    if (name === "write" || name === "makeFolder") throw diskFull();
  };
  for (const octets of [10, 500, 5_000, 500_000]) {
    const error = await put(spool, sampleEnvelope(), sampleContent(octets)).catch((error: unknown) => error);
    assert(error instanceof Error && "code" in error && error.code === "ENOSPC", String(error));
  }
  assertEquals(files.tree("/data/spool/incoming").size, 0);
  files.fault = undefined;
  const after = await put(spool);
  assertEquals(new Set((await recoverAll(spool)).keys()), new Set([before.queueId, after.queueId]));
});
