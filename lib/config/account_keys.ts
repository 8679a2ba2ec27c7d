/** The keys of an account that are about its mail: more addresses, forwarding, quota, who keeps it. */

import { isMap, isScalar } from "yaml";
import type { QuotaLimits } from "./config.ts";
import { mailboxVia, type MailboxViaDraft } from "./mailbox_via.ts";
import { type Located, located, object, oneOrMore, optional, type Type } from "./schema.ts";
import { type Node, type Source } from "./source.ts";
import { mailbox, messageLimit, ourMailbox, storageLimit, yesOrNo } from "./values.ts";

/** What an account says about its mail, as it stands in the file. */
export interface AccountMailDraft {
  /** Folded; at least one. */
  readonly addresses?: readonly Located<string>[];
  /** Canonical; at least one. */
  readonly forward?: Located<readonly Located<string>[]>;
  /** Whether the mailbox gets what is forwarded, too. */
  readonly keepCopy?: Located<boolean>;
  /** What it does not say is as the default says. */
  readonly quota?: QuotaLimits;
  /** Who keeps it. */
  readonly via?: Located<MailboxViaDraft>;
}

const limits = object({
  octets: optional("storage", storageLimit, "All messages together; none: any size."),
  messages: optional("messages", messageLimit, "How many messages; none: any number."),
});

const NO_LIMIT: QuotaLimits = { octets: 0, messages: 0 };

/** Limits of a mailbox, or `none`. */
export const quota: Type<QuotaLimits> = {
  expects: 'a mapping with storage, messages or both, or "none"',
  ...(limits.fields === undefined ? {} : { fields: limits.fields }),
  read(node: Node, source: Source, path: string): QuotaLimits | undefined {
    const text = source.scalar(node);
    if (text !== undefined) {
      if (!("problem" in text) && text.text === "none") return NO_LIMIT;
      const found = "problem" in text ? text.problem : `expected ${quota.expects}, found ${text.shown}`;
      return void source.report(node, `${path}: ${found}`);
    }
    if (isEmpty(node)) return void source.report(node, `${path}: expected ${quota.expects}, found nothing`);
    return limits.read(node, source, path);
  },
};

/** No limits are said with a word: an empty mapping is one that somebody meant to fill. */
function isEmpty(node: Node): boolean {
  return isMap(node) ? node.items.length === 0 : isScalar(node) && node.value === null;
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
  quota: optional("quota", quota, "In place of what mailboxes.quota says; none: no limit."),
  via: optional("via", located(mailboxVia), "Who keeps its mail, in place of what mailboxes.via says."),
};
