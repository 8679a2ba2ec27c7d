import { assert, assertEquals } from "@std/assert";
import { chooseKeys, lookUpKeys } from "../../../../lib/msgauth/dkim/key_record.ts";
import { FakeResolver } from "../../../support/fake_resolver.ts";
import { testKey } from "../../../support/msgauth/dkim_keys.ts";

const rsa = await testKey("rsa-sha256", "s1");
const ed25519 = await testKey("ed25519-sha256", "s1-ed");
const p = rsa.record.replace(/.*; /, "");

function problemOf(records: readonly string[], algorithm = rsa.algorithm): string {
  const lookup = chooseKeys(records, algorithm);
  return lookup.kind === "keys" ? `${lookup.records.length} key(s)` : `${lookup.fault.result}: ${lookup.fault.problem}`;
}

Deno.test("key records are read as the RFC writes them", () => {
  const good = [
    p,
    `v=DKIM1; ${p}`,
    `v=DKIM1;k=rsa;${p};`,
    `v=DKIM1 ; k = RSA ; h=sha1 : SHA256 ; s=email ; n=a note ; ${p} ; `,
    `v=DKIM1; g=*; s=*; t=y:x:s; ${p}; unknown=1`,
    `k=rsa; ${p.replace(/(.{40})/g, "$1 ")}`,
    p.replace(/=+$/, ""),
  ];
  for (const record of good) assertEquals(problemOf([record]), "1 key(s)", record);
  assertEquals(problemOf([ed25519.record], "ed25519-sha256"), "1 key(s)");
});

Deno.test("flags are found in t=", () => {
  const flags = (t: string): boolean[] => {
    const lookup = chooseKeys([`v=DKIM1; t=${t}; ${p}`], "rsa-sha256");
    assert(lookup.kind === "keys");
    return lookup.records.flatMap(({ isTesting, isStrict }) => [isTesting, isStrict]);
  };
  assertEquals(flags("y"), [true, false]);
  assertEquals(flags("s"), [false, true]);
  assertEquals(flags(" s : Y "), [true, true]);
  assertEquals(flags("ys:other"), [false, false]);
});

Deno.test("records that cannot be used say why", () => {
  const cases: readonly [string, string][] = [
    ["v=DKIM1; p=", "permerror: the key is revoked"],
    ["v=DKIM1; k=rsa", "permerror: key record without p="],
    [`k=rsa; v=DKIM1; ${p}`, "permerror: key record whose v= is not first"],
    [`v=DKIM1; v=DKIM1; ${p}`, "permerror: malformed key record: v= stands there twice"],
    [`v=DKIM1; \x00=1; ${p}`, 'permerror: malformed key record: "?" is no tag name'],
    [`v=DKIM1; h=sha1; ${p}`, "permerror: the key is not for sha256"],
    [`v=DKIM1; s=tlsrpt; ${p}`, "permerror: the key is not for mail"],
    [`v=DKIM1; k=dsa; ${p}`, "permerror: the key is for another algorithm"],
    [ed25519.record, "permerror: the key is for another algorithm"],
    ["v=DKIM1; p=MII!", "permerror: the key is no base64"],
    ["v=DKIM1; p=MIIB", "permerror: the key is no RSA key"],
    ["v=DKIM1; p=MAgCAwDf/wIBAw==", "policy: the key has 16 bits, which is not from 1024 to 4096 (RFC 8301)"],
    ["v=spf1 -all", "permerror: no key in DNS"],
    ["v=dkim1; p=x", "permerror: no key in DNS"],
    ["v=DKIM2; p=x", "permerror: no key in DNS"],
    ["some words", "permerror: no key in DNS"],
    ["", "permerror: no key in DNS"],
  ];
  for (const [record, expected] of cases) assertEquals(problemOf([record]), expected, record);
  assertEquals(
    problemOf(["v=DKIM1; k=ed25519; p=AAAA"], "ed25519-sha256"),
    "permerror: the key is no Ed25519 key of 32 octets",
  );
});

Deno.test("of several records those count that fit, and not more than three", () => {
  assertEquals(problemOf(["v=spf1 -all", "v=DKIM1; p=", ed25519.record, rsa.record]), "1 key(s)");
  assertEquals(problemOf(["v=spf1 -all", "v=DKIM1; p=", ed25519.record], "ed25519-sha256"), "1 key(s)");
  assertEquals(problemOf(["v=spf1 -all", "v=DKIM1; p="]), "permerror: the key is revoked");
  assertEquals(problemOf(Array.from({ length: 50 }, () => rsa.record)), "3 key(s)");
});

Deno.test("a name that is too long for DNS is not looked up", async () => {
  const resolver = new FakeResolver();
  const domain = `${"a".repeat(60)}.`.repeat(4).slice(0, -1);
  const lookup = await lookUpKeys({ domain, selector: "s1", algorithm: "rsa-sha256" }, resolver);
  assert(lookup.kind === "none");
  assertEquals(lookup.fault, { result: "permerror", problem: "the name of the key is too long" });
  assertEquals(resolver.questions, []);
});
