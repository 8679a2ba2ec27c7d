/** What the two signatures of an ARC set say, read strictly; nothing is looked up or computed here. */

import type { KeyQuery } from "../dkim/key_record.ts";
import {
  parseAlgorithm,
  parseSelector,
  parseSignatureTags,
  parseSigningDomain,
  type SignatureTags,
} from "../dkim/signature.ts";
import { colonList, decodeBase64, type Tag } from "../dkim/tag_list.ts";

/** An ARC-Seal: which key it was made with, and the signature. What it covers follows from its place in the chain. */
export interface ArcSeal extends KeyQuery {
  /** `b=` */
  readonly signature: Uint8Array<ArrayBuffer>;
}

type Tags = ReadonlyMap<string, Tag>;

/** Something that was read, or what is wrong with it, in one line for people. */
export type Parsed<T> = { readonly kind: "parsed"; readonly value: T } | {
  readonly kind: "unusable";
  readonly problem: string;
};

/**
 * Reads an ARC-Message-Signature: the tags of a DKIM-Signature without `v=`, and `i=` is the instance.
 *
 * It has to cover From, as every DKIM signature (RFC 6376 §5.4), and must not cover ARC-Seal. Others of the three fields must
 * not be covered either, but implementations take that, and it does no harm.
 *
 * @see RFC 8617 §4.1.2
 */
export function parseMessageSignature(tags: Tags): Parsed<SignatureTags> {
  const parsed = parseSignatureTags(tags);
  if ("problem" in parsed) return unusable(parsed.problem);
  if (!parsed.fieldNames.includes("from")) return unusable("From is not signed");
  if (parsed.fieldNames.includes("arc-seal")) return unusable("it covers ARC-Seal");
  const methods = tags.get("q");
  if (methods !== undefined && !colonList(methods.value.toLowerCase()).includes("dns/txt")) {
    return unusable("unknown query method in q=");
  }
  return { kind: "parsed", value: parsed };
}

/** Reads an ARC-Seal (RFC 8617 §4.1.3). Tags that are not its own mean nothing, but for `h=`, which it must not have. */
export function parseSeal(tags: Tags): Parsed<ArcSeal> {
  const valueOf = (name: string): string => tags.get(name)?.value ?? "";
  if (tags.has("h")) return unusable("it has h=");
  const algorithm = parseAlgorithm(valueOf("a"));
  if (typeof algorithm !== "string") return unusable(algorithm.problem);
  const domain = parseSigningDomain(valueOf("d"));
  if (domain === undefined) return unusable("d= is missing or malformed");
  const selector = parseSelector(valueOf("s"));
  if (selector === undefined) return unusable("s= is missing or malformed");
  if (tags.has("t") && !/^[0-9]{1,12}$/.test(valueOf("t"))) return unusable("malformed t=");
  const signature = decodeBase64(valueOf("b"));
  if (signature === undefined || signature.length === 0) return unusable("b= is missing or malformed");
  return { kind: "parsed", value: { algorithm, domain, selector, signature } };
}

function unusable<T>(problem: string): Parsed<T> {
  return { kind: "unusable", problem };
}
