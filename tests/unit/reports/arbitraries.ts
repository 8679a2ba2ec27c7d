/** Generated reports for tests. */

import fc from "fast-check";
import type { AggregateReport } from "../../../lib/reports/dmarc/aggregate.ts";
import type { TlsReport } from "../../../lib/reports/tls/tls_report.ts";

const name = fc.domain().map((domain) => domain.toLowerCase());
/** One line, without blanks at its ends: what a report can carry unchanged. */
const words = fc.string({ minLength: 1, maxLength: 80, unit: "binary" })
  .map((text) => text.replace(/[\p{Cc}\p{Zl}\p{Zp}\p{Cs}\s\ufffe\uffff]+/gu, " ").trim()).filter((text) => text !== "");
const request = fc.constantFrom("none", "quarantine", "reject");
const count = fc.integer({ min: 1, max: 1e9 });

/** Reports that survive writing and reading unchanged. */
export const anyReport: fc.Arbitrary<AggregateReport> = fc.record({
  organization: words,
  email: words,
  reportId: words,
  beginSeconds: fc.integer({ min: 0, max: 4e9 }),
  endSeconds: fc.integer({ min: 0, max: 4e9 }),
  policy: fc.record({
    domain: name,
    adkim: fc.constantFrom("r", "s"),
    aspf: fc.constantFrom("r", "s"),
    p: request,
    sp: request,
    pct: fc.integer({ min: 0, max: 100 }),
    fo: fc.constantFrom("0", "1", "1:d:s"),
  }),
  rows: fc.array(
    fc.record({
      sourceIp: fc.oneof(fc.ipV4(), fc.constantFrom("2001:db8::1", "::", "fe80::1:0:0:1", "1:2:3:4:5:6:7:8")),
      count,
      disposition: request,
      isDkimAligned: fc.boolean(),
      isSpfAligned: fc.boolean(),
      reasons: fc.array(fc.record({ type: fc.constantFrom("forwarded", "mailing_list", "other"), comment: words }), {
        maxLength: 3,
      }),
      headerFrom: name,
      envelopeFrom: name,
      dkim: fc.array(
        fc.record({ domain: name, selector: words, result: fc.constantFrom("pass", "fail", "temperror") }),
        { maxLength: 3 },
      ),
      spf: fc.array(
        fc.record({
          domain: name,
          scope: fc.constantFrom("helo", "mfrom"),
          result: fc.constantFrom("pass", "softfail", "permerror"),
        }),
        { minLength: 1, maxLength: 1 },
      ),
    }),
    { minLength: 1, maxLength: 4 },
  ),
});

/** TLS reports that do. */
export const anyTlsReport: fc.Arbitrary<TlsReport> = fc.record({
  organization: words,
  contact: words,
  reportId: words,
  beginSeconds: fc.integer({ min: 0, max: 4e9 }),
  endSeconds: fc.integer({ min: 0, max: 4e9 }),
  policies: fc.array(
    fc.record({
      type: fc.constantFrom("sts", "tlsa", "no-policy-found"),
      domain: name,
      strings: fc.array(words, { maxLength: 3 }),
      mxHosts: fc.array(words, { maxLength: 3 }),
      successes: count,
      failures: count,
      details: fc.array(fc.record({ resultType: words, mxHost: words, receivingIp: words, count, reason: words }), {
        maxLength: 3,
      }),
    }),
    { maxLength: 3 },
  ),
});
