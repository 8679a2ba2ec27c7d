/** Where an administrator gets help: the block list that a reply names, or the pages of the receiver that sent it. */

import { cleanText } from "./field.ts";

/** What stands in a reply, and what helps then. */
type Hint = readonly [RegExp, string];

const LISTS: readonly Hint[] = [
  [/spamhaus|abuseat/i, "The list is Spamhaus: look up and remove at https://check.spamhaus.org/."],
  [/barracuda/i, "The list is Barracuda's: remove at https://www.barracudacentral.org/rbl/removal-request."],
  [/spamcop/i, "The list is SpamCop: see https://www.spamcop.net/bl.shtml; an entry ends a day after the last report."],
  [/uceprotect/i, "The list is UCEPROTECT: see https://www.uceprotect.net/en/rblcheck.php."],
  [/psbl/i, "The list is PSBL: remove at https://psbl.org/."],
  [/mailspike/i, "The list is Mailspike: see https://mailspike.org/."],
  [/abusix/i, "The list is Abusix: remove at https://lookup.abusix.com/."],
  [/\bsorbs\b/i, "The list is SORBS, which closed in 2024: tell the destination's administrator to ask it no more."],
  [/proofpoint/i, "The list is Proofpoint's: remove at https://ipcheck.proofpoint.com/."],
  [/cloudmark|\bCSI\b/, "The list is Cloudmark Sender Intelligence: remove at https://csi.cloudmark.com/en/reset/."],
];

const RECEIVERS: readonly Hint[] = [
  [
    /5\.7\.26 .{0,900}gsmtp|gmail requires|support\.google\.com\/mail\/.{0,9}81126/i,
    "Google wants SPF or DKIM to pass for the domain in From, under DMARC: https://support.google.com/mail/answer/81126.",
  ],
  [/gsmtp|support\.google\.com/i, "Google shows what it thinks of a domain at https://postmaster.google.com/."],
  [
    /S3140|S3150|part of their network is on our block list/,
    "Microsoft (Outlook.com) blocks the network of our address: ask for removal at https://olcsupport.office.com/.",
  ],
  [/5\.7\.511\b/, "Microsoft: ask for removal by a message with the reply to delist@messaging.microsoft.com."],
  [/banned sending IP/i, "Microsoft 365 blocks our address: ask for removal at https://sender.office.com/."],
  [
    /\(S775\)|4\.7\.65\d|postmaster\.live\.com/,
    "Microsoft shows what it thinks of an address at https://sendersupport.olc.protection.outlook.com/snds/.",
  ],
  [/\[TSS?\d\d\]|yahoo/i, "Yahoo explains its codes, and takes requests, at https://senders.yahooinc.com/."],
  [/support\.apple\.com|icloud|me\.com ESMTP/i, "Apple explains its rules at https://support.apple.com/en-us/102322."],
  [/t-online\.de/i, "T-Online resets an address on request: https://postmaster.t-online.de/."],
  [/postmaster\.(?:gmx|web)\.|nemesis ESMTP/i, "GMX and WEB.DE take requests at https://postmaster.gmx.net/."],
  [/comcast/i, "Comcast takes requests at https://spa.xfinity.com/."],
  [/mail\.ru\b/i, "Mail.ru takes requests at https://postmaster.mail.ru/."],
];

const ANY_LIST = /(?:blocked using|listed (?:in|at|on|by)|rejected by) ([a-z0-9-]{1,63}(?:\.[a-z0-9-]{1,63}){1,6})/i;
const URL = /https?:\/\/[^\s<>"'()[\]]{4,200}/i;

/** What to tell an administrator about a refusal, beyond its class; undefined where there is nothing to tell. @param reply One line. */
export function replyHint(reply: string, isAboutLists: boolean): string | undefined {
  const text = cleanText(reply);
  const known = [...(isAboutLists ? LISTS : []), ...RECEIVERS].find(([pattern]) => pattern.test(text))?.[1];
  if (known !== undefined || !isAboutLists) return known;
  const list = ANY_LIST.exec(text)?.[1];
  const url = URL.exec(text)?.[0].replace(/[.,;:!?]$/, "");
  if (list === undefined && url === undefined) return undefined;
  const name = list === undefined ? "The reply names no list" : `The list is ${list}`;
  return url === undefined ? `${name}.` : `${name}; the reply points to ${url}`;
}
