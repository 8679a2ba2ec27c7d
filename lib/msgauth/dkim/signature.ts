/** The DKIM-Signature field: what it says, read strictly (RFC 6376 §3.5), and what is wrong with it before any lookup. */

import { normalizeDomain } from "../../mail/mailbox.ts";
import type { DkimFinding } from "../findings.ts";
import type { BodyHashRequest } from "./body_hash.ts";
import type { Canonicalization, Canonicalizations } from "./canonicalize.ts";
import { colonList, decodeBase64, decodeUtf8Value, parseTagList, type Tag, type Tags, withoutFws } from "./tag_list.ts";

/** The algorithms that count today (RFC 8301 §3.1, RFC 8463 §3). */
export type SignatureAlgorithm = "rsa-sha256" | "ed25519-sha256";

/** Why a signature does not pass. */
export interface SignatureFault {
  /** Anything but `pass`. */
  readonly result: Exclude<DkimFinding["result"], "pass">;
  /** In one line, for people. */
  readonly problem: string;
}

/** What a DKIM-Signature and an ARC-Message-Signature have in common. */
export interface SignatureTags {
  /** `a=` */
  readonly algorithm: SignatureAlgorithm;
  /** `b=` */
  readonly signature: Uint8Array<ArrayBuffer>;
  /** `bh=`, 32 octets. */
  readonly bodyHash: Uint8Array;
  /** `c=` */
  readonly canonicalization: Canonicalizations;
  /** `d=`, A-labels, lower case. */
  readonly domain: string;
  /** `h=`, names in lower case. */
  readonly fieldNames: readonly string[];
  /** `l=`; absent: the whole body. Infinity for a number beyond any message. */
  readonly bodyOctets?: number;
  /** `s=`, A-labels, lower case. */
  readonly selector: string;
  /** `t=`, seconds since 1970. */
  readonly signedAtSeconds?: number;
  /** `x=`, seconds since 1970. */
  readonly expiresAtSeconds?: number;
}

/** A DKIM-Signature. */
export interface DkimSignature extends SignatureTags {
  /** `i=`, decoded, or `@` and the domain where it is missing. */
  readonly identity: string;
  /** The domain of `i=`, A-labels, lower case. */
  readonly identityDomain: string;
}

/** The facts about a signature that a finding shows, as far as they can be read. */
export type SignatureFacts = Pick<DkimFinding, "domain" | "selector" | "algorithm" | "identity"> & {
  /** `b=` without white space; absent where there is none. */
  readonly rawSignature?: string;
};

/** A DKIM-Signature field that was read. */
export type ParsedSignature =
  | {
    readonly kind: "signature";
    readonly signature: DkimSignature;
    readonly facts: SignatureFacts;
    /** Where `b=` is. */
    readonly signatureTag: Tag | undefined;
  }
  | { readonly kind: "unusable"; readonly fault: SignatureFault; readonly facts: SignatureFacts };

/** Stops the reading of one field; never leaves this file. */
class Unusable extends Error {
  readonly fault: SignatureFault;

  constructor(result: SignatureFault["result"], problem: string) {
    super(problem);
    this.fault = { result, problem };
  }
}

/**
 * Reads the value of a DKIM-Signature field. What is no signature that can be understood is `neutral`, what lacks a
 * required tag or contradicts itself `permerror` (RFC 8601 §2.7.1), what leaves From unsigned `policy`.
 *
 * @param rawValue Octets as Latin-1, with its folds, without its last line end.
 */
export function parseSignature(rawValue: string): ParsedSignature {
  const list = parseTagList(rawValue);
  if (list.kind === "malformed") {
    return { kind: "unusable", fault: { result: "neutral", problem: `malformed: ${list.problem}` }, facts: {} };
  }
  const facts = signatureFacts(list.tags);
  try {
    return { kind: "signature", signature: readSignature(list.tags), facts, signatureTag: list.tags.get("b") };
  } catch (error) {
    if (error instanceof Unusable) return { kind: "unusable", fault: error.fault, facts };
    throw error;
  }
}

/**
 * Reads the tags that a DKIM-Signature shares with the ARC-Message-Signature (RFC 8617 §4.1.2).
 *
 * @returns A fault where they cannot be used.
 */
export function parseSignatureTags(tags: Tags): SignatureTags | SignatureFault {
  try {
    return readTags(tags);
  } catch (error) {
    if (error instanceof Unusable) return error.fault;
    throw error;
  }
}

/** The hash of the body that a signature needs. */
export function bodyHashOf({ canonicalization, bodyOctets }: SignatureTags): BodyHashRequest {
  return { canonicalization: canonicalization.body, ...bodyOctets !== undefined && { octets: bodyOctets } };
}

/**
 * Reads `a=`.
 *
 * @param rawValue The value of the tag.
 * @returns A fault for what is historic (RFC 8301 §3.1) or unknown.
 */
export function parseAlgorithm(rawValue: string): SignatureAlgorithm | SignatureFault {
  const algorithm = rawValue.toLowerCase();
  if (algorithm === "rsa-sha256" || algorithm === "ed25519-sha256") return algorithm;
  if (algorithm === "rsa-sha1") return { result: "permerror", problem: "rsa-sha1 does not count any more (RFC 8301)" };
  return { result: "neutral", problem: "unknown algorithm" };
}

/**
 * Reads the domain of `d=` and the like, which has two labels or more.
 *
 * @returns A-labels in lower case; undefined where it is no domain name.
 */
export function parseSigningDomain(rawValue: string): string | undefined {
  const domain = parseSelector(rawValue);
  return domain?.includes(".") ? domain : undefined;
}

/** Reads `s=`, which has one label or more. @returns A-labels in lower case; undefined where it is none. */
export function parseSelector(rawValue: string): string | undefined {
  return normalizeDomain(decodeUtf8Value(rawValue) ?? "");
}

function signatureFacts(tags: Tags): SignatureFacts {
  const [domain, selector] = [parseSigningDomain(valueOf(tags, "d")), parseSelector(valueOf(tags, "s"))];
  const algorithm = valueOf(tags, "a").toLowerCase();
  const identity = tags.has("i") ? decodeIdentity(valueOf(tags, "i")) : domain && `@${domain}`;
  const rawSignature = withoutFws(valueOf(tags, "b"));
  return {
    ...domain !== undefined && { domain },
    ...selector !== undefined && { selector },
    ...identity !== undefined && isShowable(identity) && { identity },
    // Whatever stands there goes into our own header field: only what looks like an algorithm.
    ...isAlgorithmName(algorithm) && { algorithm },
    ...BASE64.test(rawSignature) && { rawSignature },
  };
}

const BASE64 = /^[A-Za-z0-9+/]+={0,2}$/;

function isAlgorithmName(text: string): boolean {
  return text.length <= 40 && /^[a-z][a-z0-9]*-[a-z][a-z0-9]*$/.test(text);
}

function isShowable(identity: string): boolean {
  return identity.length <= 320 && !/[\x00-\x20\x7f-\x9f]/.test(identity);
}

function readSignature(tags: Tags): DkimSignature {
  const version = requiredValue(tags, "v");
  if (version !== "1") throw new Unusable("neutral", "unknown version");
  const common = readTags(tags);
  if (!common.fieldNames.includes("from")) throw new Unusable("policy", "From is not signed");
  if (tags.has("q") && !colonList(valueOf(tags, "q").toLowerCase()).includes("dns/txt")) {
    throw new Unusable("neutral", "unknown query method in q=");
  }
  return { ...common, ...readIdentity(tags, common.domain) };
}

function readTags(tags: Tags): SignatureTags {
  const algorithm = parseAlgorithm(requiredValue(tags, "a"));
  if (typeof algorithm !== "string") throw new Unusable(algorithm.result, algorithm.problem);
  const [rawDomain, rawSelector] = [requiredValue(tags, "d"), requiredValue(tags, "s")];
  const domain = parseSigningDomain(rawDomain) ?? malformed("d=");
  const selector = parseSelector(rawSelector) ?? malformed("s=");
  const [rawNames, rawBodyHash, rawSignature] = [
    requiredValue(tags, "h"),
    requiredValue(tags, "bh"),
    requiredValue(tags, "b"),
  ];
  const bodyHash = decodeBase64(rawBodyHash);
  if (bodyHash?.length !== 32) malformed("bh=");
  const signature = decodeBase64(rawSignature) ?? malformed("b=");
  const bodyOctets = readNumber(tags, "l", 76);
  return {
    algorithm,
    signature,
    bodyHash: bodyHash as Uint8Array,
    canonicalization: readCanonicalization(tags),
    domain,
    fieldNames: readFieldNames(rawNames),
    selector,
    ...bodyOctets !== undefined && { bodyOctets },
    ...readTimes(tags),
  };
}

function valueOf(tags: Tags, name: string): string {
  return tags.get(name)?.value ?? "";
}

function requiredValue(tags: Tags, name: string): string {
  const tag = tags.get(name);
  if (tag === undefined) throw new Unusable("permerror", `${name}= is missing`);
  if (tag.value === "") malformed(`${name}=`);
  return tag.value;
}

function malformed(what: string): never {
  throw new Unusable("neutral", `malformed ${what}`);
}

/** sig-c-tag-alg [ "/" sig-c-tag-alg ]; the second one is `simple` where it is missing. */
function readCanonicalization(tags: Tags): Canonicalizations {
  if (!tags.has("c")) return { header: "simple", body: "simple" };
  const [header = "", body = "simple", ...more] = valueOf(tags, "c").toLowerCase().split("/");
  if (!isCanonicalization(header) || !isCanonicalization(body) || more.length > 0) {
    throw new Unusable("neutral", "unknown canonicalization in c=");
  }
  return { header, body };
}

function isCanonicalization(text: string): text is Canonicalization {
  return text === "simple" || text === "relaxed";
}

/** hdr-name *( [FWS] ":" [FWS] hdr-name ); hdr-name is a field-name of RFC 5322 §3.6.8. */
function readFieldNames(rawNames: string): readonly string[] {
  const names = colonList(rawNames.toLowerCase());
  if (!names.every((name) => /^[\x21-\x39\x3b-\x7e]+$/.test(name))) malformed("h=");
  return names;
}

function readTimes(tags: Tags): Pick<SignatureTags, "signedAtSeconds" | "expiresAtSeconds"> {
  const [signedAtSeconds, expiresAtSeconds] = [readNumber(tags, "t", 12), readNumber(tags, "x", 12)];
  if (signedAtSeconds !== undefined && expiresAtSeconds !== undefined && expiresAtSeconds <= signedAtSeconds) {
    throw new Unusable("permerror", "x= is not after t=");
  }
  return {
    ...signedAtSeconds !== undefined && { signedAtSeconds },
    ...expiresAtSeconds !== undefined && { expiresAtSeconds },
  };
}

function readNumber(tags: Tags, name: string, maxDigits: number): number | undefined {
  const tag = tags.get(name);
  if (tag === undefined) return undefined;
  if (!/^[0-9]+$/.test(tag.value) || tag.value.length > maxDigits) malformed(`${name}=`);
  const number = Number(tag.value);
  return Number.isSafeInteger(number) ? number : Infinity;
}

/** [ Local-part ] "@" domain-name, in dkim-quoted-printable; the domain is `d=` or below it (RFC 6376 §3.5, i=). */
function readIdentity(tags: Tags, domain: string): Pick<DkimSignature, "identity" | "identityDomain"> {
  if (!tags.has("i")) return { identity: `@${domain}`, identityDomain: domain };
  const identity = decodeIdentity(valueOf(tags, "i"));
  const at = identity?.lastIndexOf("@") ?? -1;
  if (identity === undefined || at < 0) malformed("i=");
  const identityDomain = normalizeDomain(identity.slice(at + 1)) ?? malformed("i=");
  if (identityDomain !== domain && !identityDomain.endsWith(`.${domain}`)) {
    throw new Unusable("permerror", "the domain of i= is not within d=");
  }
  return { identity, identityDomain };
}

/** dkim-quoted-printable (RFC 6376 §2.11): white space means nothing, `=3B` is an octet; then UTF-8. */
function decodeIdentity(rawValue: string): string | undefined {
  const octets = withoutFws(rawValue).replace(
    /=([0-9A-Fa-f]{2})/g,
    (_, hex: string) => String.fromCharCode(parseInt(hex, 16)),
  );
  return decodeUtf8Value(octets);
}
