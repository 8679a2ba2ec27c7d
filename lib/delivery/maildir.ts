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
import { type Files, isOutOfSpace } from "../system/files.ts";
import type { FolderSync } from "../system/folder_sync.ts";
import { deliveryFields, wasDeliveredTo } from "./delivery_fields.ts";
import type { LineEndings } from "./line_endings.ts";
import { MaildirFolders } from "./maildir_folders.ts";
import { mailboxFolder, uniqueNames } from "./maildir_name.ts";
import { MaildirWriter } from "./maildir_writer.ts";
import type { NextHop } from "./next_hop.ts";
import { type Leeway, leewayOf } from "./quota/leeway.ts";
import type { MailboxQuotas } from "./quota/mailbox_quotas.ts";
import { withRoom } from "./quota/with_room.ts";
import type { DeliveryRequest, DeliveryTarget } from "./target.ts";

/** The next hop that Maildir delivery carries out. */
export type MaildirHop = Extract<NextHop, { kind: "maildir" }>;

/** What Maildir delivery needs. */
export interface MaildirOptions {
  /** Folder of all mailboxes, `data/mail`; made where missing. */
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
  /** How much mailboxes may hold. Absent: any amount. */
  readonly quotas?: MailboxQuotas;
  /** For the file names: hexadecimal, chosen at start; made from the system's random source by default. */
  readonly random?: string;
}

const DELIVERED: Outcome = { action: "delivered", status: "2.0.0", text: "delivered to mailbox", isRemoteReply: false };
const FULL: Outcome = { action: "delayed", status: "4.3.1", text: "mail storage is full", isRemoteReply: false };
const BROKEN: Outcome = { action: "delayed", status: "4.3.0", text: "mailbox cannot be written", isRemoteReply: false };
const STOPPED: Outcome = { action: "delayed", status: "4.3.2", text: "server is shutting down", isRemoteReply: false };
const LOOP: Outcome = {
  action: "failed",
  status: "5.4.6",
  text: "mail loop: the message was delivered to this mailbox before",
  isRemoteReply: false,
};

/** Delivers to Maildirs below `mailRoot`, in `DOMAIN/LOCAL` of the account. */
export class MaildirTarget implements DeliveryTarget<MaildirHop> {
  readonly #options: MaildirOptions;
  readonly #folders: MaildirFolders;
  readonly #nextName: () => string;

  /** Touches no file yet. */
  constructor(options: MaildirOptions) {
    this.#options = options;
    this.#folders = new MaildirFolders(options.mailRoot, options.files, options.folderSync);
    const { clock, hostname, pid, random = randomHex() } = options;
    this.#nextName = uniqueNames({ clock, hostname, pid, random });
  }

  /**
   * Delivers once to the account of the hop, however many recipients lead to it: each gets the same outcome.
   *
   * @returns `delivered` once file and folder are durable; `failed` only for a message that was in this mailbox before, or
   * is over its quota.
   */
  async deliver(request: DeliveryRequest<MaildirHop>): Promise<readonly Outcome[]> {
    const outcome = await this.#deliverOnce(request);
    return request.recipients.map(() => outcome);
  }

  /**
   * Begins a message in the mailbox of an account, whose folders are made where missing. For `deliver`, and for mail that is
   * written while it comes.
   *
   * @param envelope Reverse-path and trace go in front.
   * @returns The open file; the caller publishes or aborts it.
   * @throws {Deno.errors} What the disk said.
   */
  async begin(account: string, envelope: Pick<Envelope, "reversePath" | "trace">): Promise<MaildirWriter> {
    const { mailRoot, files, folderSync, lineEndings } = this.#options;
    const mailbox = mailboxFolder(mailRoot, account);
    const head = deliveryFields(account, envelope);
    const options = { files, folderSync, nextName: this.#nextName, lineEndings: lineEndings() };
    await this.#folders.prepare(mailbox);
    try {
      return await MaildirWriter.begin(options, mailbox, head);
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
      // The folders were removed while we ran: once more, with new ones.
      this.#folders.forget(mailbox);
      await this.#folders.prepare(mailbox);
      return await MaildirWriter.begin(options, mailbox, head);
    }
  }

  async #deliverOnce(
    request: DeliveryRequest<MaildirHop>,
    leeway: Leeway = leewayOf(request.envelope, request.recipients),
  ): Promise<Outcome> {
    const { account } = request.hop;
    try {
      request.signal.throwIfAborted();
      if (await wasDeliveredTo(account, request.content)) return LOOP;
      const store = (): Promise<number> => this.#storeSurely(request);
      const { refusal, warning } = await withRoom(this.#options.quotas, { ...request, account, leeway }, store);
      if (refusal !== undefined) return refusal;
      // Where it cannot be written, the log says so; the mailbox is as full without it.
      if (warning !== undefined) {
        await this.#deliverOnce({ ...request, ...warning, recipients: warning.envelope.recipients }, "any");
      }
      return DELIVERED;
    } catch (error) {
      if (request.signal.aborted) return STOPPED;
      this.#options.logger.error(
        'Cannot deliver {queueId} to mailbox "{account}" below {folder}, will retry: {reason}',
        {
          queueId: request.queueId,
          account,
          folder: this.#options.mailRoot,
          reason: error instanceof Error ? error.message : String(error),
        },
      );
      return isOutOfSpace(error) ? FULL : BROKEN;
    }
  }

  /** @returns Octets of the file. */
  async #storeSurely(request: DeliveryRequest<MaildirHop>): Promise<number> {
    try {
      return await this.#store(request);
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
      // new/ was removed while we ran: once more, with new folders.
      this.#folders.forget(mailboxFolder(this.#options.mailRoot, request.hop.account));
      return await this.#store(request);
    }
  }

  async #store({ hop, envelope, content, signal }: DeliveryRequest<MaildirHop>): Promise<number> {
    await using writer = await this.begin(hop.account, envelope);
    if (content.inMemory !== undefined) await writer.write(content.inMemory);
    else await writeStreamed(writer, content, signal);
    return (await writer.publish({ folder: "new" })).octets;
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
