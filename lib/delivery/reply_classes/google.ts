/** Replies of Google: Gmail, Google Workspace, and its relay. @see https://support.google.com/a/answer/3726730 */

import { type ReplyRule, rulesOf } from "./rule.ts";

/** Gmail and Google Workspace. */
export const GOOGLE: readonly ReplyRule[] = rulesOf("Google", [
  [
    "unknownUser",
    /account that you tried to reach does not exist/i,
    "550 5.1.1 The email account that you tried to reach does not exist. Please try double-checking the recipient's email address for typos or unnecessary spaces. For more information, go to https://support.google.com/mail/?p=NoSuchUser 00721157ae682-71a6e - gsmtp",
  ],
  [
    "inactiveUser",
    /account that you tried to reach is (?:disabled|inactive)/i,
    "550 5.2.1 The email account that you tried to reach is disabled. For more information, go to https://support.google.com/mail/?p=DisabledUser d2e1a72fcca58 - gsmtp",
    "550 5.2.1 The email account that you tried to reach is inactive. For more information, go to https://support.google.com/mail/?p=DisabledUser d2e1a72fcca58 - gsmtp",
  ],
  [
    "mailboxFull",
    /account that you tried to reach is over quota|inbox is out of storage space/i,
    "452 4.2.2 The email account that you tried to reach is over quota. Please direct the recipient to https://support.google.com/mail/?p=OverQuotaTemp a640c23a62f3a - gsmtp",
    "552 5.2.2 The email account that you tried to reach is over quota and inactive. Please direct the recipient to https://support.google.com/mail/?p=OverQuotaPerm - gsmtp",
    "452 4.2.2 The recipient's inbox is out of storage space. Please direct the recipient to https://support.google.com/mail/?p=OverQuotaTemp 41be03b00d2f7 - gsmtp",
  ],
  [
    "authentication",
    /(?:SPF|DKIM) authentication didn.t pass|didn.t pass (?:SPF|DKIM) authentication|pass authentication checks|sender is unauthenticated\. Gmail|Unauthenticated email from|fails to pass SPF checks/i,
    "550 5.7.26 Unauthenticated email from example.org is not accepted due to domain's DMARC policy. Please contact the administrator of example.org domain if this was a legitimate mail. To learn about the DMARC initiative, go to https://support.google.com/mail/?p=DmarcRejection - gsmtp",
    "550 5.7.26 Your email has been blocked because the sender is unauthenticated. Gmail requires all senders to authenticate with either SPF or DKIM. Authentication results: DKIM = did not pass SPF [example.org] with ip: [192.0.2.1] = did not pass For instructions on setting up authentication, go to https://support.google.com/mail/answer/81126#authentication - gsmtp",
    "550 5.7.26 This message does not have authentication information or fails to pass authentication checks (SPF or DKIM). To best protect our users from spam, the message has been blocked. Please visit https://support.google.com/mail/answer/81126 for more information.",
    "550 5.7.26 This message fails to pass SPF checks for an SPF record with a hard fail policy (-all). To best protect our users from spam and phishing, the message has been blocked. Please visit https://support.google.com/mail/answer/81126",
    "421 4.7.27 Your email has been rate limited because SPF authentication didn't pass for this message. Gmail requires all bulk email senders to authenticate their email with SPF. - gsmtp",
    "550 5.7.30 This message was blocked because it didn't pass DKIM authentication. Gmail requires bulk email senders to authenticate their email with DKIM. - gsmtp",
  ],
  [
    "authentication",
    /sending domain doesn.t have a DMARC record|isn.t aligned with either|(?:message|address) does(?:n.t| not) have a PTR record|IPv6 sending guidelines/i,
    "421 4.7.32 Your email has been rate limited because the From: header (RFC5322) in this message isn't aligned with either the authenticated SPF or DKIM organizational domain. - gsmtp",
    "421 4.7.40 Your email has been rate limited because the sending domain doesn't have a DMARC record, or the DMARC record doesn't specify a DMARC policy. - gsmtp",
    "421 4.7.23 The sending IP address for this message doesn't have a PTR record, or the PTR record's forward DNS entry doesn't match the sending IP address. To protect users from spam, your email has been temporarily rate limited. - gsmtp",
    "550 5.7.25 [192.0.2.1] The IP address sending this message does not have a PTR record setup, or the corresponding forward DNS entry does not match the sending IP. As a policy, Gmail does not accept messages from IPs with missing PTR records. - gsmtp",
    "550 5.7.1 [2001:db8::1] Our system has detected that this message does not meet IPv6 sending guidelines regarding PTR records and authentication. Please review https://support.google.com/mail/?p=IPv6AuthError for more information. - gsmtp",
  ],
  [
    "rate",
    /mail sent from your IP address has been temporarily|receiving mail (?:too quickly|at a rate that)|(?:Peak|Daily) (?:SMTP relay|user sending|sending) (?:limit|quota) exceeded|Try again later, closing connection/i,
    "421 4.7.28 Gmail has detected an unusual rate of unsolicited mail originating from your IP address. To protect our users from spam, mail sent from your IP address has been temporarily rate limited. For more information, go to https://support.google.com/mail/?p=UnsolicitedRateLimitError - gsmtp",
    "421 4.7.0 [192.0.2.1 15] Our system has detected an unusual rate of unsolicited mail originating from your IP address. To protect our users from spam, mail sent from your IP address has been temporarily blocked. Please visit https://support.google.com/mail/answer/81126",
    "450 4.2.1 The user you are trying to contact is receiving mail too quickly. Please resend your message at a later time. If the user is able to receive mail at that time, your message will be delivered. For more information, go to https://support.google.com/mail/?p=ReceivingRate - gsmtp",
    "450 4.2.1 The user you are trying to contact is receiving mail at a rate that prevents additional messages from being delivered. Please resend your message at a later time. - gsmtp",
    "450 4.2.1 Peak SMTP relay limit exceeded for customer. This is a temporary error. For more information on SMTP relay limits, please contact your administrator or visit https://support.google.com/a/answer/6140680",
    "550 5.4.5 Daily user sending limit exceeded. For more information on Gmail sending limits go to https://support.google.com/a/answer/166852 - gsmtp",
    "421 4.7.0 Try again later, closing connection. (EHLO) ffacd0b85a97d - gsmtp",
  ],
  [
    "reputation",
    /very low reputation of the sending|unusual rate of unsolicited mail/i,
    "550 5.7.1 [192.0.2.1 19] Gmail has detected that this message is likely suspicious due to the very low reputation of the sending domain. To best protect our users from spam, the message has been blocked. For more information, go to https://support.google.com/mail/answer/188131 - gsmtp",
    "550 5.7.1 Our system has detected that this message is likely suspicious due to the very low reputation of the sending IP address. To best protect our users from spam, the message has been blocked. - gsmtp",
    "550 5.7.1 Our system has detected an unusual rate of unsolicited mail originating from your IP address. To protect our users from spam, mail sent from your IP address has been blocked. Review https://support.google.com/mail/answer/81126",
  ],
  [
    "content",
    /message is likely unsolicited mail|illegal attachment|content presents a potential security issue|suspicious due to the nature of the content|not RFC 5322 compliant/i,
    "550 5.7.1 [192.0.2.1 12] Our system has detected that this message is likely unsolicited mail. To reduce the amount of spam sent to Gmail, this message has been blocked. Please visit https://support.google.com/mail/?p=UnsolicitedMessageError for more information. - gsmtp",
    "552 5.7.0 This message was blocked because its content presents a potential security issue. To review our message content and attachment content guidelines, go to https://support.google.com/mail/?p=BlockedMessage - gsmtp",
    "550 5.7.1 [192.0.2.1] Messages missing a valid messageId header are not accepted: this message is not RFC 5322 compliant. - gsmtp",
    "421 4.7.0 [192.0.2.1 15] Our system has detected that this message is suspicious due to the nature of the content and/or the links within. To best protect our users from spam, the message has been blocked. - gsmtp",
  ],
  [
    "block",
    /IP you.re using to send mail is not authorized|IP not in whitelist for RCPT domain/i,
    "550 5.7.1 [192.0.2.1] The IP you're using to send mail is not authorized to send email directly to our servers. Please use the SMTP relay at your service provider instead. For more information, go to https://support.google.com/mail/?p=NotAuthorizedError - gsmtp",
    "421 4.7.0 IP not in whitelist for RCPT domain, closing connection. ch9-20020a17 - gsmtp",
  ],
  [
    "policy",
    /policy that prohibited the mail|TLS required for RCPT domain|not using a TLS connection|sent over a TLS connection|may not have permission to post messages to the group|Domain policy size per transaction/i,
    "550 5.7.1 The user or domain that you are sending to (or from) has a policy that prohibited the mail that you sent. Please contact your domain administrator for further details. For more information, go to https://support.google.com/a/answer/172179 - gsmtp",
    "421 4.7.29 Your email has been rate limited because you're not using a TLS connection. Gmail requires all bulk email senders to use TLS/SSL for SMTP connections. - gsmtp",
    "550 5.7.29 This message was blocked because it wasn't sent over a TLS connection. Gmail requires all bulk email senders to use TLS/SSL for SMTP connections.",
    "550 5.7.1 We're writing to let you know that the group you tried to contact (sales) may not exist, or you may not have permission to post messages to the group.",
    "452 4.5.3 Domain policy size per transaction exceeded, please try this recipient in a separate transaction. - gsmtp",
  ],
  [
    "relaying",
    /Mail relay denied|Invalid credentials for relay/i,
    "550 5.7.1 Invalid credentials for relay [192.0.2.1]. The IP address you've registered in your Workspace SMTP Relay service doesn't match the domain of the account this email is being sent from. - gsmtp",
    "550 5.7.0 Mail relay denied [192.0.2.1]. - gsmtp",
  ],
  [
    "size",
    /exceeded Google.s message size limits/i,
    "552 5.3.4 Your message exceeded Google's message size limits. To view our message size guidelines, go to https://support.google.com/mail/?p=MaxSizeError - gsmtp",
  ],
  [
    "system",
    /Temporary System Problem\. Try again later \(|mail server temporarily rejected message/i,
    "421 4.3.0 Temporary System Problem. Try again later (10). ada2fe7eead31 - gsmtp",
    "451 4.3.0 Mail server temporarily rejected message. 5b1f17b1804b1 - gsmtp",
  ],
]);
