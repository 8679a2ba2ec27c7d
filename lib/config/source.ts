/**
 * A YAML file with positions: finds the line and column of a node, takes environment variables and files into values,
 * and collects the problems. What the values mean is the matter of the schema.
 */

import { dirname, resolve } from "node:path";
import { type Document, isAlias, isScalar, parseDocument, Scalar, visit } from "yaml";
import { ConfigError, type ConfigProblem } from "./errors.ts";

/** What reading a configuration asks of the machine. */
export interface ConfigIo {
  /** Reads a file as UTF-8; rejects with a `Deno.errors` class. */
  readText(path: string): Promise<string>;
  /** An environment variable; undefined where it is not set. */
  env(name: string): string | undefined;
}

/** A node of a file as its readers hand it on; the guards of the YAML library (`isMap`, …) tell what it is. */
export interface Node {
  /** Offsets of its start, of the end of its value, and of what belongs to it; absent for a node that was made. */
  readonly range?: [number, number, number] | null;
}

/** A scalar value after `!file` and `${NAME}`. */
export interface ScalarText {
  /** The value. */
  readonly text: string;
  /** `plain`: an unquoted number or boolean; `outside`: from a file or the environment, so it may be of any type. */
  readonly kind: "string" | "plain" | "outside";
  /** For error messages; the value itself only where it was written in the file. */
  readonly shown: string;
}

/** Text from outside the file, or the reason why there is none. */
type Outside = { readonly text: string; readonly isOutside: boolean } | { readonly problem: string };

const VARIABLE = /^[A-Za-z_][A-Za-z0-9_]*$/;

/** One file that is being read. */
export class Source {
  /** As it was named. */
  readonly file: string;
  /** Where its relative paths start; absolute. */
  readonly folder: string;
  /** All keys of the schema as paths, `limits.message_size`, to say where a misplaced key belongs. */
  readonly knownPaths: readonly string[];
  readonly #document: Document.Parsed;
  /** Offset of each line. The line counter of the library loses lines behind a syntax error. */
  readonly #lineStarts: readonly number[];
  readonly #io: ConfigIo;
  readonly #files = new Map<Node, Outside>();
  readonly #problems: ConfigProblem[] = [];

  private constructor(file: string, text: string, io: ConfigIo, knownPaths: readonly string[]) {
    this.file = file;
    this.knownPaths = knownPaths;
    this.folder = dirname(resolve(file));
    this.#io = io;
    this.#lineStarts = [0, ...Array.from(text.matchAll(/\n/g), ({ index }) => index + 1)];
    this.#document = parseDocument(text, {
      prettyErrors: false, // their messages would quote the line, and so a secret
      uniqueKeys: false, // the library compares each key with each: seconds for 10,000 accounts
      customTags: [{ tag: "!file", resolve: (path: string): string => path }],
    });
  }

  /**
   * Parses the text and reads the files it names with `!file`.
   *
   * @throws {ConfigError} Where it is no YAML; a duplicate key is a problem, but does not stop the reading.
   */
  static async parse(file: string, text: string, io: ConfigIo, knownPaths: readonly string[] = []): Promise<Source> {
    const source = new Source(file, text, io, knownPaths);
    const hasBrokenSyntax = source.#reportSyntax(text);
    if (hasBrokenSyntax) throw new ConfigError(source.#problems);
    await source.#readFiles();
    return source;
  }

  /** Notes a problem at a node, or at an offset of the file. */
  report(where: Node | number, message: string): void {
    const offset = typeof where === "number" ? where : where.range?.[0] ?? 0;
    // The YAML library quotes what it does not understand, line ends too.
    const oneLine = message.replace(/\s*[\r\n]+\s*/g, " ").trim();
    this.#problems.push({ file: this.file, ...this.position(offset), message: oneLine });
  }

  /** The position of an offset or node; starts at line 1, column 1. */
  position(where: Node | number): { readonly line: number; readonly column: number } {
    const offset = typeof where === "number" ? where : where.range?.[0] ?? 0;
    let line = 1;
    // Halved at each look: routes and accounts that stand in thousands of lines are each asked for theirs.
    for (let behind = this.#lineStarts.length + 1; behind - line > 1;) {
      const middle = (line + behind) >> 1;
      if ((this.#lineStarts[middle - 1] ?? 0) <= offset) line = middle;
      else behind = middle;
    }
    return { line, column: offset - (this.#lineStarts[line - 1] ?? 0) + 1 };
  }

  /** The root of the document; an empty scalar for an empty file. */
  get root(): Node {
    return this.#document.contents ?? new Scalar(null);
  }

  /**
   * Ends the reading where problems were noted.
   *
   * @param ofOthers Problems of files that this one includes.
   * @throws {ConfigError} With all of them.
   */
  throwProblems(ofOthers: readonly ConfigProblem[] = []): void {
    if (this.#problems.length + ofOthers.length > 0) throw new ConfigError([...this.#problems, ...ofOthers]);
  }

  /** The node that an alias (`*name`) stands for; other nodes are themselves. Undefined: it was reported. */
  resolve(node: Node): Node | undefined {
    if (!isAlias(node)) return node;
    const target = node.resolve(this.#document);
    // The name is not repeated: an unquoted password may start with "*".
    if (target === undefined) this.report(node, 'no such anchor: put a value that starts with "*" in quotes');
    return target;
  }

  /** The text of a scalar with `!file` and `${NAME}` taken in, or why there is none; undefined: it is no scalar text. */
  scalar(node: Node): ScalarText | { readonly problem: string } | undefined {
    if (!isScalar(node)) return undefined;
    const { value } = node;
    if (typeof value === "number" || typeof value === "boolean") {
      const text = node.source ?? String(value);
      return { text, kind: "plain", shown: typeof value === "number" ? `the number ${text}` : text };
    }
    if (typeof value !== "string") return undefined;
    if (node.tag === "!file") {
      const content = this.#files.get(node) ?? { problem: `cannot read ${quote(value)}` };
      return "problem" in content ? content : { ...content, kind: "outside", shown: `the content of ${quote(value)}` };
    }
    const expanded = expandVariables(value, this.#io);
    if ("problem" in expanded) return expanded;
    return expanded.isOutside
      ? { text: expanded.text, kind: "outside", shown: "the value of an environment variable" }
      : { text: expanded.text, kind: "string", shown: quote(expanded.text) };
  }

  async #readFiles(): Promise<void> {
    const nodes: { readonly node: Node; readonly path: string }[] = [];
    visit(this.#document, {
      Scalar: (_, node) => {
        if (node.tag === "!file" && typeof node.value === "string") nodes.push({ node, path: node.value });
      },
    });
    for (const { node, path } of nodes) this.#files.set(node, await this.#readFile(path));
  }

  async #readFile(path: string): Promise<Outside> {
    const expanded = expandVariables(path, this.#io);
    if ("problem" in expanded) return expanded;
    try {
      const text = await this.#io.readText(resolve(this.folder, expanded.text));
      return { text: text.replace(/[\r\n]+$/, ""), isOutside: true };
    } catch (error) {
      return { problem: `cannot read ${quote(expanded.text)}: ${reasonOf(error)}` };
    }
  }

  /** Notes what the YAML parser found, the first of each line; true where the rest cannot be relied on. */
  #reportSyntax(text: string): boolean {
    let isBroken = false;
    const lines = new Set<number>();
    for (const { code, message, pos: [offset] } of [...this.#document.errors, ...this.#document.warnings]) {
      const { line } = this.position(offset);
      if (code !== "TAG_RESOLVE_FAILED") {
        isBroken = true;
        if (lines.has(line)) continue;
        lines.add(line);
      }
      const isUnclosed = code === "MISSING_CHAR" && message.endsWith("quote");
      if (isUnclosed) this.report(this.#quotedFrom(offset), "YAML syntax: this quotation mark is never closed");
      else this.report(offset, syntaxMessage(code, message, text, offset));
    }
    this.#reportDuplicateKeys(text);
    return isBroken;
  }

  #reportDuplicateKeys(text: string): void {
    visit(this.#document, {
      Map: (_, { items }) => {
        const seen = new Set<unknown>();
        for (const { key } of items) {
          if (!isScalar(key)) continue;
          const offset = key.range?.[0] ?? 0;
          if (seen.has(key.value)) this.report(offset, `duplicate key ${quote(keyAt(text, offset))}`);
          seen.add(key.value);
        }
      },
    });
  }

  /** The start of the quoted text that ends at an offset, where its closing mark is missing. */
  #quotedFrom(end: number): number {
    let start = end;
    visit(this.#document, {
      Scalar: (_, { range }) => {
        if (range && range[0] < end && range[1] >= end) start = range[0];
      },
    });
    return start;
  }
}

/** Puts text in quotes for a message, in one line and cut to a readable length. */
export function quote(text: string): string {
  return JSON.stringify(text.length > 60 ? `${text.slice(0, 60)}…` : text);
}

/** Why a file could not be read, in the words of people. */
export function reasonOf(error: unknown): string {
  if (error instanceof Deno.errors.NotFound) return "no such file";
  if (error instanceof Deno.errors.PermissionDenied) return "permission denied";
  if (error instanceof Deno.errors.IsADirectory) return "it is a folder";
  return error instanceof Error ? error.message : String(error);
}

/** Replaces `${NAME}`; `$${` stands for `${` itself. */
function expandVariables(text: string, io: ConfigIo): Outside {
  let problem: string | undefined;
  let isOutside = false;
  const expanded = text.replace(/\$?\$\{([^}]*)(\}?)/g, (all, name: string, end: string) => {
    if (all.startsWith("$$")) return all.slice(1);
    // The text is not repeated: it may be part of a password.
    if (end === "" || !VARIABLE.test(name)) {
      problem ??= 'expected the name of an environment variable as in "${NAME}"; write "$${" for "${" itself';
      return all;
    }
    const value = io.env(name);
    isOutside = true;
    if (value === undefined) problem ??= `environment variable "${name}" is not set; write "$\${" for "\${" itself`;
    return value ?? "";
  });
  return problem === undefined ? { text: expanded, isOutside } : { problem };
}

/** A key as it is written. */
function keyAt(text: string, offset: number): string {
  return /[^"':\s]+/.exec(text.slice(offset, offset + 500))?.[0] ?? "";
}

/** Says a problem of the YAML syntax without repeating text of the file, which may be a secret. */
function syntaxMessage(code: string, message: string, text: string, offset: number): string {
  if (code === "TAG_RESOLVE_FAILED") {
    return 'unknown tag: only !file is known; put a value that starts with "!" in quotes';
  }
  if (code === "MULTIPLE_DOCS") return 'expected one YAML document, found a second one after "---"';
  if (text.slice(Math.max(0, offset - 1), offset + 1) === "${") {
    return 'inside { } and [ ] a value with "${NAME}" must be in quotes';
  }
  // A password hash such as {SSHA}… opens a mapping.
  if (/[:,\[{]\s*\{[\w.-]+\}$/.test(text.slice(Math.max(0, offset - 80), offset))) {
    return 'YAML syntax: put a value that starts with "{" in quotes';
  }
  return `YAML syntax: ${message.replace(/: ".*"$/s, "").replace(/^./, (first) => first.toLowerCase())}`;
}
