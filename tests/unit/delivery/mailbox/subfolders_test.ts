import { assertEquals, assertRejects } from "@std/assert";
import { getLogger } from "@logtape/logtape";
import { findFolder, Subfolders } from "../../../../lib/delivery/mailbox/subfolders.ts";
import { ListLockedError } from "../../../../lib/delivery/mailbox/subscriptions.ts";
import { systemFiles } from "../../../../lib/system/files.ts";
import { FolderSync } from "../../../../lib/system/folder_sync.ts";
import { FakeClock } from "../../../support/fake_clock.ts";
import { MemoryFiles } from "../../../support/memory_files.ts";
import { makePipe } from "../../../support/pipe.ts";

const MAILBOX = "/data/mail/example.org/alice";

async function makeMailbox(...folders: readonly string[]): Promise<MemoryFiles> {
  const files = new MemoryFiles();
  for (const folder of ["", ...folders]) {
    for (const name of ["tmp", "new", "cur"]) await files.makeFolder(`${MAILBOX}/${folder}/${name}`);
  }
  return files;
}

/** A disk and what works on it. */
function makeSubfolders(files: MemoryFiles, clock = new FakeClock()): Subfolders & AsyncDisposable {
  const folderSync = new FolderSync(files);
  const subfolders = new Subfolders({ files, folderSync, clock, logger: getLogger(["test"]) });
  return Object.assign(subfolders, { [Symbol.asyncDispose]: () => folderSync[Symbol.asyncDispose]() });
}

/** Makes the folders above the mailbox durable, which is not the part of what is tested. */
async function syncAbove(files: MemoryFiles): Promise<void> {
  for (const path of ["/data/mail/example.org", "/data/mail", "/data", "/"]) {
    const folder = await files.open(path, { read: true });
    await folder.sync();
    folder.close();
  }
}

/** Paths of the mailbox, those of files and of empty folders. */
async function paths(files: MemoryFiles, folder = MAILBOX): Promise<string[]> {
  const found: string[] = [];
  for await (const { name, isDirectory } of files.list(folder)) {
    if (isDirectory) found.push(...await paths(files, `${folder}/${name}`));
    else found.push(`${folder}/${name}`);
  }
  return found.length > 0 ? found : [folder];
}

/** Paths of one folder without that of the folder. */
async function inFolder(files: MemoryFiles, folder: string): Promise<string[]> {
  return (await paths(files, `${MAILBOX}/${folder}`)).map((path) => path.slice(MAILBOX.length + 1)).sort();
}

Deno.test("A folder is found by its exact name, then by one that differs in case only", async () => {
  const files = await makeMailbox(".Lists.deno", ".lists.node", ".Lists.Node", ".Entw&APw-rfe", ".Prüfung");
  const cases: Readonly<Record<string, string | undefined>> = {
    "Lists.deno": ".Lists.deno",
    "lists.deno": ".Lists.deno",
    "LISTS/DENO": ".Lists.deno",
    "lists.node": ".lists.node",
    "Lists.Node": ".Lists.Node",
    // Of two alike, always the same one.
    "LISTS.NODE": ".Lists.Node",
    "Entwürfe": ".Entw&APw-rfe",
    "ENTWÜRFE": ".Entw&APw-rfe",
    // As Courier writes it today.
    "prüfung": ".Prüfung",
    "inbox": "",
    "lists": undefined,
    "lists.deno.x": undefined,
    "../bob": undefined,
    "cur": undefined,
    "": undefined,
  };
  for (const [name, folder] of Object.entries(cases)) {
    assertEquals(await findFolder(files, MAILBOX, name), folder, name);
  }
});

Deno.test("The folders are listed only where the exact one is not there, and never remembered", async () => {
  const files = await makeMailbox(".Junk");
  const looks: string[] = [];
  files.fault = ({ name }) => void looks.push(name);
  assertEquals(await findFolder(files, MAILBOX, "Junk"), ".Junk");
  assertEquals(looks, []);
  assertEquals(await findFolder(files, MAILBOX, "lists"), undefined);
  assertEquals(looks, ["list"]);
  await files.makeFolder(`${MAILBOX}/.Lists/cur`);
  assertEquals(await findFolder(files, MAILBOX, "lists"), ".Lists");
});

Deno.test("What has no cur/ is no folder, and a mailbox that is not there has none", async () => {
  const files = await makeMailbox();
  await files.makeFolder(`${MAILBOX}/.Half/tmp`);
  files.overwrite(`${MAILBOX}/.note`, new Uint8Array(0));
  for (const name of ["Half", "half", "note"]) assertEquals(await findFolder(files, MAILBOX, name), undefined, name);
  assertEquals(await findFolder(files, "/data/mail/example.org/bob", "Junk"), undefined);
});

Deno.test("A made folder is whole, marked, subscribed to and durable", async () => {
  const files = await makeMailbox();
  await using subfolders = makeSubfolders(files);
  assertEquals(await subfolders.prepare(MAILBOX, ".Archive.2026", true), true);
  const expected = ["cur", "maildirfolder", "new", "tmp"].map((name) => `.Archive.2026/${name}`);
  assertEquals(await inFolder(files, ".Archive.2026"), expected);
  assertEquals(await subfolders.prepare(MAILBOX, ".Archive.2026", true), true);
  assertEquals(new TextDecoder().decode(files.tree(MAILBOX).get(`${MAILBOX}/subscriptions`)), "Archive.2026\n");
  await syncAbove(files);
  const after = files.afterCrash(() => false);
  assertEquals(await inFolder(after, ".Archive.2026"), expected);
  assertEquals(new TextDecoder().decode(after.tree(MAILBOX).get(`${MAILBOX}/subscriptions`)), "Archive.2026\n");
});

Deno.test("A folder that is made again, because somebody removed it, is durable, too", async () => {
  const files = await makeMailbox();
  await using subfolders = makeSubfolders(files);
  await subfolders.prepare(MAILBOX, ".Junk", true);
  for (const name of ["/tmp", "/new", "/cur", "/maildirfolder", ""]) await files.remove(`${MAILBOX}/.Junk${name}`);
  await subfolders.prepare(MAILBOX, ".Junk", true);
  await syncAbove(files);
  const names = ["cur", "maildirfolder", "new", "tmp"].map((name) => `.Junk/${name}`);
  assertEquals(await inFolder(files.afterCrash(() => false), ".Junk"), names);
});

Deno.test("A folder that is missing is not made where nobody said so", async () => {
  const files = await makeMailbox();
  await using subfolders = makeSubfolders(files);
  assertEquals(await subfolders.prepare(MAILBOX, ".Junk", false), false);
  await subfolders.mend(MAILBOX, ".Junk");
  assertEquals(await findFolder(files, MAILBOX, "Junk"), undefined);
});

Deno.test("A folder that others made is synced before it gets mail, and subscribed to by them alone", async () => {
  const files = await makeMailbox(".Junk");
  await using subfolders = makeSubfolders(files);
  const synced: string[] = [];
  files.fault = ({ name, path }) => void (name === "sync" && synced.push(path));
  assertEquals(await subfolders.prepare(MAILBOX, ".Junk", true), true);
  assertEquals(synced.sort(), [MAILBOX, `${MAILBOX}/.Junk`]);
  assertEquals(files.tree(MAILBOX).size, 0);
});

Deno.test("A folder found without tmp/ or new/ is mended, not made again", async () => {
  const files = await makeMailbox();
  await files.makeFolder(`${MAILBOX}/.Junk/cur`);
  await using subfolders = makeSubfolders(files);
  await subfolders.mend(MAILBOX, ".Junk");
  assertEquals(await inFolder(files, ".Junk"), [".Junk/cur", ".Junk/new", ".Junk/tmp"]);
});

Deno.test("Many who want folders at the same time get them, each subscribed to once", async () => {
  const files = await makeMailbox();
  await using subfolders = makeSubfolders(files);
  const wanted = [".A", ".B", ".A", ".C", ".A", ".B"];
  const ready = await Promise.all(wanted.map((folder) => subfolders.prepare(MAILBOX, folder, true)));
  assertEquals(ready, wanted.map(() => true));
  assertEquals(new TextDecoder().decode(files.tree(MAILBOX).get(`${MAILBOX}/subscriptions`)), "A\nB\nC\n");
});

Deno.test("Whichever step of making fails, the next attempt makes the folder whole", async () => {
  for (let failing = 1;; failing++) {
    const files = await makeMailbox();
    await using subfolders = makeSubfolders(files);
    const before = files.operations;
    files.fault = ({ count }) => {
      if (count === before + failing) throw new Error("Input/output error (os error 5)");
    };
    const failed = await subfolders.prepare(MAILBOX, ".Junk", true).then(() => false, () => true);
    const isOver = files.operations < before + failing;
    files.fault = undefined;
    if (failed) assertEquals(await subfolders.prepare(MAILBOX, ".Junk", true), true);
    const names = ["cur", "maildirfolder", "new", "tmp"].map((name) => `.Junk/${name}`);
    assertEquals(await inFolder(files, ".Junk"), names, `operation ${failing}`);
    if (isOver) return;
  }
});

Deno.test("A list of subscriptions that cannot be written keeps nobody's mail", async () => {
  const files = await makeMailbox();
  await using subfolders = makeSubfolders(files);
  files.fault = ({ path }) => {
    if (path.includes("subscriptions")) throw new Deno.errors.PermissionDenied(path);
  };
  assertEquals(await subfolders.prepare(MAILBOX, ".Junk", true), true);
});

Deno.test("Where another program holds the list of subscriptions, the folder is made later: nobody would see it", async () => {
  const files = await makeMailbox();
  files.overwrite(`${MAILBOX}/subscriptions.lock`, new Uint8Array(0));
  const clock = new FakeClock("2026-11-27T12:00:00Z", true);
  await using subfolders = makeSubfolders(files, clock);
  const failed = assertRejects(() => subfolders.prepare(MAILBOX, ".Junk", true), ListLockedError);
  await clock.advance(4_000);
  await failed;
  assertEquals(await findFolder(files, MAILBOX, "Junk"), undefined);
});

Deno.test("What the disk says of folders is passed on: it does not mean that there is none", async () => {
  const files = await makeMailbox();
  files.fault = ({ name }) => {
    if (name === "list") throw new Deno.errors.PermissionDenied("no");
  };
  await assertRejects(() => findFolder(files, MAILBOX, "Junk"), Deno.errors.PermissionDenied);
});

Deno.test("Pipes in the place of the files of a folder, and of the list of subscriptions, hold nobody up", async () => {
  const mailbox = await Deno.makeTempDir();
  await using folderSync = new FolderSync(systemFiles);
  const subfolders = new Subfolders({
    files: systemFiles,
    folderSync,
    clock: new FakeClock(new Date().toISOString()),
    logger: getLogger(["test"]),
  });
  try {
    for (const name of ["tmp", "new", "cur", ".Junk"]) await Deno.mkdir(`${mailbox}/${name}`);
    for (const name of ["subscriptions", ".Junk/maildirfolder"]) await makePipe(`${mailbox}/${name}`);
    assertEquals(await subfolders.prepare(mailbox, ".Junk", true), true);
    assertEquals((await Deno.stat(`${mailbox}/.Junk/cur`)).isDirectory, true);
  } finally {
    await Deno.remove(mailbox, { recursive: true });
  }
});
