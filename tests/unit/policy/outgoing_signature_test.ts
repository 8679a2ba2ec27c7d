import { assertEquals, assertMatch } from "@std/assert";
import type { SigningKey } from "../../../lib/msgauth/dkim/sign.ts";
import { OutgoingSignature } from "../../../lib/policy/outgoing_signature.ts";
import { FakeResolver } from "../../support/fake_resolver.ts";
import { NOW_MS, octetsOf, splitMessage, verifyMessage } from "../../support/msgauth/dkim_check.ts";
import { testKey, zoneOf } from "../../support/msgauth/dkim_keys.ts";

const rsa = await testKey("rsa-sha256", "s1");
const ed25519 = await testKey("ed25519-sha256", "s1-ed");
const resolver = new FakeResolver(zoneOf(rsa, ed25519));

async function sign(message: string, trace = "", keys: readonly SigningKey[] = [rsa, ed25519]): Promise<string> {
  const asked: string[] = [];
  const signature = new OutgoingSignature((domain) => {
    asked.push(domain);
    return Promise.resolve(domain === "example.org" ? keys : []);
  });
  const { header, body } = splitMessage(octetsOf(message));
  for (const octet of body) signature.push(Uint8Array.of(octet));
  return await signature.sign({ headerSection: header, trace, nowMs: NOW_MS });
}

Deno.test("a message is signed with each key of its author domain, with the fields of ours, and verifies", async () => {
  for (const rest of ["\r\nHello\r\n\r\n\r\n", "\r\n", "", "\r\nno line end"]) {
    const message = `From: Ann <ann@EXAMPLE.org>\r\nSubject: Hi\r\n${rest}`;
    const trace = "Received: from us\r\nMessage-ID: <1@mx.test>\r\n";
    const fields = await sign(message, trace);
    assertMatch(fields, /^DKIM-Signature:/);
    const findings = await verifyMessage(fields + trace + message, resolver);
    assertEquals(findings.map(({ result, algorithm }) => `${result} ${algorithm}`).sort(), [
      "pass ed25519-sha256",
      "pass rsa-sha256",
    ]);
    const changed = (fields + trace + message).replace("<1@", "<2@");
    assertEquals((await verifyMessage(changed, resolver)).map(({ result }) => result), ["fail", "fail"]);
  }
});

Deno.test("nothing is signed for several authors, none, a domain without keys, or a From that nobody can read", async () => {
  for (
    const from of [
      "From: ann@example.org, bob@example.com\r\n",
      "From: ann@example.org\r\nFrom: bob@example.com\r\n",
      "From: ann@example.com\r\n",
      "From: \r\n",
      "Subject: none\r\n",
      "",
    ]
  ) assertEquals(await sign(`${from}\r\nHello\r\n`), "", from);
  assertEquals(await sign("From: ann@example.org\r\n\r\nHello\r\n", "", []), "");
});

Deno.test("a message of a domain without keys is known to go unsigned by its header section", async () => {
  const signature = new OutgoingSignature(() => Promise.resolve([rsa]), (domain) => domain === "example.org");
  for (const [from, isDue] of [["ann@example.org", true], ["ann@example.net", false], ["nobody", false]] as const) {
    const headerSection = octetsOf(`From: ${from}\r\n`);
    signature.header(headerSection);
    assertEquals(signature.isDue, isDue, from);
    assertEquals(await signature.sign({ headerSection, trace: "", nowMs: NOW_MS }) !== "", isDue, from);
  }
});
