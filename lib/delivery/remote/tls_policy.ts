/** Decides how TLS is used towards a next hop, and towards one of its hosts by what is published about it. */

import type { Resolver } from "../../dns/resolver.ts";
import type { Envelope } from "../../mail/envelope.ts";
import type { Outcome } from "../../mail/outcome.ts";
import type { TlsaRecord } from "../../tls/dane/tlsa.ts";
import { tlsaText } from "../../tls/dane/tlsa.ts";
import type { NextHop, TlsUse } from "../next_hop.ts";
import { type DaneAnswer, findTlsa } from "./dane.ts";
import { namesMx, type StsPolicy } from "./mta_sts_policy.ts";
import { ownOutcome } from "./outcomes.ts";
import type { RemoteHost } from "./remote_host.ts";
import type { PublishedPolicy, TlsFailure } from "./tls_results.ts";

/** A next hop that is reached over the network. */
export type RemoteHop = Extract<NextHop, { kind: "mx" | "smarthost" }>;

/** What a host has to prove in the handshake. */
export type PeerProof =
  /** Nothing: any certificate will do. */
  | { readonly kind: "none" }
  /** A certificate of a trusted authority that is valid for the host's name. `label` says who asks for it. */
  | { readonly kind: "certificate"; readonly label: "verified" | "MTA-STS" }
  /** A certificate that fits one of the TLSA records. */
  | {
    readonly kind: "dane";
    readonly tlsa: readonly TlsaRecord[];
    /** The TLSA base domain: the name for SNI. */
    readonly base: string;
    /** All names that a certificate under DANE-TA may have. */
    readonly names: readonly string[];
  };

/** How to treat one connection. */
export interface TlsPolicy {
  /** `required`: TLS with the proof, or no delivery. `opportunistic`: without, where it fails. */
  readonly use: TlsUse;
  /** TLS from the first octet (RFC 8314 §3.3) instead of STARTTLS. */
  readonly isImplicit: boolean;
  /** The host must offer REQUIRETLS, and its name must come from a source that can be trusted (RFC 8689 §4.2.1). */
  readonly needsRequireTls: boolean;
  /** The sender asks that DANE and MTA-STS are not kept to; what the operator wants holds all the same (RFC 8689 §5). */
  readonly ignoresPublished?: true;
  /** With `opportunistic`: asked for first, because somebody wants to hear whether it would hold (RFC 8461 §5). */
  readonly proof: PeerProof;
  /** What the session counts for in reports; absent: for nothing. */
  readonly published?: PublishedPolicy;
  /** With `required`: whose demand it is, where it is not that of the operator or of the sender. */
  readonly demand?: string;
}

/**
 * Decides for a next hop.
 *
 * @param defaultUse The policy towards MX hosts.
 * @param envelope Of a message that came with REQUIRETLS, or says that TLS is optional, or neither.
 */
export function tlsPolicy(
  hop: RemoteHop,
  defaultUse: TlsUse,
  { requireTls, isTlsOptional }: Pick<Envelope, "requireTls" | "isTlsOptional">,
): TlsPolicy {
  const policy = hopPolicy(hop, defaultUse, requireTls === true);
  return isTlsOptional && !requireTls ? { ...policy, ignoresPublished: true } : policy;
}

function hopPolicy(hop: RemoteHop, defaultUse: TlsUse, isRequired: boolean): TlsPolicy {
  if (hop.kind === "mx") return policyOf(isRequired ? "required" : defaultUse, false, isRequired);
  const { scheme, tls, socketPath } = hop.smarthost;
  // A Unix socket has no name to prove, and nobody on the way.
  if (socketPath !== undefined) return policyOf("off", false, false);
  // LMTP is the last hop: there is nobody whom the server would have to tell.
  return policyOf(isRequired ? "required" : tls, scheme === "smtps", isRequired && scheme !== "lmtp");
}

function policyOf(use: TlsUse, isImplicit: boolean, needsRequireTls: boolean): TlsPolicy {
  const proof: PeerProof = use === "required" ? { kind: "certificate", label: "verified" } : { kind: "none" };
  return { use, isImplicit, needsRequireTls, proof };
}

/** What is known about a host when its policy is asked for. */
export interface HostQuestion {
  /** Of the next hop. */
  readonly policy: TlsPolicy;
  /** Where the message goes. */
  readonly hop: RemoteHop;
  /** The domain of the recipients. */
  readonly domain: string;
  /** The host that comes next. */
  readonly host: RemoteHost;
  /** The domain's policy, where it has one. */
  readonly sts: StsPolicy | undefined;
  /** See `HostsAnswer`. */
  readonly domainNames: readonly string[];
  /** DNSSEC says that mail for the domain goes to this host. */
  readonly isNamedSecurely: boolean;
  /** Absent: DANE is not used. */
  readonly resolver: Resolver | undefined;
  /** Ends the lookups. */
  readonly signal: AbortSignal;
}

/** How to treat the host, or why it cannot be used. A failure is for the reports, also where the host is used. */
export interface HostPolicy {
  /** For the session. */
  readonly policy: TlsPolicy;
  /** Present: there must be no session. */
  readonly refusal?: Outcome;
  /** What did not hold. */
  readonly failure?: PolicyFailure;
}

/** What is wrong before anything was sent. */
export interface PolicyFailure {
  /** The policy that did not hold. */
  readonly published: PublishedPolicy;
  /** Its name in a report. */
  readonly failure: TlsFailure;
  /** A whole sentence, for the log. */
  readonly reason: string;
}

/**
 * Decides for one host. DANE goes before MTA-STS (RFC 8461 §2), and both only ever ask for more than the operator does;
 * but where TLS is off, it is. A smarthost that must prove its name by a certificate is not asked for DANE, too.
 *
 * Whoever can forge MX records may have a signed host of his own: without DNSSEC for them, DANE does not make good for a
 * host that an enforced MTA-STS policy does not name.
 *
 * @see RFC 7672 §2.2, RFC 8461 §5
 */
export async function hostPolicy(question: HostQuestion): Promise<HostPolicy> {
  const { policy, hop, host, resolver, signal, domain, sts } = question;
  const isOpen = hop.kind === "mx" || (hop.smarthost.scheme === "smtp" && policy.use === "opportunistic");
  if (policy.use === "off" || policy.ignoresPublished || !isOpen) return { policy };
  if (sts?.mode === "enforce" && !question.isNamedSecurely && !namesMx(sts, host.name)) {
    return underSts(question, policy);
  }
  const dane: DaneAnswer = resolver === undefined ? { kind: "none" } : await findTlsa(resolver, host, signal);
  if (dane.kind === "none") {
    const published: PublishedPolicy = { type: "no-policy-found", domain, strings: [] };
    return underSts(question, sts === undefined ? { ...policy, published } : policy);
  }
  if (dane.kind === "failed") {
    const reason = `Cannot use ${host.name}, because its TLSA records cannot be looked up: ${dane.reason}`;
    const published: PublishedPolicy = { type: "tlsa", domain: host.name, strings: [] };
    return refused(policy, host, { published, failure: "dnssec-invalid", reason });
  }
  const { base, records, usable } = dane;
  const published: PublishedPolicy = { type: "tlsa", domain: base, strings: records.map(tlsaText) };
  const wanted: TlsPolicy = { ...policy, use: "required", demand: "the TLSA records of the host" };
  if (usable.length > 0) {
    const names = [...new Set([base, ...question.domainNames])];
    return { policy: { ...wanted, proof: { kind: "dane", tlsa: usable, base, names }, published } };
  }
  const reason = `No TLSA record of ${host.name} can be used: TLS is mandatory, and proves nothing`;
  return { failure: { published, failure: "tlsa-invalid", reason }, ...underSts(question, wanted) };
}

/** What MTA-STS adds to the policy so far (RFC 8461 §5). */
function underSts({ sts, domain, host }: HostQuestion, policy: TlsPolicy): HostPolicy {
  if (sts === undefined) return { policy };
  const published: PublishedPolicy = { type: "sts", domain, strings: sts.lines, mxHosts: sts.mx };
  const isEnforced = sts.mode === "enforce";
  if (!namesMx(sts, host.name)) {
    const reason = `The MTA-STS policy of ${domain} does not name ${host.name}`;
    const failure: PolicyFailure = { published, failure: "validation-failure", reason };
    return isEnforced ? refused(policy, host, failure) : { policy, failure };
  }
  const proof: PeerProof = policy.proof.kind === "none" ? { kind: "certificate", label: "MTA-STS" } : policy.proof;
  if (!isEnforced) return { policy: { ...policy, published, proof } };
  return { policy: { demand: `the MTA-STS policy of ${domain}`, ...policy, use: "required", published, proof } };
}

function refused(policy: TlsPolicy, host: RemoteHost, failure: PolicyFailure): HostPolicy {
  return { policy, refusal: ownOutcome("delayed", "4.7.5", failure.reason, { host }), failure };
}
