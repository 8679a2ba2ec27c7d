/** One address of one host to deliver to, and where the addresses come from. */

import net from "node:net";
import type { DnsAnswer, Resolver } from "../../dns/resolver.ts";
import type { Outcome } from "../../mail/outcome.ts";
import type { WireAddress } from "../../smtp/client/wire.ts";
import type { Smarthost } from "../next_hop.ts";

/** A host at one of its addresses. */
export interface RemoteHost {
  /** Host name, address literal without brackets, or `localhost` for a Unix socket. */
  readonly name: string;
  /** Where it is reached. */
  readonly address: WireAddress;
  /** Its addresses come under DNSSEC, and every CNAME record on the way to them (RFC 7672 §2.2.2). */
  readonly isSecure?: boolean;
  /** Where CNAME records lead from its name; absent: nowhere. */
  readonly canonicalName?: string;
  /** Of its MX record; absent for what was not found by MX. */
  readonly preference?: number;
}

/** The hosts to try in this order, or why there are none. */
export type HostsAnswer =
  | {
    readonly kind: "hosts";
    readonly hosts: readonly RemoteHost[];
    /** Names of the next-hop domain that a certificate may have for it (RFC 7672 §3.2.2). */
    readonly domainNames?: readonly string[];
    /** The names of the hosts come under DNSSEC: nobody can have put in others. */
    readonly areNamedSecurely?: boolean;
  }
  | { readonly kind: "none"; readonly outcome: Outcome };

/** The addresses of a name: IPv6 (RFC 6724) and IPv4 by turns. */
export type AddressesAnswer =
  | {
    readonly kind: "found";
    readonly addresses: readonly string[];
    /** Of {@linkcode RemoteHost}. */
    readonly isSecure?: boolean;
    /** Of {@linkcode RemoteHost}. */
    readonly canonicalName?: string;
  }
  /** The name has no address, or does not exist. */
  | { readonly kind: "none" }
  /** Nobody knows at the moment. */
  | { readonly kind: "failed"; readonly reason: string };

/** Names that stand for this machine without any DNS (RFC 6761 §6.3). */
const LOOPBACK_NAME = /^(?:.+\.)?localhost$/i;

/** Looks up A and AAAA at once. An address stands for itself. */
export async function findAddresses(resolver: Resolver, name: string, signal: AbortSignal): Promise<AddressesAnswer> {
  if (net.isIP(name) !== 0) return { kind: "found", addresses: [name] };
  if (LOOPBACK_NAME.test(name)) return { kind: "found", addresses: ["127.0.0.1", "::1"] };
  const answers = await Promise.all([resolver.lookup(name, "AAAA", signal), resolver.lookup(name, "A", signal)]);
  const [v6 = [], v4 = []] = answers.map((answer) => answer.kind === "found" ? answer.records : []);
  // By turns: only the first few are tried, and a machine without IPv6 must not spend all its tries on it.
  const addresses = Array.from({ length: Math.max(v6.length, v4.length) }, (_, at) => [v6[at], v4[at]]).flat()
    .filter((address) => address !== undefined);
  if (addresses.length > 0) return { kind: "found", addresses, ...securityOf(name, answers) };
  const failure = answers.find((answer) => answer.kind === "failed");
  return failure?.kind === "failed" ? { kind: "failed", reason: failure.reason } : { kind: "none" };
}

/** What the lookups that found something say, all of them. */
function securityOf(
  name: string,
  answers: readonly DnsAnswer<string>[],
): Pick<RemoteHost, "isSecure" | "canonicalName"> {
  const found = answers.filter((answer) => answer.kind === "found");
  const ends = new Set(found.map(({ canonicalName }) => canonicalName));
  const [end] = ends;
  return {
    ...(found.every(({ isSecure }) => isSecure) && ends.size === 1 && { isSecure: true }),
    ...(end !== undefined && end !== name.toLowerCase() && { canonicalName: end }),
  };
}

/** The addresses of a configured server. What is wrong with it an operator can mend: mail waits. */
export async function smarthostHosts(
  resolver: Resolver,
  { host, port, socketPath }: Smarthost,
  signal: AbortSignal,
): Promise<HostsAnswer> {
  if (socketPath !== undefined) return { kind: "hosts", hosts: [{ name: "localhost", address: { socketPath } }] };
  const answer = await findAddresses(resolver, host, signal);
  if (answer.kind === "found") return { kind: "hosts", hosts: hostsAt(host, answer.addresses, port, answer) };
  const why = answer.kind === "failed" ? answer.reason : "the name has no address";
  return noHosts("delayed", "4.4.3", `Cannot find the address of the smarthost ${host}: ${why}`);
}

/** One host for each address; `security` is what the lookups said. */
export function hostsAt(
  name: string,
  addresses: readonly string[],
  port: number,
  { isSecure, canonicalName }: Pick<RemoteHost, "isSecure" | "canonicalName"> = {},
): RemoteHost[] {
  return addresses.map((address) => ({
    name,
    address: { host: address, port },
    ...(isSecure === true && { isSecure }),
    ...(canonicalName !== undefined && { canonicalName }),
  }));
}

/** Says that there is nowhere to go. */
export function noHosts(action: "failed" | "delayed", status: string, text: string): HostsAnswer {
  return { kind: "none", outcome: { action, status, text, isRemoteReply: false } };
}

/** The address for the log: `192.0.2.1:25`, `[2001:db8::1]:25`, `unix:/run/lmtp.sock`. */
export function addressText(address: WireAddress): string {
  if ("socketPath" in address) return `unix:${address.socketPath}`;
  return net.isIPv6(address.host) ? `[${address.host}]:${address.port}` : `${address.host}:${address.port}`;
}

/** True for a peer on this machine: what is sent to it crosses no wire. */
export function isLoopback(address: WireAddress): boolean {
  if ("socketPath" in address) return true;
  return /^(?:127\.\d+\.\d+\.\d+|::1|::ffff:127\.\d+\.\d+\.\d+)$/i.test(address.host);
}
