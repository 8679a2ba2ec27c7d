/** Which keys sign the mail of our domains now: those that DNS shows, so that a new key waits until receivers can find it. */

import type { Resolver } from "../../dns/resolver.ts";
import type { Logger } from "../../log/logger.ts";
import type { Clock } from "../../system/clock.ts";
import { type Files, readSmallText } from "../../system/files.ts";
import { dkimKeyPath, dkimPair, dkimRecordName } from "./key.ts";
import { chooseKeys, type KeyLookup, lookUpKeys } from "./key_record.ts";
import { dkimTxtValue, readPrivateKey } from "./private_key.ts";
import type { PublicKey } from "./public_key.ts";
import type { SigningKey } from "./sign.ts";

/** A domain and what the configuration says about its keys. */
export interface SigningDomain {
  /** A-labels, lower case. */
  readonly name: string;
  /** Selectors, from the oldest to the newest; each stands for a pair of keys. */
  readonly dkim: readonly string[];
}

/** What {@linkcode SigningKeys} works with. */
export interface SigningKeysOptions {
  /** Ours. */
  readonly domains: Iterable<SigningDomain>;
  /** `data/keys`. */
  readonly keysFolder: string;
  /** For the keys. */
  readonly files: Files;
  /** For their records. */
  readonly resolver: Resolver;
  /** For the time between looks. */
  readonly clock: Clock;
  /** Tells what is not published, and when a key begins to sign. */
  readonly logger: Logger;
}

/** `unseen`: not yet looked up, or DNS gave no answer. `different`: what is published there is not this key. */
type KeyState = "unseen" | "missing" | "different" | "published";

/** A key and what DNS says about it. */
interface OwnKey {
  readonly key: SigningKey;
  readonly publicKey: PublicKey;
  state: KeyState;
}

const HOUR_MS = 3_600_000;
/** While some key is not published: somebody is probably waiting for it. */
const IMPATIENT_MS = 300_000;
/** Signing waits so long for the first look, so that a restart does not go back to an old key. */
const FIRST_LOOK_MS = 5_000;
/** A private key of 4,096 bits in PEM has 3,272 octets. */
const MAX_PEM_OCTETS = 16 * 1024;
/** Domains that are looked at at the same time. */
const PARALLEL_DOMAINS = 20;

/**
 * The private keys of our domains, parsed once, and the state of their records, which is kept in memory only.
 *
 * For each algorithm the newest key that is published signs. Where none is, the oldest RSA key signs all the same: a
 * signature without a key in DNS is worth as much as none (RFC 6376 §6.1), and our resolver may be wrong or see another DNS
 * than the world. But a key whose record holds another one, or was revoked, never signs: that would be a broken signature. Nor
 * does Ed25519 while it is not published, because RSA is beside it.
 */
export class SigningKeys {
  readonly #domains: ReadonlyMap<string, readonly OwnKey[]>;
  readonly #options: SigningKeysOptions;
  #firstLook: Promise<void> | undefined;

  private constructor(domains: ReadonlyMap<string, readonly OwnKey[]>, options: SigningKeysOptions) {
    this.#domains = domains;
    this.#options = options;
  }

  /** Reads the keys. One that cannot be read is an error in the log, and does not sign; mail goes on. */
  static async load(options: SigningKeysOptions): Promise<SigningKeys> {
    const domains = new Map<string, readonly OwnKey[]>();
    for (const { name, dkim } of options.domains) {
      const keys: OwnKey[] = [];
      for (const selector of dkim.flatMap(dkimPair)) {
        const key = await readOwnKey(name, selector.toLowerCase(), options);
        if (key !== undefined) keys.push(key);
      }
      if (keys.length > 0) domains.set(name, keys);
    }
    return new SigningKeys(domains, options);
  }

  /** Whether a domain has a key at all. @param domain A-labels, lower case. */
  has(domain: string): boolean {
    return this.#domains.has(domain);
  }

  /**
   * The keys that sign mail of a domain now: at most one of each algorithm, RSA first; none for a domain without.
   *
   * @param domain A-labels, lower case.
   */
  async keysFor(domain: string): Promise<readonly SigningKey[]> {
    const keys = this.#domains.get(domain);
    if (keys === undefined) return [];
    await this.#firstLook;
    return chooseSigners(keys).map(({ key }) => key);
  }

  /** Looks at the records now and then until the signal says to stop. Never rejects. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock } = this.#options;
    if (this.#domains.size === 0) return;
    const firstCheck = this.check(signal);
    this.#firstLook = Promise.race([firstCheck, clock.sleep(FIRST_LOOK_MS, signal).catch(() => {})]);
    await firstCheck;
    this.#firstLook = undefined;
    while (!signal.aborted) {
      const isWaiting = [...this.#domains.values()].flat().some(({ state }) => state !== "published");
      await clock.sleep(isWaiting ? IMPATIENT_MS : HOUR_MS, signal).catch(() => {});
      if (!signal.aborted) await this.check(signal);
    }
  }

  /** Looks at all records once. Never rejects. */
  async check(signal?: AbortSignal): Promise<void> {
    const waiting = [...this.#domains];
    const lane = async (): Promise<void> => {
      for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
        if (!signal?.aborted) await this.#checkDomain(next[0], next[1], signal);
      }
    };
    await Promise.all(Array.from({ length: PARALLEL_DOMAINS }, lane));
  }

  async #checkDomain(domain: string, keys: readonly OwnKey[], signal: AbortSignal | undefined): Promise<void> {
    const before = chooseSigners(keys);
    const changed = await Promise.all(keys.map((own) => this.#checkKey(own, signal)));
    const signers = chooseSigners(keys);
    this.#tellTroubles(domain, keys.filter((_, at) => changed[at]), signers);
    const { logger } = this.#options;
    for (const { key, state } of signers.filter((own) => !before.includes(own) && own.state === "published")) {
      logger.info("DKIM record {record} is {state}: it signs mail of {domain} from now on", {
        record: dkimRecordName(key),
        state,
        domain,
        algorithm: key.algorithm,
      });
    }
  }

  /** One line for all that is missing: at the first start that is a pair of keys, or more. */
  #tellTroubles(domain: string, news: readonly OwnKey[], signers: readonly OwnKey[]): void {
    const { logger } = this.#options;
    for (const { key } of news.filter(({ state }) => state === "different")) {
      logger.warning(
        "DKIM record {record} does not hold the key that we have: it does not sign; publish what `posthorn dkim list {domain}` prints",
        { record: dkimRecordName(key), domain },
      );
    }
    const missing = news.filter(({ state }) => state === "missing");
    if (missing.length === 0) return;
    const consequence = missing.some((own) => signers.includes(own))
      ? "mail is signed all the same, which nobody can verify"
      : "these keys do not sign until then";
    const records = missing.map(({ key }) => dkimRecordName(key)).join(", ");
    logger.warning(
      "DKIM records of {domain} that are not in DNS: {records}; {consequence}; publish what `posthorn dkim list {domain}` prints",
      { records, consequence, domain },
    );
  }

  /** @returns Whether the state has changed. Where DNS gives no answer it stays. */
  async #checkKey(own: OwnKey, signal: AbortSignal | undefined): Promise<boolean> {
    const before = own.state;
    own.state = stateOf(await lookUpKeys(own.key, this.#options.resolver, signal), own.publicKey) ?? own.state;
    return own.state !== before;
  }
}

async function readOwnKey(domain: string, selector: string, options: SigningKeysOptions): Promise<OwnKey | undefined> {
  try {
    const path = dkimKeyPath(options.keysFolder, { domain, selector });
    const pem = await readSmallText(options.files, path, MAX_PEM_OCTETS);
    const { algorithm, privateKey } = await readPrivateKey(pem);
    const published = chooseKeys([dkimTxtValue(pem)], algorithm);
    if (published.kind === "none" || published.records[0] === undefined) throw new RangeError("No public key");
    return {
      key: { domain, selector, algorithm, privateKey },
      publicKey: published.records[0].key,
      state: "unseen",
    };
  } catch (error) {
    options.logger.error("Cannot read DKIM key {selector} of {domain}, mail is signed without it: {error}", {
      selector,
      domain,
      error: error instanceof Error ? error.message : String(error),
    });
    return undefined;
  }
}

/** At most one key of each algorithm, RSA first. @param keys From the oldest to the newest. */
function chooseSigners(keys: readonly OwnKey[]): OwnKey[] {
  const [rsa, ed25519] = (["rsa-sha256", "ed25519-sha256"] as const).map((algorithm) =>
    keys.filter(({ key }) => key.algorithm === algorithm)
  );
  const published = ({ state }: OwnKey): boolean => state === "published";
  const hopeful = ({ state }: OwnKey): boolean => state !== "different";
  const first = rsa?.findLast(published) ?? rsa?.find(hopeful);
  const second = ed25519?.findLast(published) ?? (rsa?.length ? undefined : ed25519?.find(hopeful));
  return [first, second].filter((own) => own !== undefined);
}

/** @returns Undefined where DNS gave no answer. */
function stateOf(lookup: KeyLookup, own: PublicKey): KeyState | undefined {
  if (lookup.kind === "keys") {
    return lookup.records.some(({ key }) => areSame(key, own)) ? "published" : "different";
  }
  if (lookup.fault.result === "temperror") return undefined;
  return lookup.isMissing ? "missing" : "different";
}

function areSame(a: PublicKey, b: PublicKey): boolean {
  if (a.algorithm === "rsa-sha256") {
    return b.algorithm === a.algorithm && a.modulus === b.modulus && a.exponent === b.exponent;
  }
  return b.algorithm === a.algorithm && a.octets.toHex() === b.octets.toHex();
}
