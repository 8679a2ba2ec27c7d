/** Finds the TLSA records of a host to deliver to (RFC 7672 §2.2), and makes its judge of them. */

import net from "node:net";
import type { Resolver } from "../../dns/resolver.ts";
import { ClientError } from "../../smtp/client/client_error.ts";
import { type TlsaRecord, usableTlsa } from "../../tls/dane/tlsa.ts";
import { type DaneProblem, verifyDane } from "../../tls/dane/verify.ts";
import type { RemoteHost } from "./remote_host.ts";
import type { KnownFailure, TlsFailure } from "./tls_results.ts";

/** What DNS says about the TLS of a host. */
export type DaneAnswer =
  /** DANE does not apply: something on the way to the host is not under DNSSEC, or there are no TLSA records. */
  | { readonly kind: "none" }
  | {
    readonly kind: "records";
    /** The TLSA base domain: the name for SNI, and one that a certificate under DANE-TA may have. */
    readonly base: string;
    readonly records: readonly TlsaRecord[];
    /** Those of them that count; none: TLS is mandatory, and proves nothing. */
    readonly usable: readonly TlsaRecord[];
  }
  /** Nobody knows at the moment: the host cannot be used, for an attacker would want just that (RFC 7672 §2.1.2). */
  | { readonly kind: "failed"; readonly reason: string };

const NONE: DaneAnswer = { kind: "none" };

/**
 * Looks up the TLSA records of a host. They count only where they are secure, and so is the way to them: the addresses
 * of the host with all their CNAME records, or at least the first of these. Whether the MX records that name the host are
 * secure does not matter here (RFC 7672 §2.2.1 allows both): many unsigned domains are hosted at providers that are signed.
 */
export async function findTlsa(resolver: Resolver, host: RemoteHost, signal: AbortSignal): Promise<DaneAnswer> {
  const { address, name } = host;
  if ("socketPath" in address || net.isIP(name) !== 0) return NONE;
  const bases = await baseDomains(resolver, host, signal);
  if (typeof bases === "string") return { kind: "failed", reason: bases };
  for (const base of bases) {
    const answer = await resolver.lookup(`_${address.port}._tcp.${base}`, "TLSA", signal);
    if (answer.kind === "failed") return { kind: "failed", reason: answer.reason };
    if (answer.kind !== "found" || !answer.isSecure) continue;
    return { kind: "records", base, records: answer.records, usable: usableTlsa(answer.records) };
  }
  return NONE;
}

/** The names to try, or why they cannot be known now (RFC 7672 §2.2.2: first where CNAME records lead, then the name). */
async function baseDomains(
  resolver: Resolver,
  { name, isSecure = false, canonicalName }: RemoteHost,
  signal: AbortSignal,
): Promise<readonly string[] | string> {
  if (isSecure) return canonicalName === undefined ? [name] : [canonicalName, name];
  if (canonicalName === undefined) return [];
  // The name may be signed, though what it stands for is not.
  const alias = await resolver.lookup(name, "CNAME", signal);
  if (alias.kind === "failed") return alias.reason;
  return alias.kind === "found" && alias.isSecure ? [name] : [];
}

const FAILURES: Readonly<Record<DaneProblem, TlsFailure>> = {
  noMatch: "certificate-not-trusted",
  expired: "certificate-expired",
  wrongName: "certificate-host-mismatch",
  wrongPurpose: "certificate-not-trusted",
};

/** Makes the judge of a handshake under DANE. `names`: see `DaneQuestion`. */
export function daneJudge(
  tlsa: readonly TlsaRecord[],
  names: readonly string[],
  now: () => number,
): (chain: readonly Uint8Array[]) => ClientError | undefined {
  return (chain) => {
    const verdict = verifyDane({ tlsa, chain, names, nowMs: now() });
    if (verdict.kind === "verified") return undefined;
    const cause: KnownFailure = { tlsFailure: FAILURES[verdict.problem] };
    return new ClientError("certificate", verdict.reason, { cause });
  };
}
