/** The check "iprev": whether the address of a client has a name that leads back to it (RFC 8601 §3). */

import type { Resolver } from "../dns/resolver.ts";
import type { Clock } from "../system/clock.ts";
import { CHECK_TIME_LIMIT_MS, runBounded } from "./bounded.ts";
import { clientAddress, leadsBack, lookUpClientNames } from "./client_names.ts";
import type { IprevFinding } from "./findings.ts";

/** What {@linkcode checkIprev} needs. */
export interface IprevOptions {
  /** The client's address; IPv4-mapped IPv6 counts as IPv4. */
  readonly ip: string;
  /** Asked for PTR records, and for A or AAAA records of at most 10 names. */
  readonly resolver: Resolver;
  /** For the time limit. */
  readonly clock: Clock;
  /** Ends the check with `temperror`. */
  readonly signal?: AbortSignal;
  /** For the whole check. Default: 20000. */
  readonly timeLimitMs?: number;
}

/**
 * Looks for the name of an address; never throws.
 *
 * @returns `pass` with the first name that leads back; `fail` where none of the names does; `permerror` where the address
 * has no name, or is none; `temperror` where DNS or the time did not allow to know.
 * @see RFC 8601 §2.7.3
 */
export function checkIprev(options: IprevOptions): Promise<IprevFinding> {
  const { clock, timeLimitMs = CHECK_TIME_LIMIT_MS, signal } = options;
  const temperror = (): IprevFinding => ({ result: "temperror" });
  return runBounded(clock, timeLimitMs, signal, (limited) => findName(options, limited), temperror);
}

async function findName({ ip, resolver }: IprevOptions, signal: AbortSignal): Promise<IprevFinding> {
  const address = clientAddress(ip);
  if (address === undefined) return { result: "permerror" };
  const found = await lookUpClientNames(address, resolver, signal);
  if (found.kind !== "found") return { result: found.kind === "none" ? "permerror" : "temperror" };
  let result: "fail" | "temperror" = "fail";
  for (const name of found.names) {
    const answer = await leadsBack(name, address, resolver, signal);
    if (answer === "yes") return { result: "pass", name };
    if (answer === "failed") result = "temperror";
  }
  return { result };
}
