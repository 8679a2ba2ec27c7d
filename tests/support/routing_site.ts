/** Routers of small sites, and what they say about an address in one line. */

import { assert, assertEquals } from "@std/assert";
import type { Account, AliasConfig, DomainConfig, RouteConfig } from "../../lib/config/config.ts";
import { parseMailbox } from "../../lib/mail/mailbox.ts";
import { createRouter, type Router } from "../../lib/routing/router.ts";
import { BARE_POSTMASTER } from "../../lib/smtp/path.ts";

/** Domains and accounts by short spelling; what a test does not name is empty. */
export interface Site {
  readonly domains?: Readonly<Record<string, Partial<DomainConfig>>>;
  readonly accounts?: readonly (string | Account)[];
  readonly aliases?: Readonly<Record<string, readonly string[] | AliasConfig>>;
  readonly routes?: readonly RouteConfig[];
  readonly delimiter?: string;
}

/** Makes the router of `mail.example.org`. */
export function routerOf(
  { domains = { "example.org": {} }, accounts = [], aliases = {}, routes = [], delimiter = "+" }: Site,
): Router {
  const config = {
    hostname: "mail.example.org",
    domains: new Map(Object.entries(domains).map(([name, entry]) => [name, { name, dkim: [], ...entry }])),
    ...(delimiter === "" ? {} : { recipientDelimiter: delimiter }),
    aliases: new Map(
      Object.entries(aliases).map(([key, alias]) => [key, "targets" in alias ? alias : { targets: alias }]),
    ),
    routes,
    auth: {},
  };
  return createRouter(config, accounts.map((account) => typeof account === "string" ? { address: account } : account));
}

/**
 * `local a,b`, `remote a`, `refused PROBLEM` or `unknown`.
 *
 * @param isWhole Says also who forwards, `a by b`, and who owns the list, `a from b`.
 */
export function resolved(router: Router, text: string, isWhole = false): string {
  const mailbox = text === BARE_POSTMASTER ? BARE_POSTMASTER : parseMailbox(text);
  assert(mailbox !== undefined, `no mailbox: ${text}`);
  const resolution = router.resolveRecipient(mailbox);
  if (resolution.kind === "refused") return `refused ${resolution.problem}`;
  if (resolution.kind !== "local") return resolution.kind === "remote" ? `remote ${text}` : "unknown";
  const targets = resolution.targets.map(({ address, forwardedBy, reversePath }) =>
    address + (isWhole && forwardedBy !== undefined ? ` by ${forwardedBy}` : "") +
    (isWhole && reversePath !== undefined ? ` from ${reversePath}` : "")
  );
  return `local ${targets.join(isWhole ? ", " : ",")}`;
}

/** Compares what `resolved` says for each address. */
export function check(router: Router, cases: Readonly<Record<string, string>>): void {
  for (const [text, expected] of Object.entries(cases)) assertEquals(resolved(router, text), expected, text);
}

/** As {@linkcode check}, with who forwards and who owns. */
export function checkWhole(router: Router, cases: Readonly<Record<string, string>>): void {
  for (const [text, expected] of Object.entries(cases)) assertEquals(resolved(router, text, true), expected, text);
}
