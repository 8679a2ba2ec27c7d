/** Replies of mailbox providers of Europe and Russia. */

import { type ReplyRule, rulesOf } from "./rule.ts";

/** GMX, WEB.DE, mail.com and IONOS. @see https://postmaster.gmx.net/en/error-messages */
const UNITED_INTERNET = rulesOf("GMX, WEB.DE, IONOS", [
  [
    "block",
    /No SMTP service.{0,12}IP address is black ?listed/i,
    "554 gmx.net (mxgmx017) Nemesis ESMTP Service not available No SMTP service IP address is black listed. For explanation visit https://postmaster.gmx.net/en/error-messages?ip=192.0.2.1&c=bl",
  ],
  [
    "authentication",
    /Bad DNS PTR resource record|invalid DNS MX or A\/AAAA resource record/i,
    "554 web.de (mxweb113) Nemesis ESMTP Service not available No SMTP service Bad DNS PTR resource record. For explanation visit https://postmaster.web.de/error-messages?ip=192.0.2.1&c=rdns",
    "550 Requested action not taken: mailbox unavailable invalid DNS MX or A/AAAA resource record. For explanation visit https://www.ionos.com/help/index.php?id=2425",
  ],
  [
    "policy",
    /Reject due to policy restrictions/i,
    "554 Transaction failed Reject due to policy restrictions. For explanation visit https://postmaster.gmx.net/en/case?c=hi&i=ip&v=192.0.2.1",
  ],
  [
    "mailboxFull",
    /exceeded storage allocation.{0,12}Quota exceeded/i,
    "552 Requested mail action aborted: exceeded storage allocation Quota exceeded. The recipients mailbox is full. For explanation visit https://postmaster.gmx.net/",
  ],
  [
    "unknownUser",
    /mailbox unavailable For explanation visit/i,
    "550 Requested action not taken: mailbox unavailable For explanation visit https://postmaster.gmx.net/en/error-messages?ip=192.0.2.1&c=hd",
  ],
]);

/** @see https://postmaster.t-online.de/ */
const T_ONLINE = rulesOf("T-Online", [
  [
    "block",
    /IP[:=].{1,50} - A problem occurred/i,
    "554 IP=192.0.2.1 - A problem occurred. (Ask your postmaster for help or to contact tosa@rx.t-online.de to clarify.) (BL)",
    "421 IP=192.0.2.1 - A problem occurred. (Ask your postmaster for help or to contact tosa@rx.t-online.de to clarify.)",
  ],
  [
    "reputation",
    /IP[:=].{1,50}None\/bad reputation/i,
    "554 IP=192.0.2.1 - None/bad reputation. Ask your postmaster for help or to contact tobr@rx.t-online.de for reset. (NOWL)",
  ],
]);

/** Orange (OFR), La Poste (LPN), SFR and Free. */
const FRENCH = rulesOf("Orange, La Poste, SFR, Free", [
  [
    "unknownUser",
    /(?:OFR|LPN).{0,12}41[68]\b|destinataire invalide/i,
    "550 5.1.1 Adresse d au moins un destinataire invalide. Invalid recipient. OFR_416 [416]",
  ],
  [
    "mailboxFull",
    /(?:OFR|LPN).{0,12}417\b|Boite du destinataire pleine/i,
    "552 5.1.1 Boite du destinataire pleine. Recipient overquota. OFR_417 [417]",
  ],
  [
    "inactiveUser",
    /(?:OFR|LPN).{0,12}42[06]\b|Boite du destinataire archivee/i,
    "550 5.5.0 Boite du destinataire archivee. Archived recipient. LPN007_420",
    "550 5.5.0 Le compte du destinataire est bloque. The recipient account isblocked. LPN007_426",
  ],
  [
    "rate",
    /Trop de connexions|(?:OFR|LPN).{0,12}104\b/i,
    "421 mwinf5c04 ME Trop de connexions, veuillez verifier votre configuration. Too many connections, slow down. OFR005_104 [104]",
  ],
  [
    "block",
    /Adresse IP source bloquee|(?:OFR|LPN).{0,12}10[12]\b|Abus detecte/i,
    "550 mwinf5c04 ME Adresse IP source bloquee pour incident de spam. Client host blocked for spamming issues. OFR006_102 Ref http://csi.cloudmark.com [102]",
    "550 5.7.1 <mail.example.org[192.0.2.1]>: Client host rejected: Abus detecte GU_EIB_02",
  ],
  [
    "authentication",
    /(?:OFR|LPN).{0,12}(?:401|517)\b|verification DMARC en echec/i,
    "550 5.5.0 SPF: example.org is not allowed to send mail. LPN004_401",
    "571 5.7.1 Message refused, DMARC verification Failed. Message refuse, verification DMARC en echec LPN007_517",
  ],
  [
    "content",
    /Mail rejete\. Mail rejected|(?:OFR|LPN).{0,12}506\b/i,
    "550 5.2.0 Mail rejete. Mail rejected. OFR_506 [506]",
  ],
  [
    "reputation",
    /Service refuse\. Veuillez essayer plus tard|too many (?:errors|spams) from your ip/i,
    "421 mwinf5c77 ME Service refuse. Veuillez essayer plus tard. Service refused, please try later. OFR_999 [999]",
    "421 too many errors from your ip (192.0.2.1), please visit http://postmaster.free.fr/",
    "550 Too many spams from your IP (192.0.2.1), please visit http://postmaster.free.fr/",
  ],
]);

const LIBERO = rulesOf("Libero", [
  [
    "block",
    /IP blacklisted by CSI|LIB_10[2-4]/i,
    "550 smtp-19.iol.local smtp-19.iol.local IP blacklisted by CSI. For remediation please use http://csi.cloudmark.com/reset-request/?ip=192.0.2.1 [smtp-19.iol.local; LIB_102]",
  ],
]);

/** @see https://postmaster.mail.ru/ */
const MAIL_RU = rulesOf("Mail.ru", [
  [
    "unknownUser",
    /invalid mailbox\. Local mailbox .{0,20}is unavailable: user (?:is )?not found/i,
    "550 Message was not accepted -- invalid mailbox. Local mailbox bob@mail.ru is unavailable: user not found",
  ],
  [
    "inactiveUser",
    /Local mailbox .{0,20}is unavailable: account is disabled/i,
    "550 Message was not accepted -- invalid mailbox. Local mailbox bob@mail.ru is unavailable: account is disabled",
  ],
  [
    "content",
    /spam message (?:rejected|discarded\/rejected)/i,
    "550 spam message rejected. Please visit http://help.mail.ru/notspam-support/id?c=Ykeh or report details to abuse@corp.mail.ru. Error code: 4B5E0B1A. ID: 00000025.",
  ],
  [
    "block",
    /Access from ip address .{1,50} blocked/i,
    "550 Access from ip address 192.0.2.1 blocked. Visit http://mail.ru/notspam/",
  ],
  [
    "authentication",
    /do not accept mail from (?:hosts with )?dynamic IPs?|get a custom reverse DNS name/i,
    "550 We do not accept mail from dynamic IPs. Please use the SMTP server of your provider.",
    "550 We do not accept mail from hosts with dynamic IP or generic DNS PTR-records. Please get a custom reverse DNS name from your ISP for your host",
  ],
]);

/** @see https://yandex.com/support/mail/ */
const YANDEX = rulesOf("Yandex", [
  [
    "content",
    /rejected under suspicion of SPAM/i,
    "554 5.7.1 [1] Message rejected under suspicion of SPAM; https://ya.cc/1IrBc 1612345678-qtnNXcLzZ0-3w5C0Hl8",
  ],
  [
    "unknownUser",
    /5\.7\.1 No such user!/i,
    "550 5.7.1 No such user!",
  ],
  [
    "mailboxFull",
    /Mailbox size limit exceeded/i,
    "552 5.2.2 Mailbox size limit exceeded",
  ],
  [
    "system",
    /the service is currently unavailable/i,
    "451 4.7.1 Sorry, the service is currently unavailable. Please come back later. 1612345678-qtnNXcLzZ0-3w5C0Hl8",
  ],
]);

/** All of them. */
export const EUROPEAN: readonly ReplyRule[] = [
  ...UNITED_INTERNET,
  ...T_ONLINE,
  ...FRENCH,
  ...LIBERO,
  ...MAIL_RU,
  ...YANDEX,
];
