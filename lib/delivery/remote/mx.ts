/** Finds the hosts that take mail for a domain (RFC 5321 §5.1, RFC 7505). */

import net from "node:net";
import type { RecordData, Resolver } from "../../dns/resolver.ts";
import {
  type AddressesAnswer,
  findAddresses,
  type HostsAnswer,
  hostsAt,
  noHosts,
  type RemoteHost,
} from "./remote_host.ts";

/** What the search needs. */
export interface MxOptions {
  /** Answers the lookups. */
  readonly resolver: Resolver;
  /** A number from 0 up to, not including, 1: the order among hosts of equal preference. */
  readonly random: () => number;
  /** The port of every MX: 25. */
  readonly port: number;
  /** True for an address and port on which we ourselves take mail. */
  readonly isOwnAddress: (host: string, port: number) => boolean;
  /** Only hosts that DNSSEC vouches for will do (RFC 8689 §4.2.1). */
  readonly needsSecureMx?: boolean;
}

interface Exchange {
  readonly preference: number;
  readonly name: string;
}

/** No domain needs more; each costs two lookups and perhaps a connection. */
const MAX_HOSTS = 10;

/**
 * Looks up where mail for a domain goes.
 *
 * @param domain A-label form, or an address literal in brackets.
 * @returns Hosts by preference, in random order among equals, each with its IPv6 and IPv4 addresses by turns; what is not
 * better than ourselves is left out. An unreliable lookup is `delayed`; `failed` only on a definite answer of the DNS.
 */
export async function findMxHosts(domain: string, options: MxOptions, signal: AbortSignal): Promise<HostsAnswer> {
  if (domain.startsWith("[")) return literalHost(domain, options);
  const answer = await options.resolver.lookup(domain, "MX", signal);
  if (options.needsSecureMx && answer.kind !== "failed" && !answer.isSecure) {
    const text = `The mail servers of ${domain} are not named under DNSSEC, which REQUIRETLS demands`;
    return noHosts("failed", "5.7.30", text);
  }
  switch (answer.kind) {
    case "failed":
      return noHosts("delayed", "4.4.3", answer.reason);
    case "noName":
      return noHosts("failed", "5.1.2", `The domain ${domain} does not exist`);
    case "noData":
      // The implicit MX: the domain itself, where it has no MX record at all.
      return withNames(
        domain,
        answer,
        await withAddresses(domain, [{ preference: 0, name: answer.canonicalName }], options, signal),
      );
    case "found": {
      // RFC 7505 §3: a null MX stands alone. Next to others the empty name is a mistake and leads nowhere.
      const exchanges = answer.records.filter(({ exchange }) => exchange !== "" && exchange !== ".");
      if (exchanges.length === 0) {
        return noHosts("failed", "5.1.10", `The domain ${domain} accepts no mail: it has a null MX`);
      }
      const hosts = await withAddresses(domain, inOrder(exchanges, options.random), options, signal);
      return withNames(domain, answer, hosts);
    }
  }
}

/** Notes whether DNSSEC names the hosts, and which names of the domain a certificate may have: of aliases only then. */
function withNames(
  domain: string,
  { isSecure, canonicalName }: { readonly isSecure: boolean; readonly canonicalName: string },
  answer: HostsAnswer,
): HostsAnswer {
  if (answer.kind === "none") return answer;
  const domainNames = [...new Set([domain, ...(isSecure ? [canonicalName] : [])])];
  return { ...answer, domainNames, ...(isSecure && { areNamedSecurely: true }) };
}

function literalHost(domain: string, { port, isOwnAddress }: MxOptions): HostsAnswer {
  const inner = domain.slice(1, -1).replace(/^IPv6:/i, "");
  if (!domain.endsWith("]") || net.isIP(inner) === 0) {
    return noHosts("failed", "5.1.3", `The address literal ${domain} cannot be understood`);
  }
  if (isOwnAddress(inner, port)) return loop(domain);
  return { kind: "hosts", hosts: hostsAt(inner, [inner], port) };
}

function inOrder(records: readonly RecordData["MX"][], random: () => number): Exchange[] {
  return records
    .map(({ preference, exchange }) => ({ preference, name: exchange.replace(/\.$/, "").toLowerCase(), lot: random() }))
    .sort((a, b) => a.preference - b.preference || a.lot - b.lot)
    .slice(0, MAX_HOSTS);
}

async function withAddresses(
  domain: string,
  exchanges: readonly Exchange[],
  options: MxOptions,
  signal: AbortSignal,
): Promise<HostsAnswer> {
  const answers = await Promise.all(exchanges.map(({ name }) => findAddresses(options.resolver, name, signal)));
  const limit = ownPreference(exchanges, answers, options);
  const hosts: RemoteHost[] = [];
  let failure: string | undefined;
  for (const [index, { name, preference }] of exchanges.entries()) {
    const answer = answers[index];
    if (answer === undefined || preference >= limit) continue;
    if (answer.kind === "found") {
      hosts.push(...hostsAt(name, answer.addresses, options.port, answer).map((host) => ({ ...host, preference })));
    } else if (answer.kind === "failed") failure ??= `${name}: ${answer.reason}`;
  }
  if (hosts.length > 0) return { kind: "hosts", hosts };
  if (failure !== undefined) {
    return noHosts("delayed", "4.4.3", `Cannot find the address of a mail server of ${domain}: ${failure}`);
  }
  if (limit < Infinity) return loop(domain);
  return noHosts("failed", "5.4.4", `The domain ${domain} has no mail server with an address`);
}

/** RFC 5321 §5.1: where we are an MX ourselves, that one and all of equal or worse preference lead back to us. */
function ownPreference(
  exchanges: readonly Exchange[],
  answers: readonly AddressesAnswer[],
  { isOwnAddress, port }: MxOptions,
): number {
  let limit = Infinity;
  for (const [index, { preference }] of exchanges.entries()) {
    const answer = answers[index];
    if (answer?.kind !== "found" || preference >= limit) continue;
    if (answer.addresses.some((address) => isOwnAddress(address, port))) limit = preference;
  }
  return limit;
}

function loop(domain: string): HostsAnswer {
  return noHosts("failed", "5.4.6", `Mail for ${domain} loops back to me`);
}
