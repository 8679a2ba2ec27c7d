/**
 * Whether the ARC chain of a message is good (RFC 8617 §5.2). The structure comes first: only where it is right are keys
 * looked up, while the body streams in, and signatures computed, at the end. The body is hashed by whoever hashes it for
 * DKIM as well.
 *
 * ```ts
 * const validator = new ArcValidator(header, { resolver, nowMs, signal });
 * const hasher = new BodyHasher([...dkim.bodyHashes, ...validator.bodyHashes]);
 * hasher.push(piece);
 * const finding = await validator.finish(hasher);
 * ```
 */

import type { Resolver } from "../../dns/resolver.ts";
import type { BodyHasher, BodyHashRequest } from "../dkim/body_hash.ts";
import {
  fieldOctets,
  headerHashInput,
  type IndexedHeader,
  selectFields,
  withEmptySignature,
} from "../dkim/header_hash.ts";
import type { KeyQuery } from "../dkim/key_record.ts";
import { verifySignature } from "../dkim/public_key.ts";
import { bodyHashOf, type SignatureTags } from "../dkim/signature.ts";
import { findFromFault, findTimeFault } from "../dkim/verify.ts";
import type { ArcFinding } from "../findings.ts";
import { ChainKeys } from "./keys.ts";
import { type ArcSet, readArcChain } from "./sets.ts";
import { type ArcSeal, parseMessageSignature, parseSeal } from "./signatures.ts";

/** What an {@linkcode ArcValidator} works with. */
export interface ArcValidatorOptions {
  /** For the keys. */
  readonly resolver: Resolver;
  /** When the message came, milliseconds since 1970. */
  readonly nowMs: number;
  /** Ends the lookups; the chain then fails as if DNS had. */
  readonly signal?: AbortSignal;
}

/** A chain whose structure is right, with everything that is to be proved. */
interface ReadChain {
  readonly sets: readonly ArcSet[];
  /** Of the newest set. */
  readonly signature: SignatureTags;
  /** Of all sets. */
  readonly seals: readonly ArcSeal[];
  readonly keys: ChainKeys;
}

/** Why something does not verify. */
interface Fault {
  readonly problem: string;
  /** Only because DNS gave no answer. */
  readonly isTransient?: true;
}

/** Seals that are computed before others get their turn on the event loop. */
const SEALS_OF_TURN = 2;

/**
 * Validates the chain of one message. Made when the header section is there, which starts the lookups of keys; then the body
 * goes through a {@linkcode BodyHasher} that was made with {@linkcode ArcValidator.bodyHashes}.
 *
 * The work is bounded: 50 seals, 51 keys, 8 lookups at a time, and 256 KiB of fields.
 */
export class ArcValidator {
  /** What {@linkcode ArcValidator.finish} will ask for: one hash, or none where the result is known already. */
  readonly bodyHashes: readonly BodyHashRequest[];
  readonly #header: IndexedHeader;
  /** What is to be proved, or the result. */
  readonly #begun: ReadChain | ArcFinding;

  /** Reads the fields and starts the lookups. @param header The header section as it came, without trace fields of ours. */
  constructor(header: IndexedHeader, options: ArcValidatorOptions) {
    this.#header = header;
    this.#begun = begin(header, options);
    this.bodyHashes = "seals" in this.#begun ? [bodyHashOf(this.#begun.signature)] : [];
  }

  /**
   * Proves the signatures, when the whole body was hashed. Never rejects. A key that cannot be looked up makes the chain fail
   * (RFC 8617 §5.2.1); `isTransient` tells it from one that is wrong.
   */
  async finish(hasher: Pick<BodyHasher, "hash">): Promise<ArcFinding> {
    const chain = this.#begun;
    if (!("seals" in chain)) return chain;
    const fault = await this.#findFault(chain, hasher);
    const { sets, seals } = chain;
    const sealers = seals.map(({ domain }) => domain);
    if (fault !== undefined) return { result: "fail", sealers, instance: sets.length, ...fault };
    const authenticationResults = sets.map(({ rawResults }) => rawResults);
    return { result: "pass", sealers, authenticationResults, instance: sets.length };
  }

  /** RFC 8617 §5.2, steps 4 and 6: the newest ARC-Message-Signature, and all seals from the newest on. */
  async #findFault(chain: ReadChain, hasher: Pick<BodyHasher, "hash">): Promise<Fault | undefined> {
    const { sets, seals } = chain;
    const newest = await this.#checkMessageSignature(chain, hasher);
    if (newest !== undefined) return { ...newest, problem: `ARC-Message-Signature ${sets.length}: ${newest.problem}` };
    for (let index = seals.length - 1; index >= 0; index--) {
      if (index % SEALS_OF_TURN === SEALS_OF_TURN - 1) await new Promise<void>((resolve) => setTimeout(resolve));
      const seal = seals[index];
      const fault = seal && await this.#checkSeal(chain, index, seal);
      if (fault !== undefined) return { ...fault, problem: `ARC-Seal ${index + 1}: ${fault.problem}` };
    }
    return undefined;
  }

  async #checkMessageSignature(
    { sets, signature, keys }: ReadChain,
    hasher: Pick<BodyHasher, "hash">,
  ): Promise<Fault | undefined> {
    const header = this.#header;
    const field = sets.at(-1)?.signature;
    if (field === undefined) return { problem: "it is missing" };
    const { sha256, octets } = hasher.hash(bodyHashOf(signature));
    if (!areSame(sha256, signature.bodyHash)) return { problem: "the body was changed" };
    // What is behind l= may be anybody's.
    if (octets > (signature.bodyOctets ?? octets)) return { problem: "a part of the body is not signed" };
    const input = headerHashInput({
      header,
      fields: selectFields(header, signature.fieldNames),
      canonicalization: signature.canonicalization.header,
      signatureField: withEmptySignature(fieldOctets(header, field)),
    });
    return await prove(keys, signature, input);
  }

  /** A seal covers all sets up to its own, oldest first, and in each results, signature, seal (RFC 8617 §5.1.1). */
  async #checkSeal({ sets, keys }: ReadChain, index: number, seal: ArcSeal): Promise<Fault | undefined> {
    const header = this.#header;
    const own = sets[index];
    if (own === undefined) return { problem: "it is missing" };
    const before = sets.slice(0, index).flatMap(({ results, signature, seal }) => [results, signature, seal]);
    const input = headerHashInput({
      header,
      fields: [...before, own.results, own.signature],
      canonicalization: "relaxed",
      signatureField: withEmptySignature(fieldOctets(header, own.seal)),
    });
    return await prove(keys, seal, input);
  }
}

/** Reads all signatures of a chain, and asks for their keys where all can be read. */
function begin(header: IndexedHeader, { resolver, nowMs, signal }: ArcValidatorOptions): ReadChain | ArcFinding {
  const chain = readArcChain(header);
  if (chain.kind === "none") return { result: "none", sealers: [] };
  if (chain.kind === "broken") {
    const { problem, highestInstance, isEnded } = chain;
    return {
      result: "fail",
      sealers: [],
      problem,
      ...highestInstance > 0 && { instance: highestInstance },
      ...isEnded && { isEnded },
    };
  }
  const { sets } = chain;
  const fail = (problem: string): ArcFinding => ({ result: "fail", sealers: [], problem, instance: sets.length });
  const signature = parseMessageSignature(sets.at(-1)?.signatureTags ?? new Map());
  const fault = signature.kind === "unusable"
    ? signature
    : findTimeFault(signature.value, nowMs) ?? findFromFault(signature.value, header);
  if (signature.kind === "unusable" || fault !== undefined) {
    return fail(`ARC-Message-Signature ${sets.length}: ${fault?.problem}`);
  }
  const seals: ArcSeal[] = [];
  for (const { instance, sealTags } of sets) {
    const seal = parseSeal(sealTags);
    if (seal.kind === "unusable") return fail(`ARC-Seal ${instance}: ${seal.problem}`);
    seals.push(seal.value);
  }
  const keys = new ChainKeys([signature.value, ...seals.toReversed()], resolver, signal);
  return { sets, signature: signature.value, seals, keys };
}

async function prove(
  keys: ChainKeys,
  signed: KeyQuery & { readonly signature: Uint8Array<ArrayBuffer> },
  input: Uint8Array,
): Promise<Fault | undefined> {
  const lookup = await keys.get(signed);
  if (lookup.kind === "none") {
    const { problem, result } = lookup.fault;
    return { problem, ...result === "temperror" && { isTransient: true } };
  }
  for (const { key } of lookup.records) {
    if (await verifySignature(key, input, signed.signature)) return undefined;
  }
  return { problem: "the signature does not match" };
}

function areSame(a: Uint8Array | undefined, b: Uint8Array): boolean {
  return a !== undefined && a.length === b.length && a.every((octet, index) => octet === b[index]);
}
