import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { BodyHasher } from "../../lib/msgauth/dkim/body_hash.ts";
import { indexHeader, selectFields } from "../../lib/msgauth/dkim/header_hash.ts";
import { chooseKeys } from "../../lib/msgauth/dkim/key_record.ts";
import { parseRsaPublicKey } from "../../lib/msgauth/dkim/rsa.ts";
import { parseSignature } from "../../lib/msgauth/dkim/signature.ts";
import { parseTagList } from "../../lib/msgauth/dkim/tag_list.ts";
import { FakeResolver } from "../support/fake_resolver.ts";
import { octetsOf, signWhole, verifyMessage } from "../support/msgauth/dkim_check.ts";
import { testKey, zoneOf } from "../support/msgauth/dkim_keys.ts";

const rsa = await testKey("rsa-sha256", "s1");
const ed25519 = await testKey("ed25519-sha256", "s1-ed");
const zone = zoneOf(rsa, ed25519);
const SIGNED = await signWhole(
  octetsOf("From: ann@example.org\r\nTo: bob@example.net\r\nSubject: Hi\r\n\r\nHello\r\n"),
  [rsa, ed25519],
);

const EQUALS = 61;

const word = fc.constantFrom(
  ..."v=1;|a=rsa-sha256;|a=ed25519-sha256;|d=example.org;|s=s1;|h=from;|h=from:to|bh=|b=|l=5;|x=1;|t=9;|i=@|c=relaxed/simple;| "
    .split("|"),
  "\r\n ",
  "\r\n",
  "\0",
  "\xff",
  "=",
  ";",
  ":",
  "AAAA",
  "p=",
  "k=rsa;",
  "v=DKIM1;",
  "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=;",
);
const words = fc.array(word, { maxLength: 25 }).map((parts) => parts.join(""));

Deno.test("whatever stands in signatures, keys and headers: a finding for each, and nothing throws", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(words, { maxLength: 4 }), words, async (signatures, record) => {
      const resolver = new FakeResolver({ "s1._domainkey.example.org": { TXT: [record, rsa.record] } });
      const fields = signatures.map((value) => `DKIM-Signature: ${value.replace(/\r\n(?! )/g, "")}\r\n`).join("");
      const findings = await verifyMessage(`${fields}From: ann@example.org\r\n\r\nHello\r\n`, resolver);
      assertEquals(findings.length, signatures.length);
      for (const { result, problem } of findings) {
        assert(result !== "pass" && /^[\x20-\x7e…]+$/.test(problem ?? ""), problem);
      }
    }),
    { numRuns: 500 },
  );
});

Deno.test("an octet that is changed anywhere is noticed, or means nothing", async () => {
  const resolver = new FakeResolver(zone);
  const place = fc.nat(SIGNED.length - 1);
  await fc.assert(
    fc.asyncProperty(place, fc.nat(255), async (at, octet) => {
      const changed = SIGNED.slice();
      changed[at] = octet;
      const passes = (await verifyMessage(changed, resolver)).filter(({ result }) => result === "pass").length;
      // One signature may be what was changed. Both pass where white space or the case of a name changed, or bits of base64
      // that stand for nothing.
      const isSame = /^[\s]$/.test(String.fromCharCode(SIGNED[at] ?? 0)) || SIGNED[at] === octet ||
        SIGNED[at + 1] === EQUALS ||
        ((SIGNED[at] ?? 0) ^ octet) === 32;
      assert(isSame || passes < 2, `octet ${at} became ${octet}`);
    }),
    { numRuns: 1000 },
  );
});

Deno.test("no octets make the reader of RSA keys or of key records throw", () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 400 }), (octets) => {
    parseRsaPublicKey(octets);
    chooseKeys([`v=DKIM1; p=${octets.toBase64()}`], "rsa-sha256");
  }));
  fc.assert(fc.property(fc.uint8Array({ maxLength: 100 }), (octets) => {
    const text = String.fromCharCode(...octets);
    chooseKeys([text, `v=DKIM1; ${text}`], "ed25519-sha256");
    parseSignature(text);
  }));
});

/** How long one call takes, in milliseconds. */
function timeOf(run: () => unknown): number {
  const start = performance.now();
  run();
  return performance.now() - start;
}

Deno.test("a megabyte of anything is read in linear time", () => {
  const long = 2 ** 20;
  const texts = [
    "a=".repeat(long / 2),
    ";".repeat(long),
    " ".repeat(long),
    "a".repeat(long),
    `h=${":".repeat(long)}`,
    `h=from${" ".repeat(long)}:x`,
    `b=${"\r\n ".repeat(long / 3)}`,
    `b=A${" A".repeat(long / 2)}`,
    `${Array.from({ length: long / 8 }, (_, at) => `t${at}=`).join(";")}`,
    `v=1; i=${"=3B".repeat(long / 3)}@example.org`,
    `d=${"a.".repeat(long / 2)}`,
    "\r".repeat(long),
    "v=1;a=rsa-sha256;" + "\xff".repeat(long),
  ];
  for (const text of texts) {
    for (const read of [parseTagList, parseSignature, (record: string) => chooseKeys([record], "rsa-sha256")]) {
      const ms = timeOf(() => read(text));
      assert(ms < 2_000, `${text.slice(0, 20)}: ${ms} ms`);
    }
  }
  const header = indexHeader(octetsOf("From: a\r\n".repeat(1_000)));
  const names = Array.from({ length: 100_000 }, () => "from");
  assert(timeOf(() => assertEquals(selectFields(header, names).length, 1_000)) < 2_000);
});

Deno.test("a body of empty lines or blanks only takes no memory", () => {
  const hasher = new BodyHasher([{ canonicalization: "simple" }, { canonicalization: "relaxed" }]);
  const before = Deno.memoryUsage().external;
  const lines = octetsOf("\r\n".repeat(32_768));
  const blanks = octetsOf(" ".repeat(65_536));
  for (let count = 0; count < 50; count++) hasher.push(lines);
  for (let count = 0; count < 50; count++) hasher.push(blanks);
  hasher.push(octetsOf("\r\nx"));
  assert(Deno.memoryUsage().external - before < 2 ** 22);
  const lineEnds = 2 * 50 * 32_768;
  assertEquals(hasher.hash({ canonicalization: "relaxed" }).octets, lineEnds + 5);
  assertEquals(hasher.hash({ canonicalization: "simple" }).octets, lineEnds + 50 * 65_536 + 5);
});
