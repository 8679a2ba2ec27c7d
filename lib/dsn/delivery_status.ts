/** The part of a report that programs read: message/delivery-status (RFC 3464) or message/global-delivery-status (RFC 6533). */

import { formatDate } from "../mail/header.ts";
import { asciiText, cleanText, hasNonAscii, plainField, textField } from "./field.ts";
import { type Report, reportedAddress, reportedStatus, type ReportRecipient } from "./report.ts";

/**
 * Formats the groups of fields, CRLF line ends, one group for the message and one for each recipient.
 *
 * @param isGlobal UTF-8 is allowed; else text outside US-ASCII is written as `\x{HEX}`.
 */
export function formatDeliveryStatus(report: Report, isGlobal: boolean): string {
  const ascii = isGlobal ? (text: string): string => text : asciiText;
  const groups = [messageFields(report, ascii)];
  for (const recipient of report.recipients) groups.push(recipientFields(report, recipient, ascii));
  return groups.join("\r\n");
}

/** RFC 3464 §2.2. */
function messageFields({ hostname, queueId, envelope }: Report, ascii: (text: string) => string): string {
  let fields = plainField("Reporting-MTA", `dns; ${hostname}`) + plainField("X-Posthorn-Queue-ID", queueId);
  if (envelope.envid !== undefined) fields += plainField("Original-Envelope-Id", ascii(envelope.envid));
  const arrivedMs = Date.parse(envelope.arrived);
  if (!Number.isNaN(arrivedMs)) fields += plainField("Arrival-Date", formatDate(arrivedMs));
  return fields;
}

/** RFC 3464 §2.3. */
function recipientFields(report: Report, reported: ReportRecipient, ascii: (text: string) => string): string {
  const { recipient, outcome, lastAttemptMs } = reported;
  let fields = "";
  if (recipient.orcpt !== undefined) fields += originalRecipient(recipient.orcpt, ascii);
  const address = reportedAddress(reported);
  fields += plainField("Final-Recipient", `${addressType(address)}; ${ascii(address)}`);
  fields += plainField("Action", report.kind === "succeeded" ? outcome.action : report.kind);
  fields += plainField("Status", reportedStatus(report.kind, reported));
  if (outcome.remoteMta !== undefined) fields += plainField("Remote-MTA", `dns; ${ascii(outcome.remoteMta)}`);
  const text = cleanText(outcome.text);
  // RFC 3464 §2.3.6: why it failed or is late.
  if (text !== "" && report.kind !== "succeeded") {
    fields += textField("Diagnostic-Code", `${outcome.isRemoteReply ? "smtp" : "x-posthorn"}; ${ascii(text)}`);
  }
  fields += plainField("Last-Attempt-Date", formatDate(lastAttemptMs));
  if (report.kind === "delayed" && report.expiresMs !== undefined) {
    fields += plainField("Will-Retry-Until", formatDate(report.expiresMs));
  }
  return fields;
}

/** ORCPT is `type;address` (RFC 3461 §4.2), given back as it came (RFC 3464 §2.3.1). */
function originalRecipient(orcpt: string, ascii: (text: string) => string): string {
  const semicolon = orcpt.indexOf(";");
  if (semicolon < 1) return "";
  const address = orcpt.slice(semicolon + 1).trim();
  const type = hasNonAscii(address) ? "utf-8" : orcpt.slice(0, semicolon).trim();
  return plainField("Original-Recipient", `${ascii(type)}; ${ascii(address)}`);
}

/** RFC 6533 §3: an address outside US-ASCII has the type `utf-8`. */
function addressType(address: string): "rfc822" | "utf-8" {
  return hasNonAscii(address) ? "utf-8" : "rfc822";
}
