/** What a reply is about by its codes alone, where no rule knows its words. */

import type { ReplyClass } from "../../mail/outcome.ts";

/** By subject and detail of the enhanced status code (RFC 3463 §3 and the registry that RFC 5248 began). */
const BY_ENHANCED: Readonly<Record<string, ReplyClass>> = {
  "1.1": "unknownUser",
  "1.6": "unknownUser",
  // The sender's address or its domain, which our administrator can mend.
  "1.7": "policy",
  "1.8": "authentication",
  "2.1": "inactiveUser",
  "2.2": "mailboxFull",
  "2.3": "size",
  "2.4": "system",
  "3.1": "system",
  "3.2": "system",
  "3.4": "size",
  "3.5": "system",
  "4.1": "system",
  "4.2": "system",
  "4.3": "system",
  "4.5": "system",
  "4.6": "system",
  "5.3": "rate",
  "6.0": "content",
  "6.1": "content",
  "6.2": "content",
  "6.3": "content",
  "7.1": "policy",
  "7.2": "policy",
  "7.8": "relaying",
  "7.9": "relaying",
  "7.10": "policy",
  "7.11": "policy",
  "7.13": "inactiveUser",
  // RFC 7372: DKIM, SPF, reverse DNS; RFC 7505 §4.2: the sender's domain has a null MX.
  "7.20": "authentication",
  "7.21": "authentication",
  "7.22": "authentication",
  "7.23": "authentication",
  "7.24": "authentication",
  "7.25": "authentication",
  "7.26": "authentication",
  "7.27": "policy",
  "7.28": "rate",
  "7.29": "authentication",
  "7.30": "policy",
};

/** By code (RFC 5321 §4.2.3, RFC 4954 §6), where it says more than that something failed. */
const BY_CODE: Readonly<Record<string, ReplyClass>> = {
  "421": "system",
  "451": "system",
  "452": "system",
  "454": "system",
  "530": "relaying",
  "535": "relaying",
  "551": "unknownUser",
  "552": "mailboxFull",
};

/** Looks at the codes at the beginning of a reply, `550 5.1.1 …`; undefined where they say nothing. */
export function classOfCode(text: string): ReplyClass | undefined {
  const [, code = "", , detail = ""] = /^(\d{3})(?:[ -]#?([45])\.(\d{1,3}\.\d{1,3})\b)?/.exec(text) ?? [];
  return BY_ENHANCED[detail] ?? BY_CODE[code];
}
