/** Reads the configuration file into a `Config`, or into the list of all that is wrong with it. */

import { resolve } from "node:path";
import type { Smarthost } from "../delivery/next_hop.ts";
import type { Config, DomainConfig, FallbackConfig, RouteConfig } from "./config.ts";
import { checkContent, domainsByName, finalDomain, listenersOf } from "./checks.ts";
import { ConfigError } from "./errors.ts";
import { CONFIG_KEYS, configType, type FileContent } from "./keys.ts";
import { type Includes, readIncludes } from "./includes.ts";
import { usualDmarc } from "./msgauth_keys.ts";
import { completeVia, usualTls } from "./mailbox_via.ts";
import type { FallbackDraft, RouteDraft, ServerDraft } from "./route_keys.ts";
import { oauthConfig, type OauthDraft } from "./oauth.ts";
import { type ConfigIo, reasonOf, Source } from "./source.ts";
import type { ViaDraft } from "./via.ts";

/**
 * Reads and checks a configuration file, and the files that its values come from; not the accounts file.
 *
 * @param file Its path; relative paths in it are relative to its folder.
 * @throws {ConfigError} With every problem found. A broken YAML syntax hides the problems of the values.
 */
export async function loadConfig(file: string, io: ConfigIo): Promise<Config> {
  const source = await Source.parse(file, await readOrThrow(file, io), io, CONFIG_KEYS);
  const content = configType.read(source.root, source, "") ?? {};
  checkContent(content, source);
  const includes = await readIncludes(content.aliases ?? [], source, io);
  source.throwProblems(includes.problems);
  // Without a problem nothing is missing.
  return assemble(content as FileContent, source, includes);
}

async function readOrThrow(file: string, io: ConfigIo): Promise<string> {
  try {
    return await io.readText(file);
  } catch (error) {
    throw new ConfigError([{ file, line: 1, column: 1, message: `cannot read the file: ${reasonOf(error)}` }], {
      cause: error,
    });
  }
}

/** Brings right content into the form that the rest of posthorn uses. */
function assemble(content: FileContent, source: Source, { files }: Includes): Config {
  const path = (text: string): string => resolve(source.folder, text);
  const data = path(content.data);
  return {
    file: resolve(source.file),
    hostname: content.hostname,
    data,
    ...(content.user === undefined ? {} : { user: content.user }),
    listeners: listenersOf(content, (socket) => resolve(data, socket)),
    certificates: content.tls.certificates.map(({ chain, key }) => ({ chain: path(chain), key: path(key) })),
    ...(content.tls.clientCa === undefined ? {} : { clientCa: path(content.tls.clientCa.value) }),
    domains: domainsOf(content),
    ...(content.recipientDelimiter === "" ? {} : { recipientDelimiter: content.recipientDelimiter }),
    accountsFile: path(content.accounts),
    aliases: new Map(content.aliases.map(({ key, value: { members, include, owner } }) => {
      const targets = new Set([...members, ...include.flatMap(({ value }) => files.get(path(value)) ?? [])]);
      return [key, { targets: [...targets], ...(owner === undefined ? {} : { owner: owner.value }) }];
    })),
    includeFiles: [...files.keys()],
    forwarding: forwardingOf(content),
    mailboxes: mailboxesOf(content),
    binaryMime: content.binaryMime,
    relayFrom: content.relayFrom,
    xclientFrom: content.xclientFrom,
    mx: content.mx,
    msgauth: msgauthOf(content),
    submission: content.submission,
    auth: authOf(content, source.folder),
    routes: content.routes.map((route) => ({
      domain: route.domain.value,
      via: viaOf(route, content.delivery.tls),
      ...(route.fallback === undefined ? {} : { fallback: fallbackOf(route.fallback.value, content.delivery.tls) }),
    })),
    queue: content.queue,
    delivery: content.delivery,
    destinations: content.destinations,
    limits: content.limits,
    dnsServers: content.dns.servers,
    ...(content.dns.validating === undefined ? {} : { isDnsValidating: content.dns.validating }),
    reports: reportsOf(content),
    log: content.log,
    admin: adminOf(content, data),
    ...(content.quickStart === undefined ? {} : { quickStart: content.quickStart.value }),
  };
}

function authOf({ auth: { dovecot, oauth, mechanisms } }: FileContent, folder: string): Config["auth"] {
  return {
    ...(dovecot === undefined ? {} : { dovecot }),
    ...(mechanisms === undefined ? {} : { mechanisms: mechanisms.map(({ value }) => value) }),
    ...(oauth === undefined ? {} : { oauth: oauthConfig(oauth.value as OauthDraft, folder) }),
  };
}

/** Reports come from where somebody reads what comes back: every domain of ours has a postmaster (RFC 5321 §4.5.1). */
function reportsOf(
  { hostname, domains, reports: { from, organization, receive, ...others } }: FileContent,
): Config["reports"] {
  const names = domains.filter(({ value }) => value.aliasOf === undefined).map(({ key }) => key);
  const domain = names.find((name) => hostname === name || hostname.endsWith(`.${name}`)) ?? names[0] ?? hostname;
  return {
    ...others,
    from: from?.value ?? `postmaster@${domain}`,
    organization: organization ?? hostname,
    receive: receive.map(({ value }) => value),
  };
}

function forwardingOf({ forwarding: { srs, domain, maxAgeMs } }: FileContent): Config["forwarding"] {
  return { srs, maxAgeMs, ...(domain === undefined ? {} : { domain: domain.value }) };
}

function msgauthOf({ msgauth: { authservId, dmarc, ...others }, hostname }: FileContent): Config["msgauth"] {
  return { authservId: authservId ?? hostname, dmarc: dmarc?.value ?? usualDmarc(others), ...others };
}

function adminOf({ admin: { bind } }: FileContent, data: string): Config["admin"] {
  const draft = bind?.value ?? { kind: "unix", path: "admin.sock" };
  return draft.kind === "off" ? {} : { socket: resolve(data, draft.path) };
}

function domainsOf({ domains: entries }: FileContent): ReadonlyMap<string, DomainConfig> {
  const byName = domainsByName(entries);
  return new Map(entries.map(({ key, value: { catchAll, aliasOf, dkim, mx, mtaSts } }) => {
    const target = aliasOf === undefined ? undefined : finalDomain(key, byName);
    return [key, {
      name: key,
      ...(catchAll === undefined ? {} : { catchAll: catchAll.value }),
      ...(target === undefined ? {} : { aliasOf: target }),
      // Keys are of one domain: another name of it has its own, under the same selectors.
      dkim: dkim ?? (target === undefined ? undefined : byName.get(target)?.value.dkim) ?? [],
      ...(mx === undefined ? {} : { mx: [...new Set(mx)] }),
      ...(mtaSts === undefined ? {} : { mtaSts }),
    }];
  }));
}

function mailboxesOf({ mailboxes, delivery: { tls } }: FileContent): Config["mailboxes"] {
  const { via: draft, secret, ...others } = mailboxes;
  const via = draft === undefined ? undefined : completeVia(draft.value, { secret: secret?.value, tls });
  return {
    ...others,
    ...(via === undefined ? {} : { via }),
    ...(secret === undefined ? {} : { secret: secret.value }),
  };
}

function viaOf({ via, secret, ...server }: RouteDraft, defaultTls: Smarthost["tls"]): RouteConfig["via"] {
  if (via === "mx") return via;
  return "url" in via ? { ...via, secret: secret?.value ?? "" } : smarthostOf({ ...server, via }, defaultTls);
}

function fallbackOf(draft: FallbackDraft, defaultTls: Smarthost["tls"]): FallbackConfig {
  return { via: smarthostOf(draft, defaultTls), after: draft.after, classes: draft.classes };
}

/** A password is never sent without TLS by default (RFC 4954 §4), and a socket of this machine needs none. */
function smarthostOf(
  { via, username, password, tls, source, xclient }: ServerDraft<ViaDraft>,
  defaultTls: Smarthost["tls"],
): Smarthost {
  const usual = usualTls(via, username === undefined ? defaultTls : "required");
  return {
    ...via,
    ...(username === undefined ? {} : { username: username.value }),
    ...(password === undefined ? {} : { password: password.value }),
    tls: tls?.value ?? usual,
    ...(source === undefined ? {} : { source: source.value }),
    ...(xclient?.value ? { isToldClient: true } : {}),
  };
}
