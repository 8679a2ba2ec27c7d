/** Judges what a server showed in its TLS handshake by its TLSA records (RFC 7671 §5, RFC 7672 §3). */

import { issued, mayIssue, parseCertificate, type ParsedCertificate, validityProblem } from "../certificate_path.ts";
import { namesServer } from "../server_name.ts";
import { DANE_EE, DANE_TA, matchesTlsa, type TlsaRecord, tlsaText, wholeCertificate, wholeKey } from "./tlsa.ts";

/** What is to be judged. */
export interface DaneQuestion {
  /** As {@linkcode usableTlsa} picks them; any of them will do, so that keys can be rolled over. */
  readonly tlsa: readonly TlsaRecord[];
  /** DER; the server's own certificate first. The handshake has proved that it has the key. */
  readonly chain: readonly Uint8Array[];
  /** Reference identifiers for DANE-TA: TLSA base domain and next-hop domains, lower case (RFC 7672 §3.2.2). */
  readonly names: readonly string[];
  /** Wall clock, milliseconds since 1970. */
  readonly nowMs: number;
}

/** Why a server is not who it should be. */
export type DaneProblem = "noMatch" | "expired" | "wrongName" | "wrongPurpose";

/** The judgement. */
export type DaneVerdict =
  | { readonly kind: "verified" }
  | {
    readonly kind: "refused";
    readonly problem: DaneProblem;
    /** In a few words, fit for a log line. */
    readonly reason: string;
  };

const SERVER_AUTH = "1.3.6.1.5.5.7.3.1";
const ANY_PURPOSE = "2.5.29.37.0";
/** Records that a log line names. */
const MAX_NAMED = 3;

/**
 * Judges. A record of usage DANE-EE wants its certificate or key and nothing else: neither name nor validity count
 * (RFC 7672 §3.1.1). One of usage DANE-TA wants a path of valid signatures up to its authority, and one of the names.
 */
export function verifyDane(question: DaneQuestion): DaneVerdict {
  const { tlsa, chain: [leaf] } = question;
  if (leaf === undefined) return refused("noMatch", "it showed no certificate");
  if (tlsa.some((record) => record.usage === DANE_EE && matchesTlsa(record, leaf))) return { kind: "verified" };
  const anchors = tlsa.filter(({ usage }) => usage === DANE_TA);
  const verdict = anchors.length === 0 ? undefined : verifyPath(anchors, question);
  if (verdict !== undefined && (verdict.kind === "verified" || verdict.problem !== "noMatch")) return verdict;
  const named = tlsa.slice(0, MAX_NAMED).map((record) => `"${shortened(tlsaText(record))}"`).join(", ");
  const more = tlsa.length > MAX_NAMED ? ` and ${tlsa.length - MAX_NAMED} more` : "";
  return refused("noMatch", `its certificate fits no TLSA record (${named}${more})`);
}

function verifyPath(anchors: readonly TlsaRecord[], { chain, names, nowMs }: DaneQuestion): DaneVerdict {
  const [leaf, ...sent] = chain.map(parseCertificate);
  if (leaf === undefined) return refused("noMatch", "its certificate cannot be read");
  const given = anchors.map(wholeCertificate).filter((der) => der !== undefined).map(parseCertificate);
  const others = [...sent, ...given].filter((other) => other !== undefined);
  const problem = pathProblem(leaf, others, anchors, nowMs);
  if (problem !== undefined) return problem;
  const { purposes } = leaf.fields;
  if (purposes !== undefined && !purposes.includes(SERVER_AUTH) && !purposes.includes(ANY_PURPOSE)) {
    return refused("wrongPurpose", "its certificate is not for TLS servers (extKeyUsage)");
  }
  if (names.some((name) => namesServer(leaf.x509.raw, name))) return { kind: "verified" };
  return refused("wrongName", `its certificate names none of ${names.join(", ")}`);
}

/**
 * Looks for a way from the leaf to an authority of a record, shortest ways first. Each certificate is visited once, so
 * that no set of certificates, however it is made, costs more than the square of their number.
 */
function pathProblem(
  leaf: ParsedCertificate,
  others: readonly ParsedCertificate[],
  anchors: readonly TlsaRecord[],
  nowMs: number,
): DaneVerdict | undefined {
  const leafValidity = validityProblem(leaf.x509, nowMs);
  let validity: string | undefined;
  const keys = anchors.map(wholeKey).filter((key) => key !== undefined);
  const visited = new Set<ParsedCertificate>();
  let level = [leaf];
  let isAnchored = false;
  for (let intermediates = 0; level.length > 0 && !isAnchored; intermediates++) {
    const next: ParsedCertificate[] = [];
    for (const below of level) {
      isAnchored ||= keys.some((key) => isSignedBy(below, key));
      for (const above of others) {
        if (visited.has(above) || !mayIssue(above, intermediates) || !issued(above, below.x509)) continue;
        visited.add(above);
        const problem = validityProblem(above.x509, nowMs);
        validity ??= problem;
        if (problem !== undefined) continue;
        isAnchored ||= anchors.some((record) => matchesTlsa(record, above.x509.raw));
        next.push(above);
      }
    }
    level = next;
  }
  if (isAnchored && leafValidity === undefined) return undefined;
  if (isAnchored) return refused("expired", `its certificate ${leafValidity}`);
  if (validity !== undefined) return refused("expired", `an authority in its chain ${validity}`);
  return refused("noMatch", "no authority of a TLSA record issued its certificate");
}

function isSignedBy({ x509 }: ParsedCertificate, key: Parameters<typeof x509.verify>[0]): boolean {
  try {
    return x509.verify(key);
  } catch {
    return false;
  }
}

function shortened(text: string): string {
  return text.length > 24 ? `${text.slice(0, 23)}…` : text;
}

function refused(problem: DaneProblem, reason: string): DaneVerdict & { readonly kind: "refused" } {
  return { kind: "refused", problem, reason };
}
