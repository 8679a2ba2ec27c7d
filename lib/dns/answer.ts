/** What a message says about a name: records, none, no such name, or another name to ask about. */

import { type DnsMessage, responseCodeText, type WireRecord } from "./message.ts";
import type { WireRecordData, WireRecordType } from "./record_data.ts";
import type { DnsAnswer, RecordData, RecordType } from "./resolver.ts";

/** How far a lookup has come along its CNAME records. */
export interface Chain {
  /** The names so far, as `normaliseName` gives them: the one asked for first, the current one last. */
  readonly names: readonly [string, ...string[]];
  /** The least of the CNAME records that were followed. */
  readonly ttlSeconds: number;
  /** AD of every message that was used. */
  readonly isSecure: boolean;
}

/** What one message gave: the answer, or the place where the chain goes on in another message. */
export type ChainStep<T> = DnsAnswer<T> | { readonly kind: "alias"; readonly chain: Chain };

/** Starts at the name that was asked for. */
export function startChain(name: string): Chain {
  return { names: [name], ttlSeconds: 0x7fff_ffff, isSecure: true };
}

/** The current name: the one to ask for. */
export function endOfChain(chain: Chain): string {
  return chain.names.at(-1) ?? chain.names[0];
}

/**
 * Why a message gives no information about names, to be put after the name of its server; undefined when it does.
 *
 * A referral or an empty answer by a server that neither knows the zone nor asks others would read as "no such record"
 * (RFC 2308 §2.2), and mail would bounce because of a wrong setting. It counts as no answer.
 */
export function uselessReason(message: DnsMessage): string | undefined {
  const { responseCode } = message;
  if (responseCode !== 0 && responseCode !== 3) return `answered ${responseCodeText(responseCode)}`;
  const isInformed = message.isRecursionAvailable || message.isAuthoritative || message.answers.length > 0;
  return isInformed ? undefined : "does not resolve names for others (no recursion)";
}

/**
 * Follows the chain through one message.
 *
 * @param message An answer to the question for `type` and the end of `chain`, with response code 0 or 3.
 * @param maxLinks The longest chain that is followed (RFC 1034 §3.6.2 leaves the bound to us).
 */
export function readAnswer<T extends RecordType>(
  message: DnsMessage,
  type: T,
  chain: Chain,
  maxLinks: number,
): ChainStep<RecordData[T]> {
  const names: [string, ...string[]] = [...chain.names];
  let ttlSeconds = chain.ttlSeconds;
  const isSecure = chain.isSecure && message.isAuthenticated;
  for (;;) {
    const name = names.at(-1) ?? names[0];
    const found = recordsOf(message.answers, name, type);
    if (found.length > 0 && message.responseCode === 0) {
      const ttl = found.reduce((least, record) => Math.min(least, record.ttlSeconds), ttlSeconds);
      return {
        kind: "found",
        records: found.map((record) => record.data),
        canonicalName: name,
        isSecure,
        ttlSeconds: ttl,
      };
    }
    const [alias] = recordsOf(message.answers, name, "CNAME");
    if (alias === undefined) {
      return readEnd(message, { names, ttlSeconds, isSecure }, names.length > chain.names.length);
    }
    if (names.includes(alias.data)) return { kind: "failed", reason: `CNAME loop at "${alias.data}"` };
    if (names.length > maxLinks) return { kind: "failed", reason: `CNAME chain has more than ${maxLinks} links` };
    if (alias.data === "") return { kind: "failed", reason: `CNAME of "${name}" is the root` };
    names.push(alias.data);
    ttlSeconds = Math.min(ttlSeconds, alias.ttlSeconds);
  }
}

/** A message without records for the end of the chain: a negative answer, or one that stops too early. */
function readEnd(message: DnsMessage, chain: Chain, hasMoved: boolean): ChainStep<never> {
  const soa = message.authority.find((record) => record.type === "SOA");
  // RFC 2308 §5: min(TTL, MINIMUM) of the SOA record; without one the answer is not kept.
  const negativeTtl = soa === undefined ? 0 : Math.min(soa.ttlSeconds, soa.data.minimumSeconds);
  const ttlSeconds = Math.min(chain.ttlSeconds, negativeTtl);
  const { isSecure } = chain;
  // RFC 6604 §3: the response code is about the last name of the chain.
  if (message.responseCode === 3) return { kind: "noName", isSecure, ttlSeconds };
  if (hasMoved && soa === undefined) return { kind: "alias", chain };
  return { kind: "noData", canonicalName: endOfChain(chain), isSecure, ttlSeconds };
}

type RecordOf<T extends WireRecordType> = WireRecord & { readonly type: T; readonly data: WireRecordData[T] };

function recordsOf<T extends WireRecordType>(records: readonly WireRecord[], owner: string, type: T): RecordOf<T>[] {
  return records.filter((record): record is RecordOf<T> => record.type === type && record.owner === owner);
}
