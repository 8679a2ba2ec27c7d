/** Replies of access and mailbox providers of America and Asia, and of services that relay for others. */

import { type ReplyRule, rulesOf } from "./rule.ts";

/** @see https://postmaster.comcast.net/smtp-error-codes.php */
const COMCAST = rulesOf("Comcast", [
  ["unknownUser", /Not our Customer/i, "550 5.1.1 Not our Customer"],
  [
    "rate",
    /smtp-error-codes\.php#RL\d{6}|comcast .{0,60}Throttled/i,
    "421 4.1.0 resimta-ch2-20v.sys.comcast.net comcast 192.0.2.1 Throttled - try again later. Please see https://postmaster.comcast.net/smtp-error-codes.php#RL000001",
  ],
  [
    "block",
    /smtp-error-codes\.php#BL\d{6}|found on one or more DNSBLs/i,
    "554 resimta-po-11v.sys.comcast.net resimta-po-11v.sys.comcast.net 192.0.2.1 found on one or more DNSBLs, see http://postmaster.comcast.net/smtp-error-codes.php#BL000010",
  ],
]);

/** Spectrum (Charter) and Cox name their rules after "AUP#". @see https://www.cox.com/residential/support/email-error-codes.html */
const CABLE = rulesOf("Spectrum, Cox", [
  [
    "rate",
    /AUP#(?:CX)?(?:CNCT|MXRT|SNDRT)/i,
    "421 mwd-ibgw-6004a.ext.cloudfilter.net cmsmtp 192.0.2.1 blocked AUP#CNCT",
    "452 fed1rmimpi309.cox.net cox 192.0.2.1 too many messages. AUP#CXMXRT",
  ],
  [
    "authentication",
    /AUP#(?:CX)?(?:DNS|SNDR)\b/i,
    "554 ibmr05p1ch2.cox.net cox 192.0.2.1 rejected - no rDNS. AUP#CXDNS",
  ],
  [
    "reputation",
    /AUP#(?:In?|Out|POL|CX)/i,
    "554 p-impin005.msg.pkvw.co.charter.net cmsmtp 192.0.2.1 blocked. Please see https://www.spectrum.net/support/internet/understanding-email-error-codes for more information. AUP#In-1310",
    "554 fed1rmimpi304.cox.net cox 192.0.2.1 blocked. Refer to Error Codes section at https://www.cox.com/residential/support/email-error-codes.html AUP#CXBL",
  ],
]);

const AT_AND_T = rulesOf("AT&T, EarthLink", [
  [
    "block",
    /DNSBL:(?:ATT)?RBL|is blocked by EarthLink/i,
    "553 5.3.0 flph825 DNSBL:ATTRBL 521< 192.0.2.1 >_is_blocked.For assistance forward this email to abuse_rbl@abuse-att.net",
    "550 IP 192.0.2.1 is blocked by EarthLink. Go to earthlink.net/block for details.",
  ],
  [
    "authentication",
    /Connections not accepted from servers without a valid sender domain/i,
    "550 5.7.1 Connections not accepted from servers without a valid sender domain.flph829 Fix reverse DNS for 192.0.2.1",
  ],
]);

/** @see https://www.godaddy.com/help/fix-rejected-email-with-a-bounce-error-40685 */
const GODADDY = rulesOf("GoDaddy", [
  [
    "rate",
    /\bIB(?:007|504|510|607)\b/,
    "421 p3plibsmtp03-01.prod.phx3.secureserver.net bizsmtp Connection refused, too many sessions from This IP. Please lower the number of concurrent sessions. IB007",
    "550 This IP has sent too many messages this hour. IB504",
  ],
  [
    "block",
    /\bIB10[4-6]\b/,
    "554 p3plibsmtp01-02.prod.phx3.secureserver.net bizsmtp IB105. Connection refused. 192.0.2.1 is listed on the Exploits Block List (XBL) <http://www.spamhaus.org/query/ip/192.0.2.1>",
  ],
  [
    "reputation",
    /\bIB(?:103|11[0-3])\b/,
    "554 Connection refused. This IP has a poor reputation on Cloudmark Sender Intelligence (CSI). IB103",
  ],
  ["authentication", /\bIB(?:108|508)\b/, "421 Temporarily rejected. Reverse DNS for 192.0.2.1 failed. IB108"],
  [
    "content",
    /\bIB(?:212|705)\b/,
    "552 This message has been rejected due to content judged to be spam by the Internet community. IB212",
  ],
]);

/** @see https://service.mail.qq.com/ */
const QQ = rulesOf("QQ", [
  [
    "unknownUser",
    /Mailbox not found\. http:\/\/service\.mail\.qq|Mailbox unavailable or access denied/i,
    "550 Mailbox not found. http://service.mail.qq.com/cgi-bin/help?subtype=1&&id=20022&&no=1000728",
    "550 Mailbox unavailable or access denied [MOBd9tAfCzJ3U4F+ IP: 192.0.2.1]. https://service.mail.qq.com/detail/0/165",
  ],
  ["inactiveUser", /is a deactivated mailbox/i, "550 bob@qq.com is a deactivated mailbox"],
  [
    "content",
    /Mail content denied|Suspected bounce attacks/i,
    "550 Mail content denied. http://service.mail.qq.com/cgi-bin/help?subtype=1&&id=20022&&no=1000726",
    "550 Suspected bounce attacks. http://service.mail.qq.com/cgi-bin/help?subtype=1&&id=20022&&no=1000770",
  ],
  [
    "rate",
    /(?:Connection|Domain|Ip|Sender) frequency limited/i,
    "550 Connection frequency limited. http://service.mail.qq.com/cgi-bin/help?subtype=1&&id=20022&&no=1000722",
    "550 Ip frequency limited [MdYGKgxxI IP: 192.0.2.1]. https://service.mail.qq.com/detail/0/87",
  ],
  [
    "reputation",
    /Suspected spam ip|Reject by behaviou?r spam/i,
    "550 Suspected spam ip. https://service.mail.qq.com/detail/0/92",
    "554 Reject by behaviour spam at Rcpt State(Connection IP address:192.0.2.1)ANTISPAM_BAT[01201311R1176a, ay29d033018047198]: CONTINUE",
  ],
  [
    "mailboxFull",
    /Mailbox space not enough/i,
    "552 Mailbox space not enough [MZYdPG8hA IP: 192.0.2.1]. https://service.mail.qq.com/detail/0/168",
  ],
]);

/** @see https://mail.163.com/help/help_spam_16.htm */
const NETEASE = rulesOf("NetEase (163.com)", [
  [
    "rate",
    /\b(?:RP:(?:QRC|CEL|DRC|CCL|RCL|TRC)|MI:(?:CEL|DMC|CCL))\b/,
    "451 RP:QRC 163 mx12,QMCowEC5ukm 1612345678 http://mail.163.com/help/help_spam_16.htm?ip=192.0.2.1&hostid=mx12",
    "450 MI:CEL 163 mx9,P8CowADX 1612345678 http://mail.163.com/help/help_spam_16.htm?ip=192.0.2.1",
  ],
  [
    "content",
    /\b(?:DT:(?:SPM|SUM)|MI:(?:SPB|SFQ|STC))\b/,
    "554 DT:SPM 163 mx1,D8CowACXh6qB 1612345678,please see http://mail.163.com/help/help_spam_16.htm?ip=192.0.2.1&hostid=mx1",
  ],
  [
    "reputation",
    /\b(?:HL:(?:REP|ITC|IHU|IPB)|IP:(?:DUN|SPB))\b/,
    "421 HL:REP 163 mx5,M8CowAC3 1612345678 http://mail.163.com/help/help_spam_16.htm?ip=192.0.2.1&hostid=mx5",
  ],
  ["unknownUser", /User not found: @/i, "550 User not found: bob@163.com"],
  ["inactiveUser", /User suspended: @/i, "550 User suspended: bob@163.com"],
]);

const NAVER = rulesOf("Naver", [
  ["block", /Your ip blocked from this server/i, "421 4.3.2 Your ip blocked from this server 192.0.2.1"],
]);

/** Smarthosts: what a sender's own account there may do. */
const SENDING_SERVICES = rulesOf("Amazon SES, SendGrid, Mailgun", [
  [
    "rate",
    /Throttling failure: (?:Maximum|Daily)|Maximum credits exceeded/i,
    "454 Throttling failure: Maximum sending rate exceeded.",
    "454 Throttling failure: Daily message quota exceeded.",
    "451 Authentication failed: Maximum credits exceeded",
  ],
  [
    "policy",
    /Email address is not verified|does not match a verified Sender Identity|Domain .{1,80} is not allowed to send/i,
    "554 Message rejected: Email address is not verified. The following identities failed the check in region EU-WEST-1: alice@example.org",
    "550 The from address does not match a verified Sender Identity. Mail cannot be sent until this error is resolved.",
    "421 Domain mg.example.org is not allowed to send: Please activate your account",
  ],
  ["relaying", /Unauthenticated senders not allowed/i, "550 Unauthenticated senders not allowed"],
]);

/** All of them. */
export const OVERSEAS: readonly ReplyRule[] = [
  ...COMCAST,
  ...CABLE,
  ...AT_AND_T,
  ...GODADDY,
  ...QQ,
  ...NETEASE,
  ...NAVER,
  ...SENDING_SERVICES,
];
