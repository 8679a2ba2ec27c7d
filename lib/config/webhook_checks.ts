/** What the keys of webhooks must satisfy together. */

import type { FileContent } from "./keys.ts";
import type { RouteDraft } from "./route_keys.ts";
import type { Source } from "./source.ts";

/** What is right in the section `mailboxes`. */
export type Mailboxes = Partial<FileContent["mailboxes"]> | undefined;

/** Checks a route to an application. */
export function checkWebhookRoute(route: RouteDraft, source: Source): void {
  const { domain, secret, username, password, tls, source: from, xclient, fallback } = route;
  if (secret === undefined) {
    source.report(domain.at, 'routes: missing key "secret": the application needs it to know that mail is from us');
  }
  for (const [key, found] of Object.entries({ username, password, tls, source: from, xclient, fallback })) {
    if (found !== undefined) source.report(found.at, `routes.${key}: never used with a URL: it is for mail servers`);
  }
}

/** Checks the application that keeps the mail of accounts. */
export function checkMailboxVia(mailboxes: Mailboxes, source: Source): void {
  const { via, secret } = mailboxes ?? {};
  if (via === undefined || via.value === "maildir" || !("url" in via.value) || secret !== undefined) return;
  source.report(via.at, 'mailboxes.via: an application needs the key "mailboxes.secret", to know that mail is from us');
}

/** A URL is one destination, and has one secret (or the same set of secrets). */
export function checkWebhookSecrets(routes: readonly RouteDraft[], mailboxes: Mailboxes, source: Source): void {
  const known = new Map<string, { readonly secret: string; readonly line: number }>();
  const { via, secret } = mailboxes ?? {};
  if (via !== undefined && via.value !== "maildir" && "url" in via.value && secret !== undefined) {
    known.set(via.value.url, { secret: secret.value, line: source.position(secret.at).line });
  }
  for (const { via, secret } of routes) {
    if (via === "mx" || !("url" in via) || secret === undefined) continue;
    const earlier = known.get(via.url);
    if (earlier === undefined) known.set(via.url, { secret: secret.value, line: source.position(secret.at).line });
    else if (earlier.secret !== secret.value) {
      source.report(secret.at, `routes.secret: expected that of line ${earlier.line}, which is for the same URL`);
    }
  }
}
