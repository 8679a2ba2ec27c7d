import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import {
  namesMx,
  parseStsPolicy,
  type StsPolicy,
  stsRecordId,
} from "../../../../lib/delivery/remote/mta_sts_policy.ts";

const GOOD =
  "version: STSv1\nmode: enforce\nmx: mail.example.com\nmx: *.example.net\nmx: backup.example.com\nmax_age: 604800\n";

function policy(text: string): StsPolicy {
  const reading = parseStsPolicy(text);
  assert(reading.kind === "policy", reading.kind === "invalid" ? reading.reason : "");
  return reading.policy;
}

Deno.test("the example of RFC 8461 §3.2 is read, with LF and with CRLF", () => {
  for (const text of [GOOD, GOOD.replaceAll("\n", "\r\n"), GOOD.trimEnd(), GOOD.replaceAll("\n", " \t\r\n")]) {
    const { mode, mx, maxAgeSeconds, lines } = policy(text);
    assertEquals([mode, mx, maxAgeSeconds], [
      "enforce",
      ["mail.example.com", "*.example.net", "backup.example.com"],
      604_800,
    ]);
    assertEquals(lines, GOOD.trimEnd().split("\n"));
  }
});

Deno.test("fields that are not known are passed over, and of one that stands twice the first counts", () => {
  const text = `${GOOD}future-field: some value here\nmode: none\nmax_age: 1\n`;
  assertEquals([policy(text).mode, policy(text).maxAgeSeconds], ["enforce", 604_800]);
});

Deno.test("names are compared as A-labels in lower case; max_age ends at a year", () => {
  const { mx, maxAgeSeconds } = policy("version: STSv1\nmode: testing\nmx: MAIL.Bücher.example\nmax_age: 9999999999");
  assertEquals([mx, maxAgeSeconds], [["mail.xn--bcher-kva.example"], 31_557_600]);
});

Deno.test("a policy of mode none needs no mx", () => {
  assertEquals(policy("version: STSv1\nmode: none\nmax_age: 0").mx, []);
});

for (
  const [what, text] of [
    ["an empty file", ""],
    ["a page of HTML", "<html>\n<body>mode: enforce</body>\n"],
    ["no version", GOOD.replace("version: STSv1\n", "")],
    ["another version", GOOD.replace("STSv1", "STSv2")],
    ["no mode", GOOD.replace("mode: enforce\n", "")],
    ["an unknown mode", GOOD.replace("enforce", "report")],
    ["a mode in capitals", GOOD.replace("enforce", "Enforce")],
    ["no max_age", GOOD.replace(/max_age.*\n/, "")],
    ["a max_age that is no number", GOOD.replace("604800", "1w")],
    ["a negative max_age", GOOD.replace("604800", "-1")],
    ["a max_age of eleven digits", GOOD.replace("604800", "10000000000")],
    ["no mx", GOOD.replaceAll(/mx:.*\n/g, "")],
    ["an mx with a wildcard in the middle", GOOD.replace("*.example.net", "mx.*.net")],
    ["an mx that is an address literal", GOOD.replace("*.example.net", "[192.0.2.1]")],
    ["an mx that is only a wildcard", GOOD.replace("*.example.net", "*.")],
    ["a line without a colon", GOOD + "what is this\n"],
    ["a space before the colon", GOOD.replace("mode:", "mode :")],
    ["a field without a value", GOOD + "extra:\n"],
  ] as const
) Deno.test(`${what} is no policy`, () => assertEquals(parseStsPolicy(text).kind, "invalid"));

Deno.test("a wildcard stands for exactly one label (RFC 8461 §4.1)", () => {
  const { mx } = policy(GOOD);
  const named = (host: string): boolean => namesMx({ mx, mode: "enforce", maxAgeSeconds: 1, lines: [] }, host);
  for (const host of ["mail.example.com", "MAIL.example.com.", "a.example.net", "backup.example.com"]) {
    assert(named(host), host);
  }
  for (
    const host of ["example.com", "example.net", "a.b.example.net", "x.mail.example.com", "net", "", "evilexample.net"]
  ) {
    assert(!named(host), host);
  }
});

Deno.test("the id is found in the one record of MTA-STS", () => {
  assertEquals(stsRecordId(["v=STSv1; id=20160831085700Z;"]), "20160831085700Z");
  assertEquals(stsRecordId(["v=STSv1;id=1"]), "1");
  assertEquals(stsRecordId(["v=spf1 -all", "v=STSv1; future=x/y; id=abc"]), "abc");
});

for (
  const [what, records] of [
    ["no record", []],
    ["records of something else", ["v=spf1 -all", "v=STSv10; id=1"]],
    ["two records", ["v=STSv1; id=1;", "v=STSv1; id=2;"]],
    ["no id", ["v=STSv1;"]],
    ["two ids", ["v=STSv1; id=1; id=2"]],
    ["an empty id", ["v=STSv1; id=;"]],
    ["an id with other characters", ["v=STSv1; id=2026-01-01;"]],
    ["an id of 33 characters", [`v=STSv1; id=${"a".repeat(33)};`]],
    ["the version at another place", ["id=1; v=STSv1;"]],
    ["a field that is none", ["v=STSv1; id=1; what"]],
  ] as const
) Deno.test(`TXT: ${what} means no policy`, () => assertEquals(stsRecordId(records), undefined));

Deno.test("whatever the text, reading a policy ends soon, and one that is read reads the same again", () => {
  fc.assert(
    fc.property(
      fc.array(fc.constantFrom("version: STSv1", "mode: ", "enforce", "mx: ", "*.a.test", "max_age: 5", "\n", " ")),
      (parts) => {
        const reading = parseStsPolicy(parts.join(""));
        if (reading.kind === "policy") assertEquals(parseStsPolicy(reading.policy.lines.join("\n")), reading);
      },
    ),
  );
  const started = performance.now();
  parseStsPolicy(`${GOOD}x: ${" y".repeat(32_000)}\n${" ".repeat(60_000)}x`);
  stsRecordId([`v=STSv1; ${"a=b; ".repeat(10_000)}${" ".repeat(60_000)}x`]);
  assert(performance.now() - started < 1_000);
});
