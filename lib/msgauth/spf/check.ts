/** Checks whether a client may use a domain in HELO or MAIL, as the domain itself says it in DNS (SPF, RFC 7208). */

import { formatIpAddress } from "../../dns/ip_address.ts";
import type { Resolver } from "../../dns/resolver.ts";
import { isNonAscii, parseLocalPart } from "../../mail/mailbox.ts";
import type { Clock } from "../../system/clock.ts";
import { CHECK_TIME_LIMIT_MS, runBounded, type Unfinished } from "../bounded.ts";
import { clientAddress } from "../client_names.ts";
import type { SpfFinding } from "../findings.ts";
import { evaluate, type SpfSession } from "./evaluate.ts";
import { explain } from "./explain.ts";
import { SpfLookups } from "./lookups.ts";
import type { MacroValues } from "./macro.ts";
import { checkedDomain, shownDomain } from "./checked_domain.ts";
import { printable, SpfError } from "./spf_error.ts";

/** What {@linkcode checkSpf} needs. */
export interface SpfOptions {
  /** Which identity is checked: `helo` (§2.3), or `mailfrom` (§2.4). */
  readonly identity: SpfFinding["identity"];
  /** The client's address; IPv4-mapped IPv6 counts as IPv4 (§5). Undefined: it has none. */
  readonly ip: string | undefined;
  /** What the client said in HELO or EHLO: a domain, an address literal, or anything else. */
  readonly helo: string;
  /** Of MAIL, without angle brackets; the empty one stands for postmaster at `helo` (§2.4). Not read for the identity `helo`. */
  readonly reversePath: string;
  /** Our own name, for `%{r}`. */
  readonly receiver: string;
  /** Asked at most 123 questions (§4.6.4: 10 terms with up to 11 each, the record, the client's names, the explanation); mostly one to five. */
  readonly resolver: Resolver;
  /** For the time limit and `%{t}`. */
  readonly clock: Clock;
  /** Ends the check with `temperror`. */
  readonly signal?: AbortSignal;
  /** For the whole check (§4.6.4). Default: 20000. */
  readonly timeLimitMs?: number;
}

/** Longer texts of a client are cut before macros use them. */
const MAX_IDENTITY_OCTETS = 512;

/**
 * Checks one identity; never throws.
 *
 * @returns The result with what it is about; `none` for a domain that is no full domain name (§4.3), and for a client
 * without an address.
 */
export async function checkSpf(options: SpfOptions): Promise<SpfFinding> {
  const { identity, clock, timeLimitMs = CHECK_TIME_LIMIT_MS, signal } = options;
  const { localPart, rawDomain } = sender(options);
  const domain = checkedDomain(rawDomain);
  const address = options.ip === undefined ? undefined : clientAddress(options.ip);
  if (domain === undefined || address === undefined) {
    const problem = address === undefined ? { problem: "The client has no address" } : {};
    return { identity, domain: shownDomain(rawDomain), result: "none", ...problem };
  }
  const about = { identity, domain };
  const unfinished = (why: Unfinished): SpfFinding => ({
    ...about,
    result: "temperror",
    problem: why === "given up" ? "Given up before there was a result" : `No result within ${timeLimitMs} ms`,
  });
  return await runBounded(clock, timeLimitMs, signal, async (limited) => {
    const session: SpfSession = {
      address,
      values: macroValues(options, address, localPart, domain),
      hasUnusableSender: isNonAscii(localPart),
      lookups: new SpfLookups(options.resolver, address, clock, limited),
    };
    return { ...about, ...await outcome(session, domain) };
  }, unfinished);
}

async function outcome(session: SpfSession, domain: string): Promise<Omit<SpfFinding, "identity" | "domain">> {
  try {
    const verdict = await evaluate(session, domain);
    if (verdict.result === "none") return { result: "none" };
    const { result, mechanism, explanation } = verdict;
    const matched = mechanism === undefined ? { result } : { result, mechanism };
    if (explanation === undefined) return matched;
    const text = await explain(session, explanation.spec, explanation.domain);
    return text === undefined ? matched : { ...matched, explanation: text };
  } catch (error) {
    if (error instanceof SpfError) return { result: error.result, problem: error.message };
    // A bug of ours must not lose mail.
    const problem = `The check broke off: ${printable(error instanceof Error ? error.message : String(error), 200)}`;
    return { result: "temperror", problem };
  }
}

/** The identity as a mailbox (§2.4, §4.1). */
function sender({ identity, helo, reversePath }: SpfOptions): { localPart: string; rawDomain: string } {
  const isHelo = identity === "helo" || reversePath === "";
  const at = isHelo ? -1 : reversePath.lastIndexOf("@");
  const rawDomain = isHelo ? helo : reversePath.slice(at + 1);
  const rawLocalPart = at < 0 ? "" : reversePath.slice(0, at);
  const localPart = (rawLocalPart.startsWith('"') ? parseLocalPart(rawLocalPart) : undefined) ?? rawLocalPart;
  // §4.3: a sender without a local part is the postmaster.
  return { localPart: localPart === "" ? "postmaster" : localPart.slice(0, MAX_IDENTITY_OCTETS), rawDomain };
}

/** RFC 7208 §7.2 and §7.3; d and p come from the record at hand. */
function macroValues(
  { helo, receiver, clock }: SpfOptions,
  address: Uint8Array,
  localPart: string,
  domain: string,
): MacroValues {
  const isIp4 = address.length === 4;
  const text = formatIpAddress(address);
  return {
    s: `${localPart}@${domain}`,
    l: localPart,
    o: domain,
    d: domain,
    i: isIp4 ? text : nibbles(address),
    p: "",
    h: checkedDomain(helo) ?? helo.slice(0, MAX_IDENTITY_OCTETS),
    c: text,
    r: receiver === "" ? "unknown" : receiver,
    t: String(Math.floor(clock.now() / 1000)),
    v: isIp4 ? "in-addr" : "ip6",
  };
}

/** `2.0.0.1.0.D.B.8.…` (§7.4). */
function nibbles(address: Uint8Array): string {
  return Array.from(address, (octet) => `${(octet >> 4).toString(16)}.${(octet & 15).toString(16)}`).join(".")
    .toUpperCase();
}
