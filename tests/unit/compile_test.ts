/** The tasks `bundle` and `compile` know what the source and the other tasks ask for. */

import denoJson from "../../deno.json" with { type: "json" };
import { assert, assertEquals } from "@std/assert";
import { basename, dirname, relative, resolve } from "node:path";

const root = resolve(import.meta.dirname ?? ".", "../..");
const bundle = denoJson.tasks.bundle.command;
const compile = denoJson.tasks.compile.command;

function sourceFiles(folder: string): string[] {
  return [...Deno.readDirSync(folder)].flatMap(({ name, isDirectory }) => {
    const path = `${folder}/${name}`;
    return isDirectory ? sourceFiles(path) : name.endsWith(".ts") ? [path] : [];
  });
}

function words(command: string, pattern: RegExp): string[] {
  return command.split(" ").filter((word) => pattern.test(word)).sort();
}

/** Sources of the threads that a file starts. Each is named so that both the sources and the bundle have it there. */
function threadsOf(path: string): string[] {
  const text = Deno.readTextFileSync(path);
  const threads = Array.from(text.matchAll(/`\.\/(\w+)\$\{extname\(import\.meta\.url\)\}`/g), ([, name = ""]) => name);
  assertEquals(threads.length, text.split("new Worker(").length - 1, `a thread of ${path} has no name to look for`);
  return threads.map((name) => `${relative(root, dirname(path))}/${name}.ts`);
}

Deno.test("the executable holds the code of every thread, beside the bundle and under a name of its own", () => {
  const threads = sourceFiles(`${root}/lib`).flatMap(threadsOf).sort();
  assert(threads.length > 0, "the threads must be found");
  assertEquals(words(bundle, /^lib\//), threads);
  const names = threads.map((path) => basename(path, ".ts"));
  assertEquals(words(compile, /^bundle\/(?!main\.js)/), names.map((name) => `bundle/${name}.js`).sort());
  assertEquals(new Set([...names, "main"]).size, names.length + 1);
});

Deno.test("the executable has the permissions and V8 flags of deno task start, and Deno's unstable parts in use", () => {
  const wanted = /^--(?:allow|v8)-/;
  assertEquals(words(compile, wanted), words(denoJson.tasks.start.command, wanted));
  assertEquals(words(compile, /^--unstable-/), denoJson.unstable.map((name) => `--unstable-${name}`).sort());
});

Deno.test("the executable takes no code from a file that any user of the machine can make", () => {
  assertEquals(words(compile, /code-cache/), ["--no-code-cache"]);
});
