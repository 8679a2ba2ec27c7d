/** Checks the DKIM-Signature fields of a message while it comes in (RFC 6376 §6). */

import type { Resolver } from "../../dns/resolver.ts";
import type { DkimFinding } from "../findings.ts";
import type { BodyHash, BodyHasher, BodyHashRequest } from "./body_hash.ts";
import {
  fieldOctets,
  fieldsNamed,
  headerHashInput,
  type IndexedHeader,
  rawFieldValue,
  selectFields,
  withEmptySignature,
} from "./header_hash.ts";
import { type KeyLookup, type KeyRecord, lookUpKeys } from "./key_record.ts";
import { verifySignature } from "./public_key.ts";
import {
  bodyHashOf,
  type DkimSignature,
  type ParsedSignature,
  parseSignature,
  type SignatureFacts,
  type SignatureFault,
  type SignatureTags,
} from "./signature.ts";
import { signatureStarts } from "./signature_start.ts";

/** More signatures are not looked at: mailing lists and services leave two to five. */
export const MAX_SIGNATURES = 10;
/** A longer DKIM-Signature is not looked at, in octets; one with RSA-4096, a long `h=` and `z=` stays below. */
export const MAX_SIGNATURE_FIELD_OCTETS = 32 * 1024;
/** How wrong the clock of a signer, or ours, may be (`t=` in the future, `x=` just over). */
const CLOCK_LEEWAY_SECONDS = 3600;
/** Computed without a break; RSA with 4,096 bits and a hostile exponent takes 1.2 ms of the event loop, for each key. */
const SIGNATURES_OF_TURN = 2;

/** What a {@linkcode DkimVerifier} works with. */
export interface DkimVerifierOptions {
  /** For the keys. */
  readonly resolver: Resolver;
  /** When the message came, milliseconds since 1970. */
  readonly nowMs: number;
  /** Ends the lookups. */
  readonly signal?: AbortSignal;
}

/** One field that is looked at. */
interface Candidate {
  readonly octets: Uint8Array;
  readonly parsed: ParsedSignature;
  /** Begun with the header; only of a signature without fault. */
  readonly keys?: Promise<KeyLookup>;
}

/**
 * Verifies the signatures of one message. Made when the header section is there, which starts the lookups of keys; then
 * the body goes through a {@linkcode BodyHasher} that was made with {@linkcode DkimVerifier.bodyHashes}.
 *
 * The work is bounded: {@linkcode MAX_SIGNATURES}, two passes over the body, and at most three keys for each signature.
 */
export class DkimVerifier {
  /** The hashes that {@linkcode DkimVerifier.finish} asks of the body hasher. */
  readonly bodyHashes: readonly BodyHashRequest[];
  readonly #header: IndexedHeader;
  readonly #nowMs: number;
  readonly #candidates: readonly Candidate[];
  readonly #ignored: number;

  /**
   * Reads the signatures and starts the lookups.
   *
   * @param header The header section as it came, without trace fields of ours.
   */
  constructor(header: IndexedHeader, { resolver, nowMs, signal }: DkimVerifierOptions) {
    this.#header = header;
    this.#nowMs = nowMs;
    const fields = fieldsNamed(header, "dkim-signature");
    this.#ignored = Math.max(0, fields.length - MAX_SIGNATURES);
    const lookups = new Map<string, Promise<KeyLookup>>();
    this.#candidates = fields.slice(0, MAX_SIGNATURES).map((field) => {
      const octets = fieldOctets(header, field);
      const parsed = octets.length > MAX_SIGNATURE_FIELD_OCTETS ? TOO_LONG : this.#check(rawFieldValue(header, field));
      if (parsed.kind === "unusable") return { octets, parsed };
      const { domain, selector, algorithm } = parsed.signature;
      const name = `${algorithm} ${selector}._domainkey.${domain}`;
      const keys = lookups.get(name) ?? lookUpKeys(parsed.signature, resolver, signal);
      lookups.set(name, keys);
      return { octets, parsed, keys };
    });
    this.bodyHashes = this.#candidates.flatMap(({ parsed }) =>
      parsed.kind === "signature" ? [bodyHashOf(parsed.signature)] : []
    );
  }

  /** Reads a signature and finds what needs neither key nor body. */
  #check(rawValue: string): ParsedSignature {
    const parsed = parseSignature(rawValue);
    if (parsed.kind === "unusable") return parsed;
    const fault = findTimeFault(parsed.signature, this.#nowMs) ?? findFromFault(parsed.signature, this.#header);
    return fault === undefined ? parsed : { kind: "unusable", fault, facts: parsed.facts };
  }

  /**
   * Gives the findings, in the order of the fields; for all fields beyond {@linkcode MAX_SIGNATURES} one together. Call it
   * when the body is over. Never rejects, and takes no longer than the lookups.
   *
   * @param bodyHasher Made with {@linkcode DkimVerifier.bodyHashes}, among others.
   */
  async finish(bodyHasher: BodyHasher): Promise<DkimFinding[]> {
    const starts = signatureStarts(this.#candidates.map(({ parsed }) => parsed.facts.rawSignature));
    const findings: DkimFinding[] = [];
    for (const [at, candidate] of this.#candidates.entries()) {
      const start = starts[at];
      const facts = { ...shownFacts(candidate.parsed.facts), ...start !== undefined && { signatureStart: start } };
      // What honest mail has is computed at once.
      if (at > 0 && at % SIGNATURES_OF_TURN === 0 && candidate.keys !== undefined) await othersTurn();
      findings.push({ isTesting: false, ...facts, ...await this.#finding(candidate, bodyHasher) });
    }
    if (this.#ignored > 0) {
      const problem = `${this.#ignored} more signatures were not looked at: at most ${MAX_SIGNATURES} are`;
      findings.push({ result: "policy", isTesting: false, problem });
    }
    return findings;
  }

  async #finding({ octets, parsed, keys }: Candidate, bodyHasher: BodyHasher): Promise<Judgement> {
    if (parsed.kind === "unusable") return parsed.fault;
    const { signature } = parsed;
    const body = bodyHasher.hash(bodyHashOf(signature));
    // Before the lookup is waited for, and before any RSA.
    const bodyFault = findBodyFault(signature, body);
    if (bodyFault !== undefined || keys === undefined) return bodyFault ?? TOO_LONG.fault;
    const lookup = await keys;
    if (lookup.kind === "none") {
      return { ...lookup.fault, ...lookup.keyBits !== undefined && { keyBits: lookup.keyBits } };
    }
    const message = headerHashInput({
      header: this.#header,
      fields: selectFields(this.#header, signature.fieldNames),
      canonicalization: signature.canonicalization.header,
      signatureField: withEmptySignature(octets, parsed.signatureTag),
    });
    return await judge(signature, { message, body, records: lookup.records });
  }
}

/** The part of a finding that is no fact of the field. */
type Judgement = Pick<DkimFinding, "result" | "problem" | "keyBits" | "unsignedOctets"> & { isTesting?: boolean };

const TOO_LONG = {
  kind: "unusable",
  fault: { result: "neutral", problem: `longer than ${MAX_SIGNATURE_FIELD_OCTETS} octets` },
  facts: {},
} as const;

function shownFacts({ rawSignature: _, ...facts }: SignatureFacts): Omit<SignatureFacts, "rawSignature"> {
  return facts;
}

/** Whether a signature is from the future or has expired, an hour either way left to wrong clocks. */
export function findTimeFault(
  { signedAtSeconds = 0, expiresAtSeconds = Infinity }: SignatureTags,
  nowMs: number,
): SignatureFault | undefined {
  const nowSeconds = nowMs / 1000;
  if (signedAtSeconds > nowSeconds + CLOCK_LEEWAY_SECONDS) return { result: "policy", problem: "signed in the future" };
  if (expiresAtSeconds < nowSeconds - CLOCK_LEEWAY_SECONDS) return { result: "policy", problem: "expired" };
  return undefined;
}

/**
 * A message has one From field (RFC 5322 §3.6). A second one that is not signed might be the one that readers see
 * (RFC 6376 §8.15).
 */
export function findFromFault({ fieldNames }: SignatureTags, header: IndexedHeader): SignatureFault | undefined {
  const there = fieldsNamed(header, "from").length;
  if (there === 0) return { result: "permerror", problem: "the message has no From field" };
  const signed = fieldNames.filter((name) => name === "from").length;
  return there > signed
    ? { result: "policy", problem: `${there} From fields, and ${signed} of them signed` }
    : undefined;
}

function findBodyFault({ bodyHash }: SignatureTags, { sha256 }: BodyHash): SignatureFault | undefined {
  if (sha256 === undefined) return { result: "permerror", problem: "l= is more than the body has" };
  return areEqual(sha256, bodyHash) ? undefined : { result: "fail", problem: "the body was changed" };
}

/** Both are public: no need to take the same time always. */
function areEqual(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((octet, at) => octet === b[at]);
}

interface Evidence {
  readonly message: Uint8Array;
  readonly body: BodyHash;
  readonly records: readonly KeyRecord[];
}

/**
 * Tries the keys. A signature that verifies and leaves octets of the body out (`l=`) is `policy`: whoever had the message
 * could write below it what the signer never saw (RFC 6376 §8.2), and a reader cannot tell where the signed part ends.
 */
async function judge(signature: DkimSignature, { message, body, records }: Evidence): Promise<Judgement> {
  const unsigned = body.octets - Math.min(signature.bodyOctets ?? Infinity, body.octets);
  const beside = unsigned > 0 ? { unsignedOctets: unsigned } : {};
  for (const [at, { key, isTesting, isStrict }] of records.entries()) {
    if (at > 0) await othersTurn();
    if (!await verifySignature(key, message, signature.signature)) continue;
    const facts = { isTesting, ...keyBitsOf(key), ...beside };
    if (isStrict && signature.identityDomain !== signature.domain) {
      return { result: "permerror", problem: "the key is not for domains below d=", ...facts };
    }
    if (unsigned === 0) return { result: "pass", ...facts };
    return { result: "policy", problem: `${unsigned} octets of the body are not signed`, ...facts };
  }
  const [first] = records;
  const facts = first === undefined ? {} : { isTesting: first.isTesting, ...keyBitsOf(first.key) };
  return { result: "fail", problem: "the signature does not fit the header", ...facts, ...beside };
}

function othersTurn(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve));
}

function keyBitsOf(key: KeyRecord["key"]): Pick<DkimFinding, "keyBits"> {
  return key.algorithm === "rsa-sha256" ? { keyBits: key.bits } : {};
}
