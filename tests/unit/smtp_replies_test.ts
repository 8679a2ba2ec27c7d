/** docs/smtp-replies.md against the source of the receiving side and against what the conversation tests see. */

import { assert, assertEquals } from "@std/assert";

const root = `${import.meta.dirname}/../..`;

interface Row {
  readonly code: string;
  readonly enhanced: string;
  readonly text: string;
}

function filesBelow(folder: string): string[] {
  return [...Deno.readDirSync(folder)].flatMap(({ name, isDirectory }) =>
    isDirectory ? filesBelow(`${folder}/${name}`) : name.endsWith(".ts") ? [`${folder}/${name}`] : []
  );
}

const source = [
  ...filesBelow(`${root}/lib/inbound`),
  ...filesBelow(`${root}/lib/smtp/parameters`),
  `${root}/lib/smtp/command.ts`,
  `${root}/lib/smtp/path.ts`,
  `${root}/lib/policy/dmarc_policy.ts`,
].map((file) => Deno.readTextFileSync(file)).join("\n");

const rows: readonly Row[] = Deno.readTextFileSync(`${root}/docs/smtp-replies.md`).split("\n").flatMap((line) => {
  const [, code, enhanced = "", text = ""] = /^\| (\d{3}) \| ([\d.]*) ?\| (.*?) \| .* \|$/.exec(line) ?? [];
  return code === undefined ? [] : [{ code, enhanced, text }];
});

/** Replies whose code, status and text stand in the source as literals; `${…}` becomes `…`. */
const literals: readonly Row[] = Array.from(
  source.matchAll(/(?:reply|SmtpError)\(\s*(\d{3}),\s*"([\d.]+)",\s*(?:"([^"]*)"|`((?:[^`]|\n)*?)`)/g),
  ([, code = "", enhanced = "", plain, template = ""]) => ({
    code,
    enhanced,
    text: plain ?? template.replace(/\$\{(?:[^{}]|\{[^}]*\})*\}/g, "…"),
  }),
);

const show = ({ code, enhanced, text }: Row): string => `${code} ${enhanced} ${text}`;

Deno.test("every reply in the source has its row in docs/smtp-replies.md", () => {
  assert(literals.length > 50, "replies were not found in the source");
  const known = new Set(rows.map(show));
  assertEquals(literals.map(show).filter((reply) => !known.has(reply)), []);
});

Deno.test("every reply is US-ASCII: no client was asked whether it reads more (RFC 6531 §3.5)", () => {
  const isAscii = ({ text }: Row): boolean => /^[\x20-\x7e]*$/.test(text.replaceAll("…", ""));
  assertEquals(literals.filter((reply) => !isAscii(reply)).map(show), []);
});

Deno.test("every row of docs/smtp-replies.md stands in the source", () => {
  const lacking = rows.filter(({ code, text }) =>
    !source.includes(code) || text.split(/…|, e\.g\..*/).some((part) => !source.includes(part.trim()))
  );
  assertEquals(lacking.map(show), []);
});

Deno.test("every reply that a conversation test expects is one of docs/smtp-replies.md", () => {
  const patterns = rows.map(({ code, enhanced, text }) => {
    const words = text.split("…").map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")).join(".*");
    return new RegExp(`^${code}[ -]${enhanced === "" ? "" : `${enhanced} `}${words}$`);
  });
  const folder = `${root}/tests/conversations`;
  const unknown = [...Deno.readDirSync(folder)].filter(({ name }) => name.endsWith(".smtp")).flatMap(({ name }) =>
    Deno.readTextFileSync(`${folder}/${name}`).split("\n")
      .filter((line) => line.startsWith("S: ") && !line.startsWith("S: 220 mx.test "))
      .map((line) => line.slice(3))
      .filter((reply) => !patterns.some((pattern) => pattern.test(reply)))
      .map((reply) => `${name}: ${reply}`)
  );
  assertEquals(unknown, []);
});
