import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import type { SpfFinding } from "../../lib/msgauth/findings.ts";
import { checkSpf } from "../../lib/msgauth/spf/check.ts";
import { parseRecord } from "../../lib/msgauth/spf/record.ts";
import { SpfError } from "../../lib/msgauth/spf/spf_error.ts";
import { FakeClock } from "../support/fake_clock.ts";
import { type SpfZone, SpfZoneResolver } from "../support/spf_zone.ts";

const clock = new FakeClock("2026-01-01T00:00:00Z", true);
const latin1 = fc.uint8Array({ maxLength: 300 }).map((octets) => String.fromCharCode(...octets));
const piece = fc.constantFrom(
  ..."v=spf1| |+|-|~|?|all|include:|a|mx|ptr|exists:|ip4:|ip6:|redirect=|exp=|x=|:|/|//|.|%|{|}|%{|%%|%_|%-".split("|"),
  ..."%{d}|%{S}|%{l1r-}|%{ir}|%{p2}|%{h}|%{c}|sender.example|192.0.2.0|2001:db8::|24|33|129|0|\r\n|\x00|é|foo.example"
    .split("|"),
);
const record = fc.oneof(latin1, fc.array(piece, { maxLength: 30 }).map((pieces) => `v=spf1 ${pieces.join("")}`));
const name = fc.constantFrom("sender.example", "foo.example", "mail.sender.example", "7.2.0.192.in-addr.arpa");
const zone: fc.Arbitrary<SpfZone> = fc.dictionary(
  name,
  fc.array(
    fc.oneof(
      record.map((TXT) => ({ TXT })),
      fc.constant({ A: "192.0.2.7" }),
      latin1.map((A) => ({ A })),
      name.map((exchange) => ({ MX: [10, exchange] })),
      latin1.map((exchange) => ({ MX: [10, exchange] })),
      name.map((PTR) => ({ PTR })),
      latin1.map((PTR) => ({ PTR })),
      fc.constant("TIMEOUT" as const),
    ),
    { maxLength: 4 },
  ),
);
const text = fc.oneof(fc.string({ unit: "binary", maxLength: 80 }), name, name.map((domain) => `alice@${domain}`));

async function check(
  resolver: SpfZoneResolver,
  rest: { ip: string; helo: string; reversePath: string },
): Promise<SpfFinding> {
  return await checkSpf({ identity: "mailfrom", receiver: "mx.example.org", resolver, clock, ...rest });
}

Deno.test("no record, name or DNS answer makes an SPF check throw, ask too much, or repeat what is not printable", async () => {
  const ip = fc.constantFrom("192.0.2.7", "::ffff:192.0.2.7", "2001:db8::1", "x");
  await fc.assert(
    fc.asyncProperty(zone, ip, text, text, async (zone, ip, helo, reversePath) => {
      const resolver = new SpfZoneResolver(zone);
      const finding = await check(resolver, { ip, helo, reversePath });
      assert(resolver.questions <= 123);
      for (const shown of [finding.domain, finding.mechanism, finding.problem, finding.explanation]) {
        assert(/^[\x20-\x7e]{0,500}$/.test(shown ?? ""), shown);
      }
      const isBroken = finding.result === "temperror" || finding.result === "permerror";
      // A client without an address is no fault of anybody, but somebody may want to know.
      if (ip !== "x") assertEquals(finding.problem !== undefined, isBroken);
      assert(!(finding.problem ?? "").includes("broke off"), finding.problem);
    }),
    { numRuns: 500 },
  );
});

Deno.test("a record is read or refused with an SpfError", () => {
  fc.assert(fc.property(record, (text) => {
    try {
      parseRecord(text);
    } catch (error) {
      if (!(error instanceof SpfError)) throw error;
    }
  }));
});

/** Records of 64 KiB that would be slow, deep or large if anything went beyond its bound. */
const bombs: Readonly<Record<string, string>> = {
  "macros in a name": `exists:${"%{s}".repeat(16_000)}`,
  "macros that expand to nothing": `exists:${"%{h1}".repeat(13_000)}.x.example`,
  "delimiters": `exists:${"%{s9999999999r.-+,/_=}".repeat(3_000)}`,
  "one long macro": `exists:%{d${"1".repeat(64_000)}}`,
  "one open macro": `exists:%{d${".".repeat(64_000)}`,
  "a long label": `a:${"x".repeat(64_000)}.example`,
  "dots": `a:${".".repeat(64_000)}`,
  "slashes": `a:${"/1".repeat(32_000)}`,
  "hyphens": `a:x.${"-".repeat(64_000)}!`,
  "blanks": " ".repeat(64_000),
  "networks": "ip4:10.0.0.0/8 ".repeat(4_300),
  "modifiers": "x=y ".repeat(16_000),
  "a long explanation": `-all exp=${"%{p}".repeat(16_000)}`,
  "includes of itself": "?include:sender.example ".repeat(2_700),
  "a redirect to itself": `redirect=sender.example ${"ip4:10.0.0.0/8 ".repeat(4_300)}`,
};

Deno.test("records of 64 KiB cost no more than their length", async () => {
  for (const [what, terms] of Object.entries(bombs)) {
    const resolver = new SpfZoneResolver({ "sender.example": [{ TXT: `v=spf1 ${terms}` }] });
    const start = performance.now();
    const local = "a.b-c".repeat(12);
    const finding = await check(resolver, {
      ip: "192.0.2.7",
      helo: "h.".repeat(250),
      reversePath: `${local}@sender.example`,
    });
    const elapsedMs = performance.now() - start;
    assert(elapsedMs < 2000, `${what}: ${elapsedMs} ms`);
    assert(resolver.questions <= 15, `${what}: ${resolver.questions} questions`);
    assert((finding.problem ?? "").length < 400, what);
  }
});
