/** Mail into folders of mailboxes, on machines that stop at every single operation of the disk. */

import { assert, assertEquals } from "@std/assert";
import { getLogger } from "@logtape/logtape";
import { MaildirTarget } from "../../lib/delivery/maildir.ts";
import type { Placement } from "../../lib/delivery/mailbox/filing.ts";
import { memoryContent } from "../../lib/mail/content.ts";
import { FolderSync } from "../../lib/system/folder_sync.ts";
import { FakeClock } from "../support/fake_clock.ts";
import { coin, MemoryFiles } from "../support/memory_files.ts";
import { makeEnvelope } from "../unit/delivery/conformance.ts";

const MAILBOX = "/mail/example.org/alice";
const JUNK: Placement = { folder: ".Junk", isMade: true, flags: "" };
const BODY = "the whole message";

/** Delivers one message; nothing happens from the `stopAt`-th operation of the disk on. @returns Whether it was taken. */
async function deliver(files: MemoryFiles, placement: Placement, stopAt = Infinity): Promise<boolean> {
  const first = files.operations;
  files.fault = ({ count }): void => {
    if (count - first >= stopAt) throw new Error("The machine stopped");
  };
  await using folderSync = new FolderSync(files);
  const target = new MaildirTarget({
    mailRoot: "/mail",
    files,
    clock: new FakeClock("2026-11-27T12:00:00Z", true),
    hostname: "mail.example.org",
    pid: 1,
    folderSync,
    logger: getLogger(["test"]),
    lineEndings: () => "lf",
    filing: () => Promise.resolve([placement]),
  });
  const envelope = makeEnvelope(["alice@example.org"]);
  const [outcome] = await target.deliver({
    queueId: "Q1",
    envelope,
    content: memoryContent(new TextEncoder().encode(`\r\n${BODY}\r\n`)),
    hop: { kind: "maildir", account: "alice@example.org", key: "maildir:alice@example.org" },
    recipients: envelope.recipients,
    signal: new AbortController().signal,
  });
  files.fault = undefined;
  return outcome?.action === "delivered";
}

/** How many whole messages the folder has. */
function count(files: MemoryFiles): number {
  const inFolder = [...files.tree("/")].filter(([path]) => path.replace("//", "/").startsWith(`${MAILBOX}/.Junk/new/`));
  for (const [path, octets] of inFolder) assert(new TextDecoder().decode(octets).endsWith(`${BODY}\n`), path);
  return inFolder.length;
}

async function isThere(files: MemoryFiles, path: string): Promise<boolean> {
  return await files.stat(path).then(() => true, () => false);
}

Deno.test("Whenever the machine stops, mail that was taken is in the folder that was made for it", async () => {
  let isOver = false;
  for (let stopAt = 1; !isOver; stopAt++) {
    for (const seed of [0, 1, 2]) {
      const files = new MemoryFiles();
      const isTaken = await deliver(files, JUNK, stopAt);
      isOver = files.operations < stopAt;
      const rest = files.afterCrash(seed === 0 ? (): boolean => false : coin(stopAt * 10 + seed));
      // A lock of the list of subscriptions may be left, too; it is an old one by then.
      rest.mtime = new Date("2026-11-27T11:00:00Z");
      const before = count(rest);
      assert(!isTaken || before === 1, `taken and lost, stopped at operation ${stopAt}`);
      assert(await deliver(rest, JUNK), `not delivered by the next life, stopped at operation ${stopAt}`);
      assertEquals(count(rest), before + 1);
      for (const name of ["tmp", "new", "cur", "maildirfolder"]) {
        assert(await isThere(rest, `${MAILBOX}/.Junk/${name}`), `no ${name}, stopped at operation ${stopAt}`);
      }
      const list = rest.tree(MAILBOX).get(`${MAILBOX}/subscriptions`);
      assertEquals(new TextDecoder().decode(list), "Junk\n", `stopped at operation ${stopAt}`);
    }
  }
});

Deno.test("Mail outlives a power failure in a folder that an IMAP server has just made, and made anew", async () => {
  const files = new MemoryFiles();
  assert(await deliver(files, { folder: "", isMade: false, flags: "" }));
  for (let times = 0; times < 2; times++) {
    for (const name of ["tmp", "new", "cur"]) await files.makeFolder(`${MAILBOX}/.Junk/${name}`);
    assert(await deliver(files, { ...JUNK, isMade: false }));
    assertEquals(count(files.afterCrash(() => false)), 1);
    for (const path of files.tree(`${MAILBOX}/.Junk`).keys()) await files.remove(path);
    for (const name of ["tmp", "new", "cur", ""]) await files.remove(`${MAILBOX}/.Junk/${name}`.replace(/\/$/, ""));
  }
});
