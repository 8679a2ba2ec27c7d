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
import { errorAt, type Files, isOutOfSpace, type OpenFile, writeAll } from "../system/files.ts";
import type { FolderSync } from "../system/folder_sync.ts";
import { deliveredTo, wasDeliveredTo } from "./delivered_to.ts";
import { MaildirFolders } from "./maildir_folders.ts";
import { mailboxFolder, uniqueNames } from "./maildir_name.ts";
import type { NextHop } from "./next_hop.ts";
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
  /** For the file names: hexadecimal, chosen at start; made from the system's random source by default. */
  readonly random?: string;
}

const encoder = new TextEncoder();

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
  readonly #nextName: (octets: number) => string;

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
   * @returns `delivered` once file and folder are durable; `failed` only for a message that was in this mailbox before.
   */
  async deliver(request: DeliveryRequest<MaildirHop>): Promise<readonly Outcome[]> {
    const outcome = await this.#deliverOnce(request);
    return request.recipients.map(() => outcome);
  }

  async #deliverOnce(request: DeliveryRequest<MaildirHop>): Promise<Outcome> {
    const { account } = request.hop;
    try {
      request.signal.throwIfAborted();
      if (await wasDeliveredTo(account, request.content)) return LOOP;
      const mailbox = mailboxFolder(this.#options.mailRoot, account);
      try {
        await this.#store(mailbox, request);
      } catch (error) {
        if (!(error instanceof Deno.errors.NotFound)) throw error;
        // The folders were removed while we ran: once more, with new ones.
        this.#folders.forget(mailbox);
        await this.#store(mailbox, request);
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

  async #store(mailbox: string, request: DeliveryRequest<MaildirHop>): Promise<void> {
    const { files, folderSync } = this.#options;
    await this.#folders.prepare(mailbox);
    const head = encoder.encode(deliveryFields(request.hop.account, request.envelope));
    const name = this.#nextName(head.length + request.content.octets);
    let path = `${mailbox}/tmp/${name}`;
    const file = await files.open(path, { write: true, createNew: true, mode: 0o600 });
    try {
      try {
        await writeMessage(file, head, request.content, request.signal);
        await file.syncData();
      } catch (error) {
        throw errorAt(path, "write", error);
      } finally {
        file.close();
      }
      await files.rename(path, `${mailbox}/new/${name}`);
      path = `${mailbox}/new/${name}`;
      await folderSync.sync(`${mailbox}/new`);
    } catch (error) {
      // Also from new/ where its folder could not be synced: the message stays queued and would come twice.
      await files.remove(path).catch(() => undefined);
      throw error;
    }
  }
}

/** The fields of final delivery and the trace fields of reception, newest first (RFC 5321 §4.4). */
function deliveryFields(account: string, { reversePath, trace }: Envelope): string {
  return `Return-Path: <${reversePath}>\r\n${deliveredTo(account)}${trace}`;
}

async function writeMessage(file: OpenFile, head: Uint8Array, content: Content, signal: AbortSignal): Promise<void> {
  if (content.inMemory !== undefined) {
    const message = new Uint8Array(head.length + content.inMemory.length);
    message.set(head);
    message.set(content.inMemory, head.length);
    return await writeAll(file, message);
  }
  await writeAll(file, head);
  let octets = 0;
  for await (const chunk of content.chunks()) {
    signal.throwIfAborted();
    await writeAll(file, chunk);
    octets += chunk.length;
  }
  if (octets !== content.octets) throw new Error(`Cannot read content: ${octets} of ${content.octets} octets came`);
}

function randomHex(): string {
  return Array.from(crypto.getRandomValues(new Uint8Array(8)), (octet) => octet.toString(16).padStart(2, "0")).join("");
}
