import { assertEquals, assertMatch } from "@std/assert";
import { dmarcLines } from "../../../../lib/cli/reports/table.ts";
import { composeAggregate } from "../../../../lib/reports/dmarc/compose.ts";
import { gzip } from "../../../../lib/reports/gzip.ts";
import { type IntakeOptions, takeIn } from "../../../../lib/reports/received/intake.ts";
import { countReceived, pruneReceived, sumDmarc, sumDomains, sumTls } from "../../../../lib/reports/received/store.ts";
import { composeReportMail } from "../../../../lib/reports/report_mail.ts";
import type { StateDatabase } from "../../../../lib/state/state_database.ts";
import { FakeClock } from "../../../support/fake_clock.ts";
import { breathe, readSample, REPORT, ROW, stateLab } from "../samples.ts";
import { zip } from "../zip.ts";

const clock = new FakeClock("2026-11-27T00:00:00Z");
const SINCE = { sinceSeconds: 0 };

const optionsFor = (state: StateDatabase): IntakeOptions => ({
  state,
  isOurs: (domain) => domain === "example.org",
  now: () => clock.now(),
  breathe,
});

const base64 = (octets: Uint8Array): string => btoa(String.fromCharCode(...octets)).replace(/.{76}/g, "$&\r\n");
const text = new TextEncoder();

Deno.test("Reports are taken out of mails in the shapes that the big reporters send", async () => {
  await using at = await stateLab(clock);
  const options = optionsFor(at.state);
  // Google: the message itself is the zip file.
  const google = text.encode(
    'From: noreply-dmarc-support@google.com\r\nMIME-Version: 1.0\r\nContent-Type: application/zip; name="g.zip"\r\n' +
      'Content-Disposition: attachment; filename="g.zip"\r\nContent-Transfer-Encoding: base64\r\n\r\n' +
      `${base64(await zip([{ name: "g.xml", octets: await readSample("google.xml") }]))}\r\n`,
  );
  // Microsoft: multipart in multipart, gzip under a general type.
  const microsoft = text.encode(
    'From: dmarcreport@microsoft.com\r\nContent-Type: multipart/mixed;\r\n boundary="_outer"\r\n\r\n' +
      "--_outer\r\nContent-Type: multipart/related; boundary=_inner\r\n\r\n--_inner\r\nContent-Type: text/html\r\n\r\n<html>\r\n--_inner--\r\n" +
      "--_outer\r\nContent-Type: application/octet-stream\r\nContent-Transfer-Encoding: BASE64\r\n\r\n" +
      `${base64(await gzip(await readSample("microsoft.xml")))}\r\n--_outer--\r\n`,
  );
  const yahoo = composeReportMail({
    from: "dmarchelp@yahooinc.com",
    organization: "Yahoo",
    to: "dmarc@example.org",
    subject: "Report Domain: example.org",
    moreFields: "",
    type: "multipart/mixed",
    words: "Hello",
    attachment: { type: "application/gzip", fileName: "y.xml.gz", octets: await gzip(await readSample("yahoo.xml")) },
    hostname: "yahoo.example",
    nowMs: 0,
    random: new Uint8Array(16),
  });
  const tls = composeReportMail({
    from: "noreply-smtp-tls-reporting@google.com",
    organization: "Google",
    to: "tls@example.org",
    subject: "Report Domain: example.org",
    moreFields: "TLS-Report-Domain: example.org\r\n",
    type: 'multipart/report; report-type="tlsrpt"',
    words: "Hello",
    attachment: {
      type: "application/tlsrpt+gzip",
      fileName: "t.json.gz",
      octets: await gzip(await readSample("google_tls.json")),
    },
    hostname: "google.example",
    nowMs: 0,
    random: new Uint8Array(16),
  });
  for (const mail of [google, microsoft, yahoo, tls, await readSample("rfc9990.xml")]) {
    const { kept, known, problems } = await takeIn(mail, options);
    assertEquals([kept.length, known, problems], [1, 0, []], new TextDecoder().decode(mail).slice(0, 60));
  }
  const again = await takeIn(google, options);
  assertEquals([again.kept.length, again.known], [0, 1]);
  assertEquals(at.state.transact((sql) => countReceived(sql, SINCE)), 5);

  const [relay, ours, spam, forged] = at.state.transact((sql) => sumDmarc(sql, SINCE)) ?? [];
  assertEquals([relay?.sourceIp, relay?.count], ["192.0.2.77", 123]);
  assertEquals(ours, {
    domain: "example.org",
    sourceIp: "192.0.2.25",
    count: 13,
    dkim: 13,
    spf: 12,
    pass: 13,
    quarantined: 0,
    rejected: 0,
    headerFrom: ["example.org"],
    signers: ["example.org"],
    organizations: ["google.com", "Yahoo"],
  });
  assertEquals([spam?.sourceIp, spam?.count, spam?.pass, spam?.quarantined], ["2001:db8::66", 3, 0, 3]);
  assertEquals([forged?.sourceIp, forged?.rejected, forged?.signers], ["198.51.100.9", 2, ["spam.example"]]);
  assertEquals(at.state.transact((sql) => sumTls(sql, SINCE)), [{
    domain: "example.org",
    type: "sts",
    successes: 40,
    failures: 2,
    details: [{ text: "certificate-expired at mail.example.org", count: 2 }],
    organizations: ["Google Inc."],
  }]);

  const filtered = { ...SINCE, domain: "shop.example.org" };
  assertEquals(at.state.transact((sql) => sumDmarc(sql, filtered))?.map(({ sourceIp }) => sourceIp), ["2001:db8::66"]);
  at.state.transact((sql) => pruneReceived(sql, 1_800_000_000));
  assertEquals(at.state.transact((sql) => sumDmarc(sql, SINCE)), []);
  assertEquals(at.state.transact((sql) => sql.prepare("SELECT count(*) AS n FROM received_dmarc").get()?.["n"]), 0);
});

Deno.test("A report about a domain that is not ours is not kept", async () => {
  await using at = await stateLab(clock);
  const xml = new TextDecoder().decode(await readSample("google.xml")).replaceAll("example.org", "elsewhere.example");
  const { kept, problems } = await takeIn(text.encode(xml), optionsFor(at.state));
  assertEquals([kept, problems], [[], ["the report is about elsewhere.example, which is not ours"]]);
});

Deno.test("A mail without a report, or with a damaged one, says so and keeps nothing", async () => {
  await using at = await stateLab(clock);
  const options = optionsFor(at.state);
  const plain = await takeIn(text.encode("Subject: hello\r\n\r\nhow are you\r\n"), options);
  assertEquals(plain, { kept: [], known: 0, problems: [] });
  const mail = (body: string): Uint8Array<ArrayBuffer> =>
    text.encode(`Content-Type: application/zip\r\nContent-Transfer-Encoding: base64\r\n\r\n${body}\r\n`);
  const { problems } = await takeIn(mail(btoa("PK\x03\x04garbage")), options);
  assertMatch(problems.join(), /zip file is damaged/);
});

const reportXml = (id: string, padding: number, end = 1_795_000_000): Uint8Array<ArrayBuffer> =>
  text.encode(
    `<feedback><report_metadata><org_name>o</org_name><report_id>${id}</report_id><date_range><begin>1</begin>` +
      `<end>${end}</end></date_range></report_metadata><policy_published><domain>example.org</domain></policy_published>` +
      `<!--${" ".repeat(padding)}--></feedback>`,
  );

Deno.test("All parts of a mail together may unpack to 10 MiB, and the rest of it is not looked at", async () => {
  await using at = await stateLab(clock);
  const parts = await Promise.all(
    Array.from(
      { length: 6 },
      async (_, i) =>
        `--b\r\nContent-Type: application/gzip\r\nContent-Transfer-Encoding: base64\r\n\r\n${
          base64(await gzip(reportXml(`r${i}`, 4 * 2 ** 20)))
        }\r\n`,
    ),
  );
  const mail = text.encode(`Content-Type: multipart/mixed; boundary=b\r\n\r\n${parts.join("")}--b--\r\n`);
  const { kept, problems } = await takeIn(mail, optionsFor(at.state));
  assertEquals([kept.length, problems.length], [2, 1]);
  assertMatch(problems.join(), /unpack/);
});

Deno.test("A report that says it is from a far future is forgotten like others", async () => {
  await using at = await stateLab(clock);
  await takeIn(reportXml("r", 0, 90_000_000_000), optionsFor(at.state));
  at.state.transact((sql) => pruneReceived(sql, clock.now() / 1000 - 1));
  assertEquals(at.state.transact((sql) => countReceived(sql, SINCE)), 1);
  at.state.transact((sql) => pruneReceived(sql, clock.now() / 1000 + 1));
  assertEquals(at.state.transact((sql) => countReceived(sql, SINCE)), 0);
});

Deno.test("Received reports take at most half of the database, so that what we count ourselves has room", async () => {
  await using at = await stateLab(clock);
  at.state.transact((sql) => sql.exec("PRAGMA max_page_count = 60"));
  const row = (i: number): string =>
    `<record><row><source_ip>192.0.2.${i % 250}</source_ip><count>1</count></row><identifiers><header_from>${
      "a".repeat(400)
    }</header_from></identifiers></record>`;
  const rows = Array.from({ length: 100 }, (_, i) => row(i)).join("");
  const big = (id: string): Uint8Array<ArrayBuffer> =>
    text.encode(new TextDecoder().decode(reportXml(id, 0)).replace("<!--", `${rows}<!--`));
  const problems: string[] = [];
  for (let i = 0; i < 10; i++) problems.push(...(await takeIn(big(`r${i}`), optionsFor(at.state))).problems);
  assertMatch(problems.join(), /no room for more reports/);
  const pages = at.state.transact((sql) => Number(sql.prepare("PRAGMA page_count").get()?.["page_count"]));
  assertEquals(pages !== undefined && pages < 55, true, String(pages));
});

Deno.test("The rows of a long report are all kept, in pieces between which others get their turn", async () => {
  await using at = await stateLab(clock);
  const row = "<record><row><source_ip>192.0.2.1</source_ip><count>1</count></row></record>".repeat(4_500);
  const xml = text.encode(new TextDecoder().decode(reportXml("r", 0)).replace("<!--", `${row}<!--`));
  const keeping: number[] = [];
  const options: IntakeOptions = {
    ...optionsFor(at.state),
    breathe: () => {
      const n = at.state.transact((sql) => sql.prepare("SELECT count(*) AS n FROM received_dmarc").get()?.["n"]);
      if (Number(n) > 0) keeping.push(Number(n));
      return Promise.resolve();
    },
  };
  assertEquals((await takeIn(xml, options)).kept.length, 1);
  assertEquals(keeping, [2000, 4000]);
  assertEquals(at.state.transact((sql) => sumDmarc(sql, SINCE))?.map(({ count }) => count), [4500]);
});

Deno.test("Of a million clients a thousand are told apart, those with most mail, and all are counted", async () => {
  await using at = await stateLab(clock);
  const rows = Array.from(
    { length: 1_500 },
    (_, i) => ({ ...ROW, sourceIp: `2001:db8::${i.toString(16)}`, count: 1 + i }),
  );
  const report = { ...REPORT, policy: { ...REPORT.policy, domain: "example.org" }, rows };
  assertEquals((await takeIn(text.encode(composeAggregate(report)), optionsFor(at.state))).kept.length, 1);
  const sums = at.state.read((sql) => sumDmarc(sql, SINCE)) ?? [];
  assertEquals([sums.length, sums[0]?.count, sums.at(-1)?.count], [1_000, 1_500, 501]);
  const all = 1_500 * 1_501 / 2;
  const domains = [{ domain: "example.org", count: all, pass: all, rows: 1_500 }];
  assertEquals(at.state.read((sql) => sumDomains(sql, SINCE)), domains);
  const lines = dmarcLines({ domains, dmarc: sums });
  assertEquals(lines[0], "Mail in the name of example.org: 1125750 messages, 100.0% pass DMARC");
  assertEquals(lines.at(-2), "  and 125250 messages of other addresses");
});
