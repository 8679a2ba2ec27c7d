import { assertEquals, assertMatch } from "@std/assert";
import { getLogger } from "@logtape/logtape";
import { type MaildirHop, MaildirTarget } from "../../../lib/delivery/maildir.ts";
import { mailboxFolder } from "../../../lib/delivery/maildir_name.ts";
import { type Filing, INBOX, subaddressFiling } from "../../../lib/delivery/mailbox/filing.ts";
import { memoryContent } from "../../../lib/mail/content.ts";
import { FolderSync } from "../../../lib/system/folder_sync.ts";
import { FakeClock } from "../../support/fake_clock.ts";
import { makeEnvelope } from "./conformance.ts";
import { brokenError, FaultyFiles } from "./maildir_faulty_files.ts";

const ACCOUNT = "alice@example.org";
const HOP: MaildirHop = { kind: "maildir", account: ACCOUNT, key: `maildir:${ACCOUNT}` };

/** Everything behind the first "+". */
const detailOf = (address: string): string | undefined => /^[^+]*\+(.*)@/.exec(address)?.[1];

/** A target that files by subaddress, on a temporary folder. */
class Mailbox implements AsyncDisposable {
  readonly disk = new FaultyFiles();
  readonly sync = new FolderSync(this.disk.files);
  readonly target: MaildirTarget;
  readonly folder: string;

  private constructor(readonly root: string, filing?: Filing) {
    this.folder = mailboxFolder(`${root}/mail`, ACCOUNT);
    this.target = new MaildirTarget({
      mailRoot: `${root}/mail`,
      files: this.disk.files,
      clock: new FakeClock("2026-11-23T10:00:00Z"),
      hostname: "mail.example.org",
      pid: 1,
      folderSync: this.sync,
      logger: getLogger(["test", "maildir"]),
      lineEndings: () => "lf",
      filing: filing ?? subaddressFiling({ files: this.disk.files, detailOf }),
    });
  }

  static async make(filing?: Filing): Promise<Mailbox> {
    return new Mailbox(await Deno.makeTempDir(), filing);
  }

  /** A folder as an IMAP server makes it. */
  async addFolder(folder: string): Promise<string> {
    for (const name of ["tmp", "new", "cur"]) {
      await Deno.mkdir(`${this.folder}/${folder}/${name}`, { recursive: true, mode: 0o700 });
    }
    return `${this.folder}/${folder}`;
  }

  /** Delivers to these local parts; `action status` for each. */
  async deliver(...localParts: readonly string[]): Promise<string[]> {
    const envelope = makeEnvelope(localParts.map((localPart) => `${localPart}@example.org`));
    const content = memoryContent(new TextEncoder().encode("Subject: x\r\n\r\nbody\r\n"));
    const signal = new AbortController().signal;
    const { recipients } = envelope;
    const outcomes = await this.target.deliver({ queueId: "q1", envelope, content, hop: HOP, recipients, signal });
    return outcomes.map(({ action, status }) => `${action} ${status}`);
  }

  /** How many messages there are, by folder; no folder without. */
  async counts(): Promise<Record<string, number>> {
    const counts: Record<string, number> = {};
    for (const path of await filesBelow(this.folder)) {
      const folder = path.slice(this.folder.length + 1, path.lastIndexOf("/"));
      if (/(new|cur|tmp)$/.test(folder)) counts[folder] = (counts[folder] ?? 0) + 1;
    }
    return counts;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.sync[Symbol.asyncDispose]();
    await Deno.remove(this.root, { recursive: true });
  }
}

async function filesBelow(folder: string): Promise<string[]> {
  const found: string[] = [];
  for await (const { name, isFile } of Deno.readDir(folder)) {
    const path = `${folder}/${name}`;
    if (isFile) found.push(path);
    else if (name !== ".Gone") found.push(...await filesBelow(path));
  }
  return found;
}

const DELIVERED = "delivered 2.0.0";
const DELAYED = "delayed 4.3.0";

Deno.test("Recipients of one mailbox get one file in each folder that they lead to", async () => {
  await using mailbox = await Mailbox.make();
  assertEquals(await mailbox.deliver("alice", "alice+lists.deno"), [DELIVERED, DELIVERED]);
  assertEquals(await mailbox.counts(), { new: 1 });
  await mailbox.addFolder(".Lists.deno");
  const recipients = ["alice", "alice+lists.deno", "alice+Lists/Deno", "alice+other"];
  assertEquals(await mailbox.deliver(...recipients), recipients.map(() => DELIVERED));
  assertEquals(await mailbox.counts(), { new: 2, ".Lists.deno/new": 1 });
});

Deno.test("Strangers make no folder, and lead nowhere out of the mailbox", async () => {
  await using mailbox = await Mailbox.make();
  await mailbox.deliver("alice");
  await Deno.mkdir(`${mailbox.root}/mail/example.org/bob/new`, { recursive: true });
  await Deno.writeTextFile(`${mailbox.folder}/.note`, "a file");
  for (const detail of ["spam", "note", "Note", "../bob", "/bob", "..", "~", "", "inbox", "INBOX", "new", "cur"]) {
    assertEquals(await mailbox.deliver(`alice+${detail}`), [DELIVERED], detail);
  }
  assertEquals(await mailbox.counts(), { new: 13 });
  const names = (await Array.fromAsync(Deno.readDir(mailbox.folder))).map(({ name }) => name).sort();
  assertEquals(names, [".note", "cur", "new", "tmp"]);
});

Deno.test("Without a detail no folder is looked for", async () => {
  await using mailbox = await Mailbox.make();
  await mailbox.deliver("alice");
  mailbox.disk.looks.length = 0;
  await mailbox.deliver("alice");
  assertEquals(mailbox.disk.looks, []);
});

Deno.test("The folders are listed once for all recipients of a message, and anew for the next", async () => {
  await using mailbox = await Mailbox.make();
  await mailbox.deliver("alice");
  const details = Array.from({ length: 50 }, (_, index) => `alice+d${index}`);
  for (const lists of [1, 2]) {
    assertEquals(await mailbox.deliver(...details), details.map(() => DELIVERED));
    assertEquals(mailbox.disk.looks.filter((look) => look.startsWith("list ")).length, lists);
  }
  assertEquals(await mailbox.counts(), { new: 3 });
});

Deno.test("A folder that is a symbolic link gets mail where it leads, one that leads nowhere leaves it to the inbox", async () => {
  await using mailbox = await Mailbox.make();
  await mailbox.deliver("alice");
  const elsewhere = `${mailbox.root}/elsewhere`;
  for (const name of ["tmp", "new", "cur"]) await Deno.mkdir(`${elsewhere}/${name}`, { recursive: true });
  await Deno.symlink(elsewhere, `${mailbox.folder}/.Shared`);
  await Deno.symlink(`${mailbox.root}/nowhere`, `${mailbox.folder}/.Gone`);
  assertEquals(await mailbox.deliver("alice+shared", "alice+gone"), [DELIVERED, DELIVERED]);
  assertEquals((await filesBelow(`${elsewhere}/new`)).length, 1);
  assertEquals(await mailbox.counts(), { new: 2, ".Shared/new": 1 });
});

Deno.test("A folder that cannot be looked at or written to delays its recipient, and nobody else", async () => {
  await using mailbox = await Mailbox.make();
  await mailbox.deliver("alice");
  await mailbox.addFolder(".Lists");
  for (const operation of ["stat", "open", "rename", "sync"] as const) {
    mailbox.disk.fault = (name, path) => name === operation && path.includes("/.Lists/") ? brokenError() : undefined;
    const before = await mailbox.counts();
    assertEquals(await mailbox.deliver("alice+Lists", "alice"), [DELAYED, DELIVERED], operation);
    assertEquals(await mailbox.counts(), { ...before, new: (before["new"] ?? 0) + 1 }, operation);
  }
  mailbox.disk.fault = (name) => name === "list" ? new Deno.errors.PermissionDenied("no") : undefined;
  assertEquals(await mailbox.deliver("alice+lists", "alice+Lists"), [DELAYED, DELIVERED]);
});

Deno.test("A folder that was removed after it was found leaves mail to the inbox", async () => {
  for (const step of ["sync", "open", "syncData"] as const) {
    await using mailbox = await Mailbox.make();
    await mailbox.deliver("alice");
    const folder = await mailbox.addFolder(".Lists");
    mailbox.disk.fault = (name, path) => {
      if (name === step && path.startsWith(folder)) {
        try {
          Deno.removeSync(folder, { recursive: true });
        } catch (error) {
          if (!(error instanceof Deno.errors.NotFound)) throw error;
        }
      }
      return undefined;
    };
    assertEquals(await mailbox.deliver("alice+lists"), [DELIVERED], step);
    assertEquals(await mailbox.counts(), { new: 2 }, step);
  }
});

Deno.test("A folder without tmp/ or new/ is mended", async () => {
  for (const name of ["tmp", "new"]) {
    await using mailbox = await Mailbox.make();
    const folder = await mailbox.addFolder(".Lists");
    await Deno.remove(`${folder}/${name}`);
    assertEquals(await mailbox.deliver("alice+lists"), [DELIVERED], name);
    assertEquals(await mailbox.counts(), { ".Lists/new": 1 }, name);
  }
});

Deno.test("A placement may make its folder, and flags put the file into cur/", async () => {
  const junk = { folder: ".Junk", isMade: true, flags: "SF" };
  await using mailbox = await Mailbox.make(() => Promise.resolve([junk, INBOX]));
  assertEquals(await mailbox.deliver("alice", "alice+x"), [DELIVERED, DELIVERED]);
  assertEquals(await mailbox.counts(), { ".Junk/cur": 1, new: 1 });
  const [path = ""] = await filesBelow(`${mailbox.folder}/.Junk/cur`);
  assertMatch(path, /,S=\d+,W=\d+:2,FS$/);
  assertEquals(((await Deno.stat(path)).mode ?? 0) & 0o777, 0o600);
  for (const name of ["", "/tmp", "/new", "/cur"]) {
    assertEquals(((await Deno.stat(`${mailbox.folder}/.Junk${name}`)).mode ?? 0) & 0o777, 0o700);
  }
  assertEquals(((await Deno.stat(`${mailbox.folder}/.Junk/maildirfolder`)).mode ?? 0) & 0o777, 0o600);
  assertEquals(await Deno.readTextFile(`${mailbox.folder}/subscriptions`), "Junk\n");
});

Deno.test("A filing that fails delays its recipient", async () => {
  await using mailbox = await Mailbox.make((_, { address }) => {
    return address.startsWith("alice+") ? Promise.reject(brokenError()) : Promise.resolve([INBOX]);
  });
  assertEquals(await mailbox.deliver("alice+x", "alice"), [DELAYED, DELIVERED]);
});
