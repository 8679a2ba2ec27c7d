/**
 * Final delivery into Maildir: the file is complete and durable before anybody can see it in `new/`.
 * Which account a recipient belongs to is the router's decision; filtering comes before, reading after.
 *
 * @see https://cr.yp.to/proto/maildir.html, RFC 5321 §4.4 (Return-Path)
 */

import type { Logger } from "../log/logger.ts";
import type { Content } from "../mail/content.ts";
import type { Envelope } from "../mail/envelope.ts";
import type { Outcome } from "../mail/outcome.ts";
import type { Clock } from "../system/clock.ts";
import type { Room } from "../system/disk_space.ts";
import { type Files, parentOf } from "../system/files.ts";
import type { FolderSync } from "../system/folder_sync.ts";
import { deliveryFields, wasDeliveredTo } from "./delivery_fields.ts";
import type { LineEndings } from "./line_endings.ts";
import { MailboxRegistry } from "./mailbox_registry.ts";
import { FULL, MailboxTroubles } from "./mailbox_trouble.ts";
import { MaildirFolders } from "./maildir_folders.ts";
import { mailboxFolder, uniqueNames } from "./maildir_name.ts";
import { MaildirWriter } from "./maildir_writer.ts";
import type { NextHop } from "./next_hop.ts";
import type { DeliveryRequest, DeliveryTarget } from "./target.ts";
import { TmpCleaner } from "./tmp_cleaner.ts";

/** The next hop that Maildir delivery carries out. */
export type MaildirHop = Extract<NextHop, { kind: "maildir" }>;

/** What Maildir delivery needs. */
export interface MaildirOptions {
  /** Folder of all mailboxes, `data/mail`; made where missing. Beside it is the registry, `data/mailboxes`. */
  readonly mailRoot: string;
  /** The disk. */
  readonly files: Files;
  /** Its wall clock goes into the file names. */
  readonly clock: Clock;
  /** Ours; part of the file names. */
  readonly hostname: string;
  /** Process id; part of the file names. */
  readonly pid: number;
  /** Shared with others or own; the owner disposes of it. */
  readonly folderSync: FolderSync;
  /** Takes the reason where a mailbox cannot be written; the outcome tells senders no paths. */
  readonly logger: Logger;
  /** Asked for each file: the configuration may change. */
  readonly lineEndings: () => LineEndings;
  /** Whether a message finds room on the disk of the mailboxes. Absent: it is tried. */
  readonly room?: Room;
  /** For the file names: hexadecimal, chosen at start; made from the system's random source by default. */
  readonly random?: string;
  /** Remove what deliveries that died left in `tmp/`, in the background. Default: no. */
  readonly cleansTmp?: boolean;
}

const DELIVERED: Outcome = { action: "delivered", status: "2.0.0", text: "delivered to mailbox", isRemoteReply: false };
const STOPPED: Outcome = { action: "delayed", status: "4.3.2", text: "server is shutting down", isRemoteReply: false };
const LOOP: Outcome = {
  action: "failed",
  status: "5.4.6",
  text: "mail loop: the message was delivered to this mailbox before",
  isRemoteReply: false,
};

/** Delivers to Maildirs below `mailRoot`, in `DOMAIN/LOCAL` of the account. */
export class MaildirTarget implements DeliveryTarget<MaildirHop>, AsyncDisposable {
  readonly #options: MaildirOptions;
  readonly #folders: MaildirFolders;
  readonly #troubles: MailboxTroubles;
  readonly #nextName: () => string;
  readonly #cleaner: TmpCleaner | undefined;

  /** Touches no file yet. */
  constructor(options: MaildirOptions) {
    this.#options = options;
    const { mailRoot, files, folderSync, logger, clock, hostname, pid, random = randomHex() } = options;
    const registry = new MailboxRegistry({ file: `${parentOf(mailRoot)}/mailboxes`, files, logger });
    this.#folders = new MaildirFolders({ mailRoot, files, folderSync, registry });
    this.#troubles = new MailboxTroubles({ clock, logger });
    this.#nextName = uniqueNames({ clock, hostname, pid, random });
    if (options.cleansTmp === true) {
      this.#cleaner = new TmpCleaner({ files, clock, logger, isOwn: (name) => name.includes(`R${random}.`) });
    }
  }

  /**
   * Delivers once to the account of the hop, however many recipients lead to it: each gets the same outcome.
   *
   * @returns `delivered` once file and folder are durable; `failed` only for a message that was in this mailbox before.
   */
  async deliver(request: DeliveryRequest<MaildirHop>): Promise<readonly Outcome[]> {
    const outcome = await this.#deliverOnce(request);
    return request.recipients.map(() => outcome);
  }

  /**
   * Begins a message in the mailbox of an account, whose folders are made where it never had any. For `deliver`, and for mail
   * that is written while it comes.
   *
   * @param envelope Reverse-path and trace go in front.
   * @returns The open file; the caller publishes or aborts it.
   * @throws {MailboxGone} The mailbox was there before.
   * @throws {Deno.errors} What the disk said.
   */
  async begin(account: string, envelope: Pick<Envelope, "reversePath" | "trace">): Promise<MaildirWriter> {
    const { mailRoot, files, folderSync, lineEndings } = this.#options;
    const mailbox = mailboxFolder(mailRoot, account);
    const head = deliveryFields(account, envelope);
    const options = { files, folderSync, nextName: this.#nextName, lineEndings: lineEndings() };
    await this.#folders.prepare(account);
    this.#cleaner?.use(mailbox);
    try {
      return await MaildirWriter.begin(options, mailbox, head);
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
      // A folder went while we ran. Where it is back, once more.
      this.#folders.forget(account);
      await this.#folders.prepare(account);
      return await MaildirWriter.begin(options, mailbox, head);
    }
  }

  /** Ends the cleaning. Deliveries are not waited for. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#cleaner?.[Symbol.asyncDispose]();
  }

  async #deliverOnce(request: DeliveryRequest<MaildirHop>): Promise<Outcome> {
    const { account } = request.hop;
    try {
      request.signal.throwIfAborted();
      if (await wasDeliveredTo(account, request.content)) return LOOP;
      if (await this.#options.room?.hasRoomFor(request.content.octets) === false) return FULL;
      try {
        await this.#store(request);
      } catch (error) {
        if (!(error instanceof Deno.errors.NotFound)) throw error;
        // new/ went while we ran. Where it is back, once more.
        this.#folders.forget(account);
        await this.#store(request);
      }
      this.#troubles.noteDelivered(account);
      return DELIVERED;
    } catch (error) {
      if (request.signal.aborted) return STOPPED;
      const mailbox = mailboxFolder(this.#options.mailRoot, account);
      return this.#troubles.note({ queueId: request.queueId, account, mailbox, error });
    }
  }

  async #store({ hop, envelope, content, signal }: DeliveryRequest<MaildirHop>): Promise<void> {
    await using writer = await this.begin(hop.account, envelope);
    if (content.inMemory !== undefined) await writer.write(content.inMemory);
    else await writeStreamed(writer, content, signal);
    await writer.publish({ folder: "new" });
  }
}

async function writeStreamed(writer: MaildirWriter, content: Content, signal: AbortSignal): Promise<void> {
  let octets = 0;
  for await (const piece of content.chunks()) {
    signal.throwIfAborted();
    await writer.write(piece);
    octets += piece.length;
  }
  if (octets !== content.octets) throw new Error(`Cannot read content: ${octets} of ${content.octets} octets came`);
}

function randomHex(): string {
  return Array.from(crypto.getRandomValues(new Uint8Array(8)), (octet) => octet.toString(16).padStart(2, "0")).join("");
}
