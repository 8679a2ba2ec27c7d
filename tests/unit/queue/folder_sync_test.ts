import { assertEquals, assertRejects } from "@std/assert";
import { FolderSync } from "../../../lib/queue/folder_sync.ts";
import { MemoryFiles } from "../../support/memory_files.ts";

/** A file system whose folder syncs end when the test says so. */
async function slowFiles(): Promise<
  { files: MemoryFiles; end: (index: number, error?: Error) => Promise<void>; syncs: () => number }
> {
  const files = new MemoryFiles();
  await files.makeFolder("/a");
  const ends: ((error?: Error) => void)[] = [];
  const open = files.open.bind(files);
  files.open = async (path, options) => {
    const file = await open(path, options);
    const sync = (): Promise<void> =>
      new Promise((resolve, reject) => ends.push((error) => error === undefined ? resolve() : reject(error)));
    return { ...file, sync };
  };
  const turn = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 0));
  const end = async (index: number, error?: Error): Promise<void> => {
    await turn();
    ends[index]?.(error);
    await turn();
  };
  return { files, end, syncs: () => ends.length };
}

Deno.test("who comes while a folder sync runs waits for the next one, together with all others", async () => {
  const { files, end, syncs } = await slowFiles();
  using sync = new FolderSync(files);
  const done: string[] = [];
  const ask = (name: string): Promise<void> => sync.sync("/a").then(() => void done.push(name));
  const all = [ask("first")];
  await new Promise((resolve) => setTimeout(resolve, 0));
  all.push(ask("second"), ask("third"));
  await end(0);
  assertEquals(done, ["first"]);
  all.push(ask("fourth"));
  await end(1);
  assertEquals(done, ["first", "second", "third"]);
  await end(2);
  await Promise.all(all);
  assertEquals([done.at(-1), syncs()], ["fourth", 3]);
});

Deno.test("a failed folder sync fails for all who waited, and the next one starts anew", async () => {
  const { files, end } = await slowFiles();
  using sync = new FolderSync(files);
  const first = assertRejects(() => sync.sync("/a"), Error, "lost");
  await new Promise((resolve) => setTimeout(resolve, 0));
  const second = assertRejects(() => sync.sync("/a"), Error, "lost");
  await end(0, new Error("lost"));
  await first;
  await second;
  assertEquals(files.openHandles, 0);
  const third = sync.sync("/a");
  await end(1);
  await third;
});

Deno.test("a bounded number of folders stays open, and none after the end", async () => {
  const files = new MemoryFiles();
  {
    using sync = new FolderSync(files);
    for (let i = 0; i < 50; i++) {
      await files.makeFolder(`/f${i}`);
      await sync.sync(`/f${i}`);
    }
    assertEquals(files.openHandles <= 8, true, `${files.openHandles} handles`);
  }
  assertEquals(files.openHandles, 0);
});
