/** What several keys of the configuration must satisfy together. Each check notes its problems where they stand. */

import { parseIpAddress } from "../policy/cidr.ts";
import { foldAddress } from "../mail/fold.ts";
import { domainOf } from "../mail/mailbox.ts";
import type { ListenerConfig } from "./config.ts";
import { DEFAULT_LISTENERS, type DomainDraft, type FileContent, type ListenerDraft } from "./keys.ts";
import type { RouteDraft, ServerDraft } from "./route_keys.ts";
import type { ViaDraft } from "./via.ts";
import { checkMailboxVia, checkWebhookRoute, checkWebhookSecrets } from "./webhook_checks.ts";
import { checkMsgauth } from "./msgauth_keys.ts";
import { checkOauth } from "./oauth.ts";
import { nearMiss } from "./near_miss.ts";
import type { Entry, Located } from "./schema.ts";
import { quote, type Source } from "./source.ts";

/** Checks the whole content. */
export function checkContent(content: Partial<FileContent>, source: Source): void {
  const { listeners = [], tls, domains, routes = [], aliases = [], auth = {}, admin } = content;
  const { forwarding, mailboxes, reports, quickStart } = content;
  checkListeners(listeners, source);
  checkClientCertificates(listeners, tls?.clientCa, source);
  checkAuth(auth, source);
  checkRoutes(routes, source);
  checkMailboxVia(mailboxes, source);
  checkWebhookSecrets(routes, mailboxes, source);
  checkAdmin(admin?.bind, listeners, source);
  checkMsgauth(content.msgauth, source);
  // Without the domains, each mailbox would be one of a domain that is not ours.
  if (domains === undefined) return;
  const byName = domainsByName(domains);
  checkDomains(byName, routes, source);
  for (const { key, at, value: { owner } } of aliases) {
    checkOurs(key, byName, (message) => source.report(at, `aliases: ${message}`));
    if (owner === undefined || foldAddress(owner.value) !== key) continue;
    source.report(owner.at, `aliases.${key}.owner: expected another mailbox: reports would go to all members`);
  }
  const srsDomain = forwarding?.domain;
  if (srsDomain !== undefined && !byName.has(srsDomain.value)) {
    source.report(srsDomain.at, `forwarding.domain: expected ${ourDomain(srsDomain.value, byName)}`);
  }
  checkReports(reports, byName, source);
  if (quickStart === undefined) return;
  checkOurs(quickStart.value, byName, (message) => source.report(quickStart.at, `quick_start: ${message}`));
}

/** The entries of `domains` by their names: there may be thousands. */
export type Domains = ReadonlyMap<string, Entry<DomainDraft>>;

/** Makes the entries of `domains` easy to find. */
export function domainsByName(entries: readonly Entry<DomainDraft>[]): Domains {
  return new Map(entries.map((entry) => [entry.key, entry]));
}

/**
 * Follows `alias_of` to the domain that has the mailboxes.
 *
 * @returns Undefined where it ends at an unknown domain or in a loop.
 */
export function finalDomain(name: string, domains: Domains): string | undefined {
  let current = name;
  for (let steps = 0; steps <= domains.size; steps++) {
    const entry = domains.get(current);
    if (entry === undefined) return undefined;
    if (entry.value.aliasOf === undefined) return current;
    current = entry.value.aliasOf.value;
  }
  return undefined;
}

/** The TLS use of a listener: what it says, or what is usual for its service. */
export function listenerTls({ bind, service, tls }: ListenerDraft): ListenerConfig["tls"] {
  if (service === "web") return tls?.value ?? (bind.value.kind === "unix" ? "off" : "implicit");
  return tls?.value ?? (service === "lmtp" ? "off" : "starttls");
}

function checkListeners(listeners: readonly ListenerDraft[], source: Source): void {
  const lines = new Map<string, number>();
  for (const draft of listeners) {
    const { bind, tls, proxyProtocol } = draft;
    const { value, at } = bind;
    if (draft.service === "web") checkWebListener(draft, source);
    const key = value.kind === "unix"
      ? `unix:${value.path}`
      : `${parseIpAddress(value.host) ?? value.host}:${value.port}`;
    const earlier = lines.get(key);
    if (earlier !== undefined) source.report(at, `listeners.bind: the listener of line ${earlier} has this address`);
    else lines.set(key, source.position(at).line);
    if (value.kind === "unix" && tls?.value === "implicit") {
      source.report(tls.at, 'listeners.tls: expected "off" for a Unix socket, found "implicit"');
    }
    if (value.kind === "unix" && proxyProtocol !== undefined) {
      source.report(proxyProtocol.at, "listeners.proxy_protocol: not for a Unix socket, whose clients have no address");
    }
  }
}

/** Behind a proxy that does the TLS, `off` is right; on the port of HTTPS itself everybody comes with TLS. */
function checkWebListener({ bind, tls, clientCertificates }: ListenerDraft, source: Source): void {
  if (tls?.value === "starttls") {
    source.report(tls.at, 'listeners.tls: expected "implicit" or "off" for the service web, found "starttls"');
  } else if (tls?.value === "off" && bind.value.kind === "tcp" && bind.value.port === 443) {
    source.report(tls.at, 'listeners.tls: expected "implicit" on port 443, found "off": off is for behind a proxy');
  }
  if (clientCertificates === undefined) return;
  source.report(
    clientCertificates.at,
    "listeners.client_certificates: not for the service web, which is for everybody",
  );
}

function checkAdmin(
  bind: FileContent["admin"]["bind"],
  listeners: readonly ListenerDraft[],
  source: Source,
): void {
  if (bind?.value.kind !== "unix") return;
  const { path } = bind.value;
  const listener = listeners.find(({ bind: { value } }) => value.kind === "unix" && value.path === path);
  if (listener === undefined) return;
  const { line } = source.position(listener.bind.at);
  source.report(bind.at, `admin.bind: the listener of line ${line} has this address`);
}

function checkClientCertificates(
  listeners: readonly ListenerDraft[],
  clientCa: Located<string> | undefined,
  source: Source,
): void {
  let isUsed = false;
  for (const draft of listeners) {
    if (draft.clientCertificates === undefined || draft.service === "web") continue;
    isUsed = true;
    const { value, at } = draft.clientCertificates;
    const report = (problem: string): void => source.report(at, `listeners.client_certificates: ${problem}`);
    const tls = listenerTls(draft);
    if (tls === "off") report("not without TLS, and this listener has none");
    else if (tls === "starttls" && value === "require") {
      report('expected "request", found "require": a client could go on without STARTTLS; require needs tls: implicit');
    }
    if (clientCa === undefined) report("needs tls.client_ca, the file of those whose certificates count");
  }
  if (clientCa !== undefined && !isUsed) {
    source.report(clientCa.at, "tls.client_ca: never used, because no listener has client_certificates");
  }
}

function checkAuth({ mechanisms = [], oauth, dovecot }: Partial<FileContent["auth"]>, source: Source): void {
  if (oauth !== undefined) return checkOauth(oauth, source);
  if (dovecot !== undefined) return; // What it offers is its own affair.
  for (const { value, at } of mechanisms) {
    if (value !== "OAUTHBEARER" && value !== "XOAUTH2") continue;
    source.report(at, `auth.mechanisms: ${value} needs the section "auth.oauth"`);
  }
}

function checkDomains(domains: Domains, routes: readonly RouteDraft[], source: Source): void {
  const looped = new Set<string>();
  // The first route of a domain counts.
  const routesByName = new Map(routes.toReversed().map((route) => [route.domain.value, route]));
  for (const { key, value: { aliasOf, catchAll } } of domains.values()) {
    const path = `domains.${key}`;
    const route = routesByName.get(key);
    if (aliasOf !== undefined) {
      const otherName = `because "${key}" is another name of "${aliasOf.value}"`;
      checkAliasOf(key, aliasOf, domains, looped, source);
      if (catchAll !== undefined) source.report(catchAll.at, `${path}.catch_all: never used, ${otherName}`);
      if (route !== undefined) source.report(route.domain.at, `routes.domain: never used, ${otherName}`);
    } else if (catchAll !== undefined && route !== undefined) {
      const { line } = source.position(route.domain.at);
      source.report(catchAll.at, `${path}.catch_all: never used, because the route of line ${line} takes the rest`);
    }
  }
}

function checkAliasOf(
  name: string,
  { value, at }: Located<string>,
  domains: Domains,
  looped: Set<string>,
  source: Source,
): void {
  const path = `domains.${name}.alias_of`;
  if (!domains.has(value)) {
    source.report(at, `${path}: expected ${ourDomain(value, domains)}`);
  } else if (!looped.has(name)) {
    const loop = loopFrom(name, domains);
    // One report for the whole loop.
    for (const member of loop) looped.add(member);
    if (loop.length > 0) {
      source.report(at, `${path}: expected another domain, found a loop: ${[...loop, name].join(" → ")}`);
    }
  }
}

/** The domains from `name` back to itself along `alias_of`; empty where it is in no loop. */
function loopFrom(name: string, domains: Domains): readonly string[] {
  const names = new Set<string>();
  let current: string | undefined = name;
  while (current !== undefined && !names.has(current)) {
    names.add(current);
    current = domains.get(current)?.value.aliasOf?.value;
  }
  return current === name ? [...names] : [];
}

/** Says what is wrong with the domain of a mailbox that must be ours. */
function checkOurs(
  mailbox: string,
  domains: Domains,
  report: (message: string) => void,
): void {
  const domain = domainOf(mailbox);
  const entry = domains.get(domain);
  if (entry === undefined) report(`expected a mailbox of ${ourDomain(domain, domains)}`);
  else if (entry.value.aliasOf !== undefined) {
    report(`expected a mailbox of "${entry.value.aliasOf.value}", because "${domain}" is another name of it`);
  }
}

/** Who reads a report believes it because of our signature and SPF record. Elsewhere we receive nothing. */
function checkReports(
  reports: FileContent["reports"] | undefined,
  domains: Domains,
  source: Source,
): void {
  if (reports?.from !== undefined) {
    const { value, at } = reports.from;
    checkOurs(value, domains, (message) => source.report(at, `reports.from: ${message}`));
  }
  for (const { value, at } of reports?.receive ?? []) {
    if (domains.has(domainOf(value))) continue;
    source.report(at, `reports.receive: expected a mailbox of ${ourDomain(domainOf(value), domains)}`);
  }
}

function ourDomain(found: string, domains: Domains): string {
  const meant = nearMiss(found, [...domains.keys()]);
  return `a domain of "domains", found ${quote(found)}${meant === undefined ? "" : `: did you mean "${meant}"?`}`;
}

function checkRoutes(routes: readonly RouteDraft[], source: Source): void {
  const lines = new Map<string, number>();
  for (const route of routes) {
    const { domain, via, fallback } = route;
    const earlier = lines.get(domain.value);
    if (earlier !== undefined) source.report(domain.at, `routes.domain: the route of line ${earlier} has this domain`);
    else lines.set(domain.value, source.position(domain.at).line);
    if (via !== "mx" && "url" in via) {
      checkWebhookRoute(route, source);
      continue;
    }
    if (route.secret !== undefined) {
      source.report(route.secret.at, "routes.secret: only for an application, whose via is a URL: https://…");
    }
    checkServer({ ...route, via }, "routes", source);
    if (fallback === undefined) continue;
    checkServer(fallback.value, "routes.fallback", source);
    if (via !== "mx" && JSON.stringify(via) === JSON.stringify(fallback.value.via)) {
      source.report(fallback.at, "routes.fallback: expected another server than the route itself has");
    }
  }
}

function checkServer(server: ServerDraft<ViaDraft | "mx">, path: string, source: Source): void {
  const { via, username, password, tls, source: from, xclient } = server;
  if (via === "mx") {
    const reason = "MX hosts take no login, and delivery.tls is for all of them";
    for (const [key, found] of Object.entries({ username, password, tls, source: from, xclient })) {
      if (found !== undefined) source.report(found.at, `${path}.${key}: never used with "mx": ${reason}`);
    }
    return;
  }
  if (username !== undefined && password === undefined) {
    source.report(username.at, `${path}.username: expected a "password" with it, found none`);
  }
  if (password !== undefined && username === undefined) {
    source.report(password.at, `${path}.password: expected a "username" with it, found none`);
  }
  if (from !== undefined && via.socketPath !== undefined) {
    source.report(from.at, `${path}.source: not for a Unix socket, to which nobody connects from an address`);
  }
  if (xclient?.value && username !== undefined) {
    source.report(xclient.at, `${path}.xclient: not with a username: the server would know two users for one session`);
  }
  if (tls === undefined) return;
  if (tls.value === "off" && (username !== undefined || via.scheme === "smtps")) {
    const reason = via.scheme === "smtps" ? '"smtps" is TLS from the first octet' : "a password goes over TLS only";
    source.report(tls.at, `${path}.tls: expected "required" or "opportunistic", found "off": ${reason}`);
  }
  if (tls.value === "required" && via.socketPath !== undefined) {
    source.report(tls.at, `${path}.tls: expected "off" for a Unix socket, found "required"`);
  }
}

/** The listeners of the file, or the default ones. */
export function listenersOf(content: FileContent, unixPath: (path: string) => string): readonly ListenerConfig[] {
  return content.listeners?.map((draft) => {
    const { value } = draft.bind;
    const bind = value.kind === "unix" ? { kind: value.kind, path: unixPath(value.path) } : value;
    return {
      bind,
      service: draft.service,
      tls: listenerTls(draft),
      ...(draft.proxyProtocol === undefined ? {} : { proxyProtocol: draft.proxyProtocol.value }),
      ...(draft.clientCertificates === undefined ? {} : { clientCertificates: draft.clientCertificates.value }),
    };
  }) ?? DEFAULT_LISTENERS;
}
