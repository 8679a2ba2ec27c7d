import { assertEquals, assertStringIncludes } from "@std/assert";
import { composeAggregate } from "../../../../lib/reports/dmarc/compose.ts";
import { parseAggregate } from "../../../../lib/reports/received/parse_dmarc.ts";
import { breathe, REPORT, ROW } from "../samples.ts";

Deno.test("A report that was written is read as it was", async () => {
  assertEquals(await parseAggregate(composeAggregate(REPORT), breathe), REPORT);
});

Deno.test("Text of strangers is text in the report, whatever is in it", () => {
  const xml = composeAggregate({ ...REPORT, rows: [{ ...ROW, envelopeFrom: "</a>&\0\ud800]]>" }] });
  assertStringIncludes(xml, "<envelope_from>&lt;/a&gt;&amp;]]&gt;</envelope_from>");
});

Deno.test("An IPv6 address has all its groups, a policy that is only tested has pct 0, a new reason is one of the old ones", () => {
  const policy = { ...REPORT.policy, isTesting: true };
  const xml = composeAggregate({
    ...REPORT,
    policy,
    rows: [{ ...ROW, sourceIp: "2001:db8::25", reasons: [{ type: "policy_test_mode" }] }],
  });
  assertStringIncludes(xml, "<source_ip>2001:db8:0:0:0:0:0:25</source_ip>");
  assertStringIncludes(xml, "<pct>0</pct>");
  assertStringIncludes(xml, "<type>other</type>\n<comment>t=y</comment>");
});
