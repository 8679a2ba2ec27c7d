import { assert, assertEquals, assertMatch } from "@std/assert";
import { BodyHasher } from "../../../../lib/msgauth/dkim/body_hash.ts";
import { SIGNED_BODY, signMessage } from "../../../../lib/msgauth/dkim/sign.ts";
import { FakeResolver } from "../../../support/fake_resolver.ts";
import { NOW_MS, octetsOf, signWhole, verifyMessage } from "../../../support/msgauth/dkim_check.ts";
import { testKey, zoneOf } from "../../../support/msgauth/dkim_keys.ts";

const rsa = await testKey("rsa-sha256", "s2026");
const ed25519 = await testKey("ed25519-sha256", "s2026-ed");
const resolver = new FakeResolver(zoneOf(rsa, ed25519));

const MESSAGE = "From: Ann <ann@example.org>\r\nTo: bob@example.net\r\nSubject: Gr\xfc\xdfe\r\n folded\r\n" +
  "Date: Fri, 27 Nov 2026 10:00:00 +0000\r\nMessage-ID: <1@example.org>\r\nX-Other: 1\r\n\r\nHello  there \r\n.\r\n\r\n\r\n";

async function results(message: Uint8Array | string): Promise<string[]> {
  return (await verifyMessage(message, resolver)).map(({ result, algorithm }) => `${result} ${algorithm}`);
}

const text = (octets: Uint8Array): string => [...octets].map((octet) => String.fromCharCode(octet)).join("");

Deno.test("a message is signed with RSA and with Ed25519, and both verify", async () => {
  const signed = await signWhole(octetsOf(MESSAGE), [rsa, ed25519]);
  assertEquals(await results(signed), ["pass rsa-sha256", "pass ed25519-sha256"]);
});

Deno.test("the field names what it signs, in lines of at most 78 characters", async () => {
  const field = text(await signWhole(octetsOf(MESSAGE), [rsa])).replace(/\r\nFrom: [^]*$/, "");
  assertMatch(
    field,
    /^DKIM-Signature: v=1; a=rsa-sha256; c=relaxed\/relaxed; d=example\.org;\r\n s=s2026; t=1795737600; h=from:from:/,
  );
  assert(field.split("\r\n").every((line) => line.length <= 78 && line !== ""), field);
  assertEquals(
    /h=([^;]*);/.exec(field)?.[1]?.replace(/\s/g, ""),
    "from:from:to:to:cc:subject:subject:date:date:reply-to:message-id:message-id:mime-version:content-type:" +
      "content-transfer-encoding",
  );
});

Deno.test("a changed or added field, or a changed body, is noticed", async () => {
  const signed = text(await signWhole(octetsOf(MESSAGE), [rsa, ed25519]));
  const fails = ["fail rsa-sha256", "fail ed25519-sha256"];
  for (const added of ["To: x@y.example", "Cc: x@y.example", "Subject: Other", "Reply-To: x@y.example"]) {
    assertEquals(await results(`${added}\r\n${signed}`), fails, added);
    assertEquals(await results(signed.replace("X-Other: 1", added)), fails, added);
  }
  assertEquals(await results(`From: x@y.example\r\n${signed}`), fails);
  assertEquals(await results(signed.replace("folded", "fooled")), fails);
  assertEquals(await results(signed.replace("Hello", "Hallo")), fails);
});

Deno.test("what transport may do is not noticed: other white space, names in another case, trace fields, lists", async () => {
  const signed = text(await signWhole(octetsOf(MESSAGE), [rsa, ed25519]));
  const passes = ["pass rsa-sha256", "pass ed25519-sha256"];
  const changed = signed.replace("Subject: Gr", "SUBJECT:\t Gr").replace("\r\n folded", " folded").replace(
    "Hello  there \r\n",
    "Hello there\r\n",
  )
    .replace("X-Other: 1\r\n", "");
  assertEquals(await results(`Received: by x\r\nList-Id: <x>\r\nSender: l@x.example\r\n${changed}\r\n\r\n`), passes);
});

Deno.test("fields that we put in front are signed with the others", async () => {
  const hasher = new BodyHasher([SIGNED_BODY]);
  hasher.push(octetsOf("Hi\r\n"));
  const bodyHash = hasher.hash(SIGNED_BODY).sha256 ?? new Uint8Array(0);
  const trace = "Received: by us\r\nDate: Fri, 27 Nov 2026 10:00:00 +0000\r\n";
  const headerSection = octetsOf("From: ann@example.org\r\n");
  const fields = await signMessage({ headerSection, trace, bodyHash, keys: [rsa, ed25519], nowMs: NOW_MS });
  const whole = `${fields}${trace}From: ann@example.org\r\n\r\nHi\r\n`;
  assertEquals(await results(whole), ["pass rsa-sha256", "pass ed25519-sha256"]);
  assertEquals(await results(whole.replace("27 Nov", "28 Nov")), ["fail rsa-sha256", "fail ed25519-sha256"]);
  assertEquals(await signMessage({ headerSection, trace, bodyHash, keys: [], nowMs: NOW_MS }), "");
});

Deno.test("many fields of one name make a long list, still in short lines", async () => {
  const many = "To: a@example.org\r\n".repeat(900) + MESSAGE;
  const signed = await signWhole(octetsOf(many), [ed25519]);
  assertEquals(await results(signed), ["pass ed25519-sha256"]);
  assert(text(signed).split("\r\n").every((line) => line.length <= 78));
});
