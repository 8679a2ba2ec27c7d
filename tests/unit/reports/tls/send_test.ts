import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { TlsTally } from "../../../../lib/delivery/remote/tls_tally.ts";
import { inflate } from "../../../../lib/reports/gzip.ts";
import { attachmentsOf } from "../../../../lib/reports/received/attachments.ts";
import { parseTlsReport } from "../../../../lib/reports/received/parse_tls.ts";
import type { ReportMessage } from "../../../../lib/reports/submit.ts";
import { sendTlsReports } from "../../../../lib/reports/tls/send.ts";
import { addTlsCounts } from "../../../../lib/reports/tls/store.ts";
import { FakeClock } from "../../../support/fake_clock.ts";
import { FakeResolver } from "../../../support/fake_resolver.ts";
import { LogLines } from "../../../support/log_lines.ts";
import { stateLab } from "../samples.ts";

interface Sent {
  readonly messages: ReportMessage[];
  readonly posts: { readonly url: string; readonly init: RequestInit }[];
  readonly log: readonly string[];
}

const POLICY = { type: "sts", domain: "example.com", strings: ["version: STSv1"], mxHosts: ["*.example.com"] } as const;

/** Counts sessions on a day, in two parts as around a restart, and sends on the next. */
async function send(txt: readonly string[], status = 200): Promise<Sent> {
  const clock = new FakeClock("2026-03-01T12:00:00Z");
  await using at = await stateLab(clock);
  for (let part = 0; part < 2; part++) {
    const tally = new TlsTally({ clock });
    tally.record({ recipientDomain: "example.com", policy: POLICY });
    tally.record({
      recipientDomain: "example.com",
      policy: POLICY,
      failure: "certificate-expired",
      mxHost: "mx.example.com",
      receivingIp: "192.0.2.1",
      reason: "expired <yesterday>",
    });
    at.state.transact((sql) => addTlsCounts(sql, tally));
  }
  const sent: Sent & { log: LogLines["lines"] } = { messages: [], posts: [], log: [] };
  const log = new LogLines();
  const options = {
    state: at.state,
    resolver: new FakeResolver({ "_smtp._tls.example.com": { TXT: txt } }),
    submit: (message: ReportMessage) => Promise.resolve(void sent.messages.push(message)),
    fetch: (url: string, init: RequestInit) => {
      sent.posts.push({ url, init });
      return Promise.resolve(new Response("", { status }));
    },
    clock: {
      now: () => clock.now(),
      monotonic: () => clock.monotonic(),
      // Time limits never end here.
      sleep: (ms: number, signal?: AbortSignal) => ms > 1000 ? clock.sleep(ms, signal) : Promise.resolve(),
    },
    logger: log,
    sender: { from: "postmaster@example.org", organization: "Example", hostname: "mail.example.org" },
    randomOctets: (into: Uint8Array<ArrayBuffer>) => void into.fill(7),
  };
  const { signal } = new AbortController();
  for (let i = 0; i < 2; i++) await sendTlsReports(options, "2026-03-02", signal);
  return { ...sent, log: log.lines };
}

const EXPECTED = {
  organization: "Example",
  contact: "postmaster@example.org",
  reportId: "20260301.example.com@mail.example.org",
  beginSeconds: 1772323200,
  endSeconds: 1772409599,
  policies: [{
    type: "sts",
    domain: "example.com",
    strings: ["version: STSv1"],
    mxHosts: ["*.example.com"],
    successes: 2,
    failures: 2,
    details: [{
      resultType: "certificate-expired",
      mxHost: "mx.example.com",
      receivingIp: "192.0.2.1",
      count: 2,
      reason: "expired <yesterday>",
    }],
  }],
};

Deno.test("A TLS report goes once by mail, with the fields of RFC 8460, and counts what was before a restart", async () => {
  const { messages, log } = await send(["v=TLSRPTv1; rua=mailto:tls@example.com"]);
  assertEquals(messages.map(({ to }) => to), ["tls@example.com"]);
  const content = messages[0]?.content ?? new Uint8Array();
  const unfolded = new TextDecoder().decode(content).replaceAll("\r\n ", " ");
  assertStringIncludes(
    unfolded,
    "TLS-Report-Domain: example.com\r\nTLS-Report-Submitter: mail.example.org\r\nTLS-Required: No\r\n",
  );
  assertStringIncludes(unfolded, 'Content-Type: multipart/report; report-type="tlsrpt"; boundary=');
  assertStringIncludes(unfolded, "Content-Type: application/tlsrpt+gzip; ");
  const [attachment] = attachmentsOf(content);
  assert(attachment !== undefined);
  assertEquals(parseTlsReport(new TextDecoder().decode(await inflate(attachment, "gzip", 10_000))), EXPECTED);
  assertEquals(log, ["info: TLS report on example.com of 2026-03-01: 4 sessions, 2 failed; sent to tls@example.com"]);
});

Deno.test("A TLS report is posted to an https URL, without following redirections", async () => {
  const { posts, messages } = await send(["v=TLSRPTv1;rua=https://reports.example/tls,mailto:tls@example.com;"]);
  assertEquals(posts.map(({ url, init: { method, redirect } }) => [url, method, redirect]), [
    ["https://reports.example/tls", "POST", "manual"],
  ]);
  assertEquals(new Headers(posts[0]?.init.headers).get("content-type"), "application/tlsrpt+gzip");
  const json = new TextDecoder().decode(await inflate(posts[0]?.init.body as Uint8Array<ArrayBuffer>, "gzip", 10_000));
  assertEquals(parseTlsReport(json), EXPECTED);
  assertEquals(messages.length, 1);
});

Deno.test("A server that cannot take a TLS report now gets it later", async () => {
  const { posts, log } = await send(["v=TLSRPTv1;rua=https://reports.example/tls"], 503);
  assertEquals(posts.length, 2);
  assertMatch(log[0] ?? "", /refused with 503 by https:\/\/reports\.example\/tls$/);
});

Deno.test("No record, several, or one of another kind: nobody wants a report", async () => {
  for (
    const txt of [[], ["v=TLSRPTv2;rua=mailto:a@example.com"], [
      "v=TLSRPTv1;rua=mailto:a@example.com",
      "v=TLSRPTv1;rua=mailto:b@example.com",
    ]]
  ) {
    const { messages, posts } = await send(txt);
    assertEquals([messages, posts], [[], []]);
  }
});
