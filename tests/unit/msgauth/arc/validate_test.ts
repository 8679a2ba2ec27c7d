import { assert, assertEquals, assertMatch } from "@std/assert";
import fc from "fast-check";
import { ArcValidator } from "../../../../lib/msgauth/arc/validate.ts";
import { BodyHasher } from "../../../../lib/msgauth/dkim/body_hash.ts";
import { indexHeader } from "../../../../lib/msgauth/dkim/header_hash.ts";
import type { ArcFinding } from "../../../../lib/msgauth/findings.ts";
import { ArcSealer, bodyHash, fieldsOf, type SealChanges, type TagChanges } from "../../../support/arc_sealer.ts";
import { FakeResolver } from "../../../support/fake_resolver.ts";
import { latin1Octets } from "../../../support/interop/maildir.ts";

const NOW_MS = 1_790_000_100_000;
const HEADER = [
  "MIME-Version: 1.0",
  "From: Jo <jo@author.example>",
  "To: all@list.example",
  "Subject: three  words \t here",
  "Date: Fri, 27 Nov 2026 10:00:00 +0000",
  "Message-ID: <1@author.example>",
].map((line) => `${line}\r\n`).join("");
const MESSAGE = `${HEADER}\r\nHello  all \r\nsecond line\r\n\r\n\r\n`;

const LIST = new ArcSealer({ domain: "list.example", selector: "s1", bits: 1024 });
const OTHER = new ArcSealer({ domain: "other.example", selector: "ed" });
const WEAK = new ArcSealer({ domain: "weak.example", selector: "w", bits: 768 });
const ZONE = { ...LIST.zone, ...OTHER.zone, ...WEAK.zone };

async function validate(message: string, resolver = new FakeResolver(ZONE), nowMs = NOW_MS): Promise<ArcFinding> {
  const octets = latin1Octets(message);
  const end = message.indexOf("\r\n\r\n") + 2;
  const validator = new ArcValidator(indexHeader(octets.subarray(0, end)), { resolver, nowMs });
  const hasher = new BodyHasher(validator.bodyHashes);
  hasher.push(octets.subarray(end + 2));
  return await validator.finish(hasher);
}

async function expectPass(cases: Readonly<Record<string, string>>): Promise<void> {
  for (const [name, message] of Object.entries(cases)) {
    const { result, problem } = await validate(message);
    assertEquals([result, problem], ["pass", undefined], name);
  }
}

async function expectFail(cases: Readonly<Record<string, readonly [message: string, problem: RegExp]>>): Promise<void> {
  for (const [name, [message, problem]] of Object.entries(cases)) {
    const finding = await validate(message);
    assertEquals(finding.result, "fail", name);
    assertMatch(finding.problem ?? "", problem, name);
    assertEquals(finding.authenticationResults, undefined);
  }
}

/** The message sealed once, with tags of its ARC-Message-Signature or ARC-Seal changed before all is signed. */
const signature = (tags: TagChanges, more: SealChanges = {}): string =>
  LIST.seal(MESSAGE, { ...more, signature: tags });
const seal = (tags: TagChanges, more: SealChanges = {}): string => LIST.seal(MESSAGE, { ...more, seal: tags });

/** Changes one field after it was signed. */
function altered(message: string, field: string, change: (text: string) => string): string {
  const old = fieldsOf(message).find((text) => text.startsWith(`${field}:`));
  assert(old !== undefined, field);
  const changed = change(old);
  assert(changed !== old, field);
  return message.replace(old, () => changed);
}

Deno.test("a message without ARC fields gives none, and asks for nothing", async () => {
  const resolver = new FakeResolver(ZONE);
  assertEquals(await validate(MESSAGE, resolver), { result: "none", sealers: [] });
  for (const message of ["\r\n\r\n", `${HEADER}\r\n`]) assertEquals((await validate(message)).result, "none");
  assertEquals(resolver.questions, []);
});

Deno.test("chains of one to five sets by different sealers, RSA and Ed25519, pass", async () => {
  let message = MESSAGE;
  const sealers: string[] = [];
  for (const [index, sealer] of [LIST, OTHER, LIST, OTHER, OTHER].entries()) {
    message = sealer.seal(message, { results: `mx${index}.example; arc=pass` });
    sealers.push(sealer === LIST ? "list.example" : "other.example");
    const finding = await validate(message);
    assertEquals([finding.result, finding.problem], ["pass", undefined]);
    assertEquals(finding.sealers, sealers);
    assertEquals(finding.instance, index + 1);
    assertEquals(finding.authenticationResults?.length, index + 1);
    assertEquals(finding.authenticationResults?.at(-1), ` mx${index}.example; arc=pass`);
  }
});

Deno.test("fifty sets pass, each key is asked for once, and the order of the fields does not matter", async () => {
  let message = MESSAGE;
  for (let count = 0; count < 50; count++) message = (count % 2 === 0 ? LIST : OTHER).seal(message);
  const resolver = new FakeResolver(ZONE);
  const finding = await validate(message, resolver);
  assertEquals([finding.result, finding.sealers.length], ["pass", 50]);
  assertEquals(resolver.questions.toSorted(), ["TXT ed._domainkey.other.example", "TXT s1._domainkey.list.example"]);
  const body = message.slice(message.indexOf("\r\n\r\n"));
  assertEquals((await validate(`${fieldsOf(message).toReversed().join("")}${body.slice(2)}`)).result, "pass");
  const more = await validate(LIST.seal(message));
  assertEquals([more.result, more.problem, more.instance], ["fail", "there are more than 50 sets", 50]);
});

Deno.test("white space, folds, case of names and unknown tags are as in DKIM", async () => {
  const two = OTHER.seal(LIST.seal(MESSAGE));
  await expectPass({
    "blanks around the semicolons": signature({}, { separator: " ; \r\n " }),
    "no blanks": signature({}, { separator: ";" }),
    "an unknown tag of the signature": signature({ w: "catparty", v: "7" }),
    "an unknown tag of the seal": seal({ w: "catparty", c: "whatever", bh: "x", x: "1" }),
    "no t= of the signature": signature({ t: undefined }),
    "no t= of the seal": seal({ t: undefined }),
    "a name of h= in another case, with blanks": signature({ h: " FROM :\r\n to : Subject\t" }),
    "a name without field": signature({ h: "from:to:cc:list-id:cc" }),
    "From signed once more than it is there": signature({ h: "from:to:from" }),
    "covering the results": LIST.seal(LIST.seal(MESSAGE), { signature: { h: "from:arc-authentication-results" } }),
    "upper case of the domain": seal({ d: "LIST.Example" }),
    "b= in pieces": altered(two, "ARC-Seal", (text) => text.replace(/b=(.{20})(.{20})/, "b=$1\r\n $2 \t")),
    "other names and blanks": two.replaceAll(/^(ARC-[A-Za-z-]+): /gm, (name) => `${name.toUpperCase().trim()} \t`),
    "other folds and blanks": two.replace("Subject: three  words \t here", "SUBJECT:\r\n three words\r\n\there "),
    "blanks and empty lines of the body": two.replace("Hello  all \r\n", "Hello all\r\n") + "\r\n\r\n",
    "a field that is not signed": two.replace("MIME-Version", "X-Note: new\r\nMIME-Version"),
  });
});

Deno.test("all four canonicalizations are computed, and simple/simple is the default", async () => {
  const simpleBody = "Hello  all \r\nsecond line\r\n";
  const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", latin1Octets(simpleBody))).toBase64();
  await expectPass({
    relaxed: signature({ c: "relaxed/relaxed" }),
    "relaxed/simple": signature({ c: "relaxed/simple", bh: hash }),
    "relaxed alone": signature({ c: "relaxed", bh: hash }),
    "simple/relaxed": signature({ c: "simple/relaxed" }),
    "simple/simple": signature({ c: "simple/simple", bh: hash }),
  });
  await expectFail({
    "no c=, signed as relaxed/relaxed": [signature({ c: undefined }), /the body was changed/],
    "relaxed/simple, with another body hash": [signature({ c: "relaxed/simple" }), /the body was changed/],
    "an unknown one": [signature({ c: "relaxed/nowsp" }), /c=/],
    "an empty one": [signature({ c: "" }), /c=/],
  });
});

Deno.test("an ARC-Message-Signature that lacks something or cannot be read fails", async () => {
  for (const tag of ["a", "b", "bh", "d", "h", "s"]) {
    const missing = await validate(signature({ [tag]: undefined }));
    assertMatch(missing.problem ?? "", new RegExp(`^ARC-Message-Signature 1: ${tag}= is missing`));
    if (tag !== "b") assertEquals((await validate(signature({ [tag]: "" }))).result, "fail", tag);
  }
  await expectFail({
    "b= empty": [signature({ b: " " }), /b=/],
    "b= no base64": [signature({ b: "&&&" }), /b=/],
    "bh= no base64": [signature({ bh: "&&&&" }), /bh=/],
    "an old algorithm": [signature({ a: "rsa-sha1" }), /rsa-sha1/],
    "an unknown algorithm": [signature({ a: "poly-sha512" }), /algorithm/],
    "d= no domain": [signature({ d: "*.*" }), /d=/],
    "h= without From": [signature({ h: "to:subject" }), /From is not signed/],
    "h= with ARC-Seal": [signature({ h: "from:Arc-Seal" }), /it covers ARC-Seal/],
    "t= no number": [signature({ t: "soon" }), /t=/],
    "t= empty": [signature({ t: "" }), /t=/],
    "q= of another kind": [signature({ q: "http/get" }), /q=/],
    "expired": [signature({ t: "1000000000", x: "1000000001" }), /expired/],
    "the future": [signature({ t: "1800000000" }), /future/],
    "a tag twice": [signature({ d2: "x" }).replace("d2=x", "t=1"), /twice/],
    "no tag": [signature({ w: "x" }).replace("w=x", "w"), /no tag/],
  });
});

Deno.test("an ARC-Seal that lacks something or cannot be read fails", async () => {
  for (const tag of ["a", "b", "d", "s"]) {
    assertMatch((await validate(seal({ [tag]: undefined }))).problem ?? "", /^ARC-Seal 1: /);
    if (tag !== "b") assertMatch((await validate(seal({ [tag]: "" }))).problem ?? "", /^ARC-Seal 1: /, tag);
  }
  await expectFail({
    "h= is not allowed": [seal({ h: "from" }), /^ARC-Seal 1: it has h=$/],
    "b= no base64": [seal({ b: "&&&" }), /b=/],
    "no cv=": [seal({ cv: undefined }), /cv=none/],
    "t= no number": [seal({ t: "soon" }), /t=/],
    "t= empty": [seal({ t: "" }), /t=/],
    "an old algorithm": [seal({ a: "rsa-sha1" }), /rsa-sha1/],
    "d= no domain": [seal({ d: "example" }), /d=/],
    "a broken older one": [OTHER.seal(seal({ b: "AAAA" })), /^ARC-Seal 1: the signature does not match/],
    "two bad tags": [seal({ "5x": "y" }), /tag name/],
  });
});

Deno.test("whatever is changed after it was signed breaks the chain, but for old message signatures", async () => {
  const one = LIST.seal(MESSAGE);
  const two = OTHER.seal(one);
  const flip = (text: string): string => text.replace(/b=./, (found) => found === "b=A" ? "b=B" : "b=A");
  await expectFail({
    "the body": [two.replace("Hello", "hello"), /^ARC-Message-Signature 2: the body was changed/],
    "a signed field": [
      altered(two, "Subject", (text) => text.toUpperCase()),
      /^ARC-Message-Signature 2: the signature/,
    ],
    "a second From": [two.replace("MIME-Version", "From: x@evil.example\r\nMIME-Version"), /From fields/],
    "the newest results": [two.replace(/(?<=Results: i=2; .*dmarc=)pass/, "fail"), /^ARC-Seal 2: the signature/],
    "the oldest results": [two.replace(/(?<=Results: i=1; .*dmarc=)pass/, "fail"), /^ARC-Seal 2: the signature/],
    "the newest message signature": [altered(two, "ARC-Message-Signature", flip), /^ARC-Message-Signature 2/],
    "the oldest message signature": [two.replace(/(?<=Signature: i=1; .*t=)1790/, "1780"), /^ARC-Seal 2/],
    "the newest seal": [altered(two, "ARC-Seal", flip), /^ARC-Seal 2: the signature/],
    "the oldest seal": [two.replace(/(?<=Seal: i=1; .*t=)1790/, "1780"), /^ARC-Seal 2: the signature/],
    "case of a tag": [altered(one, "ARC-Seal", (text) => text.replace("t=", "T=")), /^ARC-Seal 1: the signature/],
    "case of a value": [altered(one, "ARC-Message-Signature", (text) => text.replace("From", "FROM")), /the signature/],
    "a seal of another instance": [LIST.seal(one, { isAlone: true }), /^ARC-Seal 2: the signature/],
  });
  // A list changes subject and body, and vouches for what it makes of them (RFC 8617 §5.2, step 5).
  const changed = one.replace("Hello", "[footer] Hello").replace("three", "[list] three");
  assertEquals((await validate(changed)).problem, "ARC-Message-Signature 1: the body was changed");
  await expectPass({ "an older message signature that does not match": OTHER.seal(changed) });
});

Deno.test("a body that is signed in part only fails, wherever the end is", async () => {
  const part = (octets: number): string => signature({ l: `${octets}`, bh: bodyHash("Hello all\r\n") });
  await expectFail({
    "more is there": [part(11), /^ARC-Message-Signature 1: a part of the body is not signed/],
    "less is there": [part(1000), /^ARC-Message-Signature 1: the body/],
  });
  await expectPass({ "all is signed": signature({ l: "24" }) });
});

Deno.test("a key that is missing, revoked, weak or of another kind makes the chain fail for good", async () => {
  const message = OTHER.seal(LIST.seal(MESSAGE));
  const name = "s1._domainkey.list.example";
  for (
    const [zone, problem] of [
      [undefined, /no key in DNS/],
      [{ TXT: ["v=DKIM1; p="] }, /revoked/],
      [{ TXT: ["this is no key"] }, /no key in DNS/],
      [{ TXT: ["v=DKIM1; p=&&&"] }, /base64/],
      [{ TXT: [OTHER.zone["ed._domainkey.other.example"]?.TXT?.[0] ?? ""] }, /another algorithm/],
      [{ TXT: [(LIST.zone[name]?.TXT?.[0] ?? "").replace("k=rsa", "s=tlsrpt")] }, /not for mail/],
    ] as const
  ) {
    const { [name]: _, ...others } = ZONE;
    const finding = await validate(
      message,
      new FakeResolver(zone === undefined ? others : { ...others, [name]: zone }),
    );
    assertEquals([finding.result, finding.isTransient], ["fail", undefined]);
    assertMatch(finding.problem ?? "", problem);
    assertMatch(finding.problem ?? "", /^ARC-Seal 1: /);
    assertEquals(finding.sealers, ["list.example", "other.example"]);
  }
  assertMatch((await validate(WEAK.seal(MESSAGE))).problem ?? "", /768 bits/);
});

Deno.test("a key that DNS does not give now makes the chain fail, and the finding says that this may pass", async () => {
  const zone = { ...ZONE, "s1._domainkey.list.example": { failing: ["TXT"] as const } };
  const finding = await validate(LIST.seal(MESSAGE), new FakeResolver(zone));
  assertEquals([finding.result, finding.isTransient], ["fail", true]);
  assertMatch(finding.problem ?? "", /^ARC-Message-Signature 1: cannot look up the key: SERVFAIL/);
  assertEquals((await validate(OTHER.seal(LIST.seal(MESSAGE)), new FakeResolver(zone))).isTransient, true);
});

Deno.test("keys of the two fields of a set may differ, and a name may have several", async () => {
  const resolver = new FakeResolver({
    ...ZONE,
    "s1._domainkey.list.example": {
      TXT: [
        ...WEAK.zone["w._domainkey.weak.example"]?.TXT ?? [],
        ...LIST.zone["s1._domainkey.list.example"]?.TXT ?? [],
      ],
    },
  });
  assertEquals((await validate(LIST.seal(MESSAGE), resolver)).result, "pass");
});

Deno.test("nothing is looked up for a chain whose structure or fields are wrong", async () => {
  const chain = OTHER.seal(LIST.seal(MESSAGE));
  for (
    const message of [
      LIST.seal(MESSAGE, { instance: 2 }),
      seal({ cv: "pass" }),
      seal({ cv: "fail" }),
      OTHER.seal(LIST.seal(MESSAGE, { omitted: ["results"] })),
      LIST.seal(MESSAGE, { omitted: ["signature"] }),
      LIST.seal(MESSAGE, { omitted: ["seal"] }),
      LIST.seal(MESSAGE, { rawResults: "mx.example; i=1; dmarc=pass" }),
      LIST.seal(chain, { instance: 2 }),
      OTHER.seal(seal({ d: "" })),
      OTHER.seal(LIST.seal(MESSAGE), { signature: { bh: undefined } }),
    ]
  ) {
    const resolver = new FakeResolver(ZONE);
    assertEquals((await validate(message, resolver)).result, "fail");
    assertEquals(resolver.questions, []);
  }
});

Deno.test("a chain that ended is told from one that is broken", async () => {
  const ended = LIST.seal(LIST.seal(MESSAGE, { seal: { cv: "pass" } }), { seal: { cv: "fail" }, isAlone: true });
  const finding = await validate(ended);
  assertEquals([finding.result, finding.isEnded, finding.instance], ["fail", true, 2]);
  assertEquals((await validate(seal({ cv: "pass" }))).isEnded, undefined);
});

Deno.test("at most eight keys are looked up at a time", async () => {
  let message = MESSAGE;
  const zone: FakeResolver["zone"] = {};
  for (let count = 0; count < 20; count++) {
    const sealer = new ArcSealer({ domain: `d${count}.example`, selector: "s" });
    Object.assign(zone, sealer.zone);
    message = sealer.seal(message);
  }
  const resolver = new FakeResolver(zone);
  let [now, most] = [0, 0];
  const lookup = resolver.lookup.bind(resolver);
  resolver.lookup = async (name, type) => {
    most = Math.max(most, ++now);
    await new Promise((resolve) => setTimeout(resolve));
    now--;
    return await lookup(name, type);
  };
  assertEquals((await validate(message, resolver)).result, "pass");
  assertEquals([most, resolver.questions.length], [8, 20]);
});

Deno.test("no change of a chain makes the validation throw or pass", async () => {
  // A signature of 192 octets has no unused bits in base64, so that it has one spelling.
  const sealer = new ArcSealer({ domain: "last.example", selector: "s", bits: 1536 });
  const message = sealer.seal(LIST.seal(MESSAGE));
  const resolver = new FakeResolver({ ...ZONE, ...sealer.zone });
  const end = message.indexOf("MIME-Version");
  await fc.assert(
    fc.asyncProperty(
      fc.nat(end - 1),
      fc.nat(20),
      fc.uint8Array({ maxLength: 5 }).map((octets) => String.fromCharCode(...octets)),
      async (at, length, text) => {
        const changed = message.slice(0, at) + text + message.slice(Math.min(end, at + length));
        const finding = await validate(changed, resolver);
        assertMatch(finding.result, /^(none|pass|fail)$/);
        const canonical = (one: string): string => one.toLowerCase().replace(/[ \t\r\n=]/g, "");
        if (finding.result === "pass") {
          assertEquals(canonical(changed.slice(0, end - message.length)), canonical(message.slice(0, end)));
        }
      },
    ),
    { numRuns: 200 },
  );
});
