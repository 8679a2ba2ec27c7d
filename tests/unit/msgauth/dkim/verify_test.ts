import { createHash } from "node:crypto";
import { assert, assertEquals } from "@std/assert";
import type { Resolver } from "../../../../lib/dns/resolver.ts";
import { BodyHasher } from "../../../../lib/msgauth/dkim/body_hash.ts";
import { indexHeader } from "../../../../lib/msgauth/dkim/header_hash.ts";
import { DkimVerifier } from "../../../../lib/msgauth/dkim/verify.ts";
import { FakeResolver } from "../../../support/fake_resolver.ts";
import { NOW_MS, octetsOf, splitMessage, verifyMessage } from "../../../support/msgauth/dkim_check.ts";
import { testKey, zoneOf } from "../../../support/msgauth/dkim_keys.ts";
import { type HandSignature, signByHand } from "../../../support/msgauth/signed_by_hand.ts";

const rsa = await testKey("rsa-sha256", "s1");
const ed25519 = await testKey("ed25519-sha256", "s1-ed");
const zone = zoneOf(rsa, ed25519);
const seconds = NOW_MS / 1000;
const FIELDS = "From: ann@example.org\r\nTo: bob@example.net\r\nSubject: Hi\r\nDate: today\r\n";
const MESSAGE = `${FIELDS}\r\nHello\r\n\r\nBye\r\n`;

async function verdict(tags: HandSignature["tags"], message = MESSAGE, records = zone): Promise<string> {
  const signed = await signByHand(message, { key: rsa, ...tags !== undefined && { tags } });
  const [finding] = await verifyMessage(signed, new FakeResolver(records));
  return `${finding?.result}${finding?.problem === undefined ? "" : `: ${finding.problem}`}`;
}

Deno.test("a signature passes in all canonicalizations, folded and not", async () => {
  for (const key of [rsa, ed25519]) {
    for (
      const c of [
        "simple/simple",
        "simple/relaxed",
        "relaxed/simple",
        "relaxed/relaxed",
        "simple",
        "relaxed",
        undefined,
      ]
    ) {
      for (const gap of ["", " ", "\r\n\t", "\t \r\n  "]) {
        const signed = await signByHand(MESSAGE, { key, tags: { c }, gap });
        const [finding] = await verifyMessage(signed, new FakeResolver(zone));
        assertEquals(finding?.result, "pass", `${c} ${JSON.stringify(gap)} ${finding?.problem}`);
      }
    }
  }
});

Deno.test("a finding says what the field says", async () => {
  const signed = await signByHand(MESSAGE, { key: rsa, tags: { i: "J=C3=B6=3Brg@mail.example.org" } });
  const [finding] = await verifyMessage(signed, new FakeResolver(zone));
  assertEquals({ ...finding, signatureStart: finding?.signatureStart?.length }, {
    result: "pass",
    domain: "example.org",
    selector: "s1",
    algorithm: "rsa-sha256",
    identity: "Jö;rg@mail.example.org",
    signatureStart: 8,
    keyBits: 2048,
    isTesting: false,
  });
});

Deno.test("what is wrong with the tags is told before any lookup", async () => {
  const cases: readonly [NonNullable<HandSignature["tags"]>, string][] = [
    [{ v: undefined }, "permerror: v= is missing"],
    [{ v: "2" }, "neutral: unknown version"],
    [{ a: "rsa-sha1" }, "permerror: rsa-sha1 does not count any more (RFC 8301)"],
    [{ a: "rsa-sha512" }, "neutral: unknown algorithm"],
    [{ c: "relaxed/nofws" }, "neutral: unknown canonicalization in c="],
    [{ c: "relaxed/relaxed/relaxed" }, "neutral: unknown canonicalization in c="],
    [{ d: undefined }, "permerror: d= is missing"],
    [{ d: "org" }, "neutral: malformed d="],
    [{ d: "exa mple.org" }, "neutral: malformed d="],
    [{ d: "example.org." }, "neutral: malformed d="],
    [{ d: "ex\xffmple.org" }, "neutral: malformed d="],
    [{ s: "" }, "neutral: malformed s="],
    [{ s: "../s1" }, "neutral: malformed s="],
    [{ h: undefined }, "permerror: h= is missing"],
    [{ h: "from::to" }, "neutral: malformed h="],
    [{ h: "to:subject" }, "policy: From is not signed"],
    [{ bh: "AAAA" }, "neutral: malformed bh="],
    [{ bh: "!" }, "neutral: malformed bh="],
    [{ l: "-1" }, "neutral: malformed l="],
    [{ l: "1".repeat(77) }, "neutral: malformed l="],
    [{ t: "1e9" }, "neutral: malformed t="],
    [{ t: String(seconds + 3700) }, "policy: signed in the future"],
    [{ x: String(seconds - 3700) }, "policy: expired"],
    [{ t: "1000", x: "1000" }, "permerror: x= is not after t="],
    [{ i: "ann@example.com" }, "permerror: the domain of i= is not within d="],
    [{ i: "ann@notexample.org" }, "permerror: the domain of i= is not within d="],
    [{ i: "ann" }, "neutral: malformed i="],
    [{ q: "dns/a:x" }, "neutral: unknown query method in q="],
    [{ "1": "x" }, 'neutral: malformed: "1" is no tag name'],
    [{ z: "\0" }, "neutral: malformed: a control character in z="],
    [{ z: "a;v=1" }, "neutral: malformed: v= stands there twice"],
    [{ z: "a;;" }, 'neutral: malformed: "" is no tag=value'],
  ];
  for (const [tags, expected] of cases) {
    const resolver = new FakeResolver(zone);
    const [finding] = await verifyMessage(await signByHand(MESSAGE, { key: rsa, tags }), resolver);
    assertEquals(`${finding?.result}: ${finding?.problem}`, expected, JSON.stringify(tags));
    assertEquals(resolver.questions, [], expected);
  }
});

Deno.test("what may be there passes: unknown tags, white space in values, clocks that are a little wrong", async () => {
  const good: readonly NonNullable<HandSignature["tags"]>[] = [
    { xyz: "a=b  c", z: "From:x" },
    { h: "from : To:\r\n SUBJECT :date: x-not-there:from" },
    { t: String(seconds + 3500) },
    { t: "1", x: String(seconds - 3500) },
    { i: "@example.org" },
    { q: "foo:dns/txt" },
    { a: "RSA-sha256", c: "Relaxed/SIMPLE" },
    { d: "EXAMPLE.org", s: "S1" },
  ];
  for (const tags of good) {
    // The signer of the test knows lower case only.
    if (tags.c !== undefined) {
      assertEquals((await verdict({ ...tags, c: "relaxed/simple" })).split(":")[0], "pass");
      continue;
    }
    assertEquals(await verdict(tags), "pass", JSON.stringify(tags));
  }
});

Deno.test("octets of the body that l= leaves out are a reason not to pass, and are counted", async () => {
  const body = "Hello\r\n\r\nBye\r\n";
  assertEquals(await verdict({ l: String(body.length) }), "pass");
  assertEquals(await verdict({ l: String(body.length) }, `${MESSAGE}\r\n\r\n`), "pass");
  assertEquals(await verdict({ l: "5" }), `policy: ${body.length - 5} octets of the body are not signed`);
  assertEquals(await verdict({ l: "0" }), `policy: ${body.length} octets of the body are not signed`);
  assertEquals(await verdict({ l: String(body.length + 1) }), "permerror: l= is more than the body has");
  assertEquals(await verdict({ l: "9".repeat(76) }), "permerror: l= is more than the body has");
  const signed = await signByHand(MESSAGE, { key: rsa, tags: { l: String(body.length) } });
  const [finding] = await verifyMessage(`${signed}added\r\n`, new FakeResolver(zone));
  assertEquals([finding?.result, finding?.unsignedOctets], ["policy", 7]);
});

Deno.test("a message has one From field, and all of them are signed", async () => {
  assertEquals(await verdict({}, `To: x\r\n\r\nHi\r\n`), "permerror: the message has no From field");
  const signed = await signByHand(MESSAGE, { key: rsa });
  const [finding] = await verifyMessage(`From: eve@example.com\r\n${signed}`, new FakeResolver(zone));
  assertEquals([finding?.result, finding?.problem], ["policy", "2 From fields, and 1 of them signed"]);
});

Deno.test("a body that was changed fails without waiting for DNS, and without any arithmetic", async () => {
  const signed = (await signByHand(MESSAGE, { key: rsa })).replace("Bye", "Buy");
  const silent: Resolver = { lookup: () => new Promise(() => {}) };
  const [finding] = await verifyMessage(signed, silent);
  assertEquals([finding?.result, finding?.problem], ["fail", "the body was changed"]);
});

Deno.test("the lookups begin with the header, one for each key", async () => {
  const one = await signByHand(MESSAGE, { key: rsa });
  const two = await signByHand(one, { key: rsa, tags: { h: "from" } });
  const three = await signByHand(two, { key: ed25519 });
  const resolver = new FakeResolver(zone);
  const verifier = new DkimVerifier(indexHeader(splitMessage(octetsOf(three)).header), { resolver, nowMs: NOW_MS });
  assertEquals(resolver.questions, ["TXT s1-ed._domainkey.example.org", "TXT s1._domainkey.example.org"]);
  const hasher = new BodyHasher(verifier.bodyHashes);
  hasher.push(splitMessage(octetsOf(three)).body);
  assertEquals((await verifier.finish(hasher)).map(({ result }) => result), ["pass", "pass", "pass"]);
});

Deno.test("DNS that does not answer is temperror, also where the resolver throws", async () => {
  assertEquals(
    await verdict({}, MESSAGE, { "s1._domainkey.example.org": { failing: ["TXT"] } as unknown as { TXT: string[] } }),
    "temperror: cannot look up the key: SERVFAIL from fake",
  );
  const signed = await signByHand(MESSAGE, { key: rsa });
  for (
    const resolver of [
      throwing(() => Promise.reject(new Error("x"))),
      throwing(() => {
        throw new Error("x");
      }),
    ]
  ) {
    const [finding] = await verifyMessage(signed, resolver);
    assertEquals([finding?.result, finding?.problem], ["temperror", "cannot look up the key"]);
  }
});

function throwing(lookup: () => Promise<never>): Resolver {
  return { lookup };
}

Deno.test("at most ten signatures are looked at; all others are one finding", async () => {
  let message = MESSAGE;
  for (let count = 0; count < 12; count++) message = await signByHand(message, { key: ed25519 });
  const resolver = new FakeResolver(zone);
  const findings = await verifyMessage(`${"DKIM-Signature: v=1\r\n".repeat(2)}${message}`, resolver);
  assertEquals(findings.map(({ result }) => result), [
    "permerror",
    "permerror",
    ...Array.from({ length: 8 }, () => "pass"),
    "policy",
  ]);
  assertEquals(findings.at(-1)?.problem, "4 more signatures were not looked at: at most 10 are");
  assertEquals(resolver.questions.length, 1);
});

Deno.test("signatures are told apart by their beginning", async () => {
  const resolver = new FakeResolver({});
  const field = (b: string): string => `DKIM-Signature: v=1; a=rsa-sha256; b=${b}\r\n`;
  const findings = await verifyMessage(
    `${field("AAAABBBBCCCC")}${field("AAAABBBB CDDD")}${field("EEEE")}\r\n`,
    resolver,
  );
  assertEquals(findings.map(({ signatureStart }) => signatureStart), ["AAAABBBBCC", "AAAABBBBCD", "EEEE"]);
  const twice = await verifyMessage(field("ABCD".repeat(5000)).repeat(2), resolver);
  assertEquals(twice.map(({ signatureStart }) => signatureStart?.length), [64, 64]);
});

Deno.test("a field of a megabyte is not looked at", async () => {
  const [finding] = await verifyMessage(
    `DKIM-Signature: v=1; z=${"a".repeat(2 ** 20)}\r\n${MESSAGE}`,
    new FakeResolver({}),
  );
  assertEquals(finding, { result: "neutral", problem: "longer than 32768 octets", isTesting: false });
});

Deno.test("a message without signature, and one without anything, have no findings", async () => {
  assertEquals(await verifyMessage(MESSAGE, new FakeResolver(zone)), []);
  assertEquals(await verifyMessage("", new FakeResolver(zone)), []);
});

Deno.test("domains of other letters are looked up as A-labels", async () => {
  const resolver = new FakeResolver({});
  const tags = { d: "b\xc3\xbccher.example", i: "J\xc3\xb6rg@b\xc3\xbccher.example" };
  const [finding] = await verifyMessage(await signByHand(MESSAGE, { key: rsa, tags }), resolver);
  assertEquals(resolver.questions, ["TXT s1._domainkey.xn--bcher-kva.example"]);
  assertEquals([finding?.domain, finding?.identity], ["xn--bcher-kva.example", "Jörg@bücher.example"]);
  assert(finding?.result === "permerror");
});

Deno.test("Many signatures of large keys are computed in turns with other work", async () => {
  // Nobody has the private half; computing with it takes as long as any.
  const modulus = new Uint8Array(512).fill(0xff);
  const der = (
    tag: number,
    ...content: number[]
  ): number[] => [tag, 0x82, content.length >> 8, content.length & 255, ...content];
  const key = Uint8Array.from(der(0x30, ...der(0x02, 0, ...modulus), ...der(0x02, 0, 255, 255, 255, 255)));
  const record = `v=DKIM1; p=${key.toBase64()}`;
  const signature = new Uint8Array(512).fill(1).toBase64();
  const hash = createHash("sha256").update("x\r\n").digest("base64");
  const zone: Record<string, { TXT: string[] }> = {};
  let header = "";
  for (let i = 0; i < 10; i++) {
    zone[`s${i}._domainkey.example.org`] = { TXT: [record, `${record}; n=2`, `${record}; n=3`] };
    header += `DKIM-Signature: v=1; a=rsa-sha256; d=example.org; s=s${i}; h=from; bh=${hash}; b=${signature}\r\n`;
  }
  let turns = 0;
  let isOver = false;
  const count = (): void =>
    void setTimeout(() => {
      turns++;
      if (!isOver) count();
    });
  count();
  const findings = await verifyMessage(`${header}From: a@example.org\r\n\r\nx\r\n`, new FakeResolver(zone));
  isOver = true;
  await new Promise((resolve) => setTimeout(resolve, 5));
  assertEquals(findings.map(({ result }) => result), Array(10).fill("fail"));
  assert(turns >= 5, `${turns} turns of others`);
});
