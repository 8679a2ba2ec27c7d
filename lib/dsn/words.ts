/** The part of a report that people read: what happened, what it means, what to do. */

import { formatDate } from "../mail/header.ts";
import { cleanText, wrapText } from "./field.ts";
import { explain } from "./explain.ts";
import { type Report, reportedAddress, reportedStatus, type ReportRecipient } from "./report.ts";
import { formatTranscript } from "./transcript.ts";

const WIDTH = 72;

/**
 * Formats the text, lines ended by CRLF.
 *
 * @param subject That of the reported message, decoded; helps to know which one it was.
 */
export function formatWords(report: Report, subject: string | undefined): string {
  const lines = [`This is the mail server ${report.hostname}.`, "", ...opening(report), ""];
  for (const [what, addresses] of byFate(report)) lines.push(...addresses, ...what.split("\n"), "");
  if (report.kind === "delayed") lines.push(...closingOfDelay(report), "");
  lines.push("Your message:");
  if (subject !== undefined) lines.push(...labelled("Subject", subject));
  lines.push(...labelled("Accepted", formatDate(Date.parse(report.envelope.arrived))));
  lines.push(...labelled("Queue id", `${report.queueId} (for the administrator of ${report.hostname})`), "");
  if (report.kind !== "succeeded") {
    const transcript = formatTranscript(report);
    if (transcript.length > 0) lines.push(...transcript, "");
  }
  lines.push(...wrapText("Details for programs, and the beginning of your message, follow.", WIDTH, ""));
  return lines.map((line) => `${line}\r\n`).join("");
}

/** Address lines of the recipients by the lines on what happened to them: what is the same for many is said once. */
function byFate(report: Report): Map<string, string[]> {
  const found = new Map<string, string[]>();
  for (const reported of report.recipients) {
    const address = wrapText(`<${cleanText(reportedAddress(reported))}>`, WIDTH, "");
    const what = recipientLines(report, reported).join("\n");
    const others = found.get(what);
    if (others === undefined) found.set(what, address);
    else others.push(...address);
  }
  return found;
}

function opening({ kind, recipients }: Report): string[] {
  const whom = recipients.length === 1 ? "the recipient below" : `the ${recipients.length} recipients below`;
  // The owner of a list wrote none of its messages.
  if (kind === "failed" && recipients.every(({ recipient }) => recipient.list === "member")) {
    const text = `A message to a list of yours could not be delivered to ${whom}, and will not be tried again.`;
    return wrapText(text, WIDTH, "");
  }
  const text = {
    failed: `Your message could not be delivered to ${whom}, and will not be tried again.`,
    delayed: `Your message has not yet been delivered to ${whom}. You need not send it again.`,
    succeeded: `Your message has been passed on to ${whom}. You asked to be told.`,
  }[kind];
  return wrapText(text, WIDTH, "");
}

/** What passing on meant (RFC 3464 §2.3.3). */
function successText({ recipient: { list }, outcome: { action, remoteMta } }: ReportRecipient): string {
  const host = cleanText(remoteMta ?? "the next server");
  if (list === "itself") {
    return "It goes to the members of this list. What becomes of it there, the list's owner is told.";
  }
  switch (action) {
    case "expanded":
      return "The address stands for several others. The message goes to each of them; of these you will not be told.";
    case "relayed":
      return `It was handed to ${host}, which does not report deliveries: you will hear no more if all goes well.`;
    default:
      return remoteMta === undefined ? "It is in the mailbox." : `It was handed to the mailbox server ${host}.`;
  }
}

function recipientLines(report: Report, reported: ReportRecipient): string[] {
  const { outcome, lastAttemptMs } = reported;
  if (report.kind === "succeeded") return wrapText(`    ${successText(reported)}`, WIDTH, "    ");
  const status = reportedStatus(report.kind, reported);
  const { meaning, advice, forAdmin } = explain(outcome, status);
  const text = cleanText(outcome.text);
  const speaker = outcome.isRemoteReply ? cleanText(outcome.remoteMta ?? "The next server") : "Reason";
  const lines: string[] = [];
  if (text !== "") lines.push(...labelled(outcome.isRemoteReply ? `${speaker} said` : speaker, text));
  lines.push(...labelled("Meaning", `${meaning} (${status})`));
  if (report.kind === "delayed") return lines;
  if (status.startsWith("4")) {
    lines.push(...labelled("Tried", `until ${formatDate(lastAttemptMs)}; then the time allowed was over.`));
  }
  lines.push(...labelled("What to do", advice));
  if (forAdmin !== undefined) lines.push(...labelled("For administrators", forAdmin));
  return lines;
}

function closingOfDelay({ expiresMs }: Report): string[] {
  const until = expiresMs === undefined ? "" : ` until ${formatDate(expiresMs)}`;
  return wrapText(`We keep trying${until}. If that fails, you will get another report.`, WIDTH, "");
}

function labelled(label: string, text: string): string[] {
  return wrapText(`${label}: ${cleanText(text)}`, WIDTH, "    ");
}
