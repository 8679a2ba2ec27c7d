/**
 * The building blocks of a schema: a tree of typed readers. Each key has its type, its default and a sentence about it
 * in one place, and the type of the result follows from the tree.
 *
 * Reading goes on after a problem: a wrong part is left out or gets its default, so that one run finds all problems.
 * Only `Source.throwProblems` decides whether the result may be used.
 */

import { isMap, isScalar, isSeq, type Pair, Scalar, type YAMLMap } from "yaml";
import { nearMiss } from "./near_miss.ts";
import { type Node, quote, type Source } from "./source.ts";

/** Reads one value. */
export interface Type<T> {
  /** What a right value is, for errors: `a duration such as "15m"`. */
  readonly expects: string;
  /** The keys below, where it is an object or holds objects. */
  readonly fields?: readonly AnyField[];
  /**
   * Reads a node.
   *
   * @param path The key, e.g. `queue.retry`, for errors.
   * @returns Undefined after a problem, which was reported.
   */
  read(node: Node, source: Source, path: string): T | undefined;
}

/** A key of an object that has a value in the end: it is required, or has a default. */
export interface Field<T> {
  /** As it is written in the file. */
  readonly key: string;
  /** How its value is read. */
  readonly type: Type<T>;
  /** One sentence for people. */
  readonly doc: string;
  /** What happens where the file has no such key. */
  readonly presence: "required" | "default";
  /** The default. */
  readonly fallback?: T;
}

/** A key of an object that may stay absent. */
export interface OptionalField<T> {
  /** As it is written in the file. */
  readonly key: string;
  /** How its value is read. */
  readonly type: Type<T>;
  /** One sentence for people. */
  readonly doc: string;
  /** `unavailable`: the contract has it, this version does not. */
  readonly presence: "optional" | "unavailable";
}

/** Any key. */
export type AnyField = Field<unknown> | OptionalField<unknown>;
/** The keys of an object by the names they have in the program. */
export type Fields = Readonly<Record<string, AnyField>>;
/** What an object with these fields is read into. */
export type Values<F extends Fields> =
  & { readonly [K in keyof F as F[K] extends OptionalField<unknown> ? never : K]: ValueOf<F[K]> }
  & { readonly [K in keyof F as F[K] extends OptionalField<unknown> ? K : never]?: ValueOf<F[K]> };
/** What a field is read into. */
export type ValueOf<F extends AnyField> = F extends { readonly type: Type<infer T> } ? T : never;

/** A value and where it stands, for checks that compare several values. */
export interface Located<T> {
  /** What was read. */
  readonly value: T;
  /** Its node. */
  readonly at: Node;
}

/** One entry of a mapping with free keys. */
export interface Entry<T> {
  /** In its one spelling. */
  readonly key: string;
  /** The node of the key. */
  readonly at: Node;
  /** What was read. */
  readonly value: T;
}

/** A key that must be there. */
export function required<T>(key: string, type: Type<T>, doc: string): Field<T> {
  return { key, type, doc, presence: "required" };
}

/** A key with a default, which is right for a small site. */
export function withDefault<T>(key: string, type: Type<T>, fallback: NoInfer<T>, doc: string): Field<T> {
  return { key, type, doc, presence: "default", fallback };
}

/** A key that may stay absent. */
export function optional<T>(key: string, type: Type<T>, doc: string): OptionalField<T> {
  return { key, type, doc, presence: "optional" };
}

/** A key that the contract names, and that this version refuses rather than ignores. */
export function unavailable(key: string, doc: string): OptionalField<never> {
  const type: Type<never> = { expects: "nothing", read: () => undefined };
  return { key, type, doc, presence: "unavailable" };
}

/** A group of keys that all have defaults. */
export function section<F extends Fields>(key: string, fields: F, doc: string): Field<Values<F>> {
  return withDefault(key, object(fields), defaultsOf(fields), doc);
}

/** A mapping with fixed keys. An empty one (`key:` and nothing) is a mapping without keys. */
export function object<F extends Fields>(fields: F): Type<Values<F>> {
  const part = partial(fields);
  const needed = Object.entries(fields).filter(([, { presence }]) => presence === "required").map(([name]) => name);
  return {
    ...part,
    read(node: Node, source: Source, path: string): Values<F> | undefined {
      const values: Readonly<Record<string, unknown>> | undefined = part.read(node, source, path);
      // All that is required is there, and defaults are always filled in.
      return values !== undefined && needed.every((name) => values[name] !== undefined)
        ? values as Values<F>
        : undefined;
    },
  };
}

/** As `object`, but with the keys that were right where a required one is wrong or missing. */
export function partial<F extends Fields>(fields: F): Type<Partial<Values<F>>> {
  const byKey = new Map(Object.values(fields).map((field) => [field.key, field]));
  const keys = [...byKey.values()].filter(({ presence }) => presence !== "unavailable").map(({ key }) => key);
  const expects = `a mapping with the keys ${keys.join(", ")}`;
  return {
    expects,
    fields: [...byKey.values()],
    read(rawNode: Node, source: Source, path: string): Partial<Values<F>> | undefined {
      const map = readMapping(rawNode, source, path, expects);
      if (map === undefined) return undefined;
      const found = new Map<string, Node>();
      const misspelled = new Set<string>();
      for (const [name, at, value] of pairsOf(map, source)) {
        const field = byKey.get(name);
        if (field === undefined) {
          const meant = nearMiss(name, keys);
          source.report(at, unknownKey(name, meant, keys, source, path));
          if (meant !== undefined) misspelled.add(meant);
        } else if (field.presence === "unavailable") source.report(at, notAvailable(join(path, name)));
        else if (!found.has(name)) found.set(name, value);
      }
      for (const { key, presence, type } of byKey.values()) {
        // One mistake, one problem: a misspelled key is not missing too.
        if (presence !== "required" || found.has(key) || misspelled.has(key)) continue;
        source.report(map, prefixed(path, `missing key "${key}": expected ${type.expects}`));
      }
      return readFields(fields, found, source, path);
    },
  };
}

/** How a mapping with free keys is read. */
export interface MapOptions<T> {
  /** What it maps, for errors. */
  readonly noun: string;
  /** Stands for a wrong value, so that its key still counts. */
  readonly whenWrong: T;
  /** True where it must have an entry. */
  readonly isNeverEmpty?: boolean;
}

/** A mapping with free keys, which `key` brings into their one spelling. */
export function mapOf<T>(key: Type<string>, type: Type<T>, options: MapOptions<T>): Type<readonly Entry<T>[]> {
  const { noun, whenWrong, isNeverEmpty = false } = options;
  const expects = isNeverEmpty ? `a mapping of one or more ${noun}` : `a mapping of ${noun}`;
  return {
    expects,
    ...(type.fields === undefined ? {} : { fields: type.fields }),
    read(rawNode: Node, source: Source, path: string): readonly Entry<T>[] | undefined {
      const map = readMapping(rawNode, source, path, expects);
      if (map === undefined) return undefined;
      if (isNeverEmpty && (typeof map === "number" || map.items.length === 0)) {
        return void source.report(map, prefixed(path, `expected ${expects}, found none`));
      }
      const entries = new Map<string, Entry<T> & { readonly rawName: string }>();
      for (const [rawName, at, rawValue] of pairsOf(map, source)) {
        const name = key.read(at, source, path);
        const value = type.read(rawValue, source, join(path, rawName)) ?? whenWrong;
        if (name === undefined) continue;
        const earlier = entries.get(name);
        if (earlier === undefined) entries.set(name, { key: name, at, value, rawName });
        // The YAML parser has reported a key that is literally the same.
        else if (earlier.rawName !== rawName) {
          source.report(
            at,
            prefixed(path, `${quote(rawName)} is the key of line ${source.position(earlier.at).line} again`),
          );
        }
      }
      return [...entries.values()];
    },
  };
}

/** A list. */
export function listOf<T>(type: Type<T>, noun: string, minimum = 0): Type<readonly T[]> {
  const expects = minimum > 0 ? `a list of ${minimum === 1 ? "one" : minimum} or more ${noun}` : `a list of ${noun}`;
  return {
    expects,
    ...(type.fields === undefined ? {} : { fields: type.fields }),
    read(rawNode: Node, source: Source, path: string): readonly T[] | undefined {
      const node = source.resolve(rawNode);
      if (node === undefined) return undefined;
      if (!isSeq<Node>(node)) return wrong(node, source, path, expects);
      if (node.items.length < minimum) {
        return void source.report(node, prefixed(path, `expected ${expects}, found an empty list`));
      }
      return node.items.map((item) => type.read(item, source, path)).filter((value) => value !== undefined);
    },
  };
}

/** A list of at least one, or a single value without the brackets. */
export function oneOrMore<T>(type: Type<T>, noun: string): Type<readonly T[]> {
  const list = listOf(type, noun, 1);
  return {
    expects: list.expects,
    read(node: Node, source: Source, path: string): readonly T[] | undefined {
      if (source.scalar(node) === undefined) return list.read(node, source, path);
      const single = type.read(node, source, path);
      return single === undefined ? undefined : [single];
    },
  };
}

/**
 * A value together with its place.
 *
 * @param whenWrong Stands for a wrong value, so that its key still counts.
 */
export function located<T>(type: Type<T>, whenWrong?: T): Type<Located<T>> {
  return {
    expects: type.expects,
    ...(type.fields === undefined ? {} : { fields: type.fields }),
    read(node: Node, source: Source, path: string): Located<T> | undefined {
      const value = type.read(node, source, path) ?? whenWrong;
      return value === undefined ? undefined : { value, at: node };
    },
  };
}

/** How a scalar is read. */
export interface ScalarOptions<T> {
  /** What a right value is, for errors. */
  readonly expects: string;
  /** Undefined where the text is no such value. */
  parse(text: string, source: Source): T | undefined;
  /** Whether it is written as a string (the default), as an unquoted number, or as either. */
  readonly written?: "string" | "number" | "either";
  /** True for text that no error message may show. */
  isSecret?(text: string): boolean;
}

/** A single value that is read from its text. */
export function scalar<T>({ expects, parse, written = "string", isSecret }: ScalarOptions<T>): Type<T> {
  return {
    expects,
    read(rawNode: Node, source: Source, path: string): T | undefined {
      const node = source.resolve(rawNode);
      if (node === undefined) return undefined;
      const found = source.scalar(node);
      if (found === undefined) return wrong(node, source, path, expects);
      if ("problem" in found) return void source.report(node, prefixed(path, found.problem));
      const isRightKind = written === "either" || found.kind === "outside" ||
        found.kind === (written === "number" ? "plain" : "string");
      const value = isRightKind ? parse(found.text, source) : undefined;
      if (value !== undefined) return value;
      const shown = isSecret?.(found.text) ? "a value that is not shown" : found.shown;
      return void source.report(node, prefixed(path, `expected ${expects}, found ${shown}`));
    },
  };
}

/** The paths of all keys that can be used, e.g. `limits.message_size`; free keys and list indexes leave no trace. */
export function keyPaths(type: Type<unknown>, path = ""): readonly string[] {
  return (type.fields ?? []).filter(({ presence }) => presence !== "unavailable").flatMap((field) => {
    const below = join(path, field.key);
    return [below, ...keyPaths(field.type, below)];
  });
}

function defaultsOf<F extends Fields>(fields: F): Values<F> {
  const values: Record<string, unknown> = {};
  for (const [name, field] of Object.entries(fields)) {
    if (field.presence === "required") throw new TypeError(`Cannot give "${field.key}" a default: it is required`);
    if (field.presence === "default") values[name] = field.fallback;
  }
  // Each key was given its own field's default above.
  return values as Values<F>;
}

function readFields<F extends Fields>(
  fields: F,
  found: ReadonlyMap<string, Node>,
  source: Source,
  path: string,
): Partial<Values<F>> {
  const values: Record<string, unknown> = {};
  for (const [name, field] of Object.entries(fields)) {
    const node = found.get(field.key);
    const value = node === undefined ? undefined : field.type.read(node, source, join(path, field.key));
    if (value !== undefined) values[name] = value;
    else if (field.presence === "default") values[name] = field.fallback;
  }
  // Each key was read by its own field's type above.
  return values as Partial<Values<F>>;
}

/** The mapping at a node; nothing at all is an empty one. Gives its offset where there is no mapping to point at. */
function readMapping(rawNode: Node, source: Source, path: string, expects: string): YAMLMap | number | undefined {
  const node = source.resolve(rawNode);
  if (node === undefined) return undefined;
  if (isMap(node)) return node;
  return isScalar(node) && node.value === null ? node.range?.[0] ?? 0 : wrong(node, source, path, expects);
}

/** The entries of a mapping as name, node of the key and node of the value. */
function* pairsOf(map: YAMLMap | number, source: Source): Generator<readonly [string, Node, Node]> {
  if (typeof map === "number") return;
  for (const { key, value } of map.items as Pair<Node, Node | null>[]) {
    const name = isScalar(key) ? (typeof key.value === "string" ? key.value : key.source) : undefined;
    if (name !== undefined) yield [name, key, value ?? emptyAt(key)];
    else source.report(key, "expected a key that is one word");
  }
}

/** The value of `a` in `{ a }`, which has no node: an empty scalar in the place of the key. */
function emptyAt(key: Node): Node {
  const empty = new Scalar(null);
  empty.range = key.range ?? null;
  return empty;
}

function unknownKey(
  name: string,
  meant: string | undefined,
  keys: readonly string[],
  source: Source,
  path: string,
): string {
  if (meant !== undefined) return prefixed(path, `unknown key ${quote(name)}: did you mean "${meant}"?`);
  const elsewhere = source.knownPaths.find((known) => known.endsWith(`.${name}`) || known === name);
  const [, parent, key] = /^(?:(.*)\.)?([^.]*)$/.exec(elsewhere ?? "") ?? [];
  if (elsewhere === undefined) return prefixed(path, `unknown key ${quote(name)}: expected one of ${keys.join(", ")}`);
  return prefixed(
    path,
    `unknown key "${key}": it belongs ${parent === undefined ? "at the top level" : `in "${parent}"`}`,
  );
}

function notAvailable(path: string): string {
  return `${path}: not available in this version`;
}

/** Reports a value of the wrong kind. */
function wrong(node: Node, source: Source, path: string, expects: string): undefined {
  let found = "nothing";
  if (isMap(node)) found = "a mapping";
  else if (isSeq(node)) found = "a list";
  else {
    const text = source.scalar(node);
    if (text !== undefined) found = "problem" in text ? "text" : text.shown;
  }
  source.report(node, prefixed(path, `expected ${expects}, found ${found}`));
}

function prefixed(path: string, message: string): string {
  return path === "" ? message : `${path}: ${message}`;
}

function join(path: string, key: string): string {
  return path === "" ? key : `${path}.${key}`;
}
