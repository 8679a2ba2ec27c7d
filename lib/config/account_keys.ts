/** The keys of an account that are about its mail: more addresses, forwarding, quota. */

import { isMap, isScalar } from "yaml";
import type { QuotaLimits } from "./config.ts";
import { type Located, located, object, oneOrMore, optional, scalar, type Type } from "./schema.ts";
import { type Node, type Source } from "./source.ts";
import { mailbox, ourMailbox, parseSize, yesOrNo } from "./values.ts";

/** What an account says about its mail, as it stands in the file. */
export interface AccountMailDraft {
  /** Folded; at least one. */
  readonly addresses?: readonly Located<string>[];
  /** Canonical; at least one. */
  readonly forward?: Located<readonly Located<string>[]>;
  /** Whether the mailbox gets what is forwarded, too. */
  readonly keepCopy?: Located<boolean>;
  /** Without limits: none at all, whatever the default is. */
  readonly quota?: QuotaLimits;
}

/** Unlimited, where a limit would be. */
const NONE = "none";
const MAX_QUOTA_MESSAGES = 1_000_000_000;

const limits = object({
  octets: optional(
    "storage",
    scalar({
      expects: `a size such as 512MiB or 2GiB, or "${NONE}"`,
      written: "either",
      parse: (text) => text === NONE ? NONE : parseSize(text),
    }),
    "All messages together.",
  ),
  messages: optional(
    "messages",
    scalar({
      expects: `a whole number from 1 to ${MAX_QUOTA_MESSAGES}, or "${NONE}"`,
      written: "either",
      parse: (text) => text === NONE ? NONE : parseMessages(text),
    }),
    "How many messages.",
  ),
});

/** Limits of a mailbox, or `none`. */
export const quota: Type<QuotaLimits> = {
  expects: `a mapping with storage, messages or both, or "${NONE}"`,
  ...(limits.fields === undefined ? {} : { fields: limits.fields }),
  read(node: Node, source: Source, path: string): QuotaLimits | undefined {
    const text = source.scalar(node);
    if (text !== undefined) {
      if (!("problem" in text) && text.text === NONE) return {};
      const found = "problem" in text ? text.problem : `expected ${quota.expects}, found ${text.shown}`;
      return void source.report(node, `${path}: ${found}`);
    }
    if (isEmpty(node)) return void source.report(node, `${path}: expected ${quota.expects}, found nothing`);
    const { octets, messages } = limits.read(node, source, path) ?? {};
    return {
      ...(octets === undefined || octets === NONE ? {} : { octets }),
      ...(messages === undefined || messages === NONE ? {} : { messages }),
    };
  },
};

/** No limits are said with a word: an empty mapping is one that somebody meant to fill. */
function isEmpty(node: Node): boolean {
  return isMap(node) ? node.items.length === 0 : isScalar(node) && node.value === null;
}

/** Reads a number of messages, from 1 on. */
export function parseMessages(text: string): number | undefined {
  return /^[1-9]\d{0,9}$/.test(text) && Number(text) <= MAX_QUOTA_MESSAGES ? Number(text) : undefined;
}

/** The keys, for the schema of an account. */
export const accountMailKeys = {
  addresses: optional(
    "addresses",
    oneOrMore(located(ourMailbox), "mailboxes of ours"),
    "More addresses of the mailbox: it gets their mail, and its user may send as them.",
  ),
  forward: optional(
    "forward",
    located(oneOrMore(located(mailbox), "mailboxes")),
    "Where its mail goes on to, here or elsewhere; the mailbox gets nothing then, unless keep_copy says so.",
  ),
  keepCopy: optional("keep_copy", located(yesOrNo), "With forward: the mailbox gets its mail, too. Default: false."),
  quota: optional("quota", quota, "In place of mailboxes.quota; none: no limit."),
};
