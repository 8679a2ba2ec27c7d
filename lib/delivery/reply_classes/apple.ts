/** Replies of Apple: iCloud Mail. @see https://support.apple.com/en-us/102322 */

import { type ReplyRule, rulesOf } from "./rule.ts";

/** icloud.com, me.com and mac.com. */
export const APPLE: readonly ReplyRule[] = rulesOf("Apple", [
  [
    "unknownUser",
    /inactive email address|unknown or illegal alias|recipient no longer on server|<@>: user does not exist/i,
    "550 5.1.1 <bob@icloud.com>: inactive email address",
    "550 5.1.1 unknown or illegal alias: bob@icloud.com",
    "550 5.1.6 recipient no longer on server: bob@icloud.com",
    "550 5.1.1 <bob@icloud.com>: user does not exist",
  ],
  [
    "mailboxFull",
    /<@>: user is over quota/i,
    "552 5.2.2 <bob@icloud.com>: user is over quota",
    "450 4.2.2 <bob@icloud.com>: user is over quota",
  ],
  [
    "authentication",
    /message was rejected due to .{1,80}DMARC policy|failing both SPF and DKIM/i,
    "554 5.7.1 Your message was rejected due to example.org's DMARC policy. See https://support.apple.com/en-us/HT204137 for info",
    "554 5.7.1 [HME1] This message was blocked for failing both SPF and DKIM authentication checks. See https://support.apple.com/en-us/HT204137 for mailing best practices",
  ],
  [
    "block",
    /rejected due to (?:listing in|having a domain present in)|ESMTP not accepting connections/i,
    "550 5.7.1 Mail from IP 192.0.2.1 was rejected due to listing in Spamhaus SBL. For details please see http://www.spamhaus.org/query/bl?ip=192.0.2.1",
    "550 5.7.1 Your email was rejected due to having a domain present in the Spamhaus DBL -- see https://www.spamhaus.org/dbl/",
    "554 p00-iscream-smtpin001.me.com ESMTP not accepting connections",
  ],
  [
    "rate",
    /deferred due to excessive volume/i,
    "421 4.7.1 Messages to bob@icloud.com deferred due to excessive volume. Try again later - https://support.apple.com/en-us/HT204137",
  ],
  [
    "policy",
    /\[(?:CS|HM)\d\d\] Message rejected due to local policy|\[HCM\d\] Your mail from/i,
    "554 5.7.1 [CS01] Message rejected due to local policy. Please visit https://support.apple.com/en-us/HT204137",
    "554 5.7.1 [HM08] Message rejected due to local policy. Please visit https://support.apple.com/en-us/HT204137",
    "550 5.7.1 [HCM2] Your mail from 192.0.2.1 was rejected. https://support.apple.com/en-us/HT204137",
  ],
]);
