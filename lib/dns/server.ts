/** A DNS server by its address. */

import { isIP, isIPv6 } from "node:net";
import { parseIpAddress } from "./ip_address.ts";

/** Where a recursive resolver answers, over UDP and TCP. */
export interface DnsServer {
  /** IP address; an IPv6 address may carry a scope (`fe80::1%eth0`). */
  readonly host: string;
  /** Normally 53. */
  readonly port: number;
}

/** `127.0.0.1:53` or `[::1]:53`, for people. */
export function serverText({ host, port }: DnsServer): string {
  return isIPv6(host) ? `[${host}]:${port}` : `${host}:${port}`;
}

/** Fails for a server that can never be reached, when posthorn starts rather than at the first lookup. */
export function checkServer(server: DnsServer): void {
  if (isIP(server.host) === 0) throw new RangeError(`Cannot use DNS server "${server.host}": not an IP address`);
  if (!Number.isInteger(server.port) || server.port < 1 || server.port > 65535) {
    throw new RangeError(`Cannot use DNS server "${serverText(server)}": port is not between 1 and 65535`);
  }
}

/** True when a datagram came from this server (RFC 5452 §3): the same address, however it is written, and port. */
export function isFromServer(server: DnsServer, from: { readonly address: string; readonly port: number }): boolean {
  if (from.port !== server.port) return false;
  if (from.address === server.host) return true;
  const [here, there] = [parseIpAddress(from.address), parseIpAddress(server.host)];
  return here !== undefined && here.length === there?.length && here.every((octet, i) => octet === there[i]);
}

/**
 * True for a server on this machine, whose AD bit nobody on a network can have set. The forwarder of Docker is left out:
 * it listens on loopback and passes on what servers elsewhere say.
 */
export function isLocalServer({ host }: DnsServer): boolean {
  const octets = parseIpAddress(host);
  if (octets?.length === 4) return octets[0] === 127 && host !== "127.0.0.11";
  return octets?.length === 16 && octets.every((octet, i) => octet === (i === 15 ? 1 : 0));
}
