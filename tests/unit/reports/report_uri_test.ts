import { assertEquals } from "@std/assert";
import { parseReportUri } from "../../../lib/reports/report_uri.ts";

Deno.test("A URI of rua is a mail address with or without a size, or an https URL", () => {
  const table: [string, unknown][] = [
    ["mailto:a@example.org", { kind: "mail", address: "a@example.org", domain: "example.org" }],
    [" MAILTO:a@Example.ORG!10m ", {
      kind: "mail",
      address: "a@example.org",
      domain: "example.org",
      maxOctets: 10_485_760,
    }],
    ["mailto:a@example.org!512", { kind: "mail", address: "a@example.org", domain: "example.org", maxOctets: 512 }],
    ["mailto:a%2Bb@example.org?subject=x", { kind: "mail", address: "a+b@example.org", domain: "example.org" }],
    ["https://example.org/x#y", { kind: "https", url: "https://example.org/x" }],
    ["https://user:secret@example.org/", undefined],
    ["http://example.org/", undefined],
    ["mailto:a@example.org!10x", undefined],
    ["mailto:a@example.org%0d%0aBcc:b@example.org", undefined],
    ["mailto:", undefined],
    ["mailto:ä@example.org", undefined],
    ["", undefined],
  ];
  for (const [text, expected] of table) assertEquals(parseReportUri(text) as unknown, expected, text);
});
