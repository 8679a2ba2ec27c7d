/** Replies of practices that many receivers share: greylisting and public block lists. They come before those of programs. */

import { type ReplyRule, rulesOf } from "./rule.ts";

/** A first attempt is put off, and one that comes again after some minutes is taken (RFC 6647). */
const GREYLISTING = rulesOf("greylisting", [
  [
    "greylisting",
    /^4\d\d .{0,300}gr[ea]y.?list|blocked using grey\./i,
    "450 4.2.0 <bob@example.net>: Recipient address rejected: Greylisted, see http://postgrey.schweikert.ch/help/example.net.html",
    "451 4.7.1 Greylisting in action, please come back in 00:05:00",
    "450 4.7.1 <bob@example.net>: Recipient address rejected: Greylisted for 5 minutes",
    "451 Deferred due to greylisting. Host: '192.0.2.1' From: 'alice@example.org' To: 'bob@example.net' SPF: 'unchecked'",
    "421 4.7.1 Service unavailable; Client host [192.0.2.1] blocked using grey.rbl - Greylisting in action, please try again later",
    "450 4.7.0 Graylisted, please try again later",
  ],
  [
    "greylisting",
    /^45\d 4\.7\.1 .{0,80}(?:try again|come back) (?:later|in )|^45\d (?:4\.\d\.\d )?Temporary failure, please try again later|^450 4\.3\.2 Service currently unavailable/i,
    "451 4.7.1 Try again later",
    "450 4.7.1 <bob@example.net>: Recipient address rejected: Policy restrictions; try again later",
    "451 Temporary failure, please try again later.",
    "450 4.3.2 Service currently unavailable",
  ],
]);

/** Lists of addresses and domains that send spam, asked over the DNS (RFC 5782). */
const BLOCK_LISTS = rulesOf("public block lists", [
  [
    "content",
    /\b(?:uribl|surbl)\b/i,
    "554 5.7.1 Service unavailable; Client host [mail.example.org] blocked using multi.uribl.com",
    "550 5.7.1 Message contains a URL listed on SURBL, see http://www.surbl.org/surbl-analysis",
  ],
  [
    "block",
    /spamhaus|spamcop|\bsorbs\b|uceprotect|psbl|mailspike|invaluement|abuseat|hostkarma|junkemailfilter|abusix|spamrl\.com|blocklist\.de/i,
    "554 5.7.1 Service unavailable; Client host [192.0.2.1] blocked using zen.spamhaus.org; https://www.spamhaus.org/query/ip/192.0.2.1",
    "550 5.7.1 Service unavailable, Client host [192.0.2.1] blocked using Spamhaus. To request removal from this list see https://www.spamhaus.org/query/ip/192.0.2.1 (AS16012611)",
    "554 5.7.1 Service unavailable; Sender address [alice@example.org] blocked using dbl.spamhaus.org; https://www.spamhaus.org/query/domain/example.org",
    "550 Email blocked by SPAMHAUS",
    "554 5.7.1 Service unavailable; Client host [192.0.2.1] blocked using bl.spamcop.net; Blocked - see https://www.spamcop.net/bl.shtml?192.0.2.1",
    "451 Currently Sending Spam See: http://www.sorbs.net/lookup.shtml?192.0.2.1",
    "554 5.7.1 Service unavailable; Client host [192.0.2.1] blocked using dnsbl-1.uceprotect.net; IP 192.0.2.1 is UCEPROTECT-Level 1 listed. See https://www.uceprotect.net/rblcheck.php?ipr=192.0.2.1",
    "550 Black listed at hostkarma http://ipadmin.junkemailfilter.com/remove.php?ip=192.0.2.1",
    "550 The sending IP (192.0.2.1) is listed on https://spamrl.com/. Please resolve this and retry.",
    "554 5.7.1 Service unavailable; Client host [192.0.2.1] blocked using psbl.surriel.com; Listed in PSBL, see https://psbl.org/listing?ip=192.0.2.1",
  ],
  [
    "block",
    /\b(?:dns|r)bls?\b|black.?list(?:ed|s|\b)|block.?list(?:ed|s|\b)|blocked using |black hole list/i,
    "550 Rejected due to DNSBL server response (dnsbl.example.com - 192.0.2.1)",
    "554 Refused. Your IP address is listed in the RBL at rbl.example.net",
    "550 5.7.1 Your IP address 192.0.2.1 is blacklisted",
    "550 JunkMail rejected - mail.example.org [192.0.2.1]:39153 is in an RBL: Client host blocked using rbl.example.net",
    "550 Rejected message because 192.0.2.1 is in a black list at rbl.example.net",
    "554 5.7.1 <alice@example.org>: Sender address rejected: your domain is on our blocklist",
  ],
]);

/** All of them. */
export const PRACTICES: readonly ReplyRule[] = [...GREYLISTING, ...BLOCK_LISTS];
