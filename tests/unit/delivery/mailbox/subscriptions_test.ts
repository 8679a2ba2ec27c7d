import { assertEquals, assertRejects } from "@std/assert";
import { ListLockedError, subscribe } from "../../../../lib/delivery/mailbox/subscriptions.ts";
import type { Files } from "../../../../lib/system/files.ts";
import { FakeClock } from "../../../support/fake_clock.ts";
import { diskFull, MemoryFiles } from "../../../support/memory_files.ts";

const MAILBOX = "/mail/alice";
const LIST = `${MAILBOX}/subscriptions`;

async function makeMailbox(contents: Readonly<Record<string, string | Uint8Array>> = {}): Promise<MemoryFiles> {
  const files = new MemoryFiles();
  await files.makeFolder(MAILBOX);
  for (const [name, content] of Object.entries(contents)) {
    const octets = typeof content === "string" ? new TextEncoder().encode(content) : content;
    files.overwrite(`${MAILBOX}/${name}`, octets);
  }
  return files;
}

function add(files: Files, folder: string, clock = new FakeClock()): Promise<void> {
  return subscribe({ files, clock }, MAILBOX, folder);
}

/** All files of the mailbox, as text. */
function texts(files: MemoryFiles): Record<string, string> {
  return Object.fromEntries(
    [...files.tree(MAILBOX)].map(([path, octets]) => [
      path.slice(MAILBOX.length + 1),
      new TextDecoder().decode(octets),
    ]),
  );
}

Deno.test("The first folder makes the list, a line a folder", async () => {
  const files = await makeMailbox();
  await add(files, ".Archive.2026");
  await add(files, ".Entw&APw-rfe");
  assertEquals(texts(files), { subscriptions: "Archive.2026\nEntw&APw-rfe\n" });
});

Deno.test("A folder is there once, and the lines of others stay as they are", async () => {
  const others = Uint8Array.from([0x41, 0xff, 0x0a, 0x0a, 0x42]);
  const files = await makeMailbox({ subscriptions: others });
  await add(files, ".Junk");
  await add(files, ".Junk");
  await add(files, ".Junk.old");
  assertEquals(
    files.tree(MAILBOX).get(LIST),
    Uint8Array.from([
      ...others,
      ...new TextEncoder().encode("\nJunk\nJunk.old\n"),
    ]),
  );
  assertEquals([...files.tree(MAILBOX).keys()], [LIST]);
});

Deno.test("A list of version 2 of Dovecot has tabs between the levels", async () => {
  const files = await makeMailbox({ subscriptions: "V\t2\n\nLists\tdeno\n" });
  await add(files, ".Lists.deno");
  await add(files, ".Archive.2026");
  assertEquals(texts(files), { subscriptions: "V\t2\n\nLists\tdeno\nArchive\t2026\n" });
});

Deno.test("The list of Courier is kept where there is one", async () => {
  const files = await makeMailbox({ courierimapsubscribed: "INBOX.Sent\n" });
  await add(files, ".Archive.2026");
  assertEquals(texts(files), {
    courierimapsubscribed: "INBOX.Sent\nINBOX.Archive.2026\n",
    subscriptions: "Archive.2026\n",
  });
});

Deno.test("Many at a time lose nothing", async () => {
  const files = await makeMailbox({ subscriptions: "A\n" });
  const clock = new FakeClock("2026-11-27T12:00:00Z", true);
  const folders = Array.from({ length: 8 }, (_, index) => `F${index}`);
  const all = Promise.all(folders.map((name) => add(files, `.${name}`, clock)));
  for (let i = 0; i < 20; i++) await clock.advance(50);
  await all;
  assertEquals(texts(files)["subscriptions"]?.split("\n").sort(), ["", "A", ...folders]);
});

Deno.test("Another program's lock is waited for, and nothing is changed while it is held", async () => {
  const files = await makeMailbox({ subscriptions: "A\n", "subscriptions.lock": "" });
  const clock = new FakeClock("2026-11-27T12:00:00Z", true);
  const failed = assertRejects(() => add(files, ".Junk", clock), ListLockedError, "another program holds it");
  for (let i = 0; i < 70; i++) await clock.advance(50);
  await failed;
  assertEquals(texts(files), { subscriptions: "A\n", "subscriptions.lock": "" });
  const waiting = add(files, ".Junk", clock);
  await clock.advance(100);
  await files.remove(`${LIST}.lock`);
  await clock.advance(50);
  await waiting;
  assertEquals(texts(files), { subscriptions: "A\nJunk\n" });
});

Deno.test("A lock that its program left behind is taken away, also where the clock was set back since", async () => {
  for (const ageMs of [61_000, -61_000]) {
    const files = await makeMailbox({ subscriptions: "A\n", "subscriptions.lock": "half" });
    const clock = new FakeClock("2026-11-27T12:00:00Z", true);
    files.mtime = new Date(clock.now() - ageMs);
    await add(files, ".Junk", clock);
    assertEquals(texts(files), { subscriptions: "A\nJunk\n" });
  }
});

Deno.test("Whatever the disk refuses, the list stays whole and no lock is left", async () => {
  for (const name of ["read", "write", "sync", "rename"] as const) {
    const files = await makeMailbox({ subscriptions: "A\n" });
    files.fault = (operation) => {
      if (operation.name === name) throw diskFull();
    };
    await assertRejects(() => add(files, ".Junk"), Error, "No space");
    assertEquals(texts(files), { subscriptions: "A\n" }, name);
    assertEquals(files.openHandles, 0);
  }
});

Deno.test("After a crash the list is the old one, and the new one once the mailbox is synced", async () => {
  const files = await makeMailbox({ subscriptions: "A\n" });
  const sync = async (path: string): Promise<void> => {
    const folder = await files.open(path, { read: true });
    await folder.sync();
    folder.close();
  };
  for (const path of ["/", "/mail", MAILBOX]) await sync(path);
  await add(files, ".Junk");
  assertEquals(texts(files.afterCrash(() => false)), { subscriptions: "A\n" });
  await sync(MAILBOX);
  assertEquals(texts(files.afterCrash(() => false)), { subscriptions: "A\nJunk\n" });
});
