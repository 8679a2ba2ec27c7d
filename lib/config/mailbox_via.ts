/** Who keeps the mail of accounts: the values of `mailboxes.via` and of `via` in the accounts file. */

import type { Smarthost, TlsUse } from "../delivery/next_hop.ts";
import type { MailboxVia } from "./config.ts";
import { scalar, type Type } from "./schema.ts";
import { parseVia, type ViaDraft } from "./via.ts";
import { parseWebhookUrl, WEBHOOK_EXPECTS, type WebhookDraft } from "./webhook.ts";

/** As it stands in a file. */
export type MailboxViaDraft = ViaDraft | WebhookDraft | "maildir";

/** `maildir`, an LMTP server, or an application. */
export const mailboxVia: Type<MailboxViaDraft> = scalar({
  expects: `"maildir", an LMTP server such as "lmtp://unix:/run/dovecot/lmtp" or "lmtp://127.0.0.1:24", or ` +
    WEBHOOK_EXPECTS,
  parse: (text, { folder }) => {
    if (text === "maildir") return text;
    const server = parseVia(text, folder);
    // A server that takes mail by SMTP answers for all recipients at once, and most likely sends it on.
    return server === undefined ? parseWebhookUrl(text) : server.scheme === "lmtp" ? server : undefined;
  },
  isSecret: (text) => text.includes("@"),
});

/** What a draft is completed with. */
export interface ViaSettings {
  /** Of webhooks; undefined: there is none. */
  readonly secret: string | undefined;
  /** As `delivery.tls` says. */
  readonly tls: TlsUse;
}

/**
 * Completes a draft.
 *
 * @returns Undefined for a webhook without a secret.
 */
export function completeVia(draft: MailboxViaDraft, { secret, tls }: ViaSettings): MailboxVia | undefined {
  if (draft === "maildir") return draft;
  if ("url" in draft) return secret === undefined ? undefined : { ...draft, secret };
  return { ...draft, tls: usualTls(draft, tls) };
}

/** A socket of this machine needs no TLS. */
export function usualTls({ socketPath }: Pick<Smarthost, "socketPath">, tls: TlsUse): TlsUse {
  return socketPath === undefined ? tls : "off";
}
