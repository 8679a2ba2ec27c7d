import { assert, assertEquals, assertMatch, assertRejects, assertThrows } from "@std/assert";
import { generateKeyPairSync } from "node:crypto";
import {
  createDkimKey,
  DkimKeyError,
  dkimKeyPath,
  dkimRecord,
  dkimTxtValue,
  listDkimSelectors,
} from "../../../../lib/msgauth/dkim/key.ts";
import { systemFiles } from "../../../../lib/system/files.ts";

const NAME = { domain: "example.org", selector: "s2026" };

async function keysFolder(): Promise<{ path: string } & AsyncDisposable> {
  const path = await Deno.makeTempDir();
  return { path, [Symbol.asyncDispose]: () => Deno.remove(path, { recursive: true }) };
}

Deno.test("a key is made once, 0600, and never replaced", async () => {
  await using keys = await keysFolder();
  assertEquals(await listDkimSelectors(keys.path, "example.org", systemFiles), []);
  const path = await createDkimKey(keys.path, NAME, systemFiles);
  assertEquals(path, `${keys.path}/dkim/example.org/s2026.pem`);
  assertEquals(((await Deno.stat(path)).mode ?? 0) & 0o777, 0o600);
  assertEquals(((await Deno.stat(`${keys.path}/dkim/example.org`)).mode ?? 0) & 0o777, 0o700);
  const pem = await Deno.readTextFile(path);
  await assertRejects(
    () => createDkimKey(keys.path, NAME, systemFiles),
    DkimKeyError,
    "it exists; choose another selector",
  );
  assertEquals(await Deno.readTextFile(path), pem);
  assertEquals(await listDkimSelectors(keys.path, "Example.ORG", systemFiles), ["s2026"]);
});

Deno.test("the published key verifies what the private key signs", async () => {
  await using keys = await keysFolder();
  const pem = await Deno.readTextFile(await createDkimKey(keys.path, NAME, systemFiles));
  const value = dkimTxtValue(pem);
  const encoded = /^v=DKIM1; k=rsa; p=([A-Za-z0-9+/]+=*)$/.exec(value)?.[1];
  assert(encoded !== undefined);
  const algorithm = { name: "RSASSA-PKCS1-v1_5", hash: "SHA-256" };
  const body = Uint8Array.fromBase64(pem.replace(/-----[A-Z ]+-----/g, "").replace(/\n/g, ""));
  const privateKey = await crypto.subtle.importKey("pkcs8", body, algorithm, false, ["sign"]);
  const publicKey = await crypto.subtle.importKey("spki", Uint8Array.fromBase64(encoded), algorithm, true, ["verify"]);
  const message = new TextEncoder().encode("mail");
  const signature = await crypto.subtle.sign(algorithm, privateKey, message);
  assert(await crypto.subtle.verify(algorithm, publicKey, signature, message));
});

Deno.test("the record is one zone file line with strings of at most 255 octets that join to the value", async () => {
  await using keys = await keysFolder();
  const pem = await Deno.readTextFile(await createDkimKey(keys.path, NAME, systemFiles));
  const line = dkimRecord(NAME, pem);
  assertMatch(line, /^s2026\._domainkey\.example\.org\. IN TXT "v=DKIM1; k=rsa; p=/);
  const strings = [...line.matchAll(/"([^"]*)"/g)].map((match) => match[1] ?? "");
  assertEquals(strings.length, 2);
  assert(strings.every((text) => text.length <= 255));
  assertEquals(strings.join(""), dkimTxtValue(pem));
});

Deno.test("names that are no DNS names are refused before they become a path", () => {
  assertEquals(dkimKeyPath("/k", { domain: "Example.ORG", selector: "a.b_c" }), "/k/dkim/example.org/a.b_c.pem");
  for (const bad of ["", ".", "..", "../x", "a/b", "a..b", ".a", "a.", "-a", "a\0", "ä", "a b", "x".repeat(64)]) {
    assertThrows(() => dkimKeyPath("/k", { domain: "example.org", selector: bad }), DkimKeyError, "no DNS name");
    assertThrows(() => dkimKeyPath("/k", { domain: bad, selector: "s" }), DkimKeyError, "no DNS name");
  }
});

Deno.test("a file that holds no RSA key is refused without showing what it holds", () => {
  const { privateKey } = generateKeyPairSync("ed25519");
  const pem = String(privateKey.export({ type: "pkcs8", format: "pem" }));
  assertThrows(() => dkimTxtValue(pem), DkimKeyError, "no RSA key");
  const error = assertThrows(() => dkimTxtValue("hunter2"), DkimKeyError, "no PEM private key found");
  assert(!error.message.includes("hunter2"));
});
