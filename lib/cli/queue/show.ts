/** `posthorn queue show`: all that is known of one message. */

import type { Envelope, EnvelopeRecipient } from "../../mail/envelope.ts";
import type { Content } from "../../mail/content.ts";
import type { SpoolEvent } from "../../queue/spool.ts";
import { OK } from "../../system/sysexits.ts";
import type { QueueContext } from "./context.ts";
import { findMessage } from "./find_message.ts";
import { historyLine, namesOf } from "./history.ts";
import { listed, recipientLine } from "./listed.ts";
import { checkFlags, type Flags, usage } from "./options.ts";
import { durationText, printable } from "./units.ts";

/** A header section is shown up to this length. */
const MAX_HEADER_OCTETS = 256 * 1024;

/** Carries out `show`; returns the exit code. */
export async function show(context: QueueContext, words: readonly string[], flags: Flags): Promise<number> {
  checkFlags("show", flags, ["raw", "content"]);
  if (flags.has("raw") && flags.has("content")) throw usage("queue show takes --raw or --content, not both");
  const { message, events, unreadableLines } = await findMessage(context, "show", words);
  const { terminal, clock, isJson } = context;
  const { envelope, content } = message;
  if (flags.has("raw") || flags.has("content")) {
    if (flags.has("raw")) terminal.printOctets(new TextEncoder().encode(envelope.trace));
    for await (const octets of content.chunks()) terminal.printOctets(octets);
    return OK;
  }
  const header = envelope.trace + await headerSection(content);
  if (isJson) {
    const history = events.map((event) => eventToJson(event, envelope));
    terminal.print(JSON.stringify({ ...listed(message), envelope, history, header }, null, 2));
    return OK;
  }
  const nowMs = clock.now();
  terminal.print(`Message ${message.queueId}${message.isHeld ? ", held by an operator" : ""}`);
  for (const line of envelopeLines(envelope, content.octets, nowMs)) terminal.print(`  ${line}`);
  terminal.print("Recipients");
  for (const state of message.recipients) {
    terminal.print(recipientLine(message, state, nowMs));
    for (const line of recipientOptions(envelope.recipients[state.index])) terminal.print(`      ${line}`);
  }
  terminal.print("History");
  terminal.print(`  ${envelope.arrived} accepted`);
  for (const event of events) terminal.print(`  ${historyLine(event, envelope)}`);
  if (unreadableLines > 0) terminal.print(`  (${unreadableLines} lines of the journal cannot be read)`);
  terminal.print("Header");
  for (const line of header.trimEnd().split(/\r?\n/)) terminal.print(`  ${line.split("\t").map(printable).join("\t")}`);
  return OK;
}

function envelopeLines(envelope: Envelope, octets: number, nowMs: number): string[] {
  const { session, deliverBy } = envelope;
  const client = [session.helo, session.clientAddress === undefined ? undefined : `[${session.clientAddress}]`];
  const facts = [
    `by ${session.protocol ?? session.service}`,
    ...(client.some((part) => part !== undefined) ? [`from ${client.filter(Boolean).join(" ")}`] : []),
    ...(session.login === undefined ? [] : [`login ${session.login}`]),
    ...(session.tls === undefined ? [] : [session.tls]),
  ];
  const options = [
    ...(envelope.body === "7BIT" ? [] : [envelope.body]),
    ...(envelope.smtpUtf8 ? ["SMTPUTF8"] : []),
    ...(envelope.requireTls ? ["REQUIRETLS"] : []),
    ...(envelope.isTlsOptional ? ["TLS-Required: No"] : []),
    ...(envelope.ret === undefined ? [] : [`RET=${envelope.ret}`]),
    ...(envelope.envid === undefined ? [] : [`ENVID=${envelope.envid}`]),
    ...(envelope.priority === undefined ? [] : [`priority ${envelope.priority}`]),
    ...(envelope.holdUntil === undefined ? [] : [`held by its sender until ${envelope.holdUntil}`]),
    ...(deliverBy === undefined ? [] : [`${deliverBy.mode} by ${deliverBy.until}`]),
  ];
  return [
    `Sender   <${printable(envelope.reversePath)}>`,
    `Arrived  ${envelope.arrived}, ${durationText(nowMs - Date.parse(envelope.arrived))} ago`,
    `Size     ${octets} octets`,
    `Session  ${printable(facts.join(", "))}`,
    ...(options.length === 0 ? [] : [`Options  ${printable(options.join(", "))}`]),
  ];
}

function recipientOptions(recipient: EnvelopeRecipient | undefined): string[] {
  if (recipient === undefined) return [];
  const { original, orcpt, notify } = recipient;
  const options = [
    ...(original === undefined ? [] : [`sent to ${original}`]),
    ...(orcpt === undefined ? [] : [`ORCPT=${orcpt}`]),
    ...(notify === undefined ? [] : [`NOTIFY=${notify === "never" ? "NEVER" : notify.join(",").toUpperCase()}`]),
  ];
  return options.length === 0 ? [] : [printable(options.join(", "))];
}

/** An event with addresses in the place of indexes. */
function eventToJson(event: SpoolEvent, envelope: Envelope): unknown {
  return "recipients" in event ? { ...event, recipients: namesOf(event.recipients, envelope) } : event;
}

/** The header section with its empty line; octets that are no UTF-8 are shown as such. */
async function headerSection(content: Content): Promise<string> {
  const pieces: Uint8Array[] = [];
  let length = 0;
  for await (const octets of content.chunks()) {
    pieces.push(octets.slice());
    length += octets.length;
    if (length >= MAX_HEADER_OCTETS) break;
    const text = new TextDecoder("latin1").decode(octets);
    if (text.includes("\r\n\r\n")) break;
  }
  const octets = new Uint8Array(length);
  let at = 0;
  for (const piece of pieces) {
    octets.set(piece, at);
    at += piece.length;
  }
  const text = new TextDecoder().decode(octets.subarray(0, MAX_HEADER_OCTETS));
  const end = text.startsWith("\r\n") ? 0 : text.indexOf("\r\n\r\n");
  return end === -1 ? text : text.slice(0, end + 2);
}
