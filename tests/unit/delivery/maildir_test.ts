import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { getLogger } from "@logtape/logtape";
import { type MaildirHop, MaildirTarget } from "../../../lib/delivery/maildir.ts";
import { mailboxFolder } from "../../../lib/delivery/maildir_name.ts";
import { memoryContent } from "../../../lib/mail/content.ts";
import type { Envelope } from "../../../lib/mail/envelope.ts";
import type { Outcome } from "../../../lib/mail/outcome.ts";
import type { OpenDelivery } from "../../../lib/delivery/target.ts";
import { FolderSync } from "../../../lib/system/folder_sync.ts";
import { withCrlf } from "../../support/crlf.ts";
import { FakeClock } from "../../support/fake_clock.ts";
import { MemoryFiles } from "../../support/memory_files.ts";
import { conformance, makeEnvelope, type Subject } from "./conformance.ts";
import { brokenError, FaultyFiles, fullError } from "./maildir_faulty_files.ts";

const ACCOUNT = "alice@example.org";
const HOP: MaildirHop = { kind: "maildir", account: ACCOUNT, key: `maildir:${ACCOUNT}` };

/** A target on a temporary folder. */
class Mailbox implements AsyncDisposable {
  readonly disk = new FaultyFiles();
  readonly clock = new FakeClock("2026-11-23T10:00:00Z");
  readonly sync = new FolderSync(this.disk.files);
  readonly target: MaildirTarget;
  readonly folder: string;

  private constructor(readonly root: string) {
    this.folder = mailboxFolder(`${root}/mail`, ACCOUNT);
    this.target = new MaildirTarget({
      mailRoot: `${root}/mail`,
      files: this.disk.files,
      clock: this.clock,
      hostname: "mail.example.org",
      pid: 1,
      folderSync: this.sync,
      logger: getLogger(["test", "maildir"]),
      lineEndings: () => "lf",
    });
  }

  static async make(): Promise<Mailbox> {
    return new Mailbox(await Deno.makeTempDir());
  }

  async names(folder: "tmp" | "new"): Promise<string[]> {
    const names: string[] = [];
    try {
      for await (const entry of Deno.readDir(`${this.folder}/${folder}`)) names.push(entry.name);
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
    return names.sort();
  }

  async read(): Promise<Uint8Array[]> {
    return await Promise.all((await this.names("new")).map((name) => Deno.readFile(`${this.folder}/new/${name}`)));
  }

  async deliver(text: string, changes: Partial<Envelope> = {}): Promise<Outcome | undefined> {
    const envelope = makeEnvelope([ACCOUNT], changes);
    const { recipients } = envelope;
    const content = memoryContent(new TextEncoder().encode(text));
    const signal = new AbortController().signal;
    return (await this.target.deliver({ queueId: "q1", envelope, content, hop: HOP, recipients, signal }))[0];
  }

  async open(header: string): Promise<OpenDelivery | Outcome | undefined> {
    const envelope = makeEnvelope([ACCOUNT, "alice+lists@example.org"]);
    const content = memoryContent(new TextEncoder().encode(header));
    const signal = new AbortController().signal;
    const { recipients } = envelope;
    return await this.target.open({ queueId: "q1", envelope, content, hop: HOP, recipients, signal });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.sync[Symbol.asyncDispose]();
    await Deno.remove(this.root, { recursive: true });
  }
}

async function makeSubject(): Promise<Subject<MaildirHop>> {
  const mailbox = await Mailbox.make();
  return {
    target: mailbox.target,
    hop: HOP,
    recipients: [ACCOUNT, "alice+lists@example.org"],
    visible: async () => (await mailbox.read()).map(withCrlf),
    leftovers: () => mailbox.names("tmp"),
    setFault: (fault) => {
      mailbox.disk.fault = (operation) => {
        if (fault === "full" && operation === "write") return fullError();
        if (fault === "broken" && operation === "rename") return brokenError();
        return undefined;
      };
    },
    loseAnswers: (isLosing) => {
      // The message is in new/, and nobody knows whether it will stay there.
      mailbox.disk.fault = (operation, path) =>
        isLosing && operation === "sync" && path.endsWith("/new") ? brokenError() : undefined;
    },
    [Symbol.asyncDispose]: () => mailbox[Symbol.asyncDispose](),
  };
}

conformance("Maildir", makeSubject);

Deno.test("A delivered file has Return-Path, Delivered-To and trace in front of the content", async () => {
  await using mailbox = await Mailbox.make();
  const outcome = await mailbox.deliver("Subject: x\r\n\r\nbody\r\n", { trace: "Received: by us\r\n" });
  assertEquals(outcome, { action: "delivered", status: "2.0.0", text: "delivered to mailbox", isRemoteReply: false });
  const [octets] = await mailbox.read();
  assertEquals(
    new TextDecoder().decode(octets),
    "Return-Path: <sender@example.com>\nDelivered-To: alice@example.org\nReceived: by us\nSubject: x\n\nbody\n",
  );
  const [name] = await mailbox.names("new");
  assertMatch(name ?? "", /^1795428000\.M0P1Q0R[0-9a-f]{16}\.mail\.example\.org,S=99,W=105$/);
});

Deno.test("The null reverse-path gives an empty Return-Path", async () => {
  await using mailbox = await Mailbox.make();
  await mailbox.deliver("\r\nbody\r\n", { reversePath: "" });
  assertStringIncludes(new TextDecoder().decode((await mailbox.read())[0]), "Return-Path: <>\n");
});

Deno.test("Nobody else may read a mailbox", async () => {
  await using mailbox = await Mailbox.make();
  await mailbox.deliver("\r\nbody\r\n");
  for (const name of ["", "/tmp", "/new", "/cur"]) {
    assertEquals(((await Deno.stat(mailbox.folder + name)).mode ?? 0) & 0o777, 0o700);
  }
  const [name] = await mailbox.names("new");
  assertEquals(((await Deno.stat(`${mailbox.folder}/new/${name}`)).mode ?? 0) & 0o777, 0o600);
});

Deno.test("File, new/ and every folder made on the way are synced, in that order", async () => {
  await using mailbox = await Mailbox.make();
  await mailbox.deliver("\r\nbody\r\n");
  const done = mailbox.disk.done.map((line) => line.replaceAll(mailbox.root, "").replace(/\d+\.M0P1Q[^/]+$/, "FILE"));
  const domain = "/mail/example.org";
  assertEquals(
    [...done.slice(3, 6), done[6]].sort(),
    [
      "sync ",
      `sync ${domain}`,
      `sync ${domain}/alice`,
      "sync /mail",
    ].sort(),
  );
  assertEquals(done.slice(7).filter((line) => !line.startsWith("write")), [
    // That the mailbox was made is noted once its folders are durable.
    "open /mailboxes",
    "sync /mailboxes",
    "sync ",
    `open ${domain}/alice/tmp/FILE`,
    `syncData ${domain}/alice/tmp/FILE`,
    `rename ${domain}/alice/new/FILE`,
    `sync ${domain}/alice/new`,
  ]);
});

Deno.test("A second delivery makes and syncs no folder but new/", async () => {
  await using mailbox = await Mailbox.make();
  await mailbox.deliver("\r\nbody\r\n");
  mailbox.disk.done.length = 0;
  await mailbox.deliver("\r\nbody\r\n");
  const folders = mailbox.disk.done.filter((line) => /^(sync|makeFolder) /.test(line));
  assertEquals(folders, [`sync ${mailbox.folder}/new`]);
});

Deno.test("Where the folders cannot be synced, nothing is delivered, and the next attempt tries again", async () => {
  await using mailbox = await Mailbox.make();
  mailbox.disk.fault = (operation, path) =>
    operation === "sync" && path.endsWith("example.org") ? brokenError() : undefined;
  assertEquals((await mailbox.deliver("\r\nbody\r\n"))?.status, "4.3.0");
  assertEquals(await mailbox.names("new"), []);
  mailbox.disk.fault = () => undefined;
  assertEquals((await mailbox.deliver("\r\nbody\r\n"))?.status, "2.0.0");
});

Deno.test("A message whose folder fsync failed is taken back, so that the retry brings no second copy", async () => {
  await using mailbox = await Mailbox.make();
  mailbox.disk.fault = (operation, path) => operation === "sync" && path.endsWith("/new") ? fullError() : undefined;
  assertEquals((await mailbox.deliver("\r\nbody\r\n"))?.status, "4.3.1");
  assertEquals(await mailbox.names("new"), []);
});

Deno.test("A file where the mailbox should be delays", async () => {
  await using mailbox = await Mailbox.make();
  await Deno.mkdir(`${mailbox.root}/mail/example.org`, { recursive: true });
  await Deno.writeTextFile(mailbox.folder, "");
  const outcome = await mailbox.deliver("\r\nbody\r\n");
  assertEquals([outcome?.action, outcome?.status], ["delayed", "4.3.0"]);
});

Deno.test("A message that was in this mailbox before is a loop", async () => {
  await using mailbox = await Mailbox.make();
  const before = "Return-Path: <x@example.com>\r\nDelivered-To:\r\n <Alice@Example.ORG>\r\n\r\nbody\r\n";
  const outcome = await mailbox.deliver(before);
  assertEquals([outcome?.action, outcome?.status], ["failed", "5.4.6"]);
  assertEquals(await mailbox.names("new"), []);
});

Deno.test("Delivered-To of another mailbox, or in the body, is no loop", async () => {
  await using mailbox = await Mailbox.make();
  const content =
    "Delivered-To: bob@example.org\r\nX: Delivered-To: alice@example.org\r\n\r\nDelivered-To: alice@example.org\r\n";
  assertEquals((await mailbox.deliver(content))?.status, "2.0.0");
});

Deno.test("The clock set back repeats no file name", async () => {
  await using mailbox = await Mailbox.make();
  for (let i = 0; i < 3; i++) {
    mailbox.clock.setWall("2026-11-23T10:00:00Z");
    await mailbox.deliver("\r\nbody\r\n");
  }
  assertEquals((await mailbox.names("new")).length, 3);
});

Deno.test("A delivery into a full mailbox does what one into an empty mailbox does", async () => {
  const files = new MemoryFiles();
  const clock = new FakeClock("2026-11-23T10:00:00Z", true);
  await using folderSync = new FolderSync(files, { clock });
  const logger = getLogger(["test", "maildir"]);
  const where = { mailRoot: "/mail", files, clock, hostname: "mail.example.org", pid: 1, folderSync, logger };
  await using target = new MaildirTarget({ ...where, lineEndings: () => "lf", cleansTmp: true });
  const content = memoryContent(new TextEncoder().encode("\r\nbody\r\n"));
  const envelope = makeEnvelope([ACCOUNT]);
  const { signal } = new AbortController();
  const request = { queueId: "q1", envelope, content, hop: HOP, recipients: envelope.recipients, signal };
  const costs: number[] = [];
  for (let count = 0; count < 1000; count++) {
    const before = files.operations;
    await target.deliver(request);
    costs.push(files.operations - before);
  }
  assertEquals(files.tree("/mail/example.org/alice/new").size, 1000);
  // open, write, fdatasync, rename, fsync of new/: no folder is listed, and no file looked for.
  assertEquals(new Set(costs.slice(10)), new Set([5]));
});

/** The delivery that was opened, else the test fails. */
function opened(delivery: OpenDelivery | Outcome | undefined): OpenDelivery {
  assert(delivery !== undefined && !("action" in delivery), JSON.stringify(delivery));
  return delivery;
}

Deno.test("A message that is written while it comes is in tmp/ until it is finished, then whole in new/", async () => {
  await using mailbox = await Mailbox.make();
  const delivery = opened(await mailbox.open("Subject: long\r\n"));
  const encoder = new TextEncoder();
  for (const piece of ["Subject: long\r\n\r", "\nline one\r\n", "line two\r\n"]) {
    await delivery.write(encoder.encode(piece));
  }
  assertEquals([(await mailbox.names("tmp")).length, await mailbox.names("new")], [1, []]);
  assertEquals((await delivery.finish()).action, "delivered");
  assertEquals([await mailbox.names("tmp"), (await mailbox.names("new")).length], [[], 1]);
  const text = new TextDecoder().decode((await mailbox.read())[0]);
  assertMatch(text, /^Return-Path: <.*>\nDelivered-To: alice@example\.org\n/);
  assertStringIncludes(text, "\nSubject: long\n\nline one\nline two\n");
});

Deno.test("A message that is given up while it comes leaves nothing", async () => {
  await using mailbox = await Mailbox.make();
  const delivery = opened(await mailbox.open("Subject: long\r\n"));
  await delivery.write(new TextEncoder().encode("Subject: long\r\n"));
  await delivery.abort();
  assertEquals([await mailbox.names("tmp"), await mailbox.names("new")], [[], []]);
});

Deno.test("A message that is written while it comes and cannot be published is delayed, and leaves nothing", async () => {
  await using mailbox = await Mailbox.make();
  const delivery = opened(await mailbox.open("Subject: long\r\n"));
  await delivery.write(new TextEncoder().encode("Subject: long\r\n"));
  mailbox.disk.fault = (operation) => operation === "rename" ? brokenError() : undefined;
  assertEquals((await delivery.finish()).action, "delayed");
  assertEquals([await mailbox.names("tmp"), await mailbox.names("new")], [[], []]);
});

Deno.test("A message that comes back is known by its header section, before the rest of it has come", async () => {
  await using mailbox = await Mailbox.make();
  const refusal = await mailbox.open(`Delivered-To: ${ACCOUNT}\r\nSubject: again\r\n`);
  assert(refusal !== undefined && "action" in refusal);
  assertEquals([refusal.action, refusal.status], ["failed", "5.4.6"]);
  assertEquals(await mailbox.names("tmp"), []);
});
