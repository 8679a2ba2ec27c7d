import { assertEquals } from "@std/assert";
import { DmarcCollector } from "../../../../lib/reports/dmarc/collector.ts";
import {
  addDmarcCounts,
  dueDmarcReports,
  finishDmarcReport,
  readDmarcCounts,
} from "../../../../lib/reports/dmarc/store.ts";
import { FakeClock } from "../../../support/fake_clock.ts";
import { FINDING, FINDINGS, OBSERVATION, RECORD, stateLab } from "../samples.ts";

const clock = new FakeClock("2026-03-01T12:00:00Z");

Deno.test("Messages with the same results are one row with a count", () => {
  const collector = new DmarcCollector({ clock });
  for (let i = 0; i < 3; i++) collector.note(OBSERVATION);
  collector.note({ ...OBSERVATION, clientAddress: "192.0.2.10" });
  assertEquals(collector.counts(), [{
    day: "2026-03-01",
    policy: { domain: "example.com", adkim: "r", aspf: "s", p: "reject", sp: "reject", pct: 100, fo: "0" },
    rua: ["mailto:rua@example.com"],
    results: {
      sourceIp: "192.0.2.9",
      disposition: "reject",
      isDkimAligned: false,
      isSpfAligned: false,
      reasons: [],
      headerFrom: "shop.example.com",
      envelopeFrom: "bounce.example",
      // Signatures that pass come first; of SPF the identity that DMARC looks at.
      dkim: [
        { domain: "other.example", selector: "b", result: "pass" },
        { domain: "shop.example.com", selector: "a", result: "fail" },
      ],
      spf: [{ domain: "bounce.example", scope: "mfrom", result: "fail" }],
    },
    count: 3,
  }, ...collector.counts().slice(1)]);
});

Deno.test("Nothing is counted for a domain without a record, without rua, when the result is not known, or of a client without address", () => {
  const collector = new DmarcCollector({ clock });
  const { record: _record, ...unpublished } = FINDING;
  collector.note({ ...OBSERVATION, findings: { ...FINDINGS, dmarc: unpublished } });
  collector.note({ ...OBSERVATION, clientAddress: undefined });
  collector.note({ ...OBSERVATION, findings: { ...FINDINGS, dmarc: { ...FINDING, result: "temperror" } } });
  collector.note({
    ...OBSERVATION,
    findings: { ...FINDINGS, dmarc: { ...FINDING, record: { ...RECORD, aggregateUris: [] } } },
  });
  assertEquals(collector.counts(), []);
});

Deno.test("A policy that is only tested is a reason for what was done instead", () => {
  const collector = new DmarcCollector({ clock });
  const dmarc = { ...FINDING, leniency: "policy_test_mode", record: { ...RECORD, isTesting: true } } as const;
  collector.note({ ...OBSERVATION, disposition: "quarantine", findings: { ...FINDINGS, dmarc } });
  assertEquals(collector.counts()[0]?.results.reasons, [{ type: "policy_test_mode" }]);
});

Deno.test("What strangers make up takes a bounded place, and what finds none is told", () => {
  let asked = 0;
  const collector = new DmarcCollector({ clock, maxResults: 100, fullAt: 10, onFull: () => asked++ });
  for (let i = 0; i < 150; i++) {
    collector.note({ ...OBSERVATION, clientAddress: `2001:db8::${i}`, envelopeFrom: "x".repeat(10_000) });
  }
  assertEquals([collector.counts().length, collector.takeMissed(), collector.takeMissed(), asked], [100, 50, 0, 1]);
  assertEquals(collector.counts()[0]?.results.envelopeFrom.length, 255);
});

Deno.test("Counts of several writes are summed up, by domain and day, and forgotten when the report is done", async () => {
  await using at = await stateLab(clock);
  const collector = new DmarcCollector({ clock });
  collector.note(OBSERVATION);
  collector.note(OBSERVATION);
  for (let i = 0; i < 2; i++) at.state.transact((sql) => addDmarcCounts(sql, collector.counts()));
  const due = { day: "2026-03-01", domain: "example.com" };
  const [today, tomorrow] = ["2026-03-01", "2026-03-02"];
  assertEquals(at.state.transact((sql) => dueDmarcReports(sql, today)), []);
  assertEquals(at.state.transact((sql) => dueDmarcReports(sql, tomorrow)), [due]);
  const counts = at.state.transact((sql) => readDmarcCounts(sql, due));
  assertEquals([counts?.rua, counts?.rows.map(({ count }) => count)], [["mailto:rua@example.com"], [4]]);
  at.state.transact((sql) => finishDmarcReport(sql, due));
  assertEquals(at.state.transact((sql) => dueDmarcReports(sql, tomorrow)), []);
  // What was counted late is not a second report.
  at.state.transact((sql) => addDmarcCounts(sql, collector.counts()));
  assertEquals(at.state.transact((sql) => dueDmarcReports(sql, tomorrow)), []);
});

Deno.test("On a day with too many different results, those that are known are counted on", async () => {
  await using at = await stateLab(clock);
  const collector = new DmarcCollector({ clock });
  collector.note(OBSERVATION);
  at.state.transact((sql) => addDmarcCounts(sql, collector.counts(), 1));
  collector.note({ ...OBSERVATION, clientAddress: "192.0.2.10" });
  at.state.transact((sql) => addDmarcCounts(sql, collector.counts(), 1));
  const counts = at.state.transact((sql) => readDmarcCounts(sql, { day: "2026-03-01", domain: "example.com" }));
  assertEquals(counts?.rows.map(({ sourceIp, count }) => [sourceIp, count]), [["192.0.2.9", 2]]);
});

Deno.test("A day that has no room for rows has none for new domains either", async () => {
  await using at = await stateLab(clock);
  const collector = new DmarcCollector({ clock });
  for (const policyDomain of ["a.example", "b.example"]) {
    collector.note({ ...OBSERVATION, findings: { ...FINDINGS, dmarc: { ...FINDING, policyDomain } } });
    at.state.transact((sql) => addDmarcCounts(sql, collector.counts(), 1));
    collector.clear();
  }
  assertEquals(at.state.transact((sql) => dueDmarcReports(sql, "2026-03-02")), [{
    day: "2026-03-01",
    domain: "a.example",
  }]);
});
