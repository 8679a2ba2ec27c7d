/** Replies of filters that stand in front of the mail servers of firms. */

import { type ReplyRule, rulesOf } from "./rule.ts";

const PROOFPOINT = rulesOf("Proofpoint", [
  [
    "block",
    /proofpoint\.com\/(?:\?ip|dnsbl)|\.proofpoint\.com Visit|blocked using prs\.proofpoint/i,
    "554 Blocked - see https://ipcheck.proofpoint.com/?ip=192.0.2.1",
    "550 5.7.0 Blocked - see https://support.proofpoint.com/dnsbl-lookup.cgi?ip=192.0.2.1",
    "521 5.7.1 Service unavailable; client [192.0.2.1] blocked using prs.proofpoint.com",
  ],
  ["policy", /Local Policy Violation/i, "550 5.7.0 Local Policy Violation - 27h8ggqc4p-1"],
]);

/** @see https://community.mimecast.com/s/article/Mimecast-SMTP-Error-Codes-842605754 */
const MIMECAST = rulesOf("Mimecast", [
  [
    "greylisting",
    /Internal resources? (?:are )?temporarily unavailable/i,
    "451 Internal resources are temporarily unavailable - https://community.mimecast.com/docs/DOC-1369#451 [V1X4ESabPxKDmn8czHBhOQ.uk246]",
  ],
  [
    "reputation",
    /mimecast\.org Poor Reputation|Local CT IP Reputation|IP Temporarily Blacklisted/i,
    "550 csi.mimecast.org Poor Reputation Sender. - https://community.mimecast.com/docs/DOC-1369#550 [EM-f6hnWN9maa42OLPquOA.us166]",
    "550 Local CT IP Reputation - (reject) - https://community.mimecast.com/docs/DOC-1369#550 [EM-f6hnWN9maa42OLPquOA.us166]",
    "451 IP Temporarily Blacklisted - https://community.mimecast.com/docs/DOC-1369#451 [EM-f6hnWN9maa42OLPquOA.us166]",
  ],
  [
    "block",
    /mimecast\.org Blocked - see/i,
    "550 spamcop.mimecast.org Blocked - see https://www.spamcop.net/bl.shtml?192.0.2.1. - https://community.mimecast.com/docs/DOC-1369#550 [nSq2mM6RNqWOxCrbHVMv8Q.us380]",
  ],
  [
    "unknownUser",
    /Invalid Recipient - https:\/\/community\.mimecast/i,
    "550 Invalid Recipient - https://community.mimecast.com/docs/DOC-1369#550 [FbbFUcEeNJeFtMZ8JSf8TQ.uk91]",
  ],
  [
    "authentication",
    /(?:SPF|DKIM|DMARC) Sender Invalid/i,
    "550 SPF Sender Invalid - envelope rejected - https://community.mimecast.com/docs/DOC-1369#550 [FbbFUcEeNJeFtMZ8JSf8TQ.uk91]",
    "550 DMARC Sender Invalid - envelope rejected - https://community.mimecast.com/docs/DOC-1369#550 [FbbFUcEeNJeFtMZ8JSf8TQ.uk91]",
  ],
  [
    "policy",
    /Anti-Spoofing policy|envelope blocked|Envelope rejected - Block policy|This route requires/i,
    "550 Rejected by header based Anti-Spoofing policy: alice@example.org - https://community.mimecast.com/docs/DOC-1369#550 [aUT_rCR5NlOVu3zyNjaM8g.us516]",
    "550 Administrative prohibition - envelope blocked - https://community.mimecast.com/docs/DOC-1369#550 [aUT_rCR5NlOVu3zyNjaM8g.us516]",
    "553 This route requires encryption (TLS) - https://community.mimecast.com/docs/DOC-1369#553",
  ],
  [
    "content",
    /Email rejected due to security policies|content examination policy/i,
    "554 Email rejected due to security policies - https://community.mimecast.com/docs/DOC-1369#554 [kRcKKRAuMtaeDm8KVsYyTA.us313]",
  ],
  [
    "size",
    /Maximum email size exceeded/i,
    "554 Maximum email size exceeded - https://community.mimecast.com/docs/DOC-1369#554",
  ],
]);

const BARRACUDA = rulesOf("Barracuda", [
  [
    "block",
    /barracudacentral\.org|barracudanetworks\.com\/reputation/i,
    "554 Service unavailable; Client host [mail.example.org] blocked by bl.barracudacentral.org; http://www.barracudanetworks.com/reputation/?pr=1&ip=192.0.2.1",
    "550 rejected: http://www.barracudanetworks.com/reputation/?r=1&ip=192.0.2.1",
  ],
  [
    "content",
    /permanent failure for one or more recipients \(@:blocked|rejected due to (?:spam|virus)/i,
    "550 permanent failure for one or more recipients (bob@example.net:blocked)",
    "554 rejected due to spam content",
    "554 rejected due to virus",
  ],
]);

const CISCO = rulesOf("Cisco Secure Email (IronPort)", [
  [
    "reputation",
    /due to the sending MTA.s poor reputation|access to submit messages to this e-mail system has been rejected/i,
    "554 mx1.example.net Your access to this mail system has been rejected due to the sending MTA's poor reputation. If you believe that this failure is in error, please contact the intended recipient via alternate means.",
    "550 #5.7.1 Your access to submit messages to this e-mail system has been rejected.",
  ],
  [
    "unknownUser",
    /#5\.1\.0 Address rejected|#5\.1\.1 bad address/i,
    "550 #5.1.0 Address rejected.",
    "501 #5.1.1 bad address bob@example.net",
  ],
  [
    "rate",
    /Too many (?:recipients received this hour|TLS sessions at this time)|#4\.4\.5 Too many connections/i,
    "452 #4.5.3 Too many recipients received this hour",
    "421 #4.4.5 Too many connections from your host.",
    "421 #4.4.5 Too many TLS sessions at this time",
  ],
  ["size", /#5\.3\.4 message size exceeds limit/i, "552 #5.3.4 message size exceeds limit"],
]);

const BROADCOM = rulesOf("Broadcom (Symantec, MessageLabs)", [
  [
    "content",
    /Message filtered\. /i,
    "553 Message filtered. Refer to the Troubleshooting page at http://www.symanteccloud.com/troubleshooting for more information. (#5.7.1)",
  ],
  [
    "reputation",
    /Connection rejected by policy \[/i,
    "501 Connection rejected by policy [7.7] 38106, please visit www.messagelabs.com/support for more details about this error message.",
  ],
  [
    "system",
    /Requested action aborted \[[\d.]{1,8}\].{0,60}messagelabs/i,
    "450 Requested action aborted [7.2] 4310, please visit www.messagelabs.com/support for more details about this error message.",
  ],
]);

const TREND_MICRO = rulesOf("Trend Micro", [
  [
    "block",
    /Trend Micro (?:RBL|Email Reputation)/i,
    "550 5.7.1 Service unavailable; Client host [192.0.2.1] blocked using Trend Micro RBL+. Please see http://www.mail-abuse.com/cgi-bin/lookup?ip_address=192.0.2.1",
    "450 4.7.1 Service temporarily unavailable; Client host [192.0.2.1] blocked using Trend Micro Email Reputation database. Please see <http://www.mail-abuse.com/cgi-bin/lookup?192.0.2.1>",
  ],
]);

const CLOUDMARK = rulesOf("Cloudmark", [
  [
    "reputation",
    /csi\.cloudmark\.com|Poor Reputation Sender/i,
    "554 cmsmtp 5.7.1 Service unavailable; Client host [192.0.2.1] blocked using cm-csi-v11; Cloudmark Poor Reputation Sender Blacklist http://csi.cloudmark.com/reset-request/?ip=192.0.2.1",
  ],
]);

/** Filters that run beside a mail server: Amavis, Rspamd, SpamAssassin, ClamAV, FortiMail. */
const BESIDE_A_SERVER = rulesOf("Amavis, Rspamd, SpamAssassin, FortiMail", [
  [
    "content",
    /Reject, id=.{1,40} - (?:spam|INFECTED|BANNED|BAD)|Blocked by SpamAssassin|(?:is|was) detected as spam|Spam message rejected|Gtube pattern|infected by|(?:virus|malware).{0,30}(?:found|detected)/i,
    "554 5.7.0 Reject, id=12345-01 - spam",
    "554 5.7.0 Reject, id=21475-09 - INFECTED: Eicar-Test-Signature",
    "550 5.7.1 Blocked by SpamAssassin",
    "554 5.7.1 This email from IP 192.0.2.1 has been rejected. The email message was detected as spam.",
    "554 5.7.1 Gtube pattern",
    "550 5.7.1 virus Eicar-Test-Signature detected by ClamAV - http://www.clamav.net",
  ],
]);

/** All of them. */
export const FILTERS: readonly ReplyRule[] = [
  ...PROOFPOINT,
  ...MIMECAST,
  ...BARRACUDA,
  ...CISCO,
  ...BROADCOM,
  ...TREND_MICRO,
  ...CLOUDMARK,
  ...BESIDE_A_SERVER,
];
