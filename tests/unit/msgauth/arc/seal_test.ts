import { createPublicKey, verify } from "node:crypto";
import { assert, assertEquals, assertMatch } from "@std/assert";
import { type MessageToSeal, sealArc } from "../../../../lib/msgauth/arc/seal.ts";
import { ArcValidator } from "../../../../lib/msgauth/arc/validate.ts";
import { parseResults } from "../../../../lib/msgauth/authentication_results/parse.ts";
import { BodyHasher } from "../../../../lib/msgauth/dkim/body_hash.ts";
import { canonicalizeField } from "../../../../lib/msgauth/dkim/canonicalize.ts";
import { indexHeader } from "../../../../lib/msgauth/dkim/header_hash.ts";
import { dkimTxtValue, makePrivateKey, readPrivateKey } from "../../../../lib/msgauth/dkim/private_key.ts";
import { SIGNED_BODY } from "../../../../lib/msgauth/dkim/sign.ts";
import type { ArcFinding } from "../../../../lib/msgauth/findings.ts";
import { ArcSealer, fieldsOf } from "../../../support/arc_sealer.ts";
import { FakeResolver } from "../../../support/fake_resolver.ts";
import { latin1, latin1Octets } from "../../../support/interop/maildir.ts";

const NOW_MS = 1_790_000_100_000;
const MESSAGE = [
  "DKIM-Signature: v=1; a=rsa-sha256; d=author.example; s=x; h=from; bh=AAAA; b=AAAA",
  "From: Jo <jo@author.example>",
  "Subject: caf\xc3\xa9",
  "",
  "Hello  all ",
  "",
].join("\r\n");
const RESULTS = {
  authservId: "mx.forwarder.example",
  results: [{
    method: "dmarc",
    result: "pass",
    properties: [{ type: "header", name: "from", value: "author.example" }],
  }, { method: "arc", result: "none", properties: [] }],
};

const pem = await makePrivateKey("rsa-sha256");
const ed25519 = await makePrivateKey("ed25519-sha256");
const KEY = { domain: "forwarder.example", selector: "s1", ...await readPrivateKey(pem) };
const LIST = new ArcSealer({ domain: "list.example", selector: "s1" });
const RESOLVER = new FakeResolver({
  ...LIST.zone,
  "s1._domainkey.forwarder.example": { TXT: [dkimTxtValue(pem)] },
  "s2._domainkey.forwarder.example": { TXT: [dkimTxtValue(ed25519)] },
});

async function validate(message: string): Promise<ArcFinding> {
  const [header, body] = split(message);
  const validator = new ArcValidator(indexHeader(header), { resolver: RESOLVER, nowMs: NOW_MS });
  const hasher = new BodyHasher(validator.bodyHashes);
  hasher.push(body);
  return await validator.finish(hasher);
}

function split(message: string): readonly [header: Uint8Array<ArrayBuffer>, body: Uint8Array<ArrayBuffer>] {
  const end = message.indexOf("\r\n\r\n") + 2;
  return [latin1Octets(message.slice(0, end)), latin1Octets(message.slice(end + 2))];
}

/** Validates and seals as a forwarder does; the set, or undefined. */
async function seal(message: string, changes: Partial<MessageToSeal> = {}): Promise<string | undefined> {
  const [headerSection, body] = split(message);
  const hasher = new BodyHasher([SIGNED_BODY]);
  hasher.push(body);
  const { sha256: bodyHash = new Uint8Array() } = hasher.hash(SIGNED_BODY);
  const chain = changes.chain ?? await validate(message);
  const trace = "Received: by mx.forwarder.example\r\nMessage-ID: <ours@forwarder.example>\r\n";
  const request = { headerSection, trace, bodyHash, results: RESULTS, chain, key: KEY, nowMs: NOW_MS, ...changes };
  const set = await sealArc(request);
  return set && `${set}${request.trace}${message}`;
}

async function mustSeal(message: string, changes: Partial<MessageToSeal> = {}): Promise<string> {
  const sealed = await seal(message, changes);
  assert(sealed !== undefined);
  return sealed;
}

Deno.test("a message that is sent on gets a set of three fields that verifies, and says what was found out", async () => {
  const sealed = await mustSeal(MESSAGE);
  const fields = fieldsOf(sealed).slice(0, 3);
  assertMatch(
    fields[0] ?? "",
    /^ARC-Seal: i=1; a=rsa-sha256; d=forwarder\.example; s=s1; t=1790000100;\r\n cv=none;\r\n b=/,
  );
  assertMatch(fields[1] ?? "", /^ARC-Message-Signature: i=1; a=rsa-sha256;[^]*c=relaxed\/relaxed;/);
  assertMatch(
    fields[2] ?? "",
    /^ARC-Authentication-Results: i=1; mx\.forwarder\.example;\r\n\tdmarc=pass header\.from/,
  );
  for (const line of fields.join("").split("\r\n")) assert(line.length <= 78, line);
  const finding = await validate(sealed);
  assertEquals([finding.result, finding.problem, finding.sealers], ["pass", undefined, ["forwarder.example"]]);
  assertEquals(parseResults(finding.authenticationResults?.[0] ?? ""), RESULTS);
});

Deno.test("what readers see, and DKIM signatures, are signed; trace fields may come and go", async () => {
  const sealed = await mustSeal(MESSAGE);
  for (
    const [from, to] of [["caf", "tea"], ["ours@", "theirs@"], ["h=from; bh", "h=to; bh"], [
      "Subject",
      "To: x\r\nSubject",
    ]]
  ) {
    assertEquals((await validate(sealed.replace(from ?? "", to ?? ""))).result, "fail", to);
  }
  const traced = `Received: by x\r\nDelivered-To: a@b.example\r\n${sealed.replace(/^Received:.*\r\n/m, "")}`;
  assertEquals((await validate(`Authentication-Results: x; none\r\n${traced}`)).result, "pass");
});

Deno.test("a chain of others is continued, with RSA and Ed25519, and by others after us", async () => {
  let message = LIST.seal(MESSAGE);
  message = await mustSeal(message);
  message = LIST.seal(message);
  message = await mustSeal(message, {
    key: { domain: "forwarder.example", selector: "s2", ...await readPrivateKey(ed25519) },
    trace: "",
  });
  const finding = await validate(message);
  assertEquals([finding.result, finding.problem, finding.instance], ["pass", undefined, 4]);
  assertEquals(finding.sealers, ["list.example", "forwarder.example", "list.example", "forwarder.example"]);
});

Deno.test("a chain that fails is sealed once as failed, over the new set alone, and never again", async () => {
  const broken = LIST.seal(LIST.seal(MESSAGE)).replace("Hello", "Goodbye");
  const sealed = await mustSeal(broken);
  assertMatch(sealed, /^ARC-Seal: i=3;[^]*?cv=fail;/);
  const finding = await validate(sealed);
  assertEquals([finding.result, finding.isEnded], ["fail", true]);
  assertEquals(await seal(sealed), undefined);
  const [as = "", ams = "", aar = ""] = fieldsOf(sealed);
  const covered = [aar, ams, as.replace(/(?<= b=)[^]*/, "\r\n")].map((field) =>
    latin1(canonicalizeField(latin1Octets(field), "relaxed"))
  );
  const made = as.replace(/[^]* b=|\s/g, "");
  const input = latin1Octets(covered.join("").slice(0, -2));
  assert(verify("sha256", input, createPublicKey(pem), latin1Octets(atob(made))));
  const misshapen = await mustSeal(LIST.seal(LIST.seal(MESSAGE), { instance: 1 }));
  assertMatch(misshapen, /^ARC-Seal: i=2;[^]*?cv=fail;/);
});

Deno.test("a chain that could not be judged because of DNS, and one of fifty sets, are left as they are", async () => {
  const message = LIST.seal(MESSAGE);
  const finding: ArcFinding = { result: "fail", sealers: ["list.example"], instance: 1, isTransient: true };
  assertEquals(await seal(message, { chain: finding }), undefined);
  assertEquals(await seal(message, { chain: { result: "pass", sealers: [], instance: 50 } }), undefined);
  assertEquals(await seal(message, { chain: { result: "fail", sealers: [], instance: 50 } }), undefined);
});

Deno.test("a chain that is not there any more is not called good", async () => {
  assertEquals(await seal(MESSAGE, { chain: { result: "pass", sealers: ["list.example"], instance: 1 } }), undefined);
});
