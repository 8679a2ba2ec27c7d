import { assert, assertEquals, assertMatch, assertRejects, assertThrows } from "@std/assert";
import { generateKeyPairSync } from "node:crypto";
import { createDkimKeys, dkimKeyPath, dkimRecord, listDkimSelectors } from "../../../../lib/msgauth/dkim/key.ts";
import { DkimKeyError } from "../../../../lib/msgauth/dkim/key_error.ts";
import { dkimTxtValue, readPrivateKey } from "../../../../lib/msgauth/dkim/private_key.ts";
import { systemFiles } from "../../../../lib/system/files.ts";
import { TemporaryFolder } from "../../../support/interop/temporary_folder.ts";

const NAME = { domain: "example.org", selector: "s2026" };

async function pemOf(folder: string, selector: string): Promise<string> {
  return await Deno.readTextFile(`${folder}/dkim/example.org/${selector}.pem`);
}

Deno.test("a pair of keys is made once, 0600, and never replaced; what is missing of it is made", async () => {
  await using keys = await TemporaryFolder.create();
  assertEquals(await listDkimSelectors(keys.path, "example.org", systemFiles), []);
  const made = await createDkimKeys(keys.path, NAME, systemFiles);
  assertEquals(made.map(({ selector }) => selector), ["s2026", "s2026-ed"]);
  for (const name of made) {
    assertEquals(((await Deno.stat(dkimKeyPath(keys.path, name))).mode ?? 0) & 0o777, 0o600);
  }
  assertEquals(((await Deno.stat(`${keys.path}/dkim/example.org`)).mode ?? 0) & 0o777, 0o700);
  const pem = await pemOf(keys.path, "s2026");
  await assertRejects(
    () => createDkimKeys(keys.path, NAME, systemFiles),
    DkimKeyError,
    "it exists; choose another selector",
  );
  await Deno.remove(`${keys.path}/dkim/example.org/s2026-ed.pem`);
  assertEquals((await createDkimKeys(keys.path, NAME, systemFiles)).map(({ selector }) => selector), ["s2026-ed"]);
  assertEquals(await pemOf(keys.path, "s2026"), pem);
  assertEquals(await listDkimSelectors(keys.path, "Example.ORG", systemFiles), ["s2026", "s2026-ed"]);
});

Deno.test("the records are zone file lines with strings of at most 255 octets that join to the value", async () => {
  await using keys = await TemporaryFolder.create();
  await createDkimKeys(keys.path, NAME, systemFiles);
  const pem = await pemOf(keys.path, "s2026");
  const line = dkimRecord(NAME, pem);
  assertMatch(line, /^s2026\._domainkey\.example\.org\. IN TXT "v=DKIM1; k=rsa; p=/);
  const strings = [...line.matchAll(/"([^"]*)"/g)].map((match) => match[1] ?? "");
  assertEquals(strings.length, 2);
  assert(strings.every((text) => text.length <= 255));
  assertEquals(strings.join(""), dkimTxtValue(pem));
  assertMatch(
    dkimRecord({ ...NAME, selector: "s2026-ed" }, await pemOf(keys.path, "s2026-ed")),
    /^s2026-ed\._domainkey\.example\.org\. IN TXT "v=DKIM1; k=ed25519; p=[A-Za-z0-9+/]{43}="$/,
  );
});

Deno.test("names that are no DNS names are refused before they become a path", () => {
  assertEquals(dkimKeyPath("/k", { domain: "Example.ORG", selector: "a.b_c" }), "/k/dkim/example.org/a.b_c.pem");
  for (const bad of ["", ".", "..", "../x", "a/b", "a..b", ".a", "a.", "-a", "a\0", "ä", "a b", "x".repeat(64)]) {
    assertThrows(() => dkimKeyPath("/k", { domain: "example.org", selector: bad }), DkimKeyError, "no DNS name");
    assertThrows(() => dkimKeyPath("/k", { domain: bad, selector: "s" }), DkimKeyError, "no DNS name");
  }
});

Deno.test("a file that holds no key for DKIM is refused without showing what it holds", async () => {
  const wrong = [
    generateKeyPairSync("ec", { namedCurve: "P-256" }),
    generateKeyPairSync("rsa", { modulusLength: 768 }),
  ];
  for (const { privateKey } of wrong) {
    const pem = String(privateKey.export({ type: "pkcs8", format: "pem" }));
    assertThrows(() => dkimTxtValue(pem), DkimKeyError, "neither an RSA key of 1024 to 4096 bits nor an Ed25519 key");
    await assertRejects(() => readPrivateKey(pem), DkimKeyError);
  }
  const error = assertThrows(() => dkimTxtValue("hunter2"), DkimKeyError, "no PEM private key found");
  assert(!error.message.includes("hunter2"));
});
