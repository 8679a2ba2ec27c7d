/** Who wants reports on TLS: the TXT record at `_smtp._tls.DOMAIN` (RFC 8460 §3). */

import type { Resolver } from "../../dns/resolver.ts";
import { parseReportUri, type ReportUri } from "../report_uri.ts";

/** What the domain says. */
export type TlsReportWish =
  | { readonly kind: "wanted"; /** At least one, each once. */ readonly uris: readonly ReportUri[] }
  /** It has no record, several, or one without a place that we can report to. */
  | { readonly kind: "none" }
  /** DNS does not say now. */
  | { readonly kind: "unknown"; readonly reason: string };

const MAX_URIS = 5;
const MAX_RECORD = 2000;

/**
 * Looks up where the reports of a domain go.
 *
 *     tlsrpt-record  = tlsrpt-version 1*(field-delim tlsrpt-field) [field-delim]
 *     tlsrpt-version = %s"v=TLSRPTv1"
 *     tlsrpt-rua     = %s"rua=" tlsrpt-uri *(*WSP "," *WSP tlsrpt-uri)
 */
export async function lookUpTlsReportWish(
  resolver: Resolver,
  domain: string,
  signal: AbortSignal,
): Promise<TlsReportWish> {
  const answer = await resolver.lookup(`_smtp._tls.${domain}`, "TXT", signal);
  if (answer.kind === "failed") return { kind: "unknown", reason: answer.reason };
  const records = answer.kind === "found" ? answer.records.filter((text) => /^v=TLSRPTv1[ \t]*;/.test(text)) : [];
  const [record] = records;
  // Of several, none counts.
  if (record === undefined || records.length > 1 || record.length > MAX_RECORD) return { kind: "none" };
  const uris = new Map<string, ReportUri>();
  for (const uri of ruaOf(record).slice(0, MAX_URIS).map(parseReportUri)) {
    if (uri !== undefined) uris.set(uri.kind === "mail" ? uri.address : uri.url, uri);
  }
  return uris.size === 0 ? { kind: "none" } : { kind: "wanted", uris: [...uris.values()] };
}

function ruaOf(record: string): readonly string[] {
  for (const field of record.split(";").slice(1)) {
    const trimmed = field.trim();
    // "," and "!" inside of a URI are percent-encoded there.
    if (trimmed.startsWith("rua=")) return trimmed.slice("rua=".length).split(",").map((uri) => uri.trim());
  }
  return [];
}
