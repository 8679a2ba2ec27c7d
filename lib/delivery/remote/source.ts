/** Which of our addresses a connection comes from, and whether IPv6 is used at all. */

import net from "node:net";
import type { SourceAddresses } from "../next_hop.ts";
import type { Ipv6Use } from "./ipv6_check.ts";
import { type HostsAnswer, isLoopback, noHosts, type RemoteHost } from "./remote_host.ts";

/** Says nothing about the system's choice. */
export const ANY_SOURCE: SourceAddresses = {};

/**
 * Gives a host the address of ours that it is reached from.
 *
 * @param isForAll The addresses are for every destination: then a peer on this machine is not reached from an address of
 * the network, by which it could not know that we are here too.
 */
export function fromSource(host: RemoteHost, sources: SourceAddresses, isForAll: boolean): RemoteHost {
  const { address } = host;
  if ("socketPath" in address) return host;
  const source = net.isIPv6(address.host) ? sources.v6 : sources.v4;
  if (source === undefined) return host;
  if (isForAll && isLoopback(address) && !isLoopback({ host: source, port: 0 })) return host;
  return { ...host, address: { ...address, source } };
}

/** True where there is a host that is reached over IPv6, across a network. */
export function hasIpv6({ hosts }: { readonly hosts: readonly RemoteHost[] }): boolean {
  return hosts.some(isOverIpv6);
}

/** Leaves out what is reached over IPv6. Where nothing else is left the mail waits: to mend that is up to an operator. */
export function withoutIpv6(
  answer: HostsAnswer & { readonly kind: "hosts" },
  domain: string,
  reason: string,
): HostsAnswer {
  const left = answer.hosts.filter((host) => !isOverIpv6(host));
  if (left.length > 0) return { ...answer, hosts: left };
  return noHosts("delayed", "4.4.1", `The mail servers of ${domain} have IPv6 addresses only, and ${reason}`);
}

/** Why IPv6 is not used, as the end of a sentence for log and DSN. */
export function ipv6Reason(use: "off" | (Ipv6Use & { readonly kind: "unusable" })): string {
  return use === "off" ? "IPv6 is switched off here (delivery.ipv6)" : `IPv6 is not used here, because ${use.reason}`;
}

function isOverIpv6({ address }: RemoteHost): boolean {
  return "host" in address && net.isIPv6(address.host) && !isLoopback(address);
}
