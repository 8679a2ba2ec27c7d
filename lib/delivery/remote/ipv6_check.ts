/**
 * Whether to talk IPv6 to other mail servers. Big receivers refuse IPv6 clients whose address has no name, or one that does
 * not lead back to it, while the same machine is welcome over IPv4.
 */

import { formatIpAddress, parseIpAddress } from "../../dns/ip_address.ts";
import type { Resolver } from "../../dns/resolver.ts";
import { reverseName } from "../../dns/reverse_name.ts";
import type { Logger } from "../../log/logger.ts";
import type { Clock } from "../../system/clock.ts";

/** What the check needs. */
export interface Ipv6CheckOptions {
  /** For PTR and AAAA. */
  readonly resolver: Resolver;
  /** Its monotonic time says when to look again. */
  readonly clock: Clock;
  /** Told of the result, and of each change. */
  readonly logger: Logger;
  /** The addresses that the system may connect from, of any kind; or the one that is configured. */
  readonly addresses: () => readonly string[];
}

/** The address to connect from, or why there is none. */
export type Ipv6Use =
  | { readonly kind: "usable"; readonly source: string }
  | { readonly kind: "unusable"; readonly reason: string };

/** What one look found; `failed`: the DNS did not answer, so it tells nothing new. */
type Finding = (Ipv6Use & { readonly name?: string }) | { readonly kind: "failed"; readonly reason: string };

const RECHECK_MS = 3_600_000;
const RECHECK_AFTER_FAILURE_MS = 300_000;
/** A machine with more addresses than these has no one of its own. */
const MAX_ADDRESSES = 8;
const MAX_NAMES = 4;

/** Remembers the result for an hour. */
export class Ipv6Check {
  readonly #options: Ipv6CheckOptions;
  #use: Ipv6Use | undefined;
  #untilMs = -Infinity;
  #looking: Promise<Ipv6Use> | undefined;

  /** Asks nobody yet. */
  constructor(options: Ipv6CheckOptions) {
    this.#options = options;
  }

  /**
   * Finds an IPv6 address of ours with a PTR record whose name has that address (RFC 1912 §2.1).
   *
   * @param signal Of the first who asks: others wait for the same look.
   */
  async use(signal: AbortSignal): Promise<Ipv6Use> {
    if (this.#use !== undefined && this.#options.clock.monotonic() < this.#untilMs) return this.#use;
    this.#looking ??= this.#look(signal).finally(() => this.#looking = undefined);
    return await this.#looking;
  }

  async #look(signal: AbortSignal): Promise<Ipv6Use> {
    const finding = await this.#find(signal);
    const before = this.#use;
    if (signal.aborted) return before ?? { kind: "unusable", reason: "given up" };
    const isFailed = finding.kind === "failed";
    // What was right an hour ago stays so while the DNS is away.
    const now: Ipv6Use = isFailed ? before ?? { kind: "unusable", reason: finding.reason } : finding;
    this.#use = now;
    this.#untilMs = this.#options.clock.monotonic() + (isFailed ? RECHECK_AFTER_FAILURE_MS : RECHECK_MS);
    if (textOf(now) !== (before && textOf(before))) this.#tell(now, isFailed ? undefined : finding.name);
    return now;
  }

  async #find(signal: AbortSignal): Promise<Finding> {
    const addresses = [...new Set(this.#options.addresses().filter(isGlobalIpv6).map(oneSpelling))];
    let finding: Finding = { kind: "unusable", reason: "this machine has no global IPv6 address" };
    for (const address of addresses.slice(0, MAX_ADDRESSES)) {
      const next = await this.#confirm(address, signal);
      if (next.kind === "usable") return next;
      if (finding.kind !== "failed") finding = next;
    }
    return finding;
  }

  async #confirm(address: string, signal: AbortSignal): Promise<Finding> {
    const { resolver } = this.#options;
    const pointer = await resolver.lookup(reverseName(address), "PTR", signal);
    if (pointer.kind === "failed") return { kind: "failed", reason: pointer.reason };
    if (pointer.kind !== "found") return { kind: "unusable", reason: `${address} has no PTR record` };
    let failure: string | undefined;
    for (const name of pointer.records.slice(0, MAX_NAMES)) {
      const back = await resolver.lookup(name, "AAAA", signal);
      if (back.kind === "failed") failure ??= back.reason;
      if (back.kind === "found" && back.records.map(oneSpelling).includes(address)) {
        return { kind: "usable", source: address, name };
      }
    }
    if (failure !== undefined) return { kind: "failed", reason: failure };
    return { kind: "unusable", reason: `${pointer.records[0]}, the name of ${address}, does not have that address` };
  }

  #tell(use: Ipv6Use, name: string | undefined): void {
    const { logger } = this.#options;
    if (use.kind === "usable") {
      logger.info("IPv6 towards MX hosts: used, from {address}, whose name is {name}", { address: use.source, name });
    } else {
      logger.info("IPv6 towards MX hosts: not used, because {reason}", { reason: use.reason });
    }
  }
}

function textOf(use: Ipv6Use): string {
  return use.kind === "usable" ? use.source : use.reason;
}

/** 2000::/3 (RFC 4291 §2.4): neither link-local nor unique local. */
function isGlobalIpv6(address: string): boolean {
  const octets = parseIpAddress(address);
  return octets?.length === 16 && ((octets[0] ?? 0) & 0xe0) === 0x20;
}

function oneSpelling(address: string): string {
  const octets = parseIpAddress(address);
  return octets === undefined ? address : formatIpAddress(octets);
}
