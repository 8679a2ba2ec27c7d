/**
 * Replies of Microsoft: Outlook.com and Hotmail, Exchange Online (Microsoft 365), Exchange Server.
 *
 * @see https://learn.microsoft.com/en-us/exchange/mail-flow-best-practices/non-delivery-reports-in-exchange-online
 */

import { type ReplyRule, rulesOf } from "./rule.ts";

/** Outlook.com, Exchange Online and Exchange Server. */
export const MICROSOFT: readonly ReplyRule[] = rulesOf("Microsoft", [
  [
    "unknownUser",
    /mailbox unavailable \(S\d{6,14}\)|5\.4\.1 .{0,12}Recipient address rejected: Access denied|RESOLVER\.ADR\.Recip|Recipient .{0,20}not found by SMTP address lookup/i,
    "550 5.5.0 Requested action not taken: mailbox unavailable (S2017062302). [Name=Protocol Filter Agent][AGT=PFA][MxId=11B1F5] [DB5EUR03FT047.eop-EUR03.prod.protection.outlook.com]",
    "550 5.4.1 Recipient address rejected: Access denied. For more information see https://aka.ms/EXOSmtpErrors [AM6EUR05FT012.eop-eur05.prod.protection.outlook.com]",
    "550 5.4.1 [bob@example.net]: Recipient address rejected: Access denied [VE1EUR02FT032.eop-EUR02.prod.protection.outlook.com]",
    "550 5.1.1 RESOLVER.ADR.RecipNotFound; not found",
    "550 5.1.10 RESOLVER.ADR.RecipientNotFound; Recipient bob@example.net not found by SMTP address lookup",
  ],
  [
    "block",
    /part of their network is on our block list|banned send(?:er|ing IP)|using Customer Block list|(?:OU|SC)-00\d/i,
    "550 5.7.1 Unfortunately, messages from [192.0.2.1] weren't sent. Please contact your Internet service provider since part of their network is on our block list (S3140). You can also refer your provider to http://mail.live.com/mail/troubleshooting.aspx#errors. [DB3EUR04FT003.eop-eur04.prod.protection.outlook.com]",
    "550 5.7.1 Unfortunately, messages from [192.0.2.1] weren't sent. Please contact your Internet service provider since part of their network is on our block list (S3150). You can also refer your provider to http://mail.live.com/mail/troubleshooting.aspx#errors.",
    "550 5.7.606 Access denied, banned sending IP [192.0.2.1]. To request removal from this list please visit https://sender.office.com/ and follow the directions. For more information please go to http://go.microsoft.com/fwlink/?LinkID=526655 (AS16012609)",
    "550 5.7.511 Access denied, banned sender[192.0.2.1]. To request removal from this list please forward this message to delist@messaging.microsoft.com. For more information please go to http://go.microsoft.com/fwlink/?LinkId=526653. AS(508)",
    "550 5.7.513 Service unavailable, Client host [192.0.2.1] blocked by example.com using Customer Block list (AS16012607)",
    "550 SC-001 (BAY004-MC1F1) Unfortunately, messages from 192.0.2.1 weren't sent.",
  ],
  [
    "rate",
    /temporarily rate limited due to IP reputation|exceeded the maximum number of connections|RP-00\d|Server busy\. Please try again later from|recipient thread limit exceeded|concurrent connections (?:limit|has) exceeded|message receive limit|number of messages they can receive per hour|reached your daily limit|Too many recipients \(AS/i,
    "451 4.7.650 The mail server [192.0.2.1] has been temporarily rate limited due to IP reputation. For e-mail delivery information, see https://postmaster.live.com (S775) [DB8EUR06FT032.eop-eur06.prod.protection.outlook.com]",
    "451 4.7.652 The mail server [192.0.2.1] has exceeded the maximum number of connections. (S3115)",
    "421 RP-001 (COL004-MC1F1) Unfortunately, some messages from 192.0.2.1 weren't sent. Please try again. We have limits for how many messages can be sent per hour and per day. You can also refer to http://mail.live.com/mail/troubleshooting.aspx#errors.",
    "451 4.7.500 Server busy. Please try again later from [192.0.2.1]. (S77719) [AM7EUR03FT024.eop-EUR03.prod.protection.outlook.com]",
    "450 4.7.500 Server busy. Please try again later from [192.0.2.1]. (AS77713050)",
    "432 4.3.2 STOREDRV.Deliver; recipient thread limit exceeded",
    "421 4.3.2 The maximum number of concurrent connections has exceeded a limit, closing transmission channel",
    "550 5.2.121 Recipient's per hour message receive limit from specific sender exceeded.",
    "550 5.1.90 Your message can't be sent because you've reached your daily limit for message recipients",
    "452 4.5.3 Too many recipients (AS780090)",
  ],
  [
    "authentication",
    /does not pass DMARC verification|meet the required authentication level|pass either SPF or DKIM validation|IPv6 address .{0,60}must have a reverse DNS record|because of Sender Policy Framework violation/i,
    "550 5.7.509 Access denied, sending domain [EXAMPLE.ORG] does not pass DMARC verification and has a DMARC policy of reject. [PA4PR04MB7533.eurprd04.prod.outlook.com]",
    "550 5.7.515 Access denied, sending domain example.org doesn't meet the required authentication level. The sender's domain in the 5322.From address doesn't meet the authentication requirements defined for the sender. To learn how to fix this see: https://go.microsoft.com/fwlink/p/?linkid=2319303",
    "450 4.7.26 Service does not accept messages sent over IPv6 [2001:db8::1] unless they pass either SPF or DKIM validation (message not signed)",
    "550 5.7.25 Access denied, the sending IPv6 address [2001:db8::1] must have a reverse DNS record",
    "550 5.7.23 The message was rejected because of Sender Policy Framework violation -> 550 5.7.1",
  ],
  [
    "reputation",
    /Access denied, please try again later|traffic not accepted from this IP|tenant has exceeded threshold/i,
    "451 4.7.850 Access denied, please try again later",
    "550 5.7.708 Service unavailable. Access denied, traffic not accepted from this IP. For more information please go to http://go.microsoft.com/fwlink/?LinkId=526653 AS(7230)",
    "550 5.7.705 Access denied, tenant has exceeded threshold",
  ],
  [
    "mailboxFull",
    /mailbox full; STOREDRV|QuotaExceeded/i,
    "554 5.2.2 mailbox full; STOREDRV.Deliver.Exception:QuotaExceededException.MapiExceptionShutoffQuotaExceeded; Failed to process message due to a permanent exception",
  ],
  [
    "relaying",
    /SMTP; Unable to relay|Unable to relay (?:for|recipient)|TenantAttribution; Relay Access Denied|Client (?:was )?not authenticated/i,
    "550 5.7.54 SMTP; Unable to relay recipient in non-accepted domain",
    "550 5.7.1 Unable to relay for bob@example.net",
    "550 5.7.64 TenantAttribution; Relay Access Denied [HE1EUR02FT014.eop-EUR02.prod.protection.outlook.com]",
    "530 5.7.57 Client not authenticated to send mail. [PR0P264CA0197.FRAP264.PROD.OUTLOOK.COM]",
  ],
  [
    "policy",
    /RESOLVER\.RST\.(?:Sender|Not|Rest)|TRANSPORT\.RULES\.RejectMessage|RestrictDomainsTo|rejected by recipient|not allow external forwarding|does not have permissions to send|does not accept email over IPv6/i,
    "550 5.7.133 RESOLVER.RST.SenderNotAuthenticatedForGroup; authentication required; Delivery restriction check failed because the sender was not authenticated when sending to this group",
    "550 5.7.124 RESOLVER.RST.SenderNotInAllowList; Sender not in allowed-senders list",
    "550 5.7.1 TRANSPORT.RULES.RejectMessage; the message was rejected by organization policy",
    "550 5.7.51 TenantInboundAttribution; There is a partner connector configured that matched the message's recipient domain. The connector had either the RestrictDomainsToIPAddresses or RestrictDomainsToCertificate set",
    "550 5.7.507 Access denied, rejected by recipient",
    "550 5.7.1 Client does not have permissions to send as this sender",
    "550 5.7.510 Access denied, example.net does not accept email over IPv6",
  ],
  [
    "content",
    /rejected as spam by Content Filtering|message must be RFC 5322|CAT\.InvalidContent/i,
    "550 5.7.1 Message rejected as spam by Content Filtering.",
    "550 5.7.512 Access denied, message must be RFC 5322 section 3.6.2 compliant",
    "554 5.6.0 CAT.InvalidContent.Exception: TransportPropertyStreamFormatException; cannot handle content of message",
  ],
  [
    "size",
    /RecipSizeLimit|ROUTING\.SizeLimit|SendSizeLimit/i,
    "550 5.2.3 RESOLVER.RST.RecipSizeLimit; message too large for this recipient",
    "550 5.3.4 ROUTING.SizeLimit; message size exceeds fixed maximum size for route",
  ],
  [
    "system",
    /Hop count exceeded - possible mail loop|no mail-enabled subscriptions|mailbox server is too busy|PFA agent busy|Insufficient system resources|421 4\.3\.2 Service not active/i,
    "554 5.4.14 Hop count exceeded - possible mail loop ATTR34 [DB3EUR04FT041.eop-eur04.prod.protection.outlook.com]",
    "451 4.4.4 Mail received as unauthenticated, incoming to a recipient domain configured in a hosted tenant which has no mail-enabled subscriptions. ATTR5",
    "432 4.3.2 STOREDRV.Storage; mailbox server is too busy",
    "451 4.7.700 PFA agent busy, please try again.",
    "452 4.3.1 Insufficient system resources (UsedDiskSpace[C:\\Program Files\\Microsoft\\Exchange Server\\V15\\TransportRoles\\data\\Queue])",
    "421 4.3.2 Service not active",
  ],
]);
