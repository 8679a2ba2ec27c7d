/** The rule of imports of docs/architecture.md, read off the source. */

import { assert, assertEquals } from "@std/assert";
import { dirname, relative, resolve } from "node:path";

const root = resolve(import.meta.dirname ?? ".", "../..");

/** From the bottom of the mail path to its top; a folder imports from lower ranks, and from its own. */
const RANKS: readonly (readonly string[])[] = [
  ["mail"],
  ["smtp", "dns", "tls", "sasl", "state"],
  ["delivery", "dsn", "msgauth"],
  ["policy", "routing", "queue", "publish", "reports"],
  ["inbound", "web"],
  ["cli", "admin"],
];
/** What surrounds the path: types for everybody, and functions without state from the files named. */
const SURROUNDINGS = ["config", "log", "system"];
const STATELESS = ["lib/system/files.ts", "lib/system/folder_sync.ts"];

interface Import {
  readonly from: string;
  readonly to: string;
  readonly isType: boolean;
}

function sourceFiles(folder: string): string[] {
  return [...Deno.readDirSync(folder)].flatMap(({ name, isDirectory }) => {
    const path = `${folder}/${name}`;
    return isDirectory ? sourceFiles(path) : name.endsWith(".ts") && !name.endsWith(".d.ts") ? [path] : [];
  });
}

function importsOf(file: string): Import[] {
  const text = Deno.readTextFileSync(file);
  const found: Import[] = [];
  for (const [, kind, names = "", target = ""] of text.matchAll(/^(import|export) ([^;"]*?)from "(\.[^"]+)"/gms)) {
    const isType = names.startsWith("type ") || /^\{(\s*type [^,}]+,?)+\s*\}/.test(names);
    assert(kind !== undefined);
    found.push({ from: relative(root, file), to: relative(root, resolve(dirname(file), target)), isType });
  }
  return found;
}

const imports = sourceFiles(`${root}/lib`).flatMap(importsOf);
const topOf = (path: string): string => path.split("/")[1] ?? "";
const rankOf = (path: string): number => RANKS.findIndex((folders) => folders.includes(topOf(path)));

Deno.test("every folder of lib has its place in the mail path", () => {
  const folders = [...Deno.readDirSync(`${root}/lib`)].filter(({ isDirectory }) => isDirectory).map(({ name }) => name);
  assertEquals(folders.filter((name) => ![...RANKS.flat(), ...SURROUNDINGS].includes(name)), []);
});

Deno.test("imports go one way along the mail path", () => {
  const wrong = imports.filter(({ from, to, isType }) => {
    if (SURROUNDINGS.includes(topOf(to))) {
      const isComposing = topOf(from) === "cli" || SURROUNDINGS.includes(topOf(from));
      return !isType && !isComposing && !STATELESS.includes(to);
    }
    if (SURROUNDINGS.includes(topOf(from))) return !isType && topOf(to) !== "mail" && topOf(from) !== "config";
    return rankOf(to) > rankOf(from);
  });
  assertEquals(wrong.map(({ from, to }) => `${from} must not import ${to}`), []);
});

Deno.test("no two files import each other, directly or round about", () => {
  const graph = new Map<string, string[]>();
  for (const { from, to, isType } of imports) if (!isType) graph.set(from, [...graph.get(from) ?? [], to]);
  const done = new Set<string>();
  const walk = (file: string, path: readonly string[]): void => {
    assert(!path.includes(file), `import cycle: ${[...path.slice(path.indexOf(file)), file].join(" → ")}`);
    if (done.has(file)) return;
    for (const next of graph.get(file) ?? []) walk(next, [...path, file]);
    done.add(file);
  };
  for (const file of graph.keys()) walk(file, []);
});
