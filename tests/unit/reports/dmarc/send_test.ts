import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { DmarcCollector } from "../../../../lib/reports/dmarc/collector.ts";
import { sendDmarcReports } from "../../../../lib/reports/dmarc/send.ts";
import { addDmarcCounts } from "../../../../lib/reports/dmarc/store.ts";
import { attachmentsOf } from "../../../../lib/reports/received/attachments.ts";
import { parseAggregate } from "../../../../lib/reports/received/parse_dmarc.ts";
import { unpack } from "../../../../lib/reports/received/unpack.ts";
import type { ReportMessage, SubmitSteps } from "../../../../lib/reports/submit.ts";
import { FakeClock } from "../../../support/fake_clock.ts";
import { type FakeRecords, FakeResolver } from "../../../support/fake_resolver.ts";
import { LogLines } from "../../../support/log_lines.ts";
import { breathe, FINDING, FINDINGS, OBSERVATION, RECORD, stateLab } from "../samples.ts";

interface Sent {
  readonly messages: readonly ReportMessage[];
  readonly log: readonly string[];
}

/** Counts a message for each rua, and sends what is due; a second time where `again` changes what DNS says. */
async function send(
  rua: string,
  zone: Record<string, FakeRecords>,
  again?: Record<string, FakeRecords>,
): Promise<Sent> {
  const clock = new FakeClock("2026-03-01T12:00:00Z");
  await using at = await stateLab(clock);
  const collector = new DmarcCollector({ clock });
  const aggregateUris = rua.split(",").map((uri) => ({ uri }));
  const dmarc = { ...FINDING, record: { ...RECORD, aggregateUris } };
  collector.note({ ...OBSERVATION, findings: { ...FINDINGS, dmarc } });
  at.state.transact((sql) => addDmarcCounts(sql, collector.counts()));
  await clock.advance(86_400_000);
  const messages: ReportMessage[] = [];
  const log = new LogLines();
  const resolver = new FakeResolver(zone);
  const options = {
    state: at.state,
    resolver,
    clock: { ...clock, now: () => clock.now(), monotonic: () => clock.monotonic(), sleep: () => Promise.resolve() },
    logger: log,
    submit: (message: ReportMessage, steps?: SubmitSteps) => {
      steps?.begins(`q${messages.length}`);
      messages.push(message);
      steps?.isKept();
      return Promise.resolve();
    },
    sender: { from: "postmaster@example.org", organization: 'Example "Inc"', hostname: "mail.example.org" },
    breathe,
    randomOctets: (into: Uint8Array<ArrayBuffer>) => void into.fill(7),
  };
  const { signal } = new AbortController();
  await sendDmarcReports(options, "2026-03-02", signal);
  if (again !== undefined) resolver.zone = again;
  await sendDmarcReports(options, "2026-03-02", signal);
  return { messages, log: log.lines };
}

Deno.test("A report goes once to the address that the domain names, as a mail that its receiver can take apart", async () => {
  const { messages, log } = await send("mailto:rua@example.com", {});
  assertEquals(messages.map(({ from, to }) => [from, to]), [["postmaster@example.org", "rua@example.com"]]);
  const content = messages[0]?.content ?? new Uint8Array();
  const text = new TextDecoder().decode(content);
  const unfolded = text.replaceAll("\r\n ", " ");
  assertStringIncludes(unfolded, 'From: "Example \\"Inc\\"" <postmaster@example.org>\r\n');
  assertStringIncludes(
    unfolded,
    "Subject: Report Domain: example.com Submitter: mail.example.org Report-ID: <20260301.example.com@mail.example.org>\r\n",
  );
  assertStringIncludes(unfolded, "Auto-Submitted: auto-generated\r\n");
  assertStringIncludes(unfolded, "Content-Type: application/gzip; ");
  assertStringIncludes(unfolded, 'filename="mail.example.org!example.com!1772323200!1772409599.xml.gz"');
  assert(text.split("\r\n").every((line) => line.length <= 998 && !line.includes("\n")));
  const [attachment] = attachmentsOf(content);
  assert(attachment !== undefined);
  const [unpacked] = await unpack(attachment);
  const report = await parseAggregate(unpacked?.text ?? "", breathe);
  assertEquals([report.beginSeconds, report.endSeconds, report.policy.domain], [1772323200, 1772409599, "example.com"]);
  assertEquals(report.rows.map(({ sourceIp, count }) => [sourceIp, count]), [["192.0.2.9", 1]]);
  assertEquals(log, [
    "info: DMARC report on example.com of 2026-03-01: 1 messages in 1 rows, sent to rua@example.com",
  ]);
});

const AGREED = { "example.com._report._dmarc.vendor.example": { TXT: ["v=DMARC1; "] } };

Deno.test("An address elsewhere gets reports only where its domain says so", async () => {
  const refused = await send("mailto:victim@vendor.example", {
    "example.com._report._dmarc.vendor.example": { TXT: ["v=spf1 -all"] },
  });
  assertEquals(refused.messages, []);
  assertMatch(refused.log[0] ?? "", /sent to nobody \(vendor\.example did not agree to it\)$/);
  const { messages } = await send("mailto:rua@vendor.example,mailto:rua@example.com", AGREED);
  assertEquals(messages.map(({ to }) => to), ["rua@vendor.example", "rua@example.com"]);
});

Deno.test("An address of the same organization needs no leave", async () => {
  const { messages } = await send("mailto:rua@reports.example.com", {
    "_dmarc.example.com": { TXT: ["v=DMARC1; p=none"] },
  });
  assertEquals(messages.map(({ to }) => to), ["rua@reports.example.com"]);
});

Deno.test("The domain of an address may name another one of its own, and no other domain", async () => {
  const other = await send("mailto:rua@vendor.example", {
    "example.com._report._dmarc.vendor.example": { TXT: ["v=DMARC1; rua=mailto:new@vendor.example"] },
  });
  assertEquals(other.messages.map(({ to }) => to), ["new@vendor.example"]);
  const foreign = await send("mailto:rua@vendor.example", {
    "example.com._report._dmarc.vendor.example": { TXT: ["v=DMARC1; rua=mailto:ceo@victim.example"] },
  });
  assertEquals(foreign.messages.map(({ to }) => to), ["rua@vendor.example"]);
});

Deno.test("While DNS does not say whether an address wants it, the report waits", async () => {
  const failing = { "example.com._report._dmarc.vendor.example": { failing: ["TXT" as const] } };
  const { messages, log } = await send("mailto:rua@vendor.example", failing, AGREED);
  assertEquals(messages.map(({ to }) => to), ["rua@vendor.example"]);
  assertMatch(log[0] ?? "", /waits: DNS does not say now whether vendor\.example wants it$/);
});

Deno.test("An address that has the report already is named where another one kept it waiting", async () => {
  const name = "example.com._report._dmarc.vendor.example";
  const { messages, log } = await send(
    "mailto:rua@example.com,mailto:rua@vendor.example",
    { [name]: { failing: ["TXT" as const] } },
    { [name]: { TXT: ["v=spf1 -all"] } },
  );
  assertEquals(messages.map(({ to }) => to), ["rua@example.com"]);
  assertMatch(log.at(-1) ?? "", /: rua@example\.com has it$/);
});

Deno.test("An address that takes only smaller reports gets none, others do", async () => {
  const { messages } = await send(
    "mailto:small@example.com!100,mailto:large@example.com!10m,https://example.com/rua",
    {},
  );
  assertEquals(messages.map(({ to }) => to), ["large@example.com"]);
});
