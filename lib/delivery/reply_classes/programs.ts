/** Replies of mail programs as they come, wherever they run: Postfix, Exim, Sendmail, qmail, Dovecot, Cyrus. */

import { type ReplyRule, rulesOf } from "./rule.ts";

const POSTFIX = rulesOf("Postfix", [
  [
    "unknownUser",
    /User unknown in .{1,30} table|Recipient address rejected: undeliverable address/i,
    "550 5.1.1 <bob@example.net>: Recipient address rejected: User unknown in local recipient table",
    "550 5.1.1 <bob@example.net>: Recipient address rejected: User unknown in virtual mailbox table",
    "550 5.1.1 <bob@example.net>: Recipient address rejected: undeliverable address: host mail.example.net[192.0.2.25] said: 550 no",
  ],
  [
    "relaying",
    /Relay access denied/i,
    "554 5.7.1 <bob@example.net>: Relay access denied",
    "454 4.7.1 <bob@example.net>: Relay access denied",
  ],
  [
    "authentication",
    /cannot find your (?:reverse )?hostname|Helo command rejected|Sender address rejected: Domain not found/i,
    "450 4.7.25 Client host rejected: cannot find your hostname, [192.0.2.1]",
    "550 5.7.25 Client host rejected: cannot find your reverse hostname, [192.0.2.1]",
    "450 4.7.1 <mail.example.org>: Helo command rejected: Host not found",
    "504 5.5.2 <localhost>: Helo command rejected: need fully-qualified hostname",
    "450 4.1.8 <alice@example.org>: Sender address rejected: Domain not found",
  ],
  [
    "rate",
    /Error: too (?:many (?:connections|recipients|errors)|much mail)/i,
    "421 4.7.0 mx.example.net Error: too many connections from 192.0.2.1",
    "450 4.7.1 Error: too much mail from 192.0.2.1",
    "452 4.5.3 Error: too many recipients",
  ],
  [
    "size",
    /Message size exceeds fixed (?:limit|maximum)|message file too big/i,
    "552 5.3.4 Message size exceeds fixed limit",
    "552 5.2.3 Message size exceeds fixed maximum message size (10485760)",
    "552 5.3.4 Error: message file too big",
  ],
  ["content", /message content rejected/i, "550 5.7.1 message content rejected"],
  [
    "system",
    /Temporary lookup failure|unverified address|Server configuration (?:error|problem)|queue file write error/i,
    "451 4.3.0 <bob@example.net>: Temporary lookup failure",
    "450 4.1.1 <bob@example.net>: Recipient address rejected: unverified address: Address verification in progress",
    "451 4.3.5 Server configuration error",
    "451 4.3.0 Error: queue file write error",
  ],
]);

const EXIM = rulesOf("Exim, cPanel", [
  [
    "unknownUser",
    /Unrouteable address|No Such User Here|The account or domain may not exist/i,
    "550 Unrouteable address",
    '550 "No Such User Here"',
    "550 The mail server could not deliver mail to bob@example.net. The account or domain may not exist, they may be blacklisted, or missing the proper dns entries.",
  ],
  [
    "relaying",
    /relay not permitted/i,
    "550 relay not permitted",
    "550 bob@example.net relay not permitted, sender is not authenticated",
  ],
  [
    "rate",
    /exceeded the max (?:emails|defers and failures) per hour|Too many concurrent SMTP connections/i,
    "550 Domain example.org has exceeded the max emails per hour (150/150 (100%)) allowed. Message discarded.",
    "421 Too many concurrent SMTP connections; please try again later.",
  ],
  [
    "authentication",
    /Sender verify failed|Verification failed for <@>/i,
    "550 Verification failed for <alice@example.org> The mail server does not recognize alice@example.org as a valid sender. Sender verify failed",
  ],
  [
    "content",
    /classified as SPAM|Message headers fail syntax check/i,
    "550 This message was classified as SPAM and may not be delivered",
    "550 Message headers fail syntax check",
  ],
  ["size", /Message size exceeds maximum permitted/i, "552 Message size exceeds maximum permitted"],
  ["policy", /Administrative prohibition/i, "550 Administrative prohibition"],
  [
    "system",
    /Temporary local problem|Unexpected failure, please try later|Could not complete (?:sender|recipient) verify/i,
    "451 Temporary local problem - please try later",
    "421 Unexpected failure, please try later",
    "451 Could not complete sender verify callout",
  ],
]);

const SENDMAIL = rulesOf("Sendmail", [
  ["unknownUser", /<@>\.\.\. User unknown/i, "550 5.1.1 <bob@example.net>... User unknown"],
  ["relaying", /Relaying denied/i, "550 5.7.1 <bob@example.net>... Relaying denied. IP name lookup failed [192.0.2.1]"],
  [
    "authentication",
    /Domain of sender address .{0,80}does not (?:exist|resolve)/i,
    "553 5.1.8 <alice@example.org>... Domain of sender address alice@example.org does not exist",
    "451 4.1.8 Domain of sender address alice@example.org does not resolve",
  ],
  [
    "rate",
    /Connection rate limit exceeded|Too many open connections/i,
    "421 4.3.2 Connection rate limit exceeded.",
    "421 4.3.2 Too many open connections.",
  ],
  [
    "system",
    /Insufficient (?:disk space|system storage)|Too many hops/i,
    "452 4.4.5 Insufficient disk space; try again later",
    "452 4.3.1 Insufficient system storage",
    "554 5.4.6 Too many hops 26 (25 max): from <alice@example.org> via mail.example.net",
  ],
]);

const QMAIL = rulesOf("qmail", [
  [
    "unknownUser",
    /no mailbox here by that name|not in my validrcptto list/i,
    "550 sorry, no mailbox here by that name. (#5.1.1)",
    "511 sorry, no mailbox here by that name (#5.1.1 - chkuser)",
    "550 sorry, this recipient is not in my validrcptto list (#5.7.1)",
  ],
  [
    "relaying",
    /isn.t in my list of allowed rcpthosts/i,
    "553 sorry, that domain isn't in my list of allowed rcpthosts (#5.7.1)",
  ],
  [
    "policy",
    /in my bad(?:mailfrom|rcptto) list/i,
    "553 sorry, your envelope sender is in my badmailfrom list (#5.7.1)",
  ],
  ["size", /exceeds my databytes limit/i, "552 sorry, that message size exceeds my databytes limit (#5.3.4)"],
  [
    "system",
    /\bqqt? (?:temporary problem|failure|crashed|read error)|wasn.t able to establish an SMTP connection/i,
    "451 qq temporary problem (#4.3.0)",
    "451 qqt failure (#4.3.0)",
    "451 Sorry, I wasn't able to establish an SMTP connection. (#4.4.1)",
  ],
]);

const MAILBOX_SERVERS = rulesOf("Dovecot, Cyrus, Zimbra", [
  [
    "unknownUser",
    /<@> User doesn.t exist|Mailbox unknown\. Either there is no mailbox/i,
    "550 5.1.1 <bob@example.net> User doesn't exist: bob@example.net",
    "550 Mailbox unknown. Either there is no mailbox associated with this name or you do not have authorization to see it. 5.1.1 User unknown",
  ],
  [
    "mailboxFull",
    /Quota exceeded \(mailbox for user is full\)|4\.2\.2 Over quota/i,
    "552 5.2.2 <bob@example.net> Quota exceeded (mailbox for user is full)",
    "452 4.2.2 Over quota",
  ],
  ["rate", /Too many concurrent deliveries/i, "451 4.3.0 <bob@example.net> Too many concurrent deliveries for user"],
  [
    "system",
    /Temporary internal (?:error|failure)|Internal error occurred\. Refer to server log/i,
    "451 4.3.0 <bob@example.net> Temporary internal error",
    "451 4.2.0 <bob@example.net> Internal error occurred. Refer to server log for more information. [2026-11-23 12:00:00]",
  ],
]);

/** All of them. */
export const PROGRAMS: readonly ReplyRule[] = [...POSTFIX, ...EXIM, ...SENDMAIL, ...QMAIL, ...MAILBOX_SERVERS];
