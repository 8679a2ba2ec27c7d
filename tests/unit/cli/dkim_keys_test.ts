import { assertEquals, assertMatch, assertNotEquals, assertRejects } from "@std/assert";
import { CommandError } from "../../../lib/cli/command_error.ts";
import { dkim, makeKeysOnReload, makeMissingKeys } from "../../../lib/cli/dkim_keys.ts";
import { loadConfig } from "../../../lib/config/load.ts";
import { processIo } from "../../../lib/cli/find_config.ts";
import { TemporaryFolder } from "../../support/interop/temporary_folder.ts";
import { LogLines } from "../../support/log_lines.ts";

async function site(folder: string, dkim: string): Promise<string> {
  const file = `${folder}/posthorn.yaml`;
  await Deno.writeTextFile(file, `hostname: mail.example.org\ndomains:\n  example.org: { dkim: [${dkim}] }\n`);
  return file;
}

Deno.test("dkim create makes and prints both keys of a selector, dkim list prints them again", async () => {
  await using folder = await TemporaryFolder.create();
  const file = await site(folder.path, "");
  const records = await dkim(file, ["create", "example.org", "s2026"]);
  assertMatch(
    records,
    /^s2026\._domainkey\.example\.org\. IN TXT "v=DKIM1; k=rsa; .*\ns2026-ed\._domainkey\.example\.org\. IN TXT "v=DKIM1; k=ed25519; .*$/,
  );
  assertEquals(await dkim(file, ["list", "example.org"]), records);
  assertEquals(await dkim(file, ["list", "example.org", "S2026"]), records);
  assertEquals(await dkim(file, ["list", "example.org", "s2027"]), "");
  await assertRejects(() => dkim(file, ["create", "example.org", "s2026"]), CommandError, "it exists");
  await assertRejects(() => dkim(file, ["create", "example.org", "a".repeat(62)]), CommandError, "no DNS name");
});

Deno.test("another name of a domain gets keys of its own under the same selectors, unless it says otherwise", async () => {
  await using folder = await TemporaryFolder.create();
  const file = `${folder.path}/posthorn.yaml`;
  const alias = (more: string): string => `{ alias_of: example.org${more} }`;
  const domains = `{ dkim: [s1] }\n  example.net: ${alias("")}\n  example.com: ${alias(", dkim: []")}\n`;
  await Deno.writeTextFile(file, `hostname: mail.example.org\ndomains:\n  example.org: ${domains}`);
  await makeMissingKeys(await loadConfig(file, processIo), new LogLines());
  const [own, others] = [await dkim(file, ["list", "example.org"]), await dkim(file, ["list", "example.net"])];
  assertMatch(others, /^s1\._domainkey\.example\.net\. IN TXT "v=DKIM1; k=rsa; .*\ns1-ed\._domainkey\.example\.net\. /);
  assertNotEquals(others.replaceAll("example.net", "example.org"), own);
  assertEquals(await dkim(file, ["list", "example.com"]), "");
});

Deno.test("keys that the configuration names are made once, and a folder that takes none stops no server", async () => {
  await using folder = await TemporaryFolder.create();
  const config = await loadConfig(await site(folder.path, "s1"), processIo);
  const log = new LogLines();
  await makeMissingKeys(config, log);
  await makeMissingKeys(config, log);
  assertEquals(log.lines.map((line) => line.replace(/`.*/, "")), [
    `info: Made DKIM key ${config.data}/keys/dkim/example.org/s1.pem; `,
    `info: Made DKIM key ${config.data}/keys/dkim/example.org/s1-ed.pem; `,
  ]);
  await Deno.writeTextFile(`${folder.path}/file`, "");
  await makeKeysOnReload({ ...config, data: `${folder.path}/file` }, log);
  assertMatch(log.lines[2] ?? "", /^error: Cannot make the DKIM keys that are new in the configuration: /);
});
