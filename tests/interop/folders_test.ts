/** Folders of mailboxes, shared with others: made by them and filled by us, made by us and used by them. */

import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { getLogger } from "@logtape/logtape";
import { MaildirTarget } from "../../lib/delivery/maildir.ts";
import type { Placement } from "../../lib/delivery/mailbox/filing.ts";
import { folderOnDisk } from "../../lib/delivery/mailbox/folder_name.ts";
import { findFolder } from "../../lib/delivery/mailbox/subfolders.ts";
import { memoryContent } from "../../lib/mail/content.ts";
import { systemClock } from "../../lib/system/clock.ts";
import { systemFiles } from "../../lib/system/files.ts";
import { FolderSync } from "../../lib/system/folder_sync.ts";
import { mustRun } from "../support/interop/command.ts";
import { SmtpDialog } from "../support/interop/dialog.ts";
import { Dovecot } from "../support/interop/dovecot.ts";
import { ImapDialog } from "../support/interop/imap_dialog.ts";
import { latin1Octets, Maildir } from "../support/interop/maildir.ts";
import { peerTest, programPath } from "../support/interop/peers.ts";
import { TemporaryFolder } from "../support/interop/temporary_folder.ts";
import { PosthornProcess } from "../support/posthorn_process.ts";
import { makeEnvelope } from "../unit/delivery/conformance.ts";

const ALICE = { address: "alice@example.org", password: "correct horse battery staple" };
const USER = "nobody";
const MESSAGE = latin1Octets("From: x@elsewhere.example\r\nSubject: x\r\n\r\nbody\r\n");

/** How many messages a folder has; its name as it stands on the wire. */
async function count(imap: ImapDialog, folder: string): Promise<number> {
  const [line = ""] = await imap.command(`STATUS "${folder}" (MESSAGES)`);
  return Number(/MESSAGES (\d+)/.exec(line)?.[1]);
}

/** Delivers one message with these placements into `mail/example.org/alice` below a folder. */
async function deliver(root: string, ...placements: readonly Placement[]): Promise<void> {
  await using folderSync = new FolderSync(systemFiles);
  const target = new MaildirTarget({
    mailRoot: `${root}/mail`,
    files: systemFiles,
    clock: systemClock,
    hostname: "mail.example.org",
    pid: Deno.pid,
    folderSync,
    logger: getLogger(["test"]),
    lineEndings: () => "lf",
    filing: () => Promise.resolve(placements),
  });
  const envelope = makeEnvelope([ALICE.address]);
  const [outcome] = await target.deliver({
    queueId: "Q1",
    envelope,
    content: memoryContent(MESSAGE),
    hop: { kind: "maildir", account: ALICE.address, key: `maildir:${ALICE.address}` },
    recipients: envelope.recipients,
    signal: new AbortController().signal,
  });
  assertEquals(outcome?.action, "delivered");
}

peerTest(
  "Mail for user+folder is in the folder that the user made over IMAP, and in the inbox without one",
  ["root", "dovecot"],
  async () => {
    await using posthorn = await PosthornProcess.start({ listeners: [{ service: "mx" }], accounts: [ALICE] });
    const inbox = posthorn.maildir(ALICE.address);
    const send = async (...localParts: readonly string[]): Promise<void> => {
      using dialog = await SmtpDialog.open(posthorn.port("mx"));
      // latin1Octets writes each octet of the UTF-8.
      const octetsOf = (text: string): string => String.fromCharCode(...new TextEncoder().encode(text));
      assertMatch(await dialog.command("MAIL FROM:<x@elsewhere.example> SMTPUTF8"), /^250/);
      for (const localPart of localParts) {
        assertMatch(await dialog.command(`RCPT TO:<${octetsOf(localPart)}@example.org>`), /^250/);
      }
      assertMatch(await dialog.command("DATA"), /^354/);
      await dialog.write(MESSAGE);
      assertMatch(await dialog.command("."), /^250/);
    };
    await send("alice");
    await inbox.waitFor(1, { detail: () => posthorn.log });

    // Tests run as root, which Dovecot does not let read mail.
    await mustRun(["chmod", "755", posthorn.folder]);
    const giveToDovecot = (): Promise<string> => mustRun(["chown", "-R", `${USER}:`, posthorn.dataFolder]);
    await giveToDovecot();
    await using folder = await TemporaryFolder.create({ isPublic: true });
    await using dovecot = await Dovecot.start({ folder: folder.path, maildir: inbox.path, user: USER, login: ALICE });
    using imap = await ImapDialog.open(dovecot.port, ALICE);
    assertEquals(await count(imap, "INBOX"), 1, dovecot.log);
    await imap.command('CREATE "Lists.deno"');
    await imap.command('CREATE "Entw&APw-rfe"');

    await send("alice", "alice+lists.deno", "alice+Lists/Deno", "alice+entwürfe", "alice+nothing");
    await new Maildir(`${inbox.path}/.Lists.deno`).waitFor(1, { detail: () => posthorn.log });
    await new Maildir(`${inbox.path}/.Entw&APw-rfe`).waitFor(1, { detail: () => posthorn.log });
    await giveToDovecot();
    assertEquals(await count(imap, "Lists.deno"), 1);
    assertEquals(await count(imap, "Entw&APw-rfe"), 1);
    assertEquals(await count(imap, "INBOX"), 2);

    await imap.command('DELETE "Lists.deno"');
    await send("alice+lists.deno");
    await inbox.waitFor(1, { detail: () => posthorn.log });
    await giveToDovecot();
    assertEquals(await count(imap, "INBOX"), 3);
  },
);

peerTest(
  "Dovecot lists the folders that posthorn makes, as subscribed, with the flags that the mail was given",
  ["root", "dovecot"],
  async () => {
    await using folder = await TemporaryFolder.create({ isPublic: true });
    const maildir = `${folder.path}/mail/example.org/alice`;
    await deliver(folder.path, { folder: folderOnDisk("Junk") ?? "", isMade: true, flags: "" });
    await deliver(folder.path, { folder: folderOnDisk("Entwürfe/2026") ?? "", isMade: true, flags: "FS" });
    const giveToDovecot = (): Promise<string> => mustRun(["chown", "-R", `${USER}:`, `${folder.path}/mail`]);
    await giveToDovecot();
    await using dovecot = await Dovecot.start({ folder: folder.path, maildir, user: USER, login: ALICE });
    using imap = await ImapDialog.open(dovecot.port, ALICE);
    const names = async (command: "LIST" | "LSUB"): Promise<string[]> => {
      const lines = await imap.command(`${command} "" "*"`);
      return lines.filter((line) => !/\\Noselect|\\NonExistent/i.test(line)).map((line) =>
        /"\." "?(.+?)"?$/.exec(line)?.[1] ?? line
      ).sort();
    };
    assertEquals(await names("LSUB"), ["Entw&APw-rfe.2026", "Junk"], dovecot.log);
    assertEquals(await names("LIST"), ["Entw&APw-rfe.2026", "INBOX", "Junk"]);
    assertEquals(await count(imap, "Junk"), 1);
    await imap.command('SELECT "Entw&APw-rfe.2026"');
    assertMatch((await imap.command("FETCH 1 (FLAGS)")).join(), /FLAGS \(\\Flagged \\Seen( \\Recent)?\)/);

    // Each keeps what the other has subscribed to; Dovecot's own list has another format.
    await imap.command('CREATE "Own"');
    await imap.command('SUBSCRIBE "Own"');
    await deliver(folder.path, { folder: ".Made.later", isMade: true, flags: "" });
    await giveToDovecot();
    assertEquals(await names("LSUB"), ["Entw&APw-rfe.2026", "Junk", "Made.later", "Own"]);
    await Deno.remove(`${maildir}/subscriptions`);
    await imap.command('SUBSCRIBE "Own"');
    assertMatch(await Deno.readTextFile(`${maildir}/subscriptions`), /^V\t2\n\n/);
    await deliver(folder.path, { folder: ".Lists.deno", isMade: true, flags: "" });
    await giveToDovecot();
    assertEquals(await names("LSUB"), ["Lists.deno", "Own"]);
  },
);

peerTest(
  "maildrop takes folders of posthorn for its own, and posthorn those of maildrop",
  ["maildrop", "maildirmake", "deliverquota"],
  async () => {
    await using folder = await TemporaryFolder.create({});
    const maildir = `${folder.path}/mail/example.org/alice`;
    await deliver(folder.path, { folder: ".Lists.deno", isMade: true, flags: "" });
    await assertRejects(() => mustRun([programPath("maildirmake"), "-f", "Lists.deno", maildir]), Error, "exists");

    // In a folder with the file maildirfolder, the quota of the mailbox above counts.
    await mustRun([programPath("maildirmake"), "-q", "100000S,10C", maildir]);
    const message = `${folder.path}/message`;
    await Deno.writeFile(message, MESSAGE);
    const shell = (line: string): Promise<string> => mustRun(["sh", "-c", line]);
    await shell(`"${programPath("deliverquota")}" -c "${maildir}/.Lists.deno" <"${message}"`);
    assertMatch(await Deno.readTextFile(`${maildir}/maildirsize`), new RegExp(`\\n\\s*${MESSAGE.length}\\s+1\\n$`));
    await Deno.writeTextFile(`${folder.path}/filter`, `to "${maildir}/.Lists.deno"\n`, { mode: 0o600 });
    await shell(`"${programPath("maildrop")}" "${folder.path}/filter" <"${message}"`);
    assertEquals((await new Maildir(`${maildir}/.Lists.deno`).names()).length, 3);

    // Courier's tools write names in UTF-8.
    for (const name of ["Archive.2026", "Prüfungen"]) {
      await mustRun([programPath("maildirmake"), "-f", name, maildir]);
      const found = await findFolder(systemFiles, maildir, name.toUpperCase());
      assertEquals(found, `.${name}`);
      assert(found !== undefined);
      await deliver(folder.path, { folder: found, isMade: false, flags: "" });
      assertEquals((await new Maildir(`${maildir}/.${name}`).names()).length, 1);
    }
  },
);
