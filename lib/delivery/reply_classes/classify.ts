/**
 * Tells from the words and codes of a reply what it is about. It only ever drives back-off, advice and log fields: what is
 * delivered or failed never depends on it.
 */

import type { ReplyClass } from "../../mail/outcome.ts";
import { APPLE } from "./apple.ts";
import { classOfCode } from "./codes.ts";
import { EUROPEAN } from "./european.ts";
import { FILTERS } from "./filters.ts";
import { GOOGLE } from "./google.ts";
import { MICROSOFT } from "./microsoft.ts";
import { OVERSEAS } from "./overseas.ts";
import { PRACTICES } from "./practices.ts";
import { PROGRAMS } from "./programs.ts";
import type { ReplyRule } from "./rule.ts";
import { WORDS } from "./words.ts";
import { YAHOO } from "./yahoo.ts";

/** All rules in the order in which they are tried: who is specific comes first. */
export const REPLY_RULES: readonly ReplyRule[] = [
  ...GOOGLE,
  ...MICROSOFT,
  ...YAHOO,
  ...APPLE,
  ...EUROPEAN,
  ...OVERSEAS,
  ...FILTERS,
  ...PROGRAMS.filter(({ replyClass }) => replyClass === "unknownUser"),
  ...PRACTICES,
  ...PROGRAMS.filter(({ replyClass }) => replyClass !== "unknownUser"),
  ...WORDS,
];

/** Longest text looked at, in characters. */
const MAX_TEXT = 1000;
/** Local part and domain with their limits (RFC 5321 §4.5.3.1): somebody may be called "spam" or "greylist". */
const ADDRESS = /[^\s<>()[\]:;,"']{1,64}@[^\s<>()[\]:;,"']{1,255}/g;

/** Finds the rule for a reply; undefined where none knows it. @param text The reply as one line, `550 5.1.1 No such user`. */
export function findReplyRule(text: string): ReplyRule | undefined {
  const masked = text.slice(0, MAX_TEXT).replace(ADDRESS, "@");
  return REPLY_RULES.find(({ pattern }) => pattern.test(masked));
}

/**
 * Classifies a reply: by its words, then by its enhanced status code (RFC 3463 §3), then by its code. Takes any text, in
 * linear time.
 *
 * @param text The reply as one line, `550 5.1.1 No such user`; only its first 1,000 characters are looked at.
 * @returns Undefined where it says nothing about its reason, and for replies that are no refusals.
 */
export function classifyReply(text: string): ReplyClass | undefined {
  if (!/^[45]\d\d\b/.test(text)) return undefined;
  return findReplyRule(text)?.replyClass ?? classOfCode(text);
}
