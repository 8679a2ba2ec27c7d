/** Writes the arguments of MAIL and RCPT for what a peer offers, and tells what the peer cannot take. */

import { type Content, contentKind } from "../../mail/content.ts";
import { domainToAscii } from "../../mail/domain_to_ascii.ts";
import { readHeaderSection } from "../../mail/header.ts";
import type { Envelope, EnvelopeRecipient } from "../../mail/envelope.ts";
import { isNonAscii } from "../../mail/mailbox.ts";
import type { Outcome } from "../../mail/outcome.ts";
import type { PeerExtensions } from "../../smtp/client/extensions.ts";
import { encodeXtext } from "../../smtp/xtext.ts";
import { ownOutcome, type Peer } from "./outcomes.ts";

/** How much of a header section is looked at for UTF-8. */
const MAX_HEADER_OCTETS = 256 * 1024;

/** A message on its way to a peer. */
export interface OutgoingMail {
  /** The whole envelope. */
  readonly envelope: Envelope;
  /** Those that this transaction is for. */
  readonly recipients: readonly EnvelopeRecipient[];
  /** Header fields that go in front of the content. */
  readonly head: Uint8Array;
  /** The message as it was received. */
  readonly content: Content;
  /** LMTP: the peer does not take it further. */
  readonly isLastHop: boolean;
  /** Wall clock, milliseconds since 1970. */
  readonly nowMs: number;
}

/** The commands, or why there are none. */
export type MailPlan =
  | {
    readonly kind: "ready";
    /** Argument of MAIL after `FROM:`. */
    readonly mail: string;
    /** The content goes by BDAT. */
    readonly isBinary: boolean;
    /** For each recipient the argument of RCPT after `TO:`, or its outcome. */
    readonly recipients: readonly (string | Outcome)[];
  }
  | { readonly kind: "refused"; readonly outcome: Outcome };

/** Writes the arguments. A message is never changed to fit: what the peer cannot take as it is fails. */
export async function planMail(outgoing: OutgoingMail, extensions: PeerExtensions, peer: Peer): Promise<MailPlan> {
  const { envelope, recipients, head, content } = outgoing;
  const octets = head.length + content.octets;
  const refused = (status: string, text: string): MailPlan => ({
    kind: "refused",
    outcome: ownOutcome("failed", status, text, peer),
  });
  // RFC 1870 §5: a message beyond the limit need not be tried.
  const { maxMessageOctets = Infinity } = extensions;
  if (octets > maxMessageOctets) {
    return refused("5.3.4", `The message has ${octets} octets, ${peer.host.name} takes at most ${maxMessageOctets}`);
  }
  const body = await bodyFor(outgoing, extensions);
  if (body === undefined) {
    const what = envelope.body === "BINARYMIME" ? "binary" : "8-bit";
    return refused("5.6.3", `The message has ${what} content, which ${peer.host.name} does not take`);
  }
  if (envelope.smtpUtf8 && !extensions.smtpUtf8 && !await hasAsciiHeader(content)) {
    return refused("5.6.7", `The header section has UTF-8 text, which ${peer.host.name} does not take (SMTPUTF8)`);
  }
  const reversePath = wireAddress(envelope.reversePath, extensions);
  if (reversePath === undefined) return refused("5.6.7", noUtf8Text(envelope.reversePath, peer));
  if (!isSafe(reversePath)) return refused("5.1.7", "The sender's address contains control characters");
  const by = deliverBy(outgoing, extensions);
  if (by === undefined) {
    return refused("5.3.3", `The message must arrive in time, and ${peer.host.name} does not promise that (DELIVERBY)`);
  }
  return {
    kind: "ready",
    mail: `<${reversePath}>${mailParameters(outgoing, { body, octets }, extensions)}${by}`,
    isBinary: body === "BINARYMIME",
    recipients: recipients.map((recipient) => recipientArgument(recipient, extensions, peer)),
  };
}

function mailParameters(
  { envelope, recipients }: OutgoingMail,
  { body, octets }: { readonly body: Envelope["body"]; readonly octets: number },
  extensions: PeerExtensions,
): string {
  let text = extensions.size ? ` SIZE=${octets}` : "";
  if (body !== "7BIT") text += ` BODY=${body}`;
  if (envelope.requireTls && extensions.requireTls) text += " REQUIRETLS";
  if (extensions.smtpUtf8 && needsSmtpUtf8(envelope, recipients)) text += " SMTPUTF8";
  if (extensions.mtPriority && envelope.priority !== undefined) text += ` MT-PRIORITY=${envelope.priority}`;
  if (extensions.dsn) {
    if (envelope.ret !== undefined) text += ` RET=${envelope.ret}`;
    if (envelope.envid !== undefined) text += ` ENVID=${encodeXtext(envelope.envid)}`;
  }
  return text;
}

/**
 * The BY parameter with the time that is left (RFC 2852 §4.2), or no text; undefined where the message is to go back
 * rather than to a peer that may keep it longer.
 */
function deliverBy({ envelope, isLastHop, nowMs }: OutgoingMail, extensions: PeerExtensions): string | undefined {
  const by = envelope.deliverBy;
  if (by === undefined || isLastHop) return "";
  const seconds = Math.floor((Date.parse(by.until) - nowMs) / 1000);
  const { minDeliverBySeconds } = extensions;
  const isReturned = by.mode === "return";
  if (minDeliverBySeconds === undefined || (isReturned && seconds < Math.max(1, minDeliverBySeconds))) {
    return isReturned ? undefined : "";
  }
  const bounded = Math.max(-999_999_999, Math.min(999_999_999, seconds));
  return ` BY=${bounded};${isReturned ? "R" : "N"}${by.isTraced ? "T" : ""}`;
}

function recipientArgument(recipient: EnvelopeRecipient, extensions: PeerExtensions, peer: Peer): string | Outcome {
  const address = wireAddress(recipient.address, extensions);
  if (address === undefined) return ownOutcome("failed", "5.6.7", noUtf8Text(recipient.address, peer), peer);
  if (!isSafe(address)) {
    return ownOutcome("failed", "5.1.3", "The recipient's address contains control characters", peer);
  }
  return `<${address}>${extensions.dsn ? dsnParameters(recipient) : ""}`;
}

/** RFC 3461 §4.1, §4.2. */
function dsnParameters({ notify, orcpt }: EnvelopeRecipient): string {
  let text = "";
  if (notify !== undefined) text += ` NOTIFY=${notify === "never" ? "NEVER" : notify.join(",").toUpperCase()}`;
  const semicolon = orcpt?.indexOf(";") ?? -1;
  if (orcpt === undefined || semicolon <= 0) return text;
  const type = orcpt.slice(0, semicolon);
  const original = orcpt.slice(semicolon + 1);
  const isUtf8 = type.toLowerCase() === "utf-8";
  if (!/^[\w-]+$/.test(type) || (isNonAscii(original) && !isUtf8)) return text;
  return `${text} ORCPT=${type};${isUtf8 ? utf8Xtext(original) : encodeXtext(original)}`;
}

/** utf-8-addr-xtext, in US-ASCII, so that every peer with DSN takes it (RFC 6533 §3). */
function utf8Xtext(address: string): string {
  return address.replace(/[^!-*,-<>-[\]-~]/gu, (character) => {
    const hex = (character.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(2, "0");
    return `\\x{${hex}}`;
  });
}

/** The address as the peer can take it: a domain can be written in A-labels, a local part cannot (RFC 6531 §3.3). */
function wireAddress(address: string, extensions: PeerExtensions): string | undefined {
  if (extensions.smtpUtf8 || !isNonAscii(address)) return address;
  const at = address.lastIndexOf("@");
  const domain = domainToAscii(address.slice(at + 1));
  return at > 0 && domain !== "" && !isNonAscii(address.slice(0, at)) ? `${address.slice(0, at)}@${domain}` : undefined;
}

function needsSmtpUtf8(envelope: Envelope, recipients: readonly EnvelopeRecipient[]): boolean {
  return envelope.smtpUtf8 || isNonAscii(envelope.reversePath) || recipients.some(({ address }) => isNonAscii(address));
}

/**
 * What the message is declared as; undefined where the peer cannot take it. A peer without 8BITMIME gets 8-bit content,
 * and one without BINARYMIME binary content, only where it is none in truth (RFC 6152 §3, RFC 3030 §3).
 */
async function bodyFor(
  { envelope: { body }, head, content }: OutgoingMail,
  { eightBitMime, binaryMime, chunking }: PeerExtensions,
): Promise<Envelope["body"] | undefined> {
  if (body === "7BIT" || (body === "8BITMIME" && eightBitMime)) return body;
  if (body === "BINARYMIME" && binaryMime && chunking) return body;
  if (body === "BINARYMIME" && await contentKind(content) === "binary") return undefined;
  if (eightBitMime) return "8BITMIME";
  return isSevenBit(head) && await isSevenBitContent(content) ? "7BIT" : undefined;
}

async function isSevenBitContent(content: Content): Promise<boolean> {
  if (content.inMemory !== undefined) return isSevenBit(content.inMemory);
  for await (const chunk of content.chunks()) if (!isSevenBit(chunk)) return false;
  return true;
}

/** RFC 6531 §3.5: without SMTPUTF8 a peer may get a message only where its header section is as RFC 5322 has it. */
async function hasAsciiHeader(content: Content): Promise<boolean> {
  return isSevenBit((await readHeaderSection(content, MAX_HEADER_OCTETS)).octets);
}

function isSevenBit(octets: Uint8Array): boolean {
  for (let at = 0; at < octets.length; at++) if ((octets[at] ?? 0) > 127) return false;
  return true;
}

/** Nothing in an address may end the command early; addresses were parsed long before, but this costs little. */
function isSafe(address: string): boolean {
  return !/\p{Cc}/u.test(address);
}

function noUtf8Text(address: string, { host }: Peer): string {
  return `The address ${address} needs SMTPUTF8, which ${host.name} does not offer`;
}
