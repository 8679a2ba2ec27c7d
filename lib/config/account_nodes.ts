/** One account in the YAML of its file: changes values and leaves the rest as it was written. */

import { type Document, isAlias, isMap, isScalar, isSeq, type Pair, type YAMLMap, type YAMLSeq } from "yaml";
import type { QuotaLimits } from "./config.ts";
import { formatSize } from "./values.ts";

/** A value for a key; undefined removes the key. */
export type AccountValue = string | boolean | readonly string[] | Readonly<Record<string, string | number>> | undefined;

const NONE = "none";

/** The keys of one account. What was not there before is written in one line. */
export class AccountNodes {
  readonly #document: Document;
  readonly #pair: Pair;

  /** Changes nothing yet. */
  constructor(document: Document, pair: Pair) {
    this.#document = document;
    this.#pair = pair;
  }

  /** Gives a key a value, or removes it. */
  set(key: string, value: AccountValue): void {
    const map = this.#map();
    if (value === undefined) map.delete(key);
    else map.set(key, typeof value === "object" ? this.#document.createNode(value, { flow: true }) : value);
  }

  /** The texts of a list, or of the single value in its place. */
  list(key: string): readonly string[] {
    const node = this.#resolved(this.#map().get(key, true));
    if (isSeq(node)) return node.items.map((item) => this.#text(item));
    return node === undefined || node === null || (isScalar(node) && node.value === null) ? [] : [this.#text(node)];
  }

  /** Puts a text behind the others of a list. */
  append(key: string, text: string): void {
    this.#ownList(key).items.push(this.#document.createNode(text));
  }

  /** Takes one text out of a list, and the list with the last one. */
  removeAt(key: string, index: number): void {
    const { items } = this.#ownList(key);
    items.splice(index, 1);
    if (items.length === 0) this.set(key, undefined);
  }

  /** Sets the quota; undefined removes it. */
  setQuota(quota: QuotaLimits | undefined): void {
    const { octets, messages } = quota ?? {};
    const limits = {
      ...(octets === undefined ? {} : { storage: octets === 0 ? NONE : formatSize(octets) }),
      ...(messages === undefined ? {} : { messages: messages === 0 ? NONE : messages }),
    };
    const isNone = octets === 0 && messages === 0;
    this.set("quota", isNone ? NONE : Object.keys(limits).length === 0 ? undefined : limits);
  }

  /** The list as a node of this account alone. */
  #ownList(key: string): YAMLSeq {
    const node = this.#map().get(key, true);
    if (isSeq(node)) return node;
    this.set(key, this.list(key));
    return this.#map().get(key, true) as unknown as YAMLSeq;
  }

  /** The mapping of the account: an empty one becomes one, and what another account has, too, becomes its own. */
  #map(): YAMLMap {
    const { value } = this.#pair;
    if (isMap(value)) return value;
    const shared = this.#resolved(value);
    const map = isMap(shared) ? shared.clone() as YAMLMap : this.#document.createNode({}, { flow: true });
    delete map.anchor;
    this.#pair.value = map;
    return map;
  }

  #text(node: unknown): string {
    const resolved = this.#resolved(node);
    return String(isScalar(resolved) ? resolved.value : resolved);
  }

  #resolved(node: unknown): unknown {
    return isAlias(node) ? node.resolve(this.#document) : node;
  }
}
