import { assert, assertEquals, assertFalse } from "@std/assert";
import { measureMailbox, sizeInName } from "../../../../lib/delivery/quota/measure.ts";
import type { Files } from "../../../../lib/system/files.ts";
import { MemoryFiles } from "../../../support/memory_files.ts";

const MAILBOX = "/mail/example.org/alice";

async function put(files: MemoryFiles, path: string, octets: number): Promise<void> {
  await files.makeFolder(`${MAILBOX}/${path}`.replace(/\/[^/]*$/, ""));
  files.overwrite(`${MAILBOX}/${path}`, new Uint8Array(octets));
}

Deno.test("A size stands in a file name behind the first ,S= and before flags, another field or the end", () => {
  assertEquals(sizeInName("1.a.host,S=123"), 123);
  assertEquals(sizeInName("1.a.host,S=123,W=130:2,S"), 123);
  assertEquals(sizeInName("1.a.host,S=123:2,FS"), 123);
  assertEquals(sizeInName("1.a.host,S=0"), 0);
  assertEquals(sizeInName("1.a.host,W=130,S=123:2,"), 123);
  for (
    const name of ["1.a.host", "1.a.host,S=", "1.a.host,S=12x", "1.a.host,S=-5", "1.a.host:2,S", "1,S=x,S=5", "1:2,S=9"]
  ) {
    assertEquals(sizeInName(name), undefined, name);
  }
});

Deno.test("All messages of all folders count, with the size in their names, or that of the file", async () => {
  const files = new MemoryFiles();
  await put(files, "new/1.host,S=100,W=102", 3);
  await put(files, "cur/2.host,S=200:2,S", 3);
  await put(files, "cur/3.host:2,ST", 30);
  await put(files, ".Junk/new/4.host,S=1000", 3);
  await put(files, ".Trash/cur/5.host,S=10000:2,T", 3);
  await put(files, ".Archive.2026/cur/6.host", 5);
  // None of these is a message of the mailbox.
  await put(files, "tmp/7.host", 1_000_000);
  await put(files, ".Junk/tmp/8.host", 1_000_000);
  await put(files, "new/.nfs0001", 1_000_000);
  await put(files, "maildirsize", 1_000_000);
  await put(files, ".hidden", 1_000_000);
  await put(files, "other/new/9.host", 1_000_000);
  await files.makeFolder(`${MAILBOX}/cur/folder`);
  await files.makeFolder(`${MAILBOX}/.Empty`);
  assertEquals(await measureMailbox(files, MAILBOX), {
    usage: { octets: 100 + 200 + 30 + 1000 + 10_000 + 5, messages: 6 },
    isSettled: true,
    problems: [],
  });
});

Deno.test("A mailbox that is not there is empty", async () => {
  const { usage, isSettled } = await measureMailbox(new MemoryFiles(), MAILBOX);
  assertEquals(usage, { octets: 0, messages: 0 });
  assert(isSettled);
});

Deno.test("Messages without a size in their names are counted whole, however many", async () => {
  const files = new MemoryFiles();
  for (let number = 0; number < 100; number++) await put(files, `new/${number}.host`, number);
  assertEquals((await measureMailbox(files, MAILBOX)).usage, { octets: 4950, messages: 100 });
});

Deno.test("A folder that cannot be read is named, and the others count", async () => {
  const files = new MemoryFiles();
  await put(files, "new/1.host,S=100", 1);
  await put(files, ".Locked/new/2.host,S=100", 1);
  files.fault = ({ name, path }) => {
    if (name === "list" && path.includes("Locked")) throw new Deno.errors.PermissionDenied(`no entry: ${path}`);
  };
  const { usage, problems } = await measureMailbox(files, MAILBOX);
  assertEquals(usage, { octets: 100, messages: 1 });
  assertEquals(problems, [`no entry: ${MAILBOX}/.Locked/new`], "there is no cur");
});

Deno.test("A count during which a folder changed is no settled one", async () => {
  const memory = new MemoryFiles();
  await put(memory, "new/1.host,S=100", 1);
  await put(memory, "cur/2.host,S=100", 1);
  let changes = 0;
  const files: Files = Object.assign(Object.create(memory) as Files, {
    list: (path: string) => {
      if (path.endsWith("/cur")) changes++;
      return memory.list(path);
    },
    stat: async (path: string) => ({
      ...await memory.stat(path),
      mtime: new Date(path.endsWith("/new") ? changes : 0),
    }),
    makeFolder: () => Promise.resolve(),
  });
  const { usage, isSettled } = await measureMailbox(files, MAILBOX);
  assertEquals(usage.messages, 2);
  assertFalse(isSettled);
});
