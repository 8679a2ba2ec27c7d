import { assertEquals, assertMatch, assertRejects } from "@std/assert";
import { check } from "../../../lib/cli/check.ts";
import { ConfigError } from "../../../lib/config/errors.ts";

/** A folder with these files; `posthorn.yaml` among them. */
async function siteOf(
  files: Readonly<Record<string, string>>,
): Promise<AsyncDisposable & { readonly folder: string; readonly file: string }> {
  const folder = await Deno.makeTempDir();
  await Deno.mkdir(`${folder}/data/keys`, { recursive: true });
  for (const [name, text] of Object.entries(files)) await Deno.writeTextFile(`${folder}/${name}`, text);
  return {
    folder,
    file: `${folder}/posthorn.yaml`,
    [Symbol.asyncDispose]: () => Deno.remove(folder, { recursive: true }),
  };
}

const SHORTEST = "hostname: mail.example.org\ndomains: { example.org: {} }\n";

Deno.test("check names a secret of rewritten senders with which serve would not start, and makes none", async () => {
  await using wrong = await siteOf({ "posthorn.yaml": SHORTEST, "data/keys/srs": "short\n" });
  const error = await assertRejects(() => check(wrong.file), ConfigError);
  assertMatch(error.message, /data\/keys\/srs:1:1: expected a secret of 8 characters or more/);
  await using fresh = await siteOf({ "posthorn.yaml": SHORTEST });
  await check(fresh.file);
  assertEquals(await Array.fromAsync(Deno.readDir(`${fresh.folder}/data/keys`)), []);
});

Deno.test("check tells of aliases, forwards and catch-alls that lead to nobody, and of aliases whose mail is refused", async () => {
  await using site = await siteOf({
    "posthorn.yaml": `hostname: mail.example.org
domains: { example.org: { catch_all: nobody@example.net }, example.net: {} }
aliases:
  sales@example.net: [alice@example.net, allice@example.net, carol@elsewhere.example, alice+x@example.net]
  a@example.net: b@example.net
  b@example.net: a@example.net
  big@example.net: { include: members }
  alice@example.net: [alice@example.net, postmaster@example.net]
`,
    "members": Array.from({ length: 10_001 }, (_, index) => `m${index}@elsewhere.example\n`).join(""),
    "accounts.yaml": "alice@example.net: {}\nbob@example.net: { forward: bobb@example.net }\n",
  });
  const [, ...hints] = (await check(site.file)).split("\n");
  assertEquals(hints, [
    "The alias sales@example.net names allice@example.net, which is no mailbox here and gets none of its mail",
    "The alias a@example.net only leads round in a circle: its mail is refused",
    "The alias b@example.net only leads round in a circle: its mail is refused",
    "The alias big@example.net has more than 10000 recipients behind it: its mail is refused",
    "The mailbox bob@example.net forwards to bobb@example.net, which is no mailbox here and gets none of its mail",
    "The catch-all of example.org is no mailbox here: nobody@example.net",
  ]);
});

Deno.test("check says nothing of dead ends before there is an account", async () => {
  await using site = await siteOf({ "posthorn.yaml": `${SHORTEST}aliases: { a@example.org: alice@example.org }\n` });
  assertMatch(await check(site.file), /no accounts file yet: .* makes it$/);
});
