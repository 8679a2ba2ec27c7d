/** Where domains want their reports: the URIs of `rua`. */

import { hasUsualLength, isNonAscii, parseMailbox } from "../mail/mailbox.ts";

/** A place that reports go to. */
export type ReportUri =
  | {
    readonly kind: "mail";
    /** Canonical. */
    readonly address: string;
    /** A-labels, lower case. */
    readonly domain: string;
    /** Longest message that it takes, in octets; absent: no limit said. */
    readonly maxOctets?: number;
  }
  | { readonly kind: "https"; readonly url: string };

const UNITS: Readonly<Record<string, number>> = { "": 1, k: 2 ** 10, m: 2 ** 20, g: 2 ** 30, t: 2 ** 40 };

/**
 * Reads one URI of a `rua`; undefined for what is none, or of another scheme.
 *
 *     dmarc-uri = URI [ "!" 1*DIGIT [ "k" / "m" / "g" / "t" ] ]
 *
 * RFC 9989 has no size any more; it is still published.
 *
 * @see RFC 7489 §6.2, §6.4; RFC 8460 §3
 */
export function parseReportUri(text: string): ReportUri | undefined {
  if (text.length > 500) return undefined;
  const trimmed = text.trim();
  const [, scheme = ""] = /^([a-z]+):/i.exec(trimmed) ?? [];
  switch (scheme.toLowerCase()) {
    case "mailto":
      return mailUri(trimmed.slice("mailto:".length));
    case "https":
      return httpsUri(trimmed);
    default:
      return undefined;
  }
}

function mailUri(text: string): ReportUri | undefined {
  const [, rawAddress = "", digits, unit = ""] = /^([^!?]+)(?:!(\d{1,10})([kmgt])?)?(?:\?.*)?$/i.exec(text) ?? [];
  const mailbox = parseMailbox(percentDecoded(rawAddress));
  if (mailbox === undefined || isNonAscii(mailbox.text) || !hasUsualLength(mailbox.localPart)) return undefined;
  const octets = Number(digits) * (UNITS[unit.toLowerCase()] ?? 1);
  return {
    kind: "mail",
    address: mailbox.text,
    domain: mailbox.domain,
    ...(digits === undefined ? {} : { maxOctets: octets }),
  };
}

/** No user, no password: nothing of that has a meaning here. */
function httpsUri(text: string): ReportUri | undefined {
  const url = URL.parse(text);
  if (url === null || url.username !== "" || url.password !== "" || url.hostname === "") return undefined;
  url.hash = "";
  return { kind: "https", url: url.href };
}

function percentDecoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
