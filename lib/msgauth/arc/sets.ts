/**
 * The ARC sets of a message: its three kinds of field, sorted by instance, and whether they form a chain at all. No key is
 * asked for and nothing is computed here, so a message with thousands of broken fields costs one look at each.
 *
 * @see RFC 8617 §4.1, §4.2, §5.2
 */

import type { HeaderField } from "../../mail/header.ts";
import { fieldsNamed, type IndexedHeader, rawFieldValue } from "../dkim/header_hash.ts";
import { parseTagList, type Tag } from "../dkim/tag_list.ts";

/** The most sets that a message may have, and the highest instance (RFC 8617 §4.2.1). */
export const MAX_ARC_SETS = 50;

/** Octets of all ARC fields of a message; each seal is made over all fields before it, so the work grows with the square. */
const MAX_ARC_OCTETS = 256 * 1024;

/** How the sealer found the chain that it continued (`cv=`, RFC 8617 §4.4). */
export type ChainStatus = "none" | "pass" | "fail";

/** One ARC set, whose fields can be read. */
export interface ArcSet {
  /** `i=`, from 1 on. */
  readonly instance: number;
  /** ARC-Authentication-Results. */
  readonly results: HeaderField;
  /** What the sealer found out: the value after `i=…;`, as RFC 8601 has it, with its folds; octets as Latin-1. */
  readonly rawResults: string;
  /** ARC-Message-Signature. */
  readonly signature: HeaderField;
  /** Its tags. */
  readonly signatureTags: ReadonlyMap<string, Tag>;
  /** ARC-Seal. */
  readonly seal: HeaderField;
  /** Its tags. */
  readonly sealTags: ReadonlyMap<string, Tag>;
}

/** What the ARC fields of a message are. */
export type ArcChain =
  /** There are none. */
  | { readonly kind: "none" }
  /** Sets 1, 2, … without a gap, each complete, with the right `cv=`. Nothing is proved yet. */
  | { readonly kind: "chain"; /** From the oldest on; at least one. */ readonly sets: readonly ArcSet[] }
  /** No chain: it fails whatever the signatures are. */
  | {
    readonly kind: "broken";
    /** In one line, for people. */
    readonly problem: string;
    /** The highest instance that a field names, within 1 to 50; 0: none does. */
    readonly highestInstance: number;
    /** The newest seal says itself that the chain failed: nothing is added to it any more (RFC 8617 §5.1). */
    readonly isEnded: boolean;
  };

type Kind = "results" | "signature" | "seal";

const NAMES: readonly (readonly [Kind, name: string, shown: string])[] = [
  ["results", "arc-authentication-results", "ARC-Authentication-Results"],
  ["signature", "arc-message-signature", "ARC-Message-Signature"],
  ["seal", "arc-seal", "ARC-Seal"],
];

/** The fields of one instance, as far as they were found. */
type PartialSet = { -readonly [K in keyof ArcSet]?: ArcSet[K] };

/** Sorts the ARC fields of a message into sets and checks the structure of the chain (RFC 8617 §5.2, steps 1 to 3). */
export function readArcChain(header: IndexedHeader): ArcChain {
  const all = NAMES.map(([, name]) => fieldsNamed(header, name));
  const count = all.reduce((sum, { length }) => sum + length, 0);
  if (count === 0) return { kind: "none" };
  const octets = all.flat().reduce((sum, { start, end }) => sum + end - start, 0);
  if (count > MAX_ARC_SETS * NAMES.length) return broken(`there are more than ${MAX_ARC_SETS} sets`, MAX_ARC_SETS);
  if (octets > MAX_ARC_OCTETS) return broken("the fields are too large", MAX_ARC_SETS);
  const sets = new Map<number, PartialSet>();
  const problems: string[] = [];
  for (const [kind, name, shown] of NAMES) {
    for (const field of fieldsNamed(header, name)) {
      const problem = collect(sets, kind, field, rawFieldValue(header, field));
      if (problem !== undefined) problems.push(`${shown}: ${problem}`);
    }
  }
  const highest = Math.max(0, ...sets.keys());
  const isEnded = sets.get(highest)?.sealTags?.get("cv")?.value === "fail";
  if (isEnded) return broken(`ARC-Seal ${highest} says that the chain failed before`, highest, true);
  const [first] = problems;
  return first === undefined ? checkStructure(sets, highest) : broken(first, highest);
}

/** Puts a field into its set. @returns What is wrong with it. */
function collect(
  sets: Map<number, PartialSet>,
  kind: Kind,
  field: HeaderField,
  rawValue: string,
): string | undefined {
  let set: PartialSet;
  if (kind === "results") {
    const parts = parseResults(rawValue);
    if (parts === undefined) return "it does not begin with an instance";
    set = { instance: parts.instance, results: field, rawResults: parts.rawResults };
  } else {
    const list = parseTagList(rawValue);
    if (list.kind === "malformed") return list.problem;
    const instance = parseInstance(list.tags.get("i")?.value ?? "");
    if (instance === undefined) return `i= is no number from 1 to ${MAX_ARC_SETS}`;
    set = kind === "seal"
      ? { instance, seal: field, sealTags: list.tags }
      : { instance, signature: field, signatureTags: list.tags };
  }
  const known = sets.get(set.instance ?? 0);
  if (known?.[kind] !== undefined) return `there are two of instance ${set.instance}`;
  sets.set(set.instance ?? 0, { ...known, ...set });
  return undefined;
}

function checkStructure(sets: ReadonlyMap<number, PartialSet>, highest: number): ArcChain {
  const chain: ArcSet[] = [];
  for (let instance = 1; instance <= highest; instance++) {
    const set = sets.get(instance) ?? {};
    for (const [kind, , shown] of NAMES) {
      if (set[kind] === undefined) return broken(`there is no ${shown} of instance ${instance}`, highest);
    }
    const status = set.sealTags?.get("cv")?.value;
    const expected: ChainStatus = instance === 1 ? "none" : "pass";
    if (status !== expected) return broken(`ARC-Seal ${instance} has not cv=${expected}`, highest);
    chain.push(set as ArcSet);
  }
  return { kind: "chain", sets: chain };
}

/**
 * Divides an ARC-Authentication-Results into its instance and what RFC 8601 calls authres-payload (RFC 8617 §4.1.1, §3.9).
 *
 * ```
 * arc-info = instance [CFWS] ";" authres-payload
 * instance = [CFWS] %s"i" [CFWS] "=" [CFWS] position
 * position = 1*2DIGIT   ; 1 - 50
 * ```
 */
function parseResults(rawValue: string): { readonly instance: number; readonly rawResults: string } | undefined {
  let at = skipCfws(rawValue, 0);
  for (const expected of ["i", "="]) {
    if (rawValue[at] !== expected) return undefined;
    at = skipCfws(rawValue, at + 1);
  }
  const digits = /^\d*/.exec(rawValue.slice(at, at + 3))?.[0] ?? "";
  const instance = parseInstance(digits);
  at = skipCfws(rawValue, at + digits.length);
  if (instance === undefined || rawValue[at] !== ";") return undefined;
  return { instance, rawResults: rawValue.slice(at + 1) };
}

function parseInstance(digits: string): number | undefined {
  const instance = /^\d{1,2}$/.test(digits) ? Number(digits) : 0;
  return instance >= 1 && instance <= MAX_ARC_SETS ? instance : undefined;
}

const OPEN = 0x28;
const CLOSE = 0x29;
const BACKSLASH = 0x5c;

/** Passes over white space, folds and comments, which may hold comments (RFC 5322 §3.2.2). @returns The next offset. */
function skipCfws(text: string, start: number): number {
  let depth = 0;
  let at = start;
  for (; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code === OPEN) depth++;
    else if (depth > 0) {
      if (code === CLOSE) depth--;
      else if (code === BACKSLASH) at++;
    } else if (code !== 0x20 && code !== 0x09 && code !== 0x0d && code !== 0x0a) break;
  }
  return at;
}

function broken(problem: string, highestInstance: number, isEnded = false): ArcChain {
  return { kind: "broken", problem, highestInstance, isEnded };
}
