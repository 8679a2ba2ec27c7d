/**
 * What becomes of a message under the DMARC policy of its author domain: the findings say what the domain asks for, the
 * configuration how far it is followed, and a forwarder or sealer that is trusted can answer for mail that broke on its way.
 */

import { parseResults } from "../msgauth/authentication_results/parse.ts";
import type { DmarcFinding, DmarcRequest, Findings } from "../msgauth/findings.ts";
import { type Reply, reply } from "../smtp/reply.ts";
import { type CidrBlock, isInBlock, parseCidr, parseIpAddress } from "./cidr.ts";

/** How far the policies of domains are followed. */
export interface DmarcPolicySettings {
  /** `enforce`: as asked for; `quarantine`: nothing is refused; `none`: nothing is done. */
  readonly action: "enforce" | "quarantine" | "none";
  /** What happens where DNS had no answer; `defer_reject`: it is put off where forged mail of that author is to be refused. */
  readonly onTemporaryError: "accept" | "defer_reject" | "defer";
  /** Addresses, CIDR blocks, and domains with all below them. */
  readonly trustedForwarders: readonly string[];
  /** Domains, with all below them, whose ARC seals are believed. */
  readonly trustedSealers: readonly string[];
}

/** Who brought the message. */
export interface DmarcClient {
  /** Its address; absent: it has none. */
  readonly address?: string;
  /** It logged in, or may relay: its mail is our users' own. */
  readonly isOurs: boolean;
}

/** Why a message is not treated as its author domain asks (RFC 9990, RFC 7489 appendix C), for reports. */
export interface DmarcOverride {
  /** The kind, as reports name it. */
  readonly type:
    | "policy_test_mode"
    | "sampled_out"
    | "trusted_forwarder"
    | "mailing_list"
    | "local_policy"
    | "forwarded"
    | "other";
  /** In words, US-ASCII, one line. */
  readonly comment?: string;
}

/** What becomes of a message; `disposition` and `override` are what reports say about it. */
export type DmarcDecision =
  & { readonly disposition: DmarcRequest; readonly override?: DmarcOverride }
  & (
    | { readonly action: "accept" | "quarantine" }
    | { readonly action: "reject" | "defer"; readonly reply: Reply }
  );

/** Decides about messages. */
export type DmarcPolicy = (findings: Findings, client: DmarcClient) => DmarcDecision;

const ACCEPTED = { action: "accept", disposition: "none" } as const;

/** Makes the policy; the lists of the settings were checked when the configuration was read. */
export function makeDmarcPolicy(settings: DmarcPolicySettings): DmarcPolicy {
  const blocks = settings.trustedForwarders.map(parseCidr).filter((block) => block !== undefined);
  const domains = settings.trustedForwarders.filter((entry) => parseCidr(entry) === undefined);
  return (findings, client) => {
    const { dmarc } = findings;
    if (dmarc === undefined) return ACCEPTED;
    const isUndecided = dmarc.result === "temperror" && isDeferred(dmarc, settings, client);
    if (dmarc.request === "none" && !isUndecided) return { ...ACCEPTED, ...ownReason(dmarc) };
    const override = client.isOurs
      ? { type: "local_policy" as const, comment: "mail of our own users" }
      : forwarderOf(findings, client, blocks, domains) ?? vouchedFor(findings, settings.trustedSealers);
    if (override !== undefined) return { ...ACCEPTED, override };
    return isUndecided ? deferred(dmarc) : follow(dmarc, settings.action, client);
  };
}

/** For the comment of the result in Authentication-Results, e.g. `dis=none by trusted_forwarder`. */
export function describeDecision({ action, disposition, override }: DmarcDecision): string {
  return `dis=${action === "defer" ? action : disposition}${override === undefined ? "" : ` by ${override.type}`}`;
}

/**
 * A forger may name a part of a domain whose servers do not answer, in a signature that nobody can check then. So where failing
 * means a refusal, doubt means "later" (RFC 9989 §5.3.6 leaves it to us). Where our own DNS is gone, no record is known either.
 */
function isDeferred(
  { requestIfFailed }: DmarcFinding,
  { action, onTemporaryError }: DmarcPolicySettings,
  { address }: DmarcClient,
): boolean {
  if (action === "none" || onTemporaryError === "accept") return false;
  return onTemporaryError === "defer" ||
    (action === "enforce" && requestIfFailed === "reject" && address !== undefined);
}

function deferred({ fromDomain = "the sender" }: DmarcFinding): DmarcDecision {
  const text = `Cannot check now whether this message is from ${fromDomain}, try again later`;
  return { action: "defer", disposition: "none", reply: reply(451, "4.7.1", text) };
}

/** The domain itself asks for less than its policy says. */
function ownReason({ leniency }: DmarcFinding): { readonly override?: DmarcOverride } {
  return leniency === undefined ? {} : { override: { type: leniency } };
}

function follow(dmarc: DmarcFinding, action: DmarcPolicySettings["action"], client: DmarcClient): DmarcDecision {
  const { request } = dmarc;
  const local = (comment: string): { readonly override: DmarcOverride } => ({
    override: { type: "local_policy", comment },
  });
  if (action === "none") return { ...ACCEPTED, ...local("policies are not followed") };
  if (request !== "reject") return { action: "quarantine", disposition: "quarantine", ...ownReason(dmarc) };
  if (action === "quarantine") {
    return { action: "quarantine", disposition: "quarantine", ...local("nothing is rejected") };
  }
  // SPF might have passed. A message whose author nobody can tell is no better with it.
  if (client.address === undefined && dmarc.result === "fail") {
    return { action: "quarantine", disposition: "quarantine", ...local("the client has no address for SPF") };
  }
  return { action: "reject", disposition: "reject", reply: refusal(dmarc), ...ownReason(dmarc) };
}

/** RFC 7489 §10.3 */
function refusal({ result, policyDomain, problem }: DmarcFinding): Reply {
  const why = result === "permerror" ? problem ?? "unclear From" : "neither SPF nor DKIM shows that it is from there";
  const text = policyDomain === undefined
    ? `This message is refused: ${why}`
    : `This message is refused under the DMARC policy of ${policyDomain}: ${why}`;
  return reply(550, "5.7.1", text);
}

/**
 * A name counts only where it is proved: by DNS from the address back to the name, by SPF for HELO, by a signature. What a
 * signature of a trusted domain proves is who sent the message out last, which is what lists sign for.
 */
function forwarderOf(
  { iprev, spf, dkim }: Findings,
  { address }: DmarcClient,
  blocks: readonly CidrBlock[],
  domains: readonly string[],
): DmarcOverride | undefined {
  const octets = address === undefined ? undefined : parseIpAddress(address);
  if (octets !== undefined && blocks.some((block) => isInBlock(octets, block))) {
    return { type: "trusted_forwarder", comment: `client ${address}` };
  }
  const helo = spf.find(({ identity, result }) => identity === "helo" && result === "pass")?.domain;
  const host = [iprev?.result === "pass" ? iprev.name : undefined, helo].find((name) => isBelow(name, domains));
  if (host !== undefined) return { type: "trusted_forwarder", comment: `client ${host}` };
  const signer = dkim.find(({ result, domain }) => result === "pass" && isBelow(domain, domains))?.domain;
  return signer === undefined ? undefined : { type: "mailing_list", comment: `signed by ${signer}` };
}

/**
 * Looks for a trusted sealer who saw DMARC pass for this author domain (RFC 8617 §7.2.1). A sealer is believed about what it
 * saw itself; what the one before it says counts only where all who handled the message since are trusted, too.
 */
function vouchedFor({ arc, dmarc }: Findings, trusted: readonly string[]): DmarcOverride | undefined {
  const author = dmarc?.fromDomain;
  if (arc?.result !== "pass" || dmarc?.result === "permerror" || author === undefined) return undefined;
  const { sealers, authenticationResults = [] } = arc;
  for (let i = sealers.length - 1; i >= 0 && isBelow(sealers[i], trusted); i--) {
    const seen = parseResults(authenticationResults[i] ?? "")?.results ?? [];
    const hasPassed = seen.some(({ method, result, properties }) =>
      method === "dmarc" && result === "pass" &&
      properties.some(({ type, name, value }) => type === "header" && name === "from" && value.toLowerCase() === author)
    );
    if (hasPassed) return { type: "local_policy", comment: `arc=pass as[${i + 1}].d=${sealers[i]}` };
  }
  return undefined;
}

function isBelow(name: string | undefined, domains: readonly string[]): boolean {
  return name !== undefined && domains.some((domain) => name === domain || name.endsWith(`.${domain}`));
}
