/** What a peer offers in its answer to EHLO or LHLO. */

import type { Reply } from "../reply.ts";

/** The extensions that the client knows how to use. */
export interface PeerExtensions {
  /** RFC 2920 */
  readonly pipelining: boolean;
  /** RFC 1870; true where SIZE is offered, with or without a limit. */
  readonly size: boolean;
  /** The limit that came with SIZE; absent where there is none or it is 0. */
  readonly maxMessageOctets?: number;
  /** RFC 6152 */
  readonly eightBitMime: boolean;
  /** RFC 6531 */
  readonly smtpUtf8: boolean;
  /** RFC 3207 */
  readonly startTls: boolean;
  /** RFC 2034 */
  readonly enhancedStatusCodes: boolean;
  /** RFC 3461 */
  readonly dsn: boolean;
  /** RFC 3030 */
  readonly chunking: boolean;
  /** RFC 3030 §3 */
  readonly binaryMime: boolean;
  /** RFC 8689 */
  readonly requireTls: boolean;
  /** RFC 9422 §4: transactions of a connection, recipients of a transaction, and their domains; absent: not limited. */
  readonly limits: { readonly mailMax?: number; readonly rcptMax?: number; readonly rcptDomainMax?: number };
  /** RFC 2852: the shortest time that a message with BY may need, in seconds; absent where DELIVERBY is not offered. */
  readonly minDeliverBySeconds?: number;
  /** RFC 6710 */
  readonly mtPriority: boolean;
  /** SASL mechanisms, upper case (RFC 4954); empty without AUTH. */
  readonly authMechanisms: readonly string[];
  /** Attributes of XCLIENT, upper case; absent where it is not offered, as to nearly everybody. */
  readonly xclient?: readonly string[];
}

/** What a peer offers that only knows HELO. */
export const NO_EXTENSIONS: PeerExtensions = {
  pipelining: false,
  size: false,
  eightBitMime: false,
  smtpUtf8: false,
  startTls: false,
  enhancedStatusCodes: false,
  dsn: false,
  chunking: false,
  binaryMime: false,
  requireTls: false,
  limits: {},
  mtPriority: false,
  authMechanisms: [],
};

/**
 * Reads the answer to EHLO. The first line is a greeting; a keyword that is not known or malformed is skipped.
 *
 * ```abnf
 * ehlo-line    = ehlo-keyword *( SP ehlo-param )
 * ehlo-keyword = (ALPHA / DIGIT) *(ALPHA / DIGIT / "-")
 * ```
 *
 * @see RFC 5321 §4.1.1.1
 */
export function parseExtensions(reply: Reply): PeerExtensions {
  const offered = new Map<string, string[]>();
  for (const line of reply.lines.slice(1)) {
    // "AUTH=LOGIN" is how servers wrote it before RFC 2554; some still add it.
    const [keyword = "", ...parameters] = line.trim().toUpperCase().replace(/^AUTH=/, "AUTH ").split(/\s+/);
    const known = offered.get(keyword);
    if (known === undefined) offered.set(keyword, parameters);
    else known.push(...parameters);
  }
  const limit = offered.get("SIZE")?.[0] ?? "";
  const minBy = offered.has("DELIVERBY") ? offered.get("DELIVERBY")?.[0]?.split(",")[0] ?? "" : undefined;
  const xclient = offered.get("XCLIENT");
  const maxMessageOctets = /^\d{1,20}$/.test(limit) ? Number(limit) : 0;
  return {
    pipelining: offered.has("PIPELINING"),
    size: offered.has("SIZE"),
    ...(maxMessageOctets > 0 ? { maxMessageOctets } : {}),
    eightBitMime: offered.has("8BITMIME"),
    smtpUtf8: offered.has("SMTPUTF8"),
    startTls: offered.has("STARTTLS"),
    enhancedStatusCodes: offered.has("ENHANCEDSTATUSCODES"),
    dsn: offered.has("DSN"),
    chunking: offered.has("CHUNKING"),
    ...(minBy === undefined ? {} : { minDeliverBySeconds: /^\d{1,9}$/.test(minBy) ? Number(minBy) : 0 }),
    binaryMime: offered.has("BINARYMIME"),
    requireTls: offered.has("REQUIRETLS"),
    limits: parseLimits(offered.get("LIMITS") ?? []),
    mtPriority: offered.has("MT-PRIORITY"),
    authMechanisms: [...new Set(offered.get("AUTH"))],
    ...(xclient === undefined ? {} : { xclient }),
  };
}

/** RFC 9422 §3: a limit that is malformed or 0 is passed over, and of one that stands twice the first counts. */
function parseLimits(parameters: readonly string[]): PeerExtensions["limits"] {
  const names = { MAILMAX: "mailMax", RCPTMAX: "rcptMax", RCPTDOMAINMAX: "rcptDomainMax" } as const;
  const limits: { -readonly [K in keyof PeerExtensions["limits"]]: number } = {};
  for (const parameter of parameters) {
    const [, name = "", digits] = /^([A-Z0-9-]+)=(\d{1,6})$/.exec(parameter) ?? [];
    if (Number(digits) > 0 && name in names) limits[names[name as keyof typeof names]] ??= Number(digits);
  }
  return limits;
}
