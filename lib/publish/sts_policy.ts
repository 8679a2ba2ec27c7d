/** The MTA-STS policies of our own domains (RFC 8461 §3.2), and the ids that their records carry (§3.1). */

import { createHash } from "node:crypto";
import type { Config, StsMode } from "../config/config.ts";

/** A policy of ours. */
export interface OwnStsPolicy {
  /** As configured. */
  readonly mode: StsMode;
  /** The policy file: lines that end with CRLF. */
  readonly text: string;
  /** 1 to 32 letters and digits; another one whenever the text is another one. */
  readonly id: string;
}

/** The name of the host that gives the policy of a domain away (RFC 8461 §3.3). */
export function stsHost(domain: string): string {
  return `mta-sts.${domain}`;
}

/** The path of a policy on that host (RFC 8461 §3.3). */
export const STS_PATH = "/.well-known/mta-sts.txt";

/**
 * How long senders keep a policy. What is tried out, or taken back (RFC 8461 §8.3), should be forgotten soon; what
 * protects should not, since an attacker who keeps a sender from the policy has to hold out for so long (§10.2).
 */
const MAX_AGE_SECONDS: Readonly<Record<StsMode, number>> = { testing: 86_400, enforce: 14 * 86_400, none: 86_400 };

/** Makes the policy of a domain of ours; undefined where it has none. */
export function ownStsPolicy(config: Pick<Config, "hostname" | "domains">, domain: string): OwnStsPolicy | undefined {
  const { mtaSts: mode, mx = [config.hostname] } = config.domains.get(domain) ?? {};
  if (mode === undefined) return undefined;
  // A policy of mode none may do without hosts, but older readers want one.
  const lines = ["version: STSv1", `mode: ${mode}`, ...mx.map((host) => `mx: ${host}`)];
  const text = [...lines, `max_age: ${MAX_AGE_SECONDS[mode]}`, ""].join("\r\n");
  return { mode, text, id: createHash("sha256").update(text).digest("hex").slice(0, 20) };
}

/** Finds the policy that a host of ours gives away, by the name in a request; case does not count. */
export function stsPolicyOfHost(config: Pick<Config, "hostname" | "domains">, host: string): OwnStsPolicy | undefined {
  const [, domain] = /^mta-sts\.(.+?)\.?$/.exec(host.toLowerCase()) ?? [];
  return domain === undefined ? undefined : ownStsPolicy(config, domain);
}
