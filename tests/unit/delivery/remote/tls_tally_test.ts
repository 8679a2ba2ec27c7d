import { assertEquals } from "@std/assert";
import { TlsTally } from "../../../../lib/delivery/remote/tls_tally.ts";
import { failureOf, type TlsResult } from "../../../../lib/delivery/remote/tls_results.ts";
import { ClientError } from "../../../../lib/smtp/client/client_error.ts";
import { FakeClock } from "../../../support/fake_clock.ts";

const DAY_MS = 86_400_000;

function result(domain: string, rest: Partial<TlsResult> = {}): TlsResult {
  return {
    recipientDomain: domain,
    policy: { type: "sts", domain, strings: ["version: STSv1"], mxHosts: ["mx.test"] },
    mxHost: "mx.test",
    receivingIp: "192.0.2.1",
    ...rest,
  };
}

Deno.test("sessions are counted by day, domain and policy, failures by kind and host", () => {
  const tally = new TlsTally({ clock: new FakeClock("2026-03-01T12:00:00Z") });
  tally.record(result("a.test"));
  tally.record(result("a.test"));
  tally.record(result("a.test", { failure: "certificate-expired", reason: "it ended" }));
  tally.record(result("a.test", { failure: "certificate-expired", reason: "it ended again" }));
  tally.record(result("a.test", { failure: "certificate-expired", receivingIp: "192.0.2.2" }));
  tally.record(result("a.test", { policy: { type: "tlsa", domain: "mx.test", strings: [] } }));
  const [sts, dane] = tally.of("2026-03-01");
  assertEquals([sts?.policy.type, sts?.successes, sts?.failureCount], ["sts", 2, 3]);
  assertEquals(sts?.failures, [
    {
      failure: "certificate-expired",
      mxHost: "mx.test",
      receivingIp: "192.0.2.1",
      reason: "it ended",
      count: 2,
    },
    { failure: "certificate-expired", mxHost: "mx.test", receivingIp: "192.0.2.2", count: 1 },
  ]);
  assertEquals([dane?.policy.domain, dane?.recipientDomain, dane?.successes], ["mx.test", "a.test", 1]);
  assertEquals(tally.of("2026-02-28"), []);
});

Deno.test("days, policies and kinds of failure are bounded", async () => {
  const clock = new FakeClock("2026-03-01T23:59:59Z");
  const tally = new TlsTally({ clock, maxPolicies: 2, maxFailures: 1, maxDays: 2 });
  for (const domain of ["a.test", "b.test", "c.test", "a.test"]) tally.record(result(domain));
  assertEquals(tally.of("2026-03-01").map(({ successes }) => successes), [2, 1]);
  for (const mxHost of ["x.test", "y.test"]) tally.record(result("a.test", { mxHost, failure: "validation-failure" }));
  assertEquals(tally.of("2026-03-01")[0]?.failures.length, 1);
  assertEquals(tally.of("2026-03-01")[0]?.failureCount, 2);
  for (let day = 0; day < 2; day++) {
    await clock.advance(DAY_MS);
    tally.record(result("a.test"));
  }
  assertEquals(["01", "02", "03"].map((day) => tally.of(`2026-03-${day}`).length), [0, 1, 1]);
});

Deno.test("the texts of policies are bounded, and what has no room leaves the policy from before", () => {
  const tally = new TlsTally({ clock: new FakeClock("2026-03-01T12:00:00Z"), maxOctets: 100 });
  const sized = (domain: string, octets: number): TlsResult =>
    result(domain, { policy: { type: "sts", domain, strings: ["x".repeat(octets)] } });
  for (
    const [domain, octets] of [["a.test", 40], ["b.test", 70], ["c.test", 60], ["a.test", 50], ["a.test", 30]] as const
  ) {
    tally.record(sized(domain, octets));
  }
  const day = tally.of("2026-03-01");
  assertEquals(
    day.map(({ recipientDomain, successes, policy }) => [recipientDomain, successes, policy.strings[0]?.length]),
    [
      ["a.test", 3, 30],
      ["c.test", 1, 60],
    ],
  );
});

Deno.test("faults get the names of RFC 8460 §4.3", () => {
  const named = (code: string): Error => Object.assign(new Error("x"), { code });
  for (
    const [error, expected] of [
      [new ClientError("tls", "no cipher in common"), "validation-failure"],
      [
        new ClientError("certificate", "x", { cause: named("ERR_TLS_CERT_ALTNAME_INVALID") }),
        "certificate-host-mismatch",
      ],
      [new ClientError("certificate", "x", { cause: named("CERT_HAS_EXPIRED") }), "certificate-expired"],
      [new ClientError("certificate", "x", { cause: named("SELF_SIGNED_CERT_IN_CHAIN") }), "certificate-not-trusted"],
      [new ClientError("certificate", "x", { cause: { tlsFailure: "tlsa-invalid" } }), "tlsa-invalid"],
    ] as const
  ) assertEquals(failureOf(error), expected);
});
