/**
 * The header field Received-SPF (RFC 7208 §9.1).
 *
 * ```abnf
 * header-field   = "Received-SPF:" [CFWS] result FWS [comment FWS] [ key-value-list ] CRLF
 * key-value-list = key-value-pair *( ";" [CFWS] key-value-pair ) [";"]
 * key-value-pair = key [CFWS] "=" ( dot-atom / quoted-string )
 * ```
 */

import type { SpfFinding, SpfResult } from "../findings.ts";
import { printable } from "./spf_error.ts";

/** What the field says beside the finding. */
export interface SpfReception {
  /** The client's address. */
  readonly ip: string;
  /** Of HELO or EHLO. */
  readonly helo: string;
  /** Without angle brackets; may be empty. */
  readonly reversePath: string;
  /** Our own name. */
  readonly receiver: string;
}

const SENTENCES: Readonly<Record<SpfResult, string>> = {
  none: "publishes no SPF record that can be used",
  neutral: "says nothing about this client",
  pass: "permits this client",
  fail: "does not permit this client",
  softfail: "probably does not permit this client",
  temperror: "could not be checked now",
  permerror: "publishes SPF records that cannot be used",
};
/** Longest value, in octets, so that no line gets too long. */
const MAX_VALUE_OCTETS = 255;

/**
 * Composes the whole field, with CRLF at its end, folded before each key (RFC 5322 §2.2.3).
 *
 * Everything that comes from others is made printable US-ASCII and quoted where it has to be, so that nobody writes
 * header fields by it.
 */
export function composeReceivedSpf(finding: SpfFinding, { ip, helo, reversePath, receiver }: SpfReception): string {
  const pairs: [key: string, value: string | undefined][] = [
    ["receiver", receiver],
    ["client-ip", ip],
    ["envelope-from", reversePath],
    ["helo", helo],
    ["identity", finding.identity],
    ["mechanism", finding.mechanism],
    ["problem", finding.problem],
  ];
  const list = pairs.flatMap(([key, value]) => value === undefined ? [] : [`\r\n\t${key}=${formatValue(value)}`]);
  const comment = `${commentText(finding.domain)} ${SENTENCES[finding.result]}`;
  return `Received-SPF: ${finding.result} (${comment})${list.join(";")}\r\n`;
}

/** A dot-atom (RFC 5322 §3.2.3), or else a quoted-string. */
function formatValue(value: string): string {
  const text = printable(value, MAX_VALUE_OCTETS);
  if (/^[\w!#$%&'*+/=?^`{|}~-]+(?:\.[\w!#$%&'*+/=?^`{|}~-]+)*$/.test(text)) return text;
  return `"${text.replace(/["\\]/g, "\\$&")}"`;
}

function commentText(text: string): string {
  return printable(text, MAX_VALUE_OCTETS).replace(/[()\\]/g, "\\$&");
}
