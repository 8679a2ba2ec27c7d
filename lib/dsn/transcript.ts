/** What was said at the point that decided: our command, and the whole reply. For who looks after the mail servers. */

import type { ReplyStage } from "../mail/outcome.ts";
import { cleanText, wrapText } from "./field.ts";
import { type Report, reportedAddress, type ReportRecipient } from "./report.ts";

/** Exchanges shown; those of other recipients are like them, most likely. */
const MAX_SHOWN = 20;
const WIDTH = 78;

/** Formats the exchanges, each only once; no lines where there was none. */
export function formatTranscript(report: Report): string[] {
  const shown = new Map<string, string[]>();
  let isCut = false;
  for (const reported of report.recipients) {
    const { stage, replyLines, text, isRemoteReply } = reported.outcome;
    if (!isRemoteReply || stage === undefined) continue;
    const lines = [`  >>> ${commandText(stage, report, reported)}`];
    for (const line of replyLines ?? [text]) lines.push(`  <<< ${cleanText(line)}`);
    const exchange = [headLine(reported), ...lines].flatMap((line, at) => wrapText(line.trim(), WIDTH, at ? "  " : ""));
    const key = exchange.join("\n");
    if (shown.has(key)) continue;
    isCut = shown.size >= MAX_SHOWN;
    if (isCut) break;
    shown.set(key, exchange);
  }
  if (shown.size === 0) return [];
  const more = isCut ? ["There were more."] : [];
  return ["What was said, for administrators:", ...[...shown.values()].flat(), ...more];
}

/** Host, address, TLS; the time is in the part for programs. */
function headLine({ outcome: { remoteMta = "the next server", remoteAddress, tls } }: ReportRecipient): string {
  const at = remoteAddress === undefined ? "" : ` at ${remoteAddress}`;
  return cleanText(`${remoteMta}${at}, ${tls ?? "without TLS"}`);
}

function commandText(stage: ReplyStage, { hostname, envelope }: Report, reported: ReportRecipient): string {
  switch (stage) {
    case "greeting":
      return "(connected)";
    case "hello":
      return `EHLO ${hostname}`;
    case "startTls":
      return "STARTTLS";
    case "login":
      return "AUTH";
    case "mail":
      return `MAIL FROM:<${cleanText(envelope.reversePath)}>`;
    case "rcpt":
      // Where an alias led, its owner need not tell.
      return reported.recipient.original === undefined ? `RCPT TO:<${cleanText(reportedAddress(reported))}>` : "RCPT";
    case "data":
      return "DATA";
    case "content":
      return "(in the middle of the message)";
    case "dot":
      return "(end of the message)";
  }
}
