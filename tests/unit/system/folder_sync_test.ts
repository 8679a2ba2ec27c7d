import { assertEquals, assertRejects } from "@std/assert";
import { type Files, type OpenFile, systemFiles } from "../../../lib/system/files.ts";
import { FolderSync } from "../../../lib/system/folder_sync.ts";
import { MemoryFiles } from "../../support/memory_files.ts";

/** Files whose folder fsyncs end when the test says so. */
class SlowFolders {
  opened: string[] = [];
  closed = 0;
  /** One for each fsync that began. */
  readonly syncs: PromiseWithResolvers<void>[] = [];
  readonly files: Files = {
    ...systemFiles,
    open: (path) => {
      this.opened.push(path);
      return Promise.resolve(this.#handle());
    },
  };

  #handle(): OpenFile {
    return {
      sync: () => {
        const sync = Promise.withResolvers<void>();
        this.syncs.push(sync);
        return sync.promise;
      },
      close: () => void this.closed++,
    } as OpenFile;
  }
}

/** Lets everything that is ready run. */
function settle(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 0));
}

Deno.test("Callers during a folder fsync share the next one", async () => {
  const slow = new SlowFolders();
  await using sync = new FolderSync(slow.files);
  const ended: string[] = [];
  const first = sync.sync("/q").then(() => ended.push("first"));
  await settle();
  const second = sync.sync("/q").then(() => ended.push("second"));
  const third = sync.sync("/q").then(() => ended.push("third"));
  await settle();
  assertEquals(slow.syncs.length, 1);
  slow.syncs[0]?.resolve();
  await first;
  await settle();
  assertEquals(ended, ["first"]);
  assertEquals(slow.syncs.length, 2);
  slow.syncs[1]?.resolve();
  await Promise.all([second, third]);
  assertEquals(slow.opened, ["/q"]);
});

Deno.test("A caller during the second folder fsync is not served by that one", async () => {
  const slow = new SlowFolders();
  await using sync = new FolderSync(slow.files);
  const first = sync.sync("/q");
  await settle();
  const second = sync.sync("/q");
  slow.syncs[0]?.resolve();
  await first;
  await settle();
  assertEquals(slow.syncs.length, 2);
  const third = sync.sync("/q");
  slow.syncs[1]?.resolve();
  await second;
  await settle();
  assertEquals(slow.syncs.length, 3);
  slow.syncs[2]?.resolve();
  await third;
});

Deno.test("A failed folder fsync fails those who wait for the next one too, and the next call opens the folder anew", async () => {
  const slow = new SlowFolders();
  await using sync = new FolderSync(slow.files);
  const first = assertRejects(() => sync.sync("/q"), Error, "os error 5");
  await settle();
  const second = assertRejects(() => sync.sync("/q"), Error, "os error 5");
  slow.syncs[0]?.reject(new Error("Input/output error (os error 5)"));
  await first;
  await second;
  const third = sync.sync("/q");
  await settle();
  slow.syncs[1]?.resolve();
  await third;
  assertEquals(slow.opened, ["/q", "/q"]);
  assertEquals(slow.closed, 1);
});

Deno.test("A folder that is gone is an error, and works again once it is back", async () => {
  const root = await Deno.makeTempDir();
  try {
    await using sync = new FolderSync(systemFiles);
    await assertRejects(() => sync.sync(`${root}/new`), Deno.errors.NotFound);
    await Deno.mkdir(`${root}/new`);
    await sync.sync(`${root}/new`);
  } finally {
    await Deno.remove(root, { recursive: true });
  }
});

Deno.test("Only so many idle folders stay open, and closing closes them all", async () => {
  const slow = new SlowFolders();
  const sync = new FolderSync(slow.files, { maxOpenFolders: 2 });
  for (const path of ["/a", "/b", "/c"]) {
    const done = sync.sync(path);
    await settle();
    slow.syncs.at(-1)?.resolve();
    await done;
  }
  assertEquals(slow.closed, 1);
  await sync[Symbol.asyncDispose]();
  assertEquals(slow.closed, 3);
  await assertRejects(() => sync.sync("/a"), TypeError, "closed");
});

Deno.test("A folder is opened anew after it was forgotten, and after a while", async () => {
  const slow = new SlowFolders();
  let nowMs = 5000;
  const clock = { now: () => nowMs, monotonic: () => nowMs, sleep: () => Promise.resolve() };
  await using sync = new FolderSync(slow.files, { clock });
  const round = async (): Promise<number> => {
    const done = sync.sync("/q");
    await settle();
    slow.syncs.at(-1)?.resolve();
    await done;
    return slow.opened.length;
  };
  assertEquals(await round(), 1);
  assertEquals(await round(), 1);
  sync.forget("/q");
  assertEquals(await round(), 2);
  nowMs += 1000;
  assertEquals(await round(), 3);
});

Deno.test("what was changed while an fsync ran that failed is not called durable by the next one", async () => {
  const files = new MemoryFiles();
  await files.makeFolder("/data/new");
  await using folders = new FolderSync(files);
  const before = folders.mark("/data/new");
  const other = folders.mark("/data");
  files.fault = ({ name }) => {
    if (name === "sync") throw new Error("Input/output error (os error 5)");
  };
  await assertRejects(() => folders.sync("/data/new"), Error, "os error 5");
  files.fault = undefined;
  await assertRejects(() => folders.sync("/data/new", before), Error, "an fsync failed meanwhile");
  await folders.sync("/data/new", folders.mark("/data/new"));
  await folders.sync("/data", other);
});
