/** Replies of Yahoo, and of AOL and others that it runs. @see https://senders.yahooinc.com/smtp-error-codes/ */

import { type ReplyRule, rulesOf } from "./rule.ts";

/** Yahoo, AOL and domains at Yahoo. */
export const YAHOO: readonly ReplyRule[] = rulesOf("Yahoo", [
  [
    "unknownUser",
    /This user doesn.t have an? .{1,60} account|554 30 Sorry, your message to .{1,80}mailbox is (?:not found|unknown)/i,
    "554 delivery error: dd This user doesn't have a yahoo.com account (bob@yahoo.com) [0] - mta1234.mail.gq1.yahoo.com",
  ],
  [
    "inactiveUser",
    /cannot be delivered\. This (?:mailbox|account) (?:is|has been) disabled/i,
    "554 30 Sorry, your message to bob@yahoo.com cannot be delivered. This mailbox is disabled (554.30). - mta4270.mail.bf1.yahoo.com",
    "554 delivery error: dd Sorry your message to bob@yahoo.com cannot be delivered. This account has been disabled or discontinued [#102].",
  ],
  [
    "block",
    /All messages from .{1,60} will be permanently deferred|\[(?:BL2\d|TSS?07)\]|RTR:BL|CON:B1/i,
    "421 4.7.1 [TS03] All messages from 192.0.2.1 will be permanently deferred; Retrying will NOT succeed. See https://postmaster.yahooinc.com/error-codes",
    "553 5.7.2 [TSS09] All messages from 192.0.2.1 will be permanently deferred; Retrying will NOT succeed. See https://postmaster.yahooinc.com/error-codes",
    "553 5.7.1 [BL21] Connections will not be accepted from 192.0.2.1, because the ip is in Spamhaus's list; see https://postmaster.yahooinc.com/550-bl23",
    "554 5.7.1 : (RTR:BL) https://postmaster.aol.com/error-codes#554rtrbl",
    "421 mtaig-aaa03.mx.aol.com Service unavailable - try again later (CON:B1)",
  ],
  [
    "rate",
    /temporarily deferred due to (?:unexpected|excessive) volume|\[TSS?04\]|DYN:T\d|RLY:B[12]/i,
    "421 4.7.0 [TSS04] Messages from 192.0.2.1 temporarily deferred due to unexpected volume or user complaints - 4.16.55.1; see https://postmaster.yahooinc.com/error-codes",
    "421 4.7.1 : (DYN:T1) https://postmaster.aol.com/error-codes#421dynt1",
    "554 5.7.1 : (RLY:B1) https://postmaster.aol.com/error-codes#554rlyb1",
  ],
  [
    "reputation",
    /temporarily deferred due to user complaints|\[IPTS04\]|Excessive unknown recipients|RTR:(?:SC|DU|BB)/i,
    "421 4.7.0 [TS01] Messages from 192.0.2.1 temporarily deferred due to user complaints - 4.16.55.1; see https://postmaster.yahooinc.com/error-codes",
    "451 VS1-IP Excessive unknown recipients - possible Open Relay http://help.yahoo.com/help/us/mail/spam/spam-18.html (#4.1.8)",
    "554 5.7.1 : (RTR:SC) https://postmaster.aol.com/error-codes#554rtrsc",
  ],
  [
    "authentication",
    /Yahoo requires all senders to authenticate|\(AU0\d\)|\(?DMARC:/i,
    "550 5.7.9 This mail has been blocked because the sender is unauthenticated. Yahoo requires all senders to authenticate with either SPF or DKIM.",
    "554 5.7.5 (AU01) Message not accepted for policy reasons. See http://postmaster.yahoo.com/errors/postmaster-28.html",
    "554 5.7.1 : (DMARC:1) https://postmaster.aol.com/error-codes#554dmarc1",
  ],
  [
    "policy",
    /Message not accepted for policy reasons/i,
    "554 5.7.9 Message not accepted for policy reasons. See https://postmaster.yahooinc.com/error-codes",
    "554 Message not allowed - [PH01] Email not accepted for policy reasons. Message not accepted for policy reasons. Please visit https://postmaster.yahooinc.com/error-codes [120]",
  ],
  [
    "system",
    /Resources temporarily (?:un|not )available|Internal error reading data/i,
    "451 Resources temporarily not available - Please try again later [#4.16.5].",
    "421 Resources temporarily unavailable. Please try again later",
    "451 4.3.2 Internal error reading data",
  ],
]);
