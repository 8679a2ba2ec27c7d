/** Gathers what the records of a domain are made from: configuration, keys, certificates, addresses of the machine. */

import { createHash } from "node:crypto";
import { isIP } from "node:net";
import { getLogger } from "@logtape/logtape";
import type { Config, ListenerConfig } from "../../config/config.ts";
import { domainOf } from "../../mail/mailbox.ts";
import { dkimKeyPath, dkimPair, listDkimSelectors } from "../../msgauth/dkim/key.ts";
import { dkimTxtValue } from "../../msgauth/dkim/private_key.ts";
import { needsAgreement } from "../../publish/report_agreement.ts";
import type { Site, SiteCertificate, SiteKey, SitePolicy } from "../../publish/site.ts";
import { ownStsPolicy } from "../../publish/sts_policy.ts";
import { systemFiles } from "../../system/files.ts";
import { CertificateError } from "../../tls/certificate_error.ts";
import { publicKeyInfo } from "../../tls/certificate_parts.ts";
import { type Certificates, loadCertificates } from "../../tls/certificates.ts";
import { pemCertificates } from "../../tls/pem_file.ts";
import { processIo } from "../find_config.ts";
import { coversPolicyHost } from "./policy_gaps.ts";
import { publicAddresses } from "./public_address.ts";

/** What is known besides the configuration. */
export interface SiteOptions {
  /** A domain of ours. */
  readonly domain: string;
  /** The addresses that the operator named; undefined: those of this machine count. */
  readonly addresses: readonly string[] | undefined;
  /** The addresses of the machine's interfaces. */
  readonly interfaces: () => readonly string[];
}

/** Certificates, or why there are none; the end of a sentence that begins with "because". */
type Loaded = { readonly certificates: Certificates } | { readonly reason: string };

/**
 * Gathers the facts.
 *
 * @throws {CertificateError} For certificates that `serve` would not take either.
 */
export async function gatherSite(config: Config, { domain, addresses: named, interfaces }: SiteOptions): Promise<Site> {
  const { hostname, domains, delivery, routes } = config;
  const { aliasOf, mx: hosts = [hostname] } = domains.get(domain) ?? {};
  const addresses = named ?? ownAddresses(config.listeners, interfaces);
  const sources = publicAddresses(Object.values(delivery.source ?? {}));
  const loaded = await load(config);
  const sts = policyOf(config, domain, loaded);
  const rest = routes.find((route) => route.domain === "*")?.via;
  return {
    domain,
    ...(aliasOf === undefined ? {} : { aliasOf }),
    hostname,
    hosts,
    addresses,
    otherSources: sources.filter((address) => !addresses.includes(address)),
    ...(typeof rest === "object" && "host" in rest ? { smarthost: rest.host } : {}),
    hasHostRecords: isHomeOf(domain, hostname, [...domains.keys()]),
    dkimKeys: await keysOf(config, domain),
    submission: submissionOf(config.listeners),
    takesMailOnPort25: config.listeners.some(({ service, bind }) =>
      service === "mx" && bind.kind === "tcp" && bind.port === 25
    ),
    ...(sts === undefined ? {} : { sts }),
    certificate: certificateOf(hostname, loaded),
    reportsTo: reportMailbox(config, domain),
    reportsAlsoOn: [...domains.keys()].filter((name) =>
      needsAgreement(name, domain) && domainOf(reportMailbox(config, name)) === domain
    ),
  };
}

/**
 * An address that reports are read at, best of the domain itself, else postmaster, whose mail always finds a reader
 * (lib/routing/expansion.ts). One that would have to be escaped in a URI is passed over: not all who report can read that.
 */
function reportMailbox({ reports }: Config, domain: string): string {
  const plain = reports.receive.filter((address) => /^[A-Za-z0-9._+-]+@/.test(address));
  return plain.find((address) => domainOf(address) === domain) ?? plain[0] ?? `postmaster@${domain}`;
}

/** Where the listeners of mx are on certain addresses, those; else all that others can reach. */
function ownAddresses(listeners: readonly ListenerConfig[], interfaces: () => readonly string[]): readonly string[] {
  const binds = listeners.flatMap(({ service, bind }) => service === "mx" && bind.kind === "tcp" ? [bind.host] : []);
  const certain = binds.filter((host) => isIP(host) !== 0 && host !== "::" && host !== "0.0.0.0");
  if (certain.length === binds.length && binds.length > 0) return publicAddresses(certain);
  return publicAddresses(interfaces()).filter((address) => binds.includes("::") || !address.includes(":"));
}

/** True for the domain whose zone the host is in; where that is none of ours, for all of them. */
function isHomeOf(domain: string, hostname: string, ours: readonly string[]): boolean {
  const holders = ours.filter((name) => hostname === name || hostname.endsWith(`.${name}`));
  const [home] = holders.toSorted((a, b) => b.length - a.length);
  return home === undefined || home === domain;
}

async function keysOf(config: Config, domain: string): Promise<readonly SiteKey[]> {
  const folder = `${config.data}/keys`;
  const there = await listDkimSelectors(folder, domain, systemFiles);
  const configured = (config.domains.get(domain)?.dkim ?? []).flatMap(dkimPair)
    .map((selector) => selector.toLowerCase());
  const keys: SiteKey[] = [];
  for (const selector of new Set([...configured, ...there])) {
    const isConfigured = configured.includes(selector);
    if (!there.includes(selector)) keys.push({ selector, isConfigured });
    else {
      const pem = await Deno.readTextFile(dkimKeyPath(folder, { domain, selector }));
      keys.push({ selector, isConfigured, value: dkimTxtValue(pem) });
    }
  }
  return keys;
}

function submissionOf(listeners: readonly ListenerConfig[]): Site["submission"] {
  const portOf = (wanted: ListenerConfig["tls"], usual: number): number | undefined => {
    const ports = listeners.flatMap(({ service, tls, bind }) =>
      service === "submission" && tls === wanted && bind.kind === "tcp" && !isLoopback(bind.host) ? [bind.port] : []
    );
    return ports.includes(usual) ? usual : ports[0];
  };
  const [implicit, starttls] = [portOf("implicit", 465), portOf("starttls", 587)];
  return { ...(implicit === undefined ? {} : { implicit }), ...(starttls === undefined ? {} : { starttls }) };
}

function isLoopback(host: string): boolean {
  return host.startsWith("127.") || host === "::1" || host === "localhost";
}

async function load({ certificates: [first, ...others] }: Config): Promise<Loaded> {
  if (first === undefined) {
    return { reason: "the certificate is a self-signed one, which is made anew with another key" };
  }
  try {
    const logger = getLogger(["posthorn", "tls"]);
    return {
      certificates: await loadCertificates([first, ...others], { read: processIo.readText, now: Date.now, logger }),
    };
  } catch (error) {
    if (!(error instanceof CertificateError && error.cause instanceof Deno.errors.PermissionDenied)) throw error;
    return { reason: "the certificates can be read as root only" };
  }
}

function policyOf(config: Config, domain: string, loaded: Loaded): SitePolicy | undefined {
  const policy = ownStsPolicy(config, domain);
  if (policy === undefined) return undefined;
  const listeners = config.listeners.filter(({ service }) => service === "web");
  return { ...policy, isServed: listeners.length > 0, isCertified: isCertified(listeners, domain, loaded) };
}

/** Where files are for root only, nothing can be said against them. */
function isCertified(listeners: readonly ListenerConfig[], domain: string, loaded: Loaded): boolean {
  if (listeners.every(({ tls }) => tls === "off")) return true;
  if ("certificates" in loaded) return coversPolicyHost(loaded.certificates, domain);
  return loaded.reason.endsWith("root only");
}

function certificateOf(hostname: string, loaded: Loaded): SiteCertificate {
  if ("reason" in loaded) return { kind: "none", reason: loaded.reason };
  const [pem = ""] = pemCertificates(loaded.certificates.select(hostname).chain);
  const certificate = Uint8Array.from(atob(pem.replace(/-----[^-]+-----|\s/g, "")), (octet) => octet.charCodeAt(0));
  return { kind: "key", keyHash: createHash("sha256").update(publicKeyInfo(certificate)).digest("hex"), certificate };
}
