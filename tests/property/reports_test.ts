import { assert, assertEquals, assertLess } from "@std/assert";
import fc from "fast-check";
import { composeAggregate } from "../../lib/reports/dmarc/compose.ts";
import { gzip, TooLongError } from "../../lib/reports/gzip.ts";
import { attachmentsOf } from "../../lib/reports/received/attachments.ts";
import { parseAggregate } from "../../lib/reports/received/parse_dmarc.ts";
import { parseTlsReport, TlsReportError } from "../../lib/reports/received/parse_tls.ts";
import { unpack } from "../../lib/reports/received/unpack.ts";
import { XmlError, xmlTokens } from "../../lib/reports/received/xml.ts";
import { composeTlsReport } from "../../lib/reports/tls/compose.ts";
import { anyReport, anyTlsReport } from "../unit/reports/arbitraries.ts";
import { zip } from "../unit/reports/zip.ts";

const breathe = (): Promise<void> => Promise.resolve();
Deno.test("Any DMARC report that is written is read as it was", async () => {
  await fc.assert(
    fc.asyncProperty(anyReport, async (one) => assertEquals(await parseAggregate(composeAggregate(one), breathe), one)),
    { numRuns: 60 },
  );
});

Deno.test("Any TLS report that is written is read as it was", () => {
  fc.assert(
    fc.property(anyTlsReport, (one) => assertEquals(parseTlsReport(composeTlsReport(one)), one)),
    { numRuns: 100 },
  );
});

const piece = fc.oneof(
  fc.constantFrom(
    "<",
    ">",
    "</",
    "/>",
    "<!--",
    "-->",
    "<![CDATA[",
    "]]>",
    "<?",
    "?>",
    "<!DOCTYPE",
    "&",
    "&#0;",
    "&#xffffff;",
    "&lt;",
  ),
  fc.constantFrom(
    "<feedback>",
    "</feedback>",
    "<record>",
    "</record>",
    "<row>",
    "<a b='c'>",
    '<a b="',
    "\0",
    "\ud800",
    "\ufeff",
  ),
  fc.string({ maxLength: 20, unit: "binary" }),
);

Deno.test("No document makes the XML reader throw anything but its own error", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(piece, { maxLength: 40 }), async (pieces) => {
      try {
        await parseAggregate(pieces.join(""), breathe);
      } catch (error) {
        assert(error instanceof XmlError, String(error));
      }
    }),
    { numRuns: 300 },
  );
});

Deno.test("No JSON makes the reader of TLS reports throw anything but its own error", () => {
  const hostile = fc.object({
    key: fc.constantFrom(
      "policies",
      "policy",
      "summary",
      "failure-details",
      "date-range",
      "policy-string",
      "__proto__",
      "x",
    ),
    maxDepth: 6,
    withBigInt: false,
  }).map((object) => JSON.stringify(object));
  const shaped = fc.anything({ maxDepth: 3 }).map((value) =>
    JSON.stringify(
      { policies: [value, { policy: value, summary: value, "failure-details": [value] }] },
      (_, inner) => typeof inner === "bigint" ? String(inner) : inner,
    )
  );
  fc.assert(
    fc.property(fc.oneof(hostile, shaped, fc.string(), fc.json()), (text) => {
      try {
        parseTlsReport(text);
      } catch (error) {
        assert(error instanceof TlsReportError, String(error));
      }
    }),
    { numRuns: 300 },
  );
});

Deno.test("No damaged archive or mail makes unpacking throw anything but its own errors, or take more than was allowed", async () => {
  const octets = new TextEncoder().encode("<feedback>".repeat(200));
  const mail = new TextEncoder().encode(
    "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Transfer-Encoding: base64\r\n\r\nSGVsbG8=\r\n" +
      "--b\r\nContent-Type: application/xml\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n=3Cfeedback=\r\n/>=\r\n--b--\r\n",
  );
  const sources = [
    await gzip(octets),
    await zip([{ name: "a.xml", octets }, { name: "b.xml", octets, isStored: true }]),
    mail,
  ];
  const change = fc.record({ at: fc.nat(), to: fc.integer({ min: 0, max: 255 }) });
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom(...sources),
      fc.array(change, { maxLength: 8 }),
      fc.nat(),
      async (source, changes, cut) => {
        const damaged = source.slice(0, cut % 3 === 0 ? cut % (source.length + 1) : source.length);
        for (const { at, to } of changes) if (damaged.length > 0) damaged[at % damaged.length] = to;
        try {
          const files = await unpack(damaged, 5_000);
          assertLess(files.reduce((sum, { text }) => sum + text.length, 0), 5_001);
        } catch (error) {
          assert(error instanceof TypeError || error instanceof TooLongError, String(error));
        }
        for (const part of attachmentsOf(damaged)) assert(part.length <= damaged.length);
      },
    ),
    { numRuns: 200 },
  );
});

const BIG = 300_000;
const HOSTILE: Readonly<Record<string, string>> = {
  "blanks in a tag": `<feedback${" ".repeat(BIG)}>`,
  "attributes without an end": `<feedback ${"a='b' ".repeat(BIG / 6)}`,
  "many long tags": `<a ${"b ".repeat(1_900)}`.repeat(BIG / 4_000),
  "comments that do not end": "<a><!--" + "-".repeat(BIG),
  "comments one after the other": "<a>" + "<!---->".repeat(BIG / 7),
  "text without an end": "<a>" + "x".repeat(BIG),
  ampersands: "<a>" + "&".repeat(BIG) + "</a>",
  "blanks around": " ".repeat(BIG) + "<a/>" + " ".repeat(BIG),
};

for (const [what, document] of Object.entries(HOSTILE)) {
  Deno.test(`The XML reader takes linear time for ${what}`, () => {
    const start = performance.now();
    try {
      for (const _ of xmlTokens(document));
    } catch (error) {
      assert(error instanceof XmlError, String(error));
    }
    assertLess(performance.now() - start, 1_000);
  });
}

Deno.test("A mail of many parts and boundaries takes linear time", () => {
  const line = "--b\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n";
  const mail = new TextEncoder().encode(`Content-Type: multipart/mixed; boundary=b\r\n\r\n${line.repeat(20_000)}`);
  const start = performance.now();
  attachmentsOf(mail);
  assertLess(performance.now() - start, 1_000);
});
