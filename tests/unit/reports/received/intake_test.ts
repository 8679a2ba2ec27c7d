import { assertEquals, assertMatch } from "@std/assert";
import { gzip } from "../../../../lib/reports/gzip.ts";
import { type IntakeOptions, takeIn } from "../../../../lib/reports/received/intake.ts";
import { countReceived, pruneReceived, sumDmarc, sumTls } from "../../../../lib/reports/received/store.ts";
import { composeReportMail } from "../../../../lib/reports/report_mail.ts";
import type { StateDatabase } from "../../../../lib/state/state_database.ts";
import { FakeClock } from "../../../support/fake_clock.ts";
import { breathe, readSample, stateLab } from "../samples.ts";
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
