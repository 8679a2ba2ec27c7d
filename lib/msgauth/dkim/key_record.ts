/** Key records in DNS: `SELECTOR._domainkey.DOMAIN` (RFC 6376 §3.6). */

import type { Resolver } from "../../dns/resolver.ts";
import type { PublicKey } from "./public_key.ts";
import { parseRsaPublicKey } from "./rsa.ts";
import type { SignatureAlgorithm, SignatureFault } from "./signature.ts";
import { colonList, decodeBase64, parseTagList, type TagList } from "./tag_list.ts";

/** A record with a key that can be used for a signature of some algorithm. */
export interface KeyRecord {
  /** `k=` and `p=` */
  readonly key: PublicKey;
  /** `t=y`: the domain is only trying. */
  readonly isTesting: boolean;
  /** `t=s`: the domain of `i=` is `d=` itself, not one below it. */
  readonly isStrict: boolean;
}

/** What a lookup of keys gives. */
export type KeyLookup =
  | { readonly kind: "keys"; /** At least one, at most three. */ readonly records: readonly KeyRecord[] }
  | {
    readonly kind: "none";
    readonly fault: SignatureFault;
    /** Of a key of a bad size. */
    readonly keyBits?: number;
    /** True: DNS has nothing that looks like a key there. */
    readonly isMissing: boolean;
  };

type ParsedRecord =
  | { readonly kind: "record"; readonly record: KeyRecord }
  /** Something else than a key record, as a wildcard record gives. */
  | { readonly kind: "other" }
  | UnusableRecord;

interface UnusableRecord {
  readonly kind: "unusable";
  readonly fault: SignatureFault;
  readonly keyBits?: number;
}

/** Where a key is and what it is for. */
export interface KeyQuery {
  /** `d=` in A-labels. */
  readonly domain: string;
  /** `s=` in A-labels. */
  readonly selector: string;
  /** `a=` */
  readonly algorithm: SignatureAlgorithm;
}

const MISSING: KeyLookup = {
  kind: "none",
  fault: { result: "permerror", problem: "no key in DNS" },
  isMissing: true,
};

/** A name on the wire has 255 octets, as text two less. */
const MAX_NAME_CHARACTERS = 253;
/** RFC 6376 §3.6.2.2 leaves open what several records mean: each is tried, and few are. */
const MAX_RECORDS = 3;

/**
 * Looks up the keys of a selector. Never rejects: what the resolver throws is a `temperror`, too.
 *
 * @param signal Ends the wait.
 */
export async function lookUpKeys(query: KeyQuery, resolver: Resolver, signal?: AbortSignal): Promise<KeyLookup> {
  const name = `${query.selector}._domainkey.${query.domain}`;
  if (name.length > MAX_NAME_CHARACTERS) return none("permerror", "the name of the key is too long");
  try {
    const answer = await resolver.lookup(name, "TXT", signal);
    switch (answer.kind) {
      case "found":
        return chooseKeys(answer.records, query.algorithm);
      case "failed":
        return none("temperror", `cannot look up the key: ${answer.reason}`);
      case "noData":
      case "noName":
        return MISSING;
    }
  } catch {
    return none("temperror", "cannot look up the key");
  }
}

/**
 * Chooses the usable ones of the TXT records of a name.
 *
 * @param records The strings of each joined, octets as Latin-1.
 * @returns The fault of the first key record where none can be used.
 */
export function chooseKeys(records: readonly string[], algorithm: SignatureAlgorithm): KeyLookup {
  const usable: KeyRecord[] = [];
  let unusable: UnusableRecord | undefined;
  for (const text of records) {
    const parsed = parseKeyRecord(text, algorithm);
    if (parsed.kind === "record") usable.push(parsed.record);
    else if (parsed.kind === "unusable") unusable ??= parsed;
    if (usable.length === MAX_RECORDS) break;
  }
  if (usable.length > 0) return { kind: "keys", records: usable };
  if (unusable === undefined) return MISSING;
  const { fault, keyBits } = unusable;
  return { kind: "none", fault, isMissing: false, ...keyBits !== undefined && { keyBits } };
}

/**
 * Reads one key record (RFC 6376 §3.6.1, RFC 8463 §4).
 *
 * ```
 * v=DKIM1  first, where it is there     h=  hash algorithms, all where missing    p=  key; empty: revoked
 * k=rsa    or ed25519; rsa where missing   s=  services: * or email                  t=  flags y and s
 * ```
 */
function parseKeyRecord(text: string, algorithm: SignatureAlgorithm): ParsedRecord {
  const list = parseTagList(text);
  if (list.kind === "malformed") {
    return /^[ \t]*v[ \t]*=[ \t]*DKIM1\b/.test(text)
      ? unusable(`malformed key record: ${list.problem}`)
      : { kind: "other" };
  }
  const { tags } = list;
  const version = tags.get("v");
  if (version !== undefined && version.value !== "DKIM1") return { kind: "other" };
  const rawKey = tags.get("p")?.value;
  if (rawKey === undefined) return version === undefined ? { kind: "other" } : unusable("key record without p=");
  if (version !== undefined && [...tags.keys()][0] !== "v") return unusable("key record whose v= is not first");
  const problem = findMisuse(tags, algorithm);
  if (problem !== undefined) return unusable(problem);
  if (rawKey === "") return unusable("the key is revoked");
  const parsed = parseKey(rawKey, algorithm);
  if (parsed.kind === "unusable") return parsed;
  const flags = tags.has("t") ? colonList(tags.get("t")?.value.toLowerCase() ?? "") : [];
  return {
    kind: "record",
    record: { key: parsed.key, isTesting: flags.includes("y"), isStrict: flags.includes("s") },
  };
}

type Tags = Extract<TagList, { kind: "tags" }>["tags"];

/** Whether the record is meant for this signature; in what it is not. */
function findMisuse(tags: Tags, algorithm: SignatureAlgorithm): string | undefined {
  const listOf = (name: string): readonly string[] | undefined =>
    tags.has(name) ? colonList(tags.get(name)?.value.toLowerCase() ?? "") : undefined;
  const keyType = (tags.get("k")?.value ?? "rsa").toLowerCase();
  if (`${keyType}-sha256` !== algorithm) return "the key is for another algorithm";
  if (listOf("h")?.includes("sha256") === false) return "the key is not for sha256";
  const services = listOf("s");
  if (services !== undefined && !services.includes("*") && !services.includes("email")) {
    return "the key is not for mail";
  }
  return undefined;
}

function parseKey(
  rawKey: string,
  algorithm: SignatureAlgorithm,
): { readonly kind: "key"; readonly key: PublicKey } | UnusableRecord {
  const octets = decodeBase64(rawKey);
  if (octets === undefined) return unusable("the key is no base64");
  if (algorithm === "ed25519-sha256") {
    if (octets.length !== 32) return unusable("the key is no Ed25519 key of 32 octets");
    return { kind: "key", key: { algorithm, octets } };
  }
  const parsed = parseRsaPublicKey(octets);
  switch (parsed.kind) {
    case "key":
      return parsed;
    case "malformed":
      return unusable("the key is no RSA key");
    case "badSize": {
      const problem = `the key has ${parsed.bits} bits, which is not from 1024 to 4096 (RFC 8301)`;
      return { kind: "unusable", fault: { result: "policy", problem }, keyBits: parsed.bits };
    }
  }
}

function unusable(problem: string): UnusableRecord {
  return { kind: "unusable", fault: { result: "permerror", problem } };
}

function none(result: SignatureFault["result"], problem: string): KeyLookup {
  return { kind: "none", fault: { result, problem }, isMissing: false };
}
