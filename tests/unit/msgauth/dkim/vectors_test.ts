import { assert, assertEquals } from "@std/assert";
import { createPrivateKey } from "node:crypto";
import {
  fieldOctets,
  fieldsNamed,
  headerHashInput,
  indexHeader,
  rawFieldValue,
  selectFields,
  withEmptySignature,
} from "../../../../lib/msgauth/dkim/header_hash.ts";
import { readPrivateKey } from "../../../../lib/msgauth/dkim/private_key.ts";
import { signOctets } from "../../../../lib/msgauth/dkim/sign.ts";
import { parseSignature } from "../../../../lib/msgauth/dkim/signature.ts";
import { FakeResolver } from "../../../support/fake_resolver.ts";
import { splitMessage, verifyMessage } from "../../../support/msgauth/dkim_check.ts";
import { hasVectors, vector, vectorText, vectorZone } from "../../../support/msgauth/vectors.ts";

const ignore = !hasVectors;
/** Says why a test is skipped. */
const named = (name: string): string => ignore ? `${name} (skipped, ../shared/vectors is not here)` : name;

async function verdicts(name: string): Promise<string[]> {
  const findings = await verifyMessage(await vector(name), new FakeResolver(await vectorZone()));
  return findings.map(({ result, algorithm, domain, selector, keyBits, problem }) =>
    [result, algorithm, `${selector}._domainkey.${domain}`, keyBits, problem].filter((part) => part !== undefined).join(
      " ",
    )
  );
}

Deno.test({
  name: named("the message of RFC 8463 A.3 passes with Ed25519 and with RSA"),
  ignore,
  fn: async () => {
    assertEquals(await verdicts("rfc8463-a3-signed.eml"), [
      "pass ed25519-sha256 brisbane._domainkey.football.example.com",
      "pass rsa-sha256 test._domainkey.football.example.com 1024",
    ]);
  },
});

Deno.test({
  name:
    "the message of RFC 6376 A.2 passes with simple canonicalization, and fails with the spaces that the RFC prints",
  ignore,
  fn: async () => {
    assertEquals(await verdicts("rfc6376-a2-signed.eml"), ["pass rsa-sha256 brisbane._domainkey.example.com 1024"]);
    assertEquals(await verdicts("rfc6376-a2-as-printed.eml"), [
      "fail rsa-sha256 brisbane._domainkey.example.com the body was changed",
    ]);
  },
});

/** Signs what a field of a vector says again, and compares with its `b=`. */
async function signAgain(name: string, number: number, pem: string): Promise<void> {
  const header = indexHeader(splitMessage(await vector(name)).header);
  const field = fieldsNamed(header, "dkim-signature")[number];
  assert(field !== undefined);
  const parsed = parseSignature(rawFieldValue(header, field));
  assert(parsed.kind === "signature");
  const { fieldNames, canonicalization, signature } = parsed.signature;
  const message = headerHashInput({
    header,
    fields: selectFields(header, fieldNames),
    canonicalization: canonicalization.header,
    signatureField: withEmptySignature(fieldOctets(header, field)),
  });
  const key = await readPrivateKey(pem);
  assertEquals(key.algorithm, parsed.signature.algorithm);
  assertEquals((await signOctets(key, message)).toBase64(), signature.toBase64());
}

Deno.test({
  name: named("the published keys sign the messages of both RFCs again, octet for octet"),
  ignore,
  fn: async () => {
    await signAgain("rfc6376-a2-signed.eml", 0, await vectorText("rfc6376-c-rsa-private.pem"));
    await signAgain("rfc8463-a3-signed.eml", 1, await vectorText("rfc8463-a1-rsa-private.pem"));
    const seed = Uint8Array.fromBase64((await vectorText("rfc8463-a1-ed25519-private.b64")).trim());
    // PKCS#8 of an Ed25519 seed (RFC 8410 §7).
    const der = new Uint8Array([...Uint8Array.fromHex("302e020100300506032b657004220420"), ...seed]);
    const key = createPrivateKey({ key: der as unknown as string, format: "der", type: "pkcs8" });
    await signAgain("rfc8463-a3-signed.eml", 0, String(key.export({ type: "pkcs8", format: "pem" })));
  },
});
