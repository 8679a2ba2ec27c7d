/** The public keys of an authorization server (JWK Set, RFC 7517 §5): fetched when needed, kept for a while. */

import type { Clock } from "../../system/clock.ts";
import { isObject, type JsonAnswer } from "./fetch_json.ts";

/** Keys that are there, or why there are none. */
export type KeysAnswer =
  | { readonly kind: "keys"; readonly keys: KeySet }
  | { readonly kind: "unavailable"; readonly reason: string };

/** One reading of the keys; compared by identity. */
export interface KeySet {
  /** JWKs as they came: each is checked when it is used. */
  readonly jwks: readonly Readonly<Record<string, unknown>>[];
  /** Monotonic time of the reading. */
  readonly atMs: number;
}

/** Where keys come from, and how old they may be. */
export interface KeySourceOptions {
  /** Reads them; heeds the time limit that it has itself, and does not reject. */
  readonly load: () => Promise<JsonAnswer>;
  /** For their age. */
  readonly clock: Pick<Clock, "monotonic">;
}

/** Older keys are read again before the next token is judged: a key that was withdrawn is good for this much longer. */
const FRESH_MS = 10 * 60_000;
/** While they cannot be read again, the old ones are good for this long. */
const KEPT_MS = 60 * 60_000;
/** Least time between two attempts to read: tokens with invented key names cause no more requests than this. */
const COOL_DOWN_MS = 30_000;

/** Holds the keys. One reading at a time; all who need it wait for the same one. */
export class KeySource {
  readonly #load: () => Promise<JsonAnswer>;
  readonly #clock: Pick<Clock, "monotonic">;
  #keys: KeySet | undefined;
  #reason = "";
  #lastAttemptMs = -Infinity;
  #pending: Promise<void> | undefined;

  /** Reads nothing yet. */
  constructor({ load, clock }: KeySourceOptions) {
    this.#load = load;
    this.#clock = clock;
  }

  /** The keys to judge a token with. */
  async current(): Promise<KeysAnswer> {
    if (this.#ageMs() >= FRESH_MS) await this.#refresh();
    if (this.#keys !== undefined && this.#ageMs() < KEPT_MS) return { kind: "keys", keys: this.#keys };
    return { kind: "unavailable", reason: this.#reason };
  }

  /** Keys newer than these, which lack the one that a token names (RFC 7517 §4.5); undefined: there are none now. */
  async newer(than: KeySet): Promise<KeySet | undefined> {
    if (this.#keys === than) await this.#refresh();
    return this.#keys === than ? undefined : this.#keys;
  }

  #ageMs(): number {
    return this.#keys === undefined ? Infinity : this.#clock.monotonic() - this.#keys.atMs;
  }

  /** Reads the keys, unless that was tried a moment ago. */
  async #refresh(): Promise<void> {
    if (this.#pending === undefined && this.#clock.monotonic() - this.#lastAttemptMs < COOL_DOWN_MS) return;
    this.#pending ??= this.#read().finally(() => this.#pending = undefined);
    await this.#pending;
  }

  async #read(): Promise<void> {
    this.#lastAttemptMs = this.#clock.monotonic();
    const answer = await this.#load();
    if (answer.kind === "failed") {
      this.#reason = answer.reason;
      return;
    }
    const { keys } = answer.object;
    if (Array.isArray(keys) && keys.every(isKey)) this.#keys = { jwks: keys, atMs: this.#clock.monotonic() };
    else this.#reason = "gave no set of keys";
  }
}

/** RFC 7517 §4.1: a key without a type is none. */
function isKey(value: unknown): value is Readonly<Record<string, unknown>> {
  return isObject(value) && typeof value["kty"] === "string";
}
