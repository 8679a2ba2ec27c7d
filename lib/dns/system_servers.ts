/** The servers that the machine uses. */

import type { DnsServer } from "./server.ts";
import { isIP } from "node:net";

/** Where systems keep the list (resolv.conf(5)). */
export const resolvConfPath = "/etc/resolv.conf";

const DNS_PORT = 53;

/**
 * Reads the `nameserver` lines of a resolv.conf in their order; other lines, comments (`#`, `;`) and what is no IP
 * address are passed over, as the C library does. An IPv6 address may carry a scope.
 *
 * @returns The servers; `127.0.0.1` when none is named, as resolv.conf(5) says.
 */
export function parseResolvConf(text: string): readonly DnsServer[] {
  const hosts = new Set<string>();
  for (const line of text.split(/\r?\n/)) {
    const [, host] = /^\s*nameserver\s+([^\s#;]+)/.exec(line) ?? [];
    if (host !== undefined && isIP(host) !== 0) hosts.add(host);
  }
  if (hosts.size === 0) hosts.add("127.0.0.1");
  return Array.from(hosts, (host) => ({ host, port: DNS_PORT }));
}

/**
 * Finds the servers of the system.
 *
 * @param readText Reads a file, such as `Deno.readTextFile`. A missing file counts as an empty one; other errors pass.
 */
export async function systemServers(readText: (path: string) => Promise<string>): Promise<readonly DnsServer[]> {
  try {
    return parseResolvConf(await readText(resolvConfPath));
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return parseResolvConf("");
    throw error;
  }
}
