/** Authentication-Results and DMARC against generated input: what is written is read back, and nothing throws. */

import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { formatResults } from "../../lib/msgauth/authentication_results/format.ts";
import { isForged } from "../../lib/msgauth/authentication_results/forged.ts";
import { parseResults } from "../../lib/msgauth/authentication_results/parse.ts";
import { readAuthors } from "../../lib/msgauth/dmarc/authors.ts";
import { evaluateDmarc } from "../../lib/msgauth/dmarc/evaluate.ts";
import { parseDmarcRecord } from "../../lib/msgauth/dmarc/record.ts";
import { FakeResolver } from "../support/fake_resolver.ts";

const keyword = fc.stringMatching(/^[a-z][a-z0-9-]{0,8}[a-z0-9]$/);
const printable = fc.stringMatching(/^[\x20-\x7e]{1,60}$/);
const result = fc.record({
  method: keyword,
  result: keyword,
  comment: printable,
  reason: printable,
  properties: fc.array(fc.record({ type: keyword, name: keyword, value: printable }), { maxLength: 4 }),
});

/** Pieces that mean something to the parsers, between any characters. */
function hostile(...pieces: readonly string[]): fc.Arbitrary<string> {
  return fc.array(fc.oneof(fc.constantFrom(...pieces), fc.string({ unit: "binary", maxLength: 3 })), { maxLength: 40 })
    .map((parts) => parts.join(""));
}

const fieldText = hostile(
  ...'; ( ) " \\ = . / @ , < > : \r\n\t'.split(" "),
  "\r\n ",
  " ",
  "mail.example.org",
  "spf=pass",
  "reason=",
  "header.d=",
  "a@example.org",
  "none",
  "1",
);

Deno.test("Results that are written are read back, and every line is short enough", () => {
  fc.assert(fc.property(fc.array(result, { maxLength: 5 }), printable, (results, authservId) => {
    const text = formatResults({ authservId, results });
    for (const line of text.split("\r\n")) assert(line.length <= 998);
    const parsed = parseResults(text.slice("Authentication-Results:".length, -2));
    const expected = results.map(({ comment: _, ...others }) => others);
    assertEquals<unknown>(parsed, { authservId, results: expected });
    assert(isForged(text.slice("Authentication-Results: ".length, -2), authservId) || !/^[\w.]+$/.test(authservId));
  }));
});

Deno.test("No field makes the parser or the search for forged fields throw; a field with our id is always forged", () => {
  fc.assert(
    fc.property(fieldText, (text) => {
      const parsed = parseResults(text);
      const isOurs = parsed?.authservId.toLowerCase() === "mail.example.org";
      assert(isForged(text, "mail.example.org") || !isOurs);
    }),
    { numRuns: 2000 },
  );
});

Deno.test("Long fields take time that grows with their length alone", () => {
  const started = performance.now();
  for (
    const piece of [
      "(",
      '"',
      "\\",
      "a=",
      "(a)",
      ";a=b",
      " a.b=c",
      "@",
      "a@b,",
      "\r\n ",
      "((\\",
      "mail.",
      "mail.example.org ",
    ]
  ) {
    const text = piece.repeat(Math.ceil(60_000 / piece.length));
    parseResults(text);
    isForged(text, "mail.example.org");
    isForged(text.repeat(4), "mail.example.org");
    readAuthors(new TextEncoder().encode(`From: ${text.repeat(4)}\r\n`));
    parseDmarcRecord(`v=DMARC1; p=none; ${text}`);
  }
  assert(performance.now() - started < 10_000);
});

Deno.test("No record and no From field makes DMARC throw, or pass what is not aligned", async () => {
  const record = hostile(
    "v=DMARC1;",
    "p=",
    "reject",
    ";",
    "sp=none",
    "pct=",
    "50",
    "t=y",
    "rua=mailto:a@b",
    "psd=y",
    "!",
    ",",
  );
  await fc.assert(
    fc.asyncProperty(
      record,
      record,
      fieldText,
      fc.double({ min: 0, max: 0.99, noNaN: true }),
      async (one, two, from, random) => {
        const zone = { "_dmarc.example.org": { TXT: [`v=DMARC1;${one}`] }, "_dmarc.org": { TXT: [two] } };
        const found = await evaluateDmarc({
          headerSection: new TextEncoder().encode(`From: ${from}\r\n`),
          spf: [{ identity: "mailfrom", domain: "example.org", result: "pass" }],
          dkim: [],
          resolver: new FakeResolver(zone),
          random: () => random,
        });
        if (found.result === "pass") assert(found.isSpfAligned);
        if (found.result !== "fail" && found.result !== "permerror") assertEquals(found.request, "none");
      },
    ),
    { numRuns: 1000 },
  );
});
