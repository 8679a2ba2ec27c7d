/** What users can put in the place of a quota file, who may write into their mailboxes by other ways than IMAP. */

import { assert, assertEquals } from "@std/assert";
import { MailboxQuotas } from "../../../../lib/delivery/quota/mailbox_quotas.ts";
import { usageOf } from "../../../../lib/delivery/quota/usage_of.ts";
import { systemClock } from "../../../../lib/system/clock.ts";
import { type Files, systemFiles } from "../../../../lib/system/files.ts";
import { LogLines } from "../../../support/log_lines.ts";
import { makePipe } from "../../../support/pipe.ts";

const ALICE = "alice@example.org";

/** A mailbox of one message with 100 octets on the disk of the machine. */
class Lab implements AsyncDisposable {
  readonly logger = new LogLines();
  readonly mailbox: string;
  readonly file: string;
  readonly quotas: MailboxQuotas;
  lists = 0;

  constructor(readonly root: string) {
    this.mailbox = `${root}/example.org/alice`;
    this.file = `${this.mailbox}/maildirsize`;
    const files: Files = {
      ...systemFiles,
      list: (path) => {
        this.lists++;
        return systemFiles.list(path);
      },
    };
    this.quotas = new MailboxQuotas({
      mailRoot: root,
      files,
      clock: systemClock,
      logger: this.logger,
      hostname: "mail.example.org",
      randomOctets: (into) => void crypto.getRandomValues(into),
      limitsOf: () => ({ octets: 1_000 }),
      settings: () => ({ whenFull: "defer", warnAt: [] }),
    });
  }

  static async make(): Promise<Lab> {
    const lab = new Lab(await Deno.makeTempDir());
    for (const name of ["tmp", "new", "cur"]) await Deno.mkdir(`${lab.mailbox}/${name}`, { recursive: true });
    await Deno.writeTextFile(`${lab.mailbox}/new/1.host,S=100`, "");
    return lab;
  }

  /** Delivers as the Maildir target does. @param meanwhile Done while the message is written. */
  async deliver(octets: number, meanwhile?: () => Promise<void>): Promise<void> {
    const room = await this.quotas.reserve(ALICE, octets, "none");
    assert(room !== undefined && !("action" in room), JSON.stringify(room));
    await meanwhile?.();
    await Deno.writeTextFile(`${this.mailbox}/new/${crypto.randomUUID()}.host,S=${octets}`, "");
    await room.commit(octets);
  }

  async text(): Promise<string> {
    return (await Deno.readTextFile(this.file)).replaceAll(/^ +/gm, "");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Deno.remove(this.root, { recursive: true });
  }
}

Deno.test("A pipe in the place of the quota file holds nobody up, and makes room for a file", async () => {
  await using lab = await Lab.make();
  await makePipe(lab.file);
  assertEquals(await lab.quotas.check(ALICE, 10, "none"), undefined);
  await lab.deliver(50);
  assertEquals(await lab.text(), "1000S\n100 1\n50 1\n");
  await lab.deliver(60, async () => {
    await Deno.remove(lab.file);
    await makePipe(lab.file);
  });
  await makePipe(lab.file);
  assertEquals(await usageOf(lab.mailbox, systemFiles), { octets: 210, messages: 3 });
});

Deno.test("A link in the place of the quota file is not written through, however it got there", async () => {
  await using lab = await Lab.make();
  const other = `${lab.root}/accounts.yaml`;
  await Deno.writeTextFile(other, "5000S\n7 1\n");
  await Deno.symlink(other, lab.file);
  await lab.deliver(50);
  assertEquals(await lab.text(), "1000S\n100 1\n50 1\n");
  await lab.deliver(60, async () => {
    await Deno.remove(lab.file);
    await Deno.symlink(other, lab.file);
  });
  assertEquals(await Deno.readTextFile(other), "5000S\n7 1\n");
});

Deno.test("A folder in the place of the quota file does not have the mailbox counted for each message", async () => {
  await using lab = await Lab.make();
  await Deno.mkdir(`${lab.file}/x`, { recursive: true });
  await lab.deliver(50);
  const { lists } = lab;
  for (let message = 0; message < 5; message++) await lab.deliver(50);
  assertEquals(lab.lists, lists);
  assertEquals((await lab.quotas.check(ALICE, 601, "none"))?.status, "4.2.2");
});
