/** Messages that mail programs stumble over come out of a Maildir octet for octet: of its files, of Dovecot, of mutt. */

import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { createHash } from "node:crypto";
import { withCrlf } from "../support/crlf.ts";
import { mustRun } from "../support/interop/command.ts";
import { SmtpDialog } from "../support/interop/dialog.ts";
import { Dovecot } from "../support/interop/dovecot.ts";
import { latin1, latin1Octets, type Maildir, traceFieldsBefore } from "../support/interop/maildir.ts";
import { peerTest, programPath } from "../support/interop/peers.ts";
import { TemporaryFolder } from "../support/interop/temporary_folder.ts";
import { largeMessage, type TortureMessage, tortureMessages } from "../support/interop/torture.ts";
import { waitUntil } from "../support/interop/wait.ts";
import { PosthornProcess } from "../support/posthorn_process.ts";

const ALICE = { address: "alice@example.org", password: "correct horse battery staple" };
const FROM = "x@elsewhere.example";
const USER = "nobody";

/**
 * Prints size and SHA-256 of each message of INBOX as a mail reader sees them. Then it flags the first, marks the second as
 * answered and moves it to Archive, and prints the same of what is there.
 */
const IMAP_SCRIPT = `
import hashlib, imaplib, re, sys
imap = imaplib.IMAP4("127.0.0.1", int(sys.argv[1]))
imap.login(sys.argv[2], sys.argv[3])
def must(answer):
    assert answer[0] == "OK", answer
    return answer[1]
def show(folder):
    for number in range(1, int(must(imap.select(folder))[0]) + 1):
        data = must(imap.fetch(str(number), "(RFC822.SIZE BODY.PEEK[])"))
        head = b" ".join(part if isinstance(part, bytes) else part[0] for part in data)
        body = data[0][1]
        print(folder, re.search(rb"RFC822.SIZE (\\d+)", head).group(1).decode(), hashlib.sha256(body).hexdigest())
show("INBOX")
must(imap.store("1", "+FLAGS", "(\\\\Seen \\\\Flagged)"))
must(imap.store("2", "+FLAGS", "(\\\\Answered)"))
must(imap.create("Archive"))
must(imap._simple_command("MOVE", "2", "Archive"))
show("Archive")
imap.logout()
`;

function sha256(octets: Uint8Array | string): string {
  return createHash("sha256").update(octets).digest("hex");
}

/** Sends by DATA, or by BDAT in chunks cut at odd places. */
async function send(dialog: SmtpDialog, { name, content }: TortureMessage, way: "DATA" | "BDAT"): Promise<void> {
  let reply: string;
  if (way === "DATA") reply = await dialog.send(FROM, [ALICE.address], content);
  else {
    dialog.expect("250", await dialog.command(`MAIL FROM:<${FROM}> BODY=8BITMIME`));
    dialog.expect("250", await dialog.command(`RCPT TO:<${ALICE.address}>`));
    const chunkOctets = Math.max(7, Math.ceil(content.length / 5));
    for (let at = 0;; at += chunkOctets) {
      const chunk = content.subarray(at, at + chunkOctets);
      const isLast = at + chunkOctets >= content.length;
      await dialog.write(latin1Octets(`BDAT ${chunk.length}${isLast ? " LAST" : ""}\r\n`));
      await dialog.write(chunk);
      reply = await dialog.reply();
      if (isLast || !reply.startsWith("250")) break;
    }
  }
  assert(reply.startsWith("250"), `${name} by ${way}: ${reply}`);
}

/** Waits for the file of a message, and compares it and its name with what was sent. @returns SHA-256 as sent. */
async function checkFile(
  maildir: Maildir,
  seen: Set<string>,
  { name, content }: TortureMessage,
  lineEndings: "lf" | "crlf",
  detail: () => string,
): Promise<string> {
  const file = await waitUntil(async () => (await maildir.names()).find((each) => !seen.has(each)), {
    what: `"${name}" in the Maildir`,
    detail,
  });
  seen.add(file);
  const octets = await Deno.readFile(`${maildir.path}/new/${file}`);
  const asSent = withCrlf(octets);
  if (lineEndings === "crlf") assertEquals(octets.length, asSent.length, `${name}: the file has CRLF`);
  else assert(!octets.includes(13), `${name}: the file has LF`);
  traceFieldsBefore(content, asSent);
  assert(file.endsWith(`,S=${octets.length},W=${asSent.length}`), `${name}: ${file}`);
  return sha256(asSent);
}

for (const lineEndings of ["lf", "crlf"] as const) {
  peerTest(
    `Torture messages come octet for octet from files with ${lineEndings.toUpperCase()} and from Dovecot, which flags and moves them`,
    ["root", "dovecot", "python"],
    async () => {
      await using posthorn = await PosthornProcess.start({
        listeners: [{ service: "mx" }],
        accounts: [ALICE],
        config: { mailboxes: { line_endings: lineEndings } },
      });
      const maildir = posthorn.maildir(ALICE.address);
      const messages = tortureMessages();
      const large = largeMessage();
      const sent = [
        ...messages.filter(({ isChunkedOnly }) => isChunkedOnly !== true).map((each) => [each, "DATA"] as const),
        ...messages.map((each) => [each, "BDAT"] as const),
        [large, lineEndings === "lf" ? "DATA" : "BDAT"] as const,
      ];
      const hashes: string[] = [];
      const seen = new Set<string>();
      using dialog = await SmtpDialog.open(posthorn.port("mx"));
      for (const [message, way] of sent) {
        await send(dialog, message, way);
        hashes.push(await checkFile(maildir, seen, message, lineEndings, () => posthorn.log));
      }

      // Tests run as root, which Dovecot does not let read mail.
      await mustRun(["chmod", "755", posthorn.folder]);
      await mustRun(["chown", "-R", `${USER}:`, posthorn.dataFolder]);
      await using folder = await TemporaryFolder.create({ isPublic: true });
      await using dovecot = await Dovecot.start({
        folder: folder.path,
        maildir: maildir.path,
        user: USER,
        login: ALICE,
      });
      const output = await mustRun([
        programPath("python"),
        ...["-c", IMAP_SCRIPT, `${dovecot.port}`, ALICE.address, ALICE.password],
      ]);
      const shown = output.trim().split("\n").map((line) => line.split(" "));
      const inbox = shown.filter(([folder]) => folder === "INBOX");
      assertEquals(inbox.map(([, , hash]) => hash).sort(), hashes.toSorted(), dovecot.log);
      const sizes = [...seen].map((name) => Number(/,W=(\d+)$/.exec(name)?.[1]));
      assertEquals(inbox.map(([, size]) => Number(size)).sort(), sizes.sort(), "RFC822.SIZE is W of the name");

      assertEquals(shown.filter(([folder]) => folder === "Archive").map(([, , hash]) => hash), [inbox[1]?.[2]]);
      const current = await maildir.names("cur");
      assertEquals([current.length, current.filter((name) => /,S=\d+,W=\d+:2,FS$/.test(name)).length], [
        sent.length - 1,
        1,
      ]);
      const archived: string[] = [];
      for await (const { name } of Deno.readDir(`${maildir.path}/.Archive/cur`)) archived.push(name);
      assertMatch(archived.join(), /^[^,]+,S=\d+,W=\d+:2,R$/);
      assert(!/error|warning|corrupt/i.test(dovecot.log), dovecot.log);
    },
  );
}

/** Pipes every message to a program, flags all, and leaves. */
const MUTTRC = `
set folder="" record="" postponed="" mbox_type=Maildir header_cache=""
set charset=utf-8 index_format="%C <%s>"
set pipe_decode=no pipe_split=yes pipe_sep="" wait_key=no quit=yes confirmappend=no mark_old=no sort=date
push "<tag-pattern>.<enter><tag-prefix><pipe-message>SAVE<enter><tag-prefix><flag-message><tag-prefix><clear-flag>N<sync-mailbox><exit>"
`;

peerTest("mutt sees every message with its octets, and flags them", ["mutt", "script"], async () => {
  await using posthorn = await PosthornProcess.start({ listeners: [{ service: "mx" }], accounts: [ALICE] });
  const maildir = posthorn.maildir(ALICE.address);
  // Where no empty line ends the header section, mutt adds one.
  const messages = tortureMessages().filter(({ name }) => !/nothing at all|section only|no header section/.test(name));
  using dialog = await SmtpDialog.open(posthorn.port("mx"));
  for (const message of messages) await send(dialog, message, "BDAT");
  const delivered = await maildir.waitFor(messages.length, { detail: () => posthorn.log });

  await using folder = await TemporaryFolder.create();
  await Deno.mkdir(`${folder.path}/saved`);
  await Deno.writeTextFile(`${folder.path}/save`, `#!/bin/sh\ncat >"$(mktemp ${folder.path}/saved/XXXXXXXX)"\n`);
  await Deno.chmod(`${folder.path}/save`, 0o755);
  await Deno.writeTextFile(`${folder.path}/muttrc`, MUTTRC.replace("SAVE", `${folder.path}/save`));
  const screen = await mustRun(
    [programPath("script"), "-qec", `mutt -n -F ${folder.path}/muttrc -f ${maildir.path}`, "/dev/null"],
    { env: { TERM: "vt100", LC_ALL: "C.UTF-8", HOME: folder.path }, cwd: folder.path },
  );
  const saved: string[] = [];
  for await (const { name } of Deno.readDir(`${folder.path}/saved`)) {
    saved.push(latin1(withCrlf(await Deno.readFile(`${folder.path}/saved/${name}`))));
  }
  assertEquals(saved.map((text) => sha256(text)).sort(), delivered.map(({ text }) => sha256(text)).sort(), screen);
  assertMatch(screen, new RegExp(`\\[Msgs:${messages.length} `));
  assertStringIncludes(screen, "<\u00e4\u00f6\u00fc\u20ac torture>");
  const current = await maildir.names("cur");
  assertEquals(current.length, messages.length);
  for (const name of current) assertMatch(name, /,S=\d+,W=\d+:2,FS$/);
});
