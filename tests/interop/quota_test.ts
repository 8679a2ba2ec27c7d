/** Quotas together with Dovecot and maildrop: all see the same, whoever delivers, expunges or counts. */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { PosthornProcess } from "../support/posthorn_process.ts";
import { mustRun, runCommand } from "../support/interop/command.ts";
import { SmtpDialog } from "../support/interop/dialog.ts";
import { Dovecot } from "../support/interop/dovecot.ts";
import type { Maildir } from "../support/interop/maildir.ts";
import { peerTest, programPath } from "../support/interop/peers.ts";
import { TemporaryFolder } from "../support/interop/temporary_folder.ts";
import { waitUntil } from "../support/interop/wait.ts";

const ALICE = { address: "alice@example.org", password: "correct horse battery staple" };
const USER = "nobody";

/** Logs in, runs the commands of the test, and prints what IMAP says of the quota: `octets-limit KiB, messages`. */
const IMAP_SCRIPT = `
import imaplib, re, sys
imap = imaplib.IMAP4("127.0.0.1", int(sys.argv[1]))
imap.login(sys.argv[2], sys.argv[3])
imap.select("INBOX")
for command in sys.argv[4:]:
    if command == "expunge":
        imap.store("1", "+FLAGS", r"(\\Deleted)")
        imap.expunge()
    elif command.startswith("copy "):
        status, data = imap.copy("1", command[5:])
        if status != "OK": print(status, data[0].decode("latin1"))
    else:
        imap.create(command)
status, (roots, quotas) = imap.getquotaroot("INBOX")
print(b" ".join(quotas).decode())
imap.logout()
`;

/** A Dovecot with the quota plugin on the mailboxes of a posthorn. */
class Lab implements AsyncDisposable {
  private constructor(
    readonly posthorn: PosthornProcess,
    readonly maildir: Maildir,
    readonly folder: TemporaryFolder,
    readonly dovecot: Dovecot,
  ) {}

  static async start(quota: Readonly<Record<string, unknown>>): Promise<Lab> {
    const posthorn = await PosthornProcess.start({
      listeners: [{ service: "mx" }],
      accounts: [ALICE],
      config: { mailboxes: { quota } },
    });
    const maildir = posthorn.maildir(ALICE.address);
    for (const name of ["tmp", "new", "cur"]) await Deno.mkdir(`${maildir.path}/${name}`, { recursive: true });
    // Tests run as root, which Dovecot does not let read mail.
    await mustRun(["chmod", "755", posthorn.folder]);
    await mustRun(["chown", "-R", `${USER}:`, posthorn.dataFolder]);
    const folder = await TemporaryFolder.create({ isPublic: true });
    const dovecot = await Dovecot.start({
      folder: folder.path,
      maildir: maildir.path,
      user: USER,
      login: ALICE,
      // The limits are those of the file.
      more: `mail_plugins = quota
protocol imap {
  mail_plugins = quota imap_quota
}
plugin {
  quota = maildir:User quota
}
`,
    });
    return new Lab(posthorn, maildir, folder, dovecot);
  }

  /** Sends a message of about so many octets; returns the first reply that is a refusal, else that to the content. */
  send(octets: number): Promise<string> {
    return send(this.posthorn, octets);
  }

  /** Lets a mail reader do something. Returns STORAGE (KiB) and MESSAGE as used and limit, as IMAP tells them. */
  async imap(...commands: readonly string[]): Promise<string> {
    // What root wrote belongs to the user, as if posthorn had run as that user.
    await mustRun(["chown", "-R", `${USER}:`, this.posthorn.dataFolder]);
    const { port } = this.dovecot;
    const words = ["-c", IMAP_SCRIPT, `${port}`, ALICE.address, ALICE.password, ...commands];
    return (await mustRun([programPath("python"), ...words])).trim();
  }

  /** What is on the disk, and what the quota file says. */
  async compare(): Promise<Held> {
    const held = await heldIn(this.maildir.path);
    assertEquals(await notedIn(this.maildir.path), held, await quotaFile(this.maildir.path));
    return held;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.dovecot[Symbol.asyncDispose]();
    await this.folder[Symbol.asyncDispose]();
    await this.posthorn[Symbol.asyncDispose]();
  }
}

/** What IMAP says of a mailbox with limits of 20 KiB and 50 messages. */
function imapQuota({ octets, messages }: { octets: number; messages: number }): string {
  return `"User quota" (STORAGE ${Math.ceil(octets / 1024)} 20 MESSAGE ${messages} 50)`;
}

interface Held {
  readonly octets: number;
  readonly messages: number;
}

/** Messages and their sizes on the disk, whatever a name or a file says. */
async function heldIn(maildir: string): Promise<Held> {
  const output = await mustRun(["find", maildir, "-type", "f", "-name", "*,S=*", "-printf", "%s\n"]);
  const sizes = output.trim().split("\n").filter(Boolean).map(Number);
  return { octets: sizes.reduce((sum, size) => sum + size, 0), messages: sizes.length };
}

function quotaFile(maildir: string): Promise<string> {
  return Deno.readTextFile(`${maildir}/maildirsize`);
}

/** The sum of a quota file. */
async function notedIn(maildir: string): Promise<Held> {
  const lines = (await quotaFile(maildir)).trimEnd().split("\n").slice(1);
  const pairs = lines.map((line) => line.trim().split(/ +/).map(Number));
  const sum = (at: number): number => pairs.reduce((sum, pair) => sum + (pair[at] ?? NaN), 0);
  return { octets: sum(0), messages: sum(1) };
}

/** Sends a message of about so many octets to alice, and says how many. */
async function send(posthorn: PosthornProcess, octets: number): Promise<string> {
  const content = new TextEncoder().encode(`Subject: x\r\n\r\n${`${"x".repeat(78)}\r\n`.repeat(octets / 80)}`);
  using dialog = await SmtpDialog.open(posthorn.port("mx"));
  await dialog.command(`MAIL FROM:<x@elsewhere.example> SIZE=${content.length}`);
  const reply = await dialog.command(`RCPT TO:<${ALICE.address}>`);
  if (!reply.startsWith("2")) return reply;
  await dialog.command("DATA");
  return await dialog.command(`${new TextDecoder().decode(content)}.`);
}

const NEEDS = ["root", "dovecot", "python"] as const;

peerTest("Dovecot and posthorn see the same quota, whoever changes or counts a mailbox", NEEDS, async () => {
  await using lab = await Lab.start({ storage: "20KiB", messages: 50, warn_at: [] });
  for (let count = 1; count <= 3; count++) assertMatch(await lab.send(4000), /^250/);
  assertMatch(await quotaFile(lab.maildir.path), /^20480S,50C\n/);
  assertEquals(await lab.imap(), imapQuota(await lab.compare()));

  // A reader's copy takes room for both, and its expunge makes room for both.
  await lab.imap("Archive", "copy Archive");
  assertEquals((await lab.compare()).messages, 4);
  assertEquals(await lab.send(4000), "452 4.2.2 Mailbox is full; try again later");
  await lab.imap("expunge");
  await lab.compare();
  assertMatch(await lab.send(4000), /^250/);
  assertEquals(await lab.imap(), imapQuota(await lab.compare()));

  // Full for a reader, too.
  assertMatch(await lab.imap("copy Archive"), /^NO \[OVERQUOTA\]/);

  // Counted by Dovecot, then by us.
  await Deno.remove(`${lab.maildir.path}/maildirsize`);
  assertEquals((await lab.send(400)).slice(0, 3), "250");
  await lab.compare();
  await Deno.writeTextFile(`${lab.maildir.path}/maildirsize`, "20480S,50C\n1 1\n-2 -1\n");
  assertEquals(await lab.imap(), imapQuota(await lab.compare()));
  await lab.compare();
});

peerTest(
  "A full mailbox is refused with 552, is warned before, and takes mail when Dovecot has made room",
  NEEDS,
  async () => {
    await using lab = await Lab.start({ storage: "20KiB", messages: 50, when_full: "refuse", warn_at: ["80%"] });
    assertMatch(await lab.send(30_000), /^552 5\.2\.2 Message is larger than the mailbox may hold/);
    for (let count = 1; count <= 4; count++) assertMatch(await lab.send(4000), /^250/);
    await waitUntil(async () => (await heldIn(lab.maildir.path)).messages === 5 ? true : undefined, {
      what: "the warning",
      detail: () => lab.posthorn.log,
    });
    const texts = (await lab.maildir.messages()).map(({ text }) => text);
    assert(texts.some((text) => /^Subject: Your mailbox is 8\d% full\r?$/m.test(text)), texts.at(-1));
    assertMatch(await lab.send(4000), /^552 5\.2\.2 Mailbox is full/);
    await lab.imap("expunge", "expunge");
    assertMatch(await lab.send(4000), /^250/);
    await lab.compare();
  },
);

peerTest("maildrop's deliverquota reads our quota file, and we read its lines", ["root", "deliverquota"], async () => {
  await using posthorn = await PosthornProcess.start({
    listeners: [{ service: "mx" }],
    accounts: [ALICE],
    config: { mailboxes: { quota: { storage: "10KiB", warn_at: [] } } },
  });
  const maildir = posthorn.maildir(ALICE.address);
  const deliver = async (octets: number): Promise<number> =>
    (await runCommand([programPath("deliverquota"), maildir.path], { stdin: `Subject: y\n\n${"y".repeat(octets)}\n` }))
      .code;
  assertMatch(await send(posthorn, 4000), /^250/);
  assertEquals(await deliver(4000), 0);
  assertEquals((await quotaFile(maildir.path)).trimEnd().split("\n").length, 3, "a line was added, nothing counted");
  assertEquals(await send(posthorn, 4000), "452 4.2.2 Mailbox is full; try again later");
  assertEquals(await deliver(4000), 77);
  assertMatch(await send(posthorn, 800), /^250/);
  await waitUntil(async () => (await maildir.names()).length === 3 ? true : undefined, { what: "three messages" });
  assertEquals(await notedIn(maildir.path), await heldIn(maildir.path));
});
