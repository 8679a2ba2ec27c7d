/** Writes the message that tells the owner of a mailbox that it gets full (RFC 3834: an automatic message, to nobody else). */

import type { QuotaLimits } from "../../config/config.ts";
import { type Content, memoryContent } from "../../mail/content.ts";
import type { Envelope } from "../../mail/envelope.ts";
import { formatDate, makeMessageId } from "../../mail/header.ts";
import { percentUsed, type Usage } from "./limits.ts";
import { formatMessages, formatOctets } from "./words.ts";

/** What a warning says. */
export interface WarningFacts {
  /** Canonical address of the mailbox. */
  readonly account: string;
  /** Ours. */
  readonly hostname: string;
  /** What the mailbox may hold. */
  readonly limits: QuotaLimits;
  /** What it holds. */
  readonly usage: Usage;
  /** Percent that it has come up to. */
  readonly threshold: number;
  /** What happens to mail when it is full. */
  readonly whenFull: "defer" | "refuse";
  /** Milliseconds since 1970. */
  readonly nowMs: number;
  /** At least 8 unpredictable octets. */
  readonly random: Uint8Array;
}

/** A message for the mailbox itself. */
export interface QuotaWarning {
  /** Null reverse-path, and one recipient: the owner. */
  readonly envelope: Envelope;
  /** The whole message, CRLF line ends, US-ASCII but for the address. */
  readonly content: Content;
}

const NEXT = {
  defer: [
    "Once it is full, new mail for you waits at the servers of its senders.",
    "They try again for some days; after that it goes back to the senders.",
  ],
  refuse: ["Once it is full, new mail for you goes back to its senders at once."],
};

/** Writes a warning. */
export function composeWarning(facts: WarningFacts): QuotaWarning {
  const { account, hostname, nowMs, random } = facts;
  const arrived = new Date(nowMs).toISOString();
  const percent = Math.floor(percentUsed(facts.limits, facts.usage));
  const is8bit = /[^\x00-\x7f]/.test(account);
  const lines = [
    `From: Mail Delivery System <MAILER-DAEMON@${hostname}>`,
    `To: ${account}`,
    `Subject: Your mailbox is ${percent}% full`,
    `Date: ${formatDate(nowMs)}`,
    `Message-ID: ${makeMessageId(nowMs, random, hostname)}`,
    // RFC 3834 §5: nothing answers to it.
    "Auto-Submitted: auto-generated",
    "MIME-Version: 1.0",
    "Content-Type: text/plain; charset=utf-8",
    `Content-Transfer-Encoding: ${is8bit ? "8bit" : "7bit"}`,
    "",
    `This is the mail server ${hostname}.`,
    "",
    `Your mailbox ${account} is ${percent}% full.`,
    "",
    ...usageLines(facts),
    "",
    ...NEXT[facts.whenFull],
    "",
    "Please delete mail that you no longer need, or move it elsewhere. Mail in",
    "the folder Trash counts as well until that is emptied.",
  ];
  return {
    envelope: {
      reversePath: "",
      arrived,
      body: is8bit ? "8BITMIME" : "7BIT",
      smtpUtf8: is8bit,
      trace: "",
      session: { service: "local" },
      recipients: [{ address: account, notify: "never" }],
    },
    content: memoryContent(new TextEncoder().encode(lines.map((line) => `${line}\r\n`).join(""))),
  };
}

/** What is limited, as used and limit. */
function usageLines({ limits: { octets, messages }, usage }: WarningFacts): readonly string[] {
  const lines: string[] = [];
  if (octets !== undefined) lines.push(`    ${formatOctets(usage.octets)} of ${formatOctets(octets)} are used.`);
  if (messages !== undefined) {
    lines.push(`    It holds ${formatMessages(usage.messages)} of ${messages} at most.`);
  }
  return lines;
}
