import { assertEquals, assertRejects } from "@std/assert";
import { parseAggregate } from "../../../../lib/reports/received/parse_dmarc.ts";
import { XmlError } from "../../../../lib/reports/received/xml.ts";
import { breathe, readSample } from "../samples.ts";

const read = async (name: string): ReturnType<typeof parseAggregate> =>
  await parseAggregate(new TextDecoder().decode(await readSample(name)), breathe);

Deno.test("A report as Google writes it is read", async () => {
  assertEquals(await read("google.xml"), {
    organization: "google.com",
    email: "noreply-dmarc-support@google.com",
    contactInfo: "https://support.google.com/a/answer/2466580",
    reportId: "4711000000000000001",
    beginSeconds: 1795564800,
    endSeconds: 1795651199,
    policy: {
      domain: "example.org",
      adkim: "r",
      aspf: "r",
      p: "quarantine",
      sp: "reject",
      np: "reject",
      pct: 100,
      fo: "0",
    },
    rows: [{
      sourceIp: "192.0.2.25",
      count: 12,
      disposition: "none",
      isDkimAligned: true,
      isSpfAligned: true,
      reasons: [],
      headerFrom: "example.org",
      envelopeFrom: "",
      dkim: [
        { domain: "example.org", selector: "s2026", result: "pass" },
        { domain: "example.org", selector: "e2026", result: "pass" },
      ],
      spf: [{ domain: "example.org", scope: "mfrom", result: "pass" }],
    }, {
      sourceIp: "2001:db8::66",
      count: 3,
      disposition: "quarantine",
      isDkimAligned: false,
      isSpfAligned: false,
      reasons: [{ type: "local_policy", comment: "arc=pass" }],
      headerFrom: "shop.example.org",
      envelopeFrom: "",
      dkim: [],
      spf: [{ domain: "bulk.example", scope: "mfrom", result: "softfail" }],
    }],
  });
});

Deno.test("A report as Microsoft writes it, in one line behind CRLF, is read", async () => {
  const { organization, reportId, rows } = await read("microsoft.xml");
  assertEquals([organization, reportId], ["Outlook.com", "0123456789abcdef0123456789abcdef"]);
  assertEquals(
    rows.map(({ sourceIp, disposition, dkim, envelopeFrom }) => [sourceIp, disposition, dkim[0]?.domain, envelopeFrom]),
    [
      ["198.51.100.9", "reject", "spam.example", "spam.example"],
    ],
  );
});

Deno.test("A report as Yahoo writes it, without a version and with old names of results, is read", async () => {
  const { organization, policy, endSeconds, rows } = await read("yahoo.xml");
  assertEquals([organization, policy.domain, policy.sp, endSeconds], [
    "Yahoo",
    "example.org",
    "quarantine",
    1795651199,
  ]);
  assertEquals(rows[0]?.spf, [{ domain: "forwarder.example", scope: "mfrom", result: "temperror" }]);
});

Deno.test("A report in the form of RFC 9990, with a namespace and extensions, is read", async () => {
  const { contactInfo, policy, rows } = await read("rfc9990.xml");
  assertEquals(contactInfo, "https://example.net/&more");
  assertEquals([policy.sp, policy.np, policy.isTesting], ["none", "none", true]);
  assertEquals(rows.map(({ disposition, reasons, envelopeFrom, spf }) => [disposition, reasons, envelopeFrom, spf]), [
    ["none", [{ type: "policy_test_mode" }], "", []],
  ]);
});

const WRONG: Readonly<Record<string, string>> = {
  "a document type": '<!DOCTYPE feedback [<!ENTITY a "b">]><feedback/>',
  "an entity bomb":
    '<!DOCTYPE f [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;">]><feedback><report_metadata>&b;</report_metadata></feedback>',
  "an external entity": '<!DOCTYPE f SYSTEM "file:///etc/passwd"><feedback/>',
  "another document": "<html><body/></html>",
  "no domain": "<feedback><report_metadata/><policy_published/></feedback>",
  "a tag that is not closed": "<feedback><report_metadata>",
  "tags that cross": "<feedback><a><b></a></b></feedback>",
  "two roots": "<feedback/><feedback/>",
  "text around it": "hello <feedback/>",
  "a tag without an end": "<feedback",
  "nesting without an end": "<feedback>" + "<a>".repeat(100_000),
  "a head of too many elements": "<feedback>" + "<a/>".repeat(100_000) + "</feedback>",
  nothing: "",
};

for (const [name, document] of Object.entries(WRONG)) {
  Deno.test(`What is no report is refused: ${name}`, async () => {
    await assertRejects(() => parseAggregate(document, breathe), XmlError);
  });
}

Deno.test("Of a report with more rows than anybody has, the first ones are kept, and the server goes on meanwhile", async () => {
  let breaths = 0;
  const row = "<record><row><source_ip>192.0.2.1</source_ip><count>1</count></row></record>";
  const head = "<feedback><report_metadata/><policy_published><domain>example.org</domain></policy_published>";
  const { rows } = await parseAggregate(`${head}${row.repeat(6_000)}</feedback>`, () => {
    breaths++;
    return Promise.resolve();
  }, 5_000);
  assertEquals([rows.length, breaths > 10], [5_000, true]);
});
