/** What docs/ and README.md say about the source is true. */

import { assert, assertEquals } from "@std/assert";
import { relative, resolve } from "node:path";

const root = resolve(import.meta.dirname ?? ".", "../..");

interface DenoJson {
  readonly imports: Readonly<Record<string, string>>;
  readonly tasks: Readonly<Record<string, unknown>>;
}

interface DenoLock {
  readonly npm?: Readonly<Record<string, unknown>>;
}

/** A row of docs/standards.md. */
interface Standard {
  readonly rfc: string;
  readonly status: string;
  readonly files: readonly string[];
}

function read(path: string): string {
  return Deno.readTextFileSync(`${root}/${path}`);
}

/** The text of a file; undefined where there is none. */
function readIfThere(path: string): string | undefined {
  try {
    return read(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

function sourceFiles(folder: string): string[] {
  return [...Deno.readDirSync(folder)].flatMap(({ name, isDirectory }) => {
    const path = `${folder}/${name}`;
    return isDirectory ? sourceFiles(path) : name.endsWith(".ts") ? [relative(root, path)] : [];
  });
}

/** The numbers of the RFCs that a text cites; a citation may go on in the next line of a comment. */
function citedRfcs(text: string): Set<string> {
  const joined = text.replace(/\n\s*(?:\*(?!\/)|\/\/)\s*/g, " ");
  return new Set(Array.from(joined.matchAll(/\bRFCs?[\s-]*(\d{3,5})\b/g), ([, rfc = ""]) => rfc));
}

/** The cells of the table rows of a page, without headings and rulers. */
function tableRows(markdown: string): string[][] {
  return markdown.split("\n").filter((line) => line.startsWith("| ")).map((line) =>
    line.slice(1, line.lastIndexOf("|")).split("|").map((cell) => cell.trim())
  );
}

function codeIn(cell: string): string[] {
  return Array.from(cell.matchAll(/`([^`]+)`/g), ([, code = ""]) => code);
}

const sources = new Map([...sourceFiles(`${root}/lib`), "main.ts"].map((path) => [path, read(path)]));
const citations = new Map([...sources].map(([path, text]) => [path, citedRfcs(text)]));
const standardsPage = read("docs/standards.md");
const standards: readonly Standard[] = tableRows(standardsPage)
  .filter(([rfc = ""]) => /^\d+$/.test(rfc))
  .map(([rfc = "", , status = "", files = ""]) => ({ rfc, status, files: codeIn(files) }));
const dependenciesPage = read("docs/dependencies.md");
const config = JSON.parse(read("deno.json")) as DenoJson;

Deno.test("every RFC that the source cites has one row in docs/standards.md", () => {
  const rows = standards.map(({ rfc }) => rfc);
  const problems = rows.filter((rfc, at) => rows.indexOf(rfc) !== at).map((rfc) => `RFC ${rfc} has two rows`);
  for (const [path, rfcs] of citations) {
    for (const rfc of rfcs) if (!rows.includes(rfc)) problems.push(`RFC ${rfc}, cited in ${path}, has no row`);
  }
  assertEquals(problems, []);
  assert(rows.length > 50, "docs/standards.md must be read as a table");
});

Deno.test("every row of docs/standards.md has a status, and names files that cite its RFC", () => {
  const problems: string[] = [];
  for (const { rfc, status, files } of standards) {
    if (!/^(?:complete|partial: |one rule: |planned: )/.test(status)) problems.push(`RFC ${rfc}: status "${status}"`);
    if (files.length === 0) problems.push(`RFC ${rfc}: no file`);
    for (const path of files) {
      if (!sources.has(path)) problems.push(`RFC ${rfc}: there is no file ${path}`);
      else if (!citations.get(path)?.has(rfc)) problems.push(`RFC ${rfc}: ${path} does not cite it`);
    }
  }
  assertEquals(problems, []);
});

Deno.test("docs/standards.md names every CVE that the source names, and no file that is not there", () => {
  const cves = [...sources.values()].flatMap((text) => text.match(/CVE-\d{4}-\d+/g) ?? []);
  const missing = [...new Set(cves)].filter((cve) => !standardsPage.includes(cve));
  const paths = codeIn(standardsPage).filter((code) => /^lib\/[\w/]+\.ts$/.test(code) && !sources.has(code));
  assertEquals([...missing, ...paths], []);
});

Deno.test("docs/dependencies.md lists the import map as it is", () => {
  const listed = tableRows(dependenciesPage).flatMap(([name = "", target = ""]) =>
    target.startsWith("`npm:") ? [[codeIn(name)[0], codeIn(target)[0]]] : []
  );
  assertEquals(listed.sort(), Object.entries(config.imports).sort());
});

Deno.test("docs/licences.md has the licence of every package that the program contains, read for this version", () => {
  const packages = tableRows(dependenciesPage).flatMap(([, target = "", user = ""]) => {
    const [, name = "", version = ""] = /^`npm:(@?[^@]+)@([^/`]+)/.exec(target) ?? [];
    return user === "program" ? [`${name} ${version}`] : [];
  });
  const headings = Array.from(read("docs/licences.md").matchAll(/^## (.+)$/gm), ([, heading]) => heading);
  assertEquals(headings, [...new Set(packages)].sort());
});

const lock = readIfThere("deno.lock");
Deno.test({
  name: "docs/dependencies.md names every package that deno.lock holds",
  ignore: lock === undefined,
  fn: () => {
    const { npm = {} } = JSON.parse(lock ?? "{}") as DenoLock;
    const names = Object.keys(npm).map((key) => key.slice(0, key.indexOf("@", 1)));
    assertEquals(names.filter((name) => !dependenciesPage.includes(`\`${name}\``)), []);
  },
});

const ci = readIfThere(".ci/run") ?? "";

Deno.test("docs/dependencies.md names every Debian package that .ci/run installs", () => {
  const packages = /^PACKAGES=\(([^)]*)\)/m.exec(ci)?.[1]?.trim().split(/\s+/) ?? [];
  const words = new Set(dependenciesPage.split(/[^\w.+-]+/));
  assertEquals(packages.filter((name) => !words.has(name)), []);
  assert(packages.length > 0, "the packages of .ci/run must be found");
});

/** The version of Deno that everything is tested with. */
const PINNED_DENO = "2.9.6";

/** What is wrong with the commands in the fenced blocks of a page. */
function commandProblems(markdown: string): string[] {
  const problems: string[] = [];
  const blocks = Array.from(markdown.matchAll(/^ *(`{3,}|~{3,})[^\n]*\n(.*?)^ *\1/gms), ([, , block = ""]) => block);
  for (const line of blocks.join("").split("\n")) {
    const [, version, task = ""] = /^\s*(?:[$#>] )?(?:deno|npx -y deno@(\S+)) task (\S+)/.exec(line) ?? [];
    if (task !== "" && config.tasks[task] === undefined) problems.push(`no such task: ${line}`);
    if (version !== undefined && version !== PINNED_DENO) problems.push(`not Deno ${PINNED_DENO}: ${line}`);
  }
  return problems;
}

const readme = readIfThere("README.md");
Deno.test({
  name: `commands in README.md run tasks that exist, with Deno ${PINNED_DENO}`,
  ignore: readme === undefined,
  fn: () => {
    assertEquals(commandProblems(readme ?? ""), []);
    assert(readme?.includes(`npx -y deno@${PINNED_DENO} task start`), "README.md must say how to start without Deno");
  },
});

Deno.test("a wrong task or version in a fenced command is found", () => {
  const page = "```sh\n$ deno task strat\nnpx -y deno@2.0.0 task start # old\ndeno task test\n```\ndeno task prose\n";
  assertEquals(commandProblems(page), [
    "no such task: $ deno task strat",
    `not Deno ${PINNED_DENO}: npx -y deno@2.0.0 task start # old`,
  ]);
});

Deno.test(".ci/run pins the same Deno", () => {
  assertEquals(/^DENO_VERSION=(\S+)$/m.exec(ci)?.[1], PINNED_DENO);
});
