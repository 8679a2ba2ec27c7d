/** Maildir delivery on a temporary folder, with a disk that can be made to fail. */

import type { MaildirHop } from "../../lib/delivery/maildir.ts";
import { MaildirTarget } from "../../lib/delivery/maildir.ts";
import { mailboxFolder } from "../../lib/delivery/maildir_name.ts";
import { memoryContent } from "../../lib/mail/content.ts";
import type { Outcome } from "../../lib/mail/outcome.ts";
import type { Room } from "../../lib/system/disk_space.ts";
import { FolderSync } from "../../lib/system/folder_sync.ts";
import { FaultyFiles } from "../unit/delivery/maildir_faulty_files.ts";
import { FakeClock } from "./fake_clock.ts";
import { LogLines } from "./log_lines.ts";

/** Mailboxes below `root/mail`. */
export class MailboxLab implements AsyncDisposable {
  readonly disk = new FaultyFiles();
  readonly clock = new FakeClock("2026-11-23T10:00:00Z");
  readonly log = new LogLines();
  readonly registryFile: string;
  #sync!: FolderSync;
  #target!: MaildirTarget;

  private constructor(readonly root: string, private readonly room?: Room) {
    this.registryFile = `${root}/mailboxes`;
  }

  static async make(room?: Room): Promise<MailboxLab> {
    const lab = new MailboxLab(await Deno.makeTempDir({ prefix: "posthorn-test-" }), room);
    await lab.restart();
    return lab;
  }

  /** Begins anew with nothing in memory. */
  async restart(): Promise<void> {
    await this.#sync?.[Symbol.asyncDispose]();
    this.#sync = new FolderSync(this.disk.files, { clock: this.clock });
    this.#target = new MaildirTarget({
      mailRoot: `${this.root}/mail`,
      files: this.disk.files,
      clock: this.clock,
      hostname: "mail.example.org",
      pid: 1,
      folderSync: this.#sync,
      logger: this.log,
      lineEndings: () => "lf",
      ...(this.room === undefined ? {} : { room: this.room }),
    });
  }

  folder(account: string): string {
    return mailboxFolder(`${this.root}/mail`, account);
  }

  /** Delivers a small message. */
  async deliver(account: string): Promise<Outcome> {
    const recipients = [{ address: account }];
    const hop: MaildirHop = { kind: "maildir", account, key: `maildir:${account}` };
    const [outcome] = await this.#target.deliver({
      queueId: "q1",
      envelope: {
        reversePath: "sender@example.com",
        arrived: "2026-11-23T10:00:00.000Z",
        body: "8BITMIME",
        smtpUtf8: false,
        trace: "Received: by us\r\n",
        session: { service: "mx" },
        recipients,
      },
      content: memoryContent(new TextEncoder().encode("Subject: x\r\n\r\nbody\r\n")),
      hop,
      recipients,
      signal: new AbortController().signal,
    });
    if (outcome === undefined) throw new Error("no outcome");
    return outcome;
  }

  /** How many messages a mailbox has in `new/`. */
  async count(account: string): Promise<number> {
    return (await this.names(`${this.folder(account)}/new`)).length;
  }

  /** Names in a folder; none where it is missing. */
  async names(folder: string): Promise<string[]> {
    try {
      return (await Array.fromAsync(Deno.readDir(folder), ({ name }) => name)).sort();
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return [];
      throw error;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#sync[Symbol.asyncDispose]();
    await Deno.remove(this.root, { recursive: true });
  }
}
