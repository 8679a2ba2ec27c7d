/** Delivery into a Maildir with a quota. */

import { assertEquals, assertMatch } from "@std/assert";
import { getLogger } from "@logtape/logtape";
import { type MaildirHop, MaildirTarget } from "../../../../lib/delivery/maildir.ts";
import { MailboxQuotas } from "../../../../lib/delivery/quota/mailbox_quotas.ts";
import { memoryContent } from "../../../../lib/mail/content.ts";
import type { Envelope } from "../../../../lib/mail/envelope.ts";
import type { Outcome } from "../../../../lib/mail/outcome.ts";
import { FolderSync } from "../../../../lib/system/folder_sync.ts";
import { FakeClock } from "../../../support/fake_clock.ts";
import { diskFull, MemoryFiles } from "../../../support/memory_files.ts";
import { makeEnvelope } from "../conformance.ts";

const ACCOUNT = "alice@example.org";
const MAILBOX = "/data/mail/example.org/alice";
const HOP: MaildirHop = { kind: "maildir", account: ACCOUNT, key: `maildir:${ACCOUNT}` };

class Lab implements AsyncDisposable {
  readonly disk = new MemoryFiles();
  readonly sync = new FolderSync(this.disk);
  readonly target: MaildirTarget;

  constructor(octets: number | undefined, whenFull: "defer" | "refuse" = "defer", warnAt: readonly number[] = []) {
    const common = {
      mailRoot: "/data/mail",
      files: this.disk,
      clock: new FakeClock("2026-11-23T10:00:00Z", true),
      logger: getLogger(["test", "maildir"]),
      hostname: "mail.example.org",
    };
    const quotas = new MailboxQuotas({
      ...common,
      randomOctets: (into) => void into.fill(7),
      limitsOf: () => octets === undefined ? undefined : { octets },
      settings: () => ({ whenFull, warnAt }),
    });
    this.target = new MaildirTarget({ ...common, pid: 1, folderSync: this.sync, lineEndings: () => "lf", quotas });
  }

  /** Delivers a message of about so many octets. */
  async deliver(octets: number, changes: Partial<Envelope> = {}): Promise<Outcome | undefined> {
    const envelope = makeEnvelope([ACCOUNT], { trace: "", ...changes });
    const content = memoryContent(new TextEncoder().encode(`\r\n${"x".repeat(octets)}\r\n`));
    const { recipients } = envelope;
    const signal = new AbortController().signal;
    return (await this.target.deliver({ queueId: "q1", envelope, content, hop: HOP, recipients, signal }))[0];
  }

  /** The messages, oldest first. */
  messages(folder = "new"): string[] {
    return [...this.disk.tree(`${MAILBOX}/${folder}`)].sort().map(([, octets]) => new TextDecoder().decode(octets));
  }

  /** Lines of the quota file. */
  get lines(): string[] | undefined {
    const octets = this.disk.tree(MAILBOX).get(`${MAILBOX}/maildirsize`);
    return octets && new TextDecoder().decode(octets).trimEnd().split("\n").map((line) => line.trim());
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.sync[Symbol.asyncDispose]();
  }
}

Deno.test("A message over the quota waits or fails, as is configured, and leaves nothing behind", async () => {
  for (const [whenFull, action, status] of [["defer", "delayed", "4.2.2"], ["refuse", "failed", "5.2.2"]] as const) {
    await using lab = new Lab(500, whenFull);
    assertEquals((await lab.deliver(200))?.action, "delivered");
    const [text, replyClass] = ["mailbox is full", "mailboxFull"] as const;
    assertEquals(await lab.deliver(300), { action, status, text, isRemoteReply: false, replyClass });
    assertEquals([lab.messages().length, lab.messages("tmp").length], [1, 0]);
  }
});

Deno.test("A mailbox without a quota gets no quota file", async () => {
  await using lab = new Lab(undefined);
  assertEquals((await lab.deliver(200))?.action, "delivered");
  assertEquals(lab.lines, undefined);
});

Deno.test("The quota file has the sizes of the files, and a delivery that failed takes no room", async () => {
  await using lab = new Lab(1000);
  lab.disk.fault = ({ name, path }) => {
    if (name === "syncData" && path.includes("/tmp/")) throw diskFull();
  };
  for (let attempt = 0; attempt < 3; attempt++) assertEquals((await lab.deliver(400))?.status, "4.3.1");
  lab.disk.fault = undefined;
  assertEquals((await lab.deliver(400))?.action, "delivered");
  assertEquals(lab.lines, ["1000S", `${lab.messages()[0]?.length} 1`], "smaller than it came, with LF");
});

Deno.test("The owner of a mailbox that gets full finds a message about it behind the one that did it", async () => {
  await using lab = new Lab(1000, "defer", [80]);
  assertEquals((await lab.deliver(500))?.action, "delivered");
  assertEquals((await lab.deliver(260))?.action, "delivered");
  const messages = lab.messages();
  assertEquals(messages.length, 3);
  assertMatch(messages[2] ?? "", /^Return-Path: <>\nDelivered-To: alice@example\.org\nFrom: Mail Delivery System/);
  assertMatch(messages[2] ?? "", /^Subject: Your mailbox is 89% full$/m);
  assertEquals(
    lab.lines?.slice(1),
    messages.map(({ length }) => `${length} 1`),
    "it counts, and may go over the quota",
  );
  assertEquals((await lab.deliver(1))?.status, "4.2.2");
});

Deno.test("Reports of ours, and mail to postmaster, are delivered to a mailbox that is just full", async () => {
  await using lab = new Lab(3000);
  await lab.deliver(2800);
  assertEquals((await lab.deliver(200))?.status, "4.2.2");
  assertEquals((await lab.deliver(20, { session: { service: "local" }, reversePath: "" }))?.action, "delivered");
  const recipients = [{ address: ACCOUNT, original: "postmaster@example.org" }];
  assertEquals((await lab.deliver(20, { recipients }))?.action, "delivered");
});
