/**
 * Final delivery into Maildir: the file is complete and durable before anybody can see it in `new/`.
 * Which account a recipient belongs to is the router's decision, which folder filing's (mailbox/filing.ts).
 *
 * @see https://cr.yp.to/proto/maildir.html, RFC 5321 §4.4 (Return-Path)
 */

import type { Logger } from "../log/logger.ts";
import type { Content } from "../mail/content.ts";
import type { Envelope, EnvelopeRecipient } from "../mail/envelope.ts";
import type { Outcome } from "../mail/outcome.ts";
import type { Clock } from "../system/clock.ts";
import type { Room } from "../system/disk_space.ts";
import { type Files, parentOf } from "../system/files.ts";
import type { FolderSync } from "../system/folder_sync.ts";
import { wasDeliveredTo } from "./delivered_to.ts";
import { deliveryFields } from "./delivery_fields.ts";
import type { LineEndings } from "./line_endings.ts";
import { MailboxRegistry } from "./mailbox_registry.ts";
import { FULL, MailboxTroubles } from "./mailbox_trouble.ts";
import { MaildirFolders } from "./maildir_folders.ts";
import { mailboxFolder, uniqueNames } from "./maildir_name.ts";
import { type MaildirPlace, MaildirWriter } from "./maildir_writer.ts";
import { type Filing, type FilingMessage, INBOX, inboxFiling, type Placement } from "./mailbox/filing.ts";
import { INBOX_FOLDER } from "./mailbox/folder_name.ts";
import { Subfolders } from "./mailbox/subfolders.ts";
import type { NextHop } from "./next_hop.ts";
import { type Leeway, leewayOf } from "./quota/leeway.ts";
import type { MailboxQuotas } from "./quota/mailbox_quotas.ts";
import { withRoom } from "./quota/with_room.ts";
import type { DeliveryRequest, DeliveryTarget, OpenDelivery } from "./target.ts";
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
  /** Into which folders mail goes; by default all into the inbox. */
  readonly filing?: Filing;
  /** How much mailboxes may hold. Absent: any amount. */
  readonly quotas?: MailboxQuotas;
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
  readonly #subfolders: Subfolders;
  readonly #nextName: () => string;
  readonly #cleaner: TmpCleaner | undefined;

  /** Touches no file yet. */
  constructor(options: MaildirOptions) {
    this.#options = options;
    const { mailRoot, files, folderSync, logger, clock, hostname, pid, random = randomHex() } = options;
    const registry = new MailboxRegistry({ file: `${parentOf(mailRoot)}/mailboxes`, files, logger });
    this.#folders = new MaildirFolders({ mailRoot, files, folderSync, registry });
    this.#troubles = new MailboxTroubles({ clock, logger });
    this.#subfolders = new Subfolders(options);
    this.#nextName = uniqueNames({ clock, hostname, pid, random });
    if (options.cleansTmp === true) {
      this.#cleaner = new TmpCleaner({ files, clock, logger, isOwn: (name) => name.includes(`R${random}.`) });
    }
  }

  /**
   * Delivers to the account of the hop: one copy into each folder that filing names, however many recipients lead to it.
   *
   * @returns `delivered` once file and folder are durable; `failed` only for a message that was in this mailbox before, or
   * is over its quota.
   */
  async deliver(request: DeliveryRequest<MaildirHop>): Promise<readonly Outcome[]> {
    const refusal = await this.#refusalOf(request);
    if (refusal !== undefined) return request.recipients.map(() => refusal);
    const message = this.#filingMessage(request);
    const copies = new Map<string, Outcome>();
    const outcomes: Outcome[] = [];
    for (const recipient of request.recipients) {
      outcomes.push(await this.#orDelayed(request, () => this.#deliverTo(recipient, message, request, copies)));
    }
    return outcomes;
  }

  /**
   * Begins a message in the mailbox of an account, whose folders are made where it never had any; in the inbox where the folder
   * of the placement is not there and need not be made. For `deliver`, and for mail that is written while it comes.
   *
   * @param envelope Reverse-path and trace go in front.
   * @returns The open file; the caller publishes or aborts it.
   * @throws {MailboxGone} The mailbox was there before.
   * @throws {Deno.errors} What the disk said.
   */
  async begin(
    account: string,
    envelope: Pick<Envelope, "reversePath" | "trace">,
    placement: Placement = INBOX,
  ): Promise<MaildirWriter> {
    const { mailRoot, files, folderSync, lineEndings } = this.#options;
    const mailbox = mailboxFolder(mailRoot, account);
    const head = deliveryFields(account, envelope);
    const options = { files, folderSync, nextName: this.#nextName, lineEndings: lineEndings() };
    await this.#folders.prepare(account);
    this.#cleaner?.use(mailbox);
    try {
      return await MaildirWriter.begin(options, await this.#prepare(mailbox, placement), head);
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
      await this.#mend(account, placement);
      return await MaildirWriter.begin(options, await this.#prepare(mailbox, placement), head);
    }
  }

  /**
   * Begins to deliver a message that is still coming; all its recipients lead to the account of the hop.
   *
   * @param request The content is the header section: nothing else decides where it goes.
   * @returns An outcome where the message cannot be taken; undefined where it can, but not in this way, because it goes into
   * several folders.
   */
  async open(request: DeliveryRequest<MaildirHop>): Promise<OpenDelivery | Outcome | undefined> {
    const { hop: { account }, envelope } = request;
    return await this.#refusalOf(request) ?? await this.#orDelayed(request, async () => {
      const placement = await this.#onlyPlacement(request);
      if (placement === undefined) return undefined;
      const writer = await this.begin(account, envelope, placement);
      let octets = 0;
      return {
        write: (piece): Promise<void> => {
          octets += piece.length;
          return writer.write(piece);
        },
        finish: async (): Promise<Outcome> => {
          const whole = { ...request, content: { ...request.content, octets } };
          const publish = async (): Promise<number> => (await writer.publish(placeOf(placement))).octets;
          const outcome = await this.#orDelayed(whole, () => this.#deliverOnce(whole, publish));
          await writer.abort();
          return outcome;
        },
        abort: () => writer.abort(),
      };
    });
  }

  /** Ends the cleaning. Deliveries are not waited for. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#cleaner?.[Symbol.asyncDispose]();
  }

  /** What speaks against the message, whichever folder it is for. */
  #refusalOf(request: DeliveryRequest<MaildirHop>): Promise<Outcome | undefined> {
    return this.#orDelayed(request, async () => {
      if (await wasDeliveredTo(request.hop.account, request.content)) return LOOP;
      return await this.#options.room?.hasRoomFor(request.content.octets) === false ? FULL : undefined;
    });
  }

  #filingMessage({ hop: { account }, envelope, content }: DeliveryRequest<MaildirHop>): FilingMessage {
    return { account, mailbox: mailboxFolder(this.#options.mailRoot, account), envelope, content };
  }

  /** The placement that all recipients share; undefined where there are several. */
  async #onlyPlacement(request: DeliveryRequest<MaildirHop>): Promise<Placement | undefined> {
    const { filing = inboxFiling } = this.#options;
    const message = this.#filingMessage(request);
    const found = new Map<string, Placement>();
    for (const recipient of request.recipients) {
      for (const placement of await filing(message, recipient)) found.set(keyOf(placement), placement);
    }
    const [only, ...others] = found.values();
    return others.length > 0 ? undefined : only;
  }

  /** The Maildir of a placement, ready for mail. */
  async #prepare(mailbox: string, { folder, isMade }: Placement): Promise<string> {
    if (folder === INBOX_FOLDER) return mailbox;
    return await this.#subfolders.prepare(mailbox, folder, isMade) ? `${mailbox}/${folder}` : mailbox;
  }

  /** A folder went while we ran: one of the mailbox itself has to be back, others are made again. */
  async #mend(account: string, { folder }: Placement): Promise<void> {
    const mailbox = mailboxFolder(this.#options.mailRoot, account);
    this.#folders.forget(account);
    await this.#folders.prepare(account);
    if (folder !== INBOX_FOLDER) await this.#subfolders.mend(mailbox, folder);
  }

  /** @param copies Outcomes of the copies that were written for other recipients. */
  async #deliverTo(
    recipient: EnvelopeRecipient,
    message: FilingMessage,
    request: DeliveryRequest<MaildirHop>,
    copies: Map<string, Outcome>,
  ): Promise<Outcome> {
    const { filing = inboxFiling } = this.#options;
    for (const placement of await filing(message, recipient)) {
      const copy = keyOf(placement);
      const store = (): Promise<number> => this.#storeSurely(request, placement);
      const outcome = copies.get(copy) ?? await this.#orDelayed(request, () => this.#deliverOnce(request, store));
      copies.set(copy, outcome);
      if (outcome !== DELIVERED) return outcome;
    }
    return DELIVERED;
  }

  /** @param store Puts the message into its folder, and gives the octets of its file. */
  async #deliverOnce(
    request: DeliveryRequest<MaildirHop>,
    store: () => Promise<number>,
    leeway: Leeway = leewayOf(request.envelope, request.recipients),
  ): Promise<Outcome> {
    const { account } = request.hop;
    const { refusal, warning } = await withRoom(this.#options.quotas, { ...request, account, leeway }, store);
    if (refusal !== undefined) return refusal;
    // Where it cannot be written, the log says so; the mailbox is as full without it.
    if (warning !== undefined) {
      const about = { ...request, ...warning, recipients: warning.envelope.recipients };
      await this.#orDelayed(about, () => this.#deliverOnce(about, () => this.#storeSurely(about, INBOX), "any"));
    }
    this.#troubles.noteDelivered(account);
    return DELIVERED;
  }

  /** @returns Octets of the file. */
  async #storeSurely(request: DeliveryRequest<MaildirHop>, placement: Placement): Promise<number> {
    try {
      return await this.#store(request, placement);
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
      await this.#mend(request.hop.account, placement);
      return await this.#store(request, placement);
    }
  }

  async #store({ hop, envelope, content, signal }: DeliveryRequest<MaildirHop>, placement: Placement): Promise<number> {
    await using writer = await this.begin(hop.account, envelope, placement);
    if (content.inMemory !== undefined) await writer.write(content.inMemory);
    else await writeStreamed(writer, content, signal);
    return (await writer.publish(placeOf(placement))).octets;
  }

  /** Whatever goes wrong means later; the log has the reason. */
  async #orDelayed<T>(request: DeliveryRequest<MaildirHop>, run: () => Promise<T>): Promise<T | Outcome> {
    try {
      request.signal.throwIfAborted();
      return await run();
    } catch (error) {
      if (request.signal.aborted) return STOPPED;
      const { queueId, hop: { account } } = request;
      const mailbox = mailboxFolder(this.#options.mailRoot, account);
      return this.#troubles.note({ queueId, account, mailbox, error });
    }
  }
}

/** Equal for placements that share a copy. */
function keyOf({ folder, flags }: Placement): string {
  return `${folder}:${flags}`;
}

/** Where a message that was begun for a placement is published: what has flags was looked at, and is in `cur`. */
function placeOf({ flags }: Placement): MaildirPlace {
  return flags === "" ? { folder: "new" } : { folder: "cur", flags };
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
