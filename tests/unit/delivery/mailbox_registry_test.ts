import { assert, assertEquals, assertFalse } from "@std/assert";
import { MailboxRegistry } from "../../../lib/delivery/mailbox_registry.ts";
import { syncFolder } from "../../../lib/system/files.ts";
import { LogLines } from "../../support/log_lines.ts";
import { diskFull, MemoryFiles } from "../../support/memory_files.ts";

const FILE = "/data/mailboxes";
const ALICE = "alice@example.org";
const BOB = "bob@example.org";

async function makeDisk(): Promise<MemoryFiles> {
  const files = new MemoryFiles();
  await files.makeFolder("/data");
  for (const folder of ["/", "/data"]) await syncFolder(files, folder);
  return files;
}

function open(files: MemoryFiles, logger = new LogLines()): MailboxRegistry {
  return new MailboxRegistry({ file: FILE, files, logger });
}

function textOf(files: MemoryFiles): string {
  return new TextDecoder().decode(files.tree("/data").get(FILE));
}

Deno.test("A mailbox that was noted is known after a power loss, one a line", async () => {
  const files = await makeDisk();
  const registry = open(files);
  await registry.add(ALICE);
  await registry.add(BOB);
  await registry.add(ALICE);
  assertEquals(textOf(files).split("\n").slice(1), [ALICE, BOB, ""]);
  const later = open(files.afterCrash(() => false));
  assert(await later.has(ALICE) && await later.has(BOB));
  assertEquals([await later.hasAny("example.org"), await later.hasAny("example.net")], [true, false]);
});

Deno.test("Many mailboxes noted at the same time share their syncs, and none is lost", async () => {
  const files = await makeDisk();
  let syncs = 0;
  files.fault = ({ name, path }): void => void (name === "sync" && path === FILE && syncs++);
  const registry = open(files);
  const addresses = Array.from({ length: 500 }, (_, at) => `user${at}@example.org`);
  await Promise.all(addresses.map((address) => registry.add(address)));
  assert(syncs <= 3, `${syncs} syncs`);
  assertEquals(textOf(files).split("\n").slice(1, -1).sort(), addresses.sort());
});

Deno.test("What we noted ourselves is not read again, what others noted meanwhile is", async () => {
  const files = await makeDisk();
  const registry = open(files);
  await registry.add("first@example.org");
  let reads = 0;
  files.fault = ({ name, path }): void => void (name === "read" && path === FILE && reads++);
  for (let at = 0; at < 10; at++) await registry.add(`user${at}@example.net`);
  assertEquals(reads, 0);
  assert(await registry.has("user3@example.net") && await registry.hasAny("example.net"));
  await open(files).add("other@example.com");
  assert(await registry.has("other@example.com") && await registry.hasAny("example.com"));
  await registry.add("last@example.org");
  assertEquals(textOf(files).split("\n").length, 15);
});

Deno.test("A line torn by a crash is no mailbox, and the next one does not stick to it", async () => {
  const files = await makeDisk();
  await open(files).add(ALICE);
  files.overwrite(FILE, new TextEncoder().encode(`${textOf(files)}bob.with.a.long.name@exa`));
  const registry = open(files);
  assertFalse(await registry.has("bob.with.a.long.name@exa"));
  await registry.add("c@x.org");
  assertEquals(textOf(files).split("\n").slice(1), [ALICE, "c@x.org", ""]);
});

Deno.test("A mailbox that was forgotten by a command may be made again", async () => {
  const files = await makeDisk();
  const server = open(files);
  await server.add(ALICE);
  await server.add(BOB);
  await open(files).forget(ALICE);
  assertEquals([await server.has(ALICE), await server.has(BOB)], [false, true]);
  await server.add(ALICE);
  assertEquals(textOf(files).split("\n").slice(1), [BOB, ALICE, ""]);
});

Deno.test("What could not be written is known as long as we run, told in the log, and written with the next one", async () => {
  const files = await makeDisk();
  const log = new LogLines();
  const registry = open(files, log);
  files.fault = ({ name }): void => {
    if (name === "write") throw diskFull();
  };
  await registry.add(ALICE);
  assert(await registry.has(ALICE));
  assertEquals(log.lines, [
    `warning: Cannot note in ${FILE} that there is a mailbox ${ALICE}, going on: ` +
    `Cannot write "${FILE}": No space left on device (os error 28)`,
  ]);
  files.fault = undefined;
  await registry.add(BOB);
  assertEquals(textOf(files).split("\n").slice(1), [ALICE, BOB, ""]);
  assertEquals(files.openHandles, 0);
});

Deno.test("Lines for people are no mailboxes, but an address may begin with #", async () => {
  const files = await makeDisk();
  files.overwrite(FILE, new TextEncoder().encode("# note\n\n#1@example.org\n"));
  const registry = open(files);
  assertEquals([await registry.has("# note"), await registry.has("#1@example.org")], [false, true]);
});
