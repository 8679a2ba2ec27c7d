import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { createHash } from "node:crypto";
import { parseStsPolicy } from "../../../../lib/delivery/remote/mta_sts_policy.ts";
import { findTlsa } from "../../../../lib/delivery/remote/dane.ts";
import type { RemoteTargetOptions } from "../../../../lib/delivery/remote/remote_target.ts";
import type { TlsResult } from "../../../../lib/delivery/remote/tls_results.ts";
import type { Outcome } from "../../../../lib/mail/outcome.ts";
import type { TlsaRecord } from "../../../../lib/tls/dane/tlsa.ts";
import { canJudgePeers } from "../../../../lib/tls/peer_chain.ts";
import { type FakeRecords, FakeResolver } from "../../../support/fake_resolver.ts";
import { LogLines } from "../../../support/log_lines.ts";
import { mxHop, smarthostHop, testRequest, testTarget } from "../../../support/remote_delivery.ts";
import { readTestPem, type ScriptedPeer, startPeer } from "../../../support/scripted_peer.ts";

const SIGNAL = new AbortController().signal;
const SERVER = der("certificate.pem");
const CA = der("ca.pem");

function der(name: "certificate.pem" | "ca.pem"): Uint8Array {
  return Uint8Array.from(atob(readTestPem(name).replace(/-----[^-]+-----|\s/g, "")), (octet) => octet.charCodeAt(0));
}

function sha256(octets: Uint8Array): Uint8Array {
  return new Uint8Array(createHash("sha256").update(octets).digest());
}

/** Fits the certificate of the scripted peer, which is valid for mx.test, mx1.test and mx2.test. */
const GOOD: TlsaRecord = { usage: 3, selector: 0, matchingType: 1, data: sha256(SERVER) };
const WRONG: TlsaRecord = { ...GOOD, data: sha256(CA) };
const AUTHORITY: TlsaRecord = { usage: 2, selector: 0, matchingType: 0, data: CA };
const UNUSABLE: TlsaRecord = { ...GOOD, usage: 1 };

// ---- which records count

const HOST = { name: "mx1.test", address: { host: "127.0.0.1", port: 25 }, isSecure: true };
const ALIAS = { ...HOST, canonicalName: "real.test" };

for (
  const [what, host, zone, expected] of [
    ["secure records of a secure host", HOST, { "_25._tcp.mx1.test": { TLSA: [GOOD], isSecure: true } }, "mx1.test"],
    ["none", HOST, {}, "none"],
    ["records that are not secure", HOST, { "_25._tcp.mx1.test": { TLSA: [GOOD] } }, "none"],
    [
      "secure records of a host whose addresses are not",
      { ...HOST, isSecure: false },
      { "_25._tcp.mx1.test": { TLSA: [GOOD], isSecure: true } },
      "none",
    ],
    ["a lookup that fails", HOST, { "_25._tcp.mx1.test": { failing: ["TLSA"] } }, "failed"],
    [
      "records behind a secure CNAME",
      HOST,
      {
        "_25._tcp.mx1.test": { cname: "shared.test", isSecure: true },
        "shared.test": { TLSA: [GOOD], isSecure: true },
      },
      "mx1.test",
    ],
    [
      "secure records behind a CNAME that is not secure",
      HOST,
      { "_25._tcp.mx1.test": { cname: "shared.test" }, "shared.test": { TLSA: [GOOD], isSecure: true } },
      "none",
    ],
    [
      "a host that is an alias: first where it leads",
      ALIAS,
      {
        "_25._tcp.real.test": { TLSA: [GOOD], isSecure: true },
        "_25._tcp.mx1.test": { TLSA: [WRONG], isSecure: true },
      },
      "real.test",
    ],
    [
      "a host that is an alias: then its own name",
      ALIAS,
      { "_25._tcp.mx1.test": { TLSA: [GOOD], isSecure: true } },
      "mx1.test",
    ],
    [
      "a host that is an alias: where the first lookup fails, the second is not asked",
      ALIAS,
      { "_25._tcp.real.test": { failing: ["TLSA"] }, "_25._tcp.mx1.test": { TLSA: [GOOD], isSecure: true } },
      "failed",
    ],
    [
      "a secure alias that leads out of DNSSEC: its own name only",
      { ...ALIAS, isSecure: false },
      {
        "mx1.test": { cname: "real.test", isSecure: true },
        "_25._tcp.real.test": { TLSA: [WRONG], isSecure: true },
        "_25._tcp.mx1.test": { TLSA: [GOOD], isSecure: true },
      },
      "mx1.test",
    ],
    [
      "an alias that is not secure itself",
      { ...ALIAS, isSecure: false },
      { "mx1.test": { cname: "real.test" }, "_25._tcp.mx1.test": { TLSA: [GOOD], isSecure: true } },
      "none",
    ],
    [
      "an alias of which nobody knows whether it is secure",
      { ...ALIAS, isSecure: false },
      { "mx1.test": { failing: ["CNAME"] } },
      "failed",
    ],
    ["an address instead of a name", { ...HOST, name: "127.0.0.1" }, {}, "none"],
    ["another port", { ...HOST, address: { host: "127.0.0.1", port: 587 } }, {
      "_587._tcp.mx1.test": { TLSA: [GOOD], isSecure: true },
    }, "mx1.test"],
  ] as const
) {
  daneTest(`TLSA records: ${what} (${expected})`, async () => {
    const answer = await findTlsa(new FakeResolver(zone as Record<string, FakeRecords>), host, SIGNAL);
    assertEquals(answer.kind === "records" ? answer.base : answer.kind, expected);
    if (answer.kind === "records") assertEquals(answer.records, [GOOD]);
  });
}

// ---- delivery

function summary(outcomes: readonly Outcome[]): string[] {
  return outcomes.map(({ action, status }) => `${action} ${status}`);
}

/** `example.test` has the hosts mx1.test and, where a second peer is given, mx2.test; all is secure. */
function signedZone(peer: ScriptedPeer, tlsa: FakeRecords, second?: FakeRecords): Record<string, FakeRecords> {
  const isSecure = true;
  const hosts = second === undefined ? ["mx1.test"] : ["mx1.test", "mx2.test"];
  return {
    "example.test": { MX: hosts.map((exchange, i) => ({ preference: i, exchange })), isSecure },
    "mx1.test": { A: [peer.host], isSecure },
    "mx2.test": { A: ["127.0.0.2"], isSecure },
    [`_${peer.port}._tcp.mx1.test`]: { isSecure, ...tlsa },
    [`_${peer.port}._tcp.mx2.test`]: { isSecure, ...second },
  };
}

interface Tried {
  readonly outcomes: readonly Outcome[];
  readonly results: readonly TlsResult[];
  readonly log: readonly string[];
}

async function deliver(
  zone: Record<string, FakeRecords>,
  peer: ScriptedPeer,
  options: Partial<RemoteTargetOptions> = {},
  requireTls = false,
): Promise<Tried> {
  const results: TlsResult[] = [];
  const logger = new LogLines();
  await using target = testTarget(zone, {
    mxPort: peer.port,
    logger,
    results: { record: (result) => void results.push(result) },
    ...options,
  });
  const envelope = requireTls ? { envelope: { requireTls: true as const } } : {};
  const outcomes = await target.deliver(
    testRequest({ hop: mxHop("example.test"), recipients: ["a@example.test"], ...envelope }),
  );
  return { outcomes, results, log: logger.lines };
}

function daneTest(name: string, fn: () => Promise<void>): void {
  Deno.test({ name, ignore: !canJudgePeers, fn });
}

for (
  const [what, tlsa] of [
    ["usage 3", [GOOD]],
    ["usage 2", [AUTHORITY]],
    ["one of two records", [WRONG, GOOD]],
  ] as const
) {
  daneTest(`DANE: a host that fits (${what}) gets the message, and the outcome says how it proved itself`, async () => {
    await using peer = startPeer({ tls: "starttls" });
    const { outcomes, results } = await deliver(signedZone(peer, { TLSA: tlsa }), peer);
    assertEquals(summary(outcomes), ["relayed 2.6.0"]);
    assertMatch(outcomes[0]?.tls ?? "", /^TLSv1\.3 TLS_\w+, DANE$/);
    assertEquals(results.map(({ policy, failure }) => [policy.type, policy.domain, failure]), [
      ["tlsa", "mx1.test", undefined],
    ]);
    assertEquals(results[0]?.policy.strings.length, tlsa.length);
  });
}

daneTest("DANE: TLS-Required: No lets a message go where the records do not fit", async () => {
  await using peer = startPeer();
  await using target = testTarget(signedZone(peer, { TLSA: [WRONG] }), { mxPort: peer.port });
  const envelope = { isTlsOptional: true as const };
  const request = testRequest({ hop: mxHop("example.test"), recipients: ["a@example.test"], envelope });
  const [outcome] = await target.deliver(request);
  assertEquals([outcome?.action, outcome?.tls], ["relayed", undefined]);
});

for (
  const [what, peerOptions, tlsa, text, failure] of [
    ["shows another certificate", { tls: "starttls" }, [WRONG], /fits no TLSA record/, "certificate-not-trusted"],
    ["offers no STARTTLS", {}, [GOOD], /TLS is required by the TLSA records/, "starttls-not-supported"],
    [
      "offers no STARTTLS, with unusable records",
      {},
      [UNUSABLE],
      /TLS is required by the TLSA records/,
      "tlsa-invalid",
    ],
    [
      "breaks the handshake",
      { tls: "starttls", tlsFault: "garbage" },
      [GOOD],
      /Cannot make a TLS/,
      "validation-failure",
    ],
  ] as const
) {
  daneTest(`DANE: a host that ${what} gets nothing, and the next one is tried`, async () => {
    await using peer = startPeer(peerOptions);
    await using second = startPeer({ tls: "starttls", host: "127.0.0.2", port: peer.port });
    const alone = await deliver(signedZone(peer, { TLSA: tlsa }), peer);
    assertEquals(summary(alone.outcomes), ["delayed 4.7.5"]);
    assertMatch(alone.outcomes[0]?.text ?? "", text);
    assertEquals(alone.results[0]?.failure, failure);
    assertEquals(peer.connections, 1, "nothing is repeated in the clear");
    const both = await deliver(signedZone(peer, { TLSA: tlsa }, { TLSA: [GOOD] }), peer);
    assertEquals(summary(both.outcomes), ["relayed 2.6.0"]);
    assertEquals([both.outcomes[0]?.remoteMta, peer.messages.length, second.messages.length], ["mx2.test", 0, 1]);
  });
}

daneTest("DANE: STARTTLS that is refused delays", async () => {
  await using peer = startPeer({ tls: "starttls", replies: { starttls: "454 4.7.0 Not now" } });
  const { outcomes } = await deliver(signedZone(peer, { TLSA: [GOOD] }), peer);
  assertEquals(summary(outcomes), ["delayed 4.7.0"]);
  assertEquals(peer.messages, []);
});

daneTest("DANE: TLSA records that cannot be looked up delay, and nobody is connected to", async () => {
  await using peer = startPeer({ tls: "starttls" });
  const { outcomes, results } = await deliver(signedZone(peer, { failing: ["TLSA"] }), peer);
  assertEquals(summary(outcomes), ["delayed 4.7.5"]);
  assertStringIncludes(outcomes[0]?.text ?? "", "its TLSA records cannot be looked up: SERVFAIL from fake");
  assertEquals([peer.connections, results[0]?.failure], [0, "dnssec-invalid"]);
});

daneTest("DANE: records that cannot be used make TLS mandatory and prove nothing", async () => {
  await using peer = startPeer({ tls: "starttls" });
  const { outcomes, results, log } = await deliver(signedZone(peer, { TLSA: [UNUSABLE] }), peer);
  assertEquals(summary(outcomes), ["relayed 2.6.0"]);
  assertMatch(outcomes[0]?.tls ?? "", /^TLSv1\.3 TLS_\w+$/);
  assertEquals(results.map(({ failure }) => failure), ["tlsa-invalid"]);
  assertEquals(log, ["info: TEST1: No TLSA record of mx1.test can be used: TLS is mandatory, and proves nothing"]);
});

daneTest("DANE: a certificate of usage 2 may name the recipient's domain, and no other", async () => {
  await using peer = startPeer({ tls: "starttls" });
  const zone = {
    "mx.test": { MX: [{ preference: 1, exchange: "elsewhere.test" }] },
    "other.test": { MX: [{ preference: 1, exchange: "elsewhere.test" }] },
    "elsewhere.test": { A: ["127.0.0.1"], isSecure: true },
    [`_${peer.port}._tcp.elsewhere.test`]: { TLSA: [AUTHORITY], isSecure: true },
  };
  await using target = testTarget(zone, { mxPort: peer.port });
  const named = await target.deliver(testRequest({ hop: mxHop("mx.test"), recipients: ["a@mx.test"] }));
  assertEquals(summary(named), ["relayed 2.6.0"]);
  const [other] = await target.deliver(testRequest({ hop: mxHop("other.test"), recipients: ["a@other.test"] }));
  assertEquals(other?.status, "4.7.5");
  assertStringIncludes(other?.text ?? "", "its certificate names none of elsewhere.test, other.test");
});

daneTest("DANE: an unsigned domain at a signed host is protected, too", async () => {
  await using peer = startPeer({ tls: "starttls" });
  const zone = signedZone(peer, { TLSA: [WRONG] });
  const unsigned = { ...zone, "example.test": { ...zone["example.test"], isSecure: false } };
  assertEquals(summary((await deliver(unsigned, peer)).outcomes), ["delayed 4.7.5"]);
});

daneTest(
  "DANE at a host that an enforced MTA-STS policy does not name counts only where DNSSEC names the host",
  async () => {
    const reading = parseStsPolicy("version: STSv1\nmode: enforce\nmax_age: 60\nmx: mx9.test");
    const policy = reading.kind === "policy" ? reading.policy : undefined;
    await using peer = startPeer({ tls: "starttls", extensions: ["REQUIRETLS"] });
    const zone = signedZone(peer, { TLSA: [GOOD] });
    const forged = { ...zone, "example.test": { ...zone["example.test"], isSecure: false } };
    const mtaSts = { policyOf: (): Promise<typeof policy> => Promise.resolve(policy) };
    for (const requireTls of [false, true]) {
      const { outcomes } = await deliver(forged, peer, { mtaSts }, requireTls);
      assertEquals(summary(outcomes), ["delayed 4.7.5"]);
      assertStringIncludes(outcomes[0]?.text ?? "", "The MTA-STS policy of example.test does not name mx1.test");
    }
    assertEquals(peer.connections, 0);
    assertEquals(summary((await deliver(zone, peer, { mtaSts })).outcomes), ["relayed 2.6.0"]);
  },
);

daneTest("DANE: where the host is not signed, or DANE or TLS is off, the records do not matter", async () => {
  await using peer = startPeer({ tls: "starttls" });
  const zone = signedZone(peer, { TLSA: [WRONG] });
  const unsigned = { ...zone, "mx1.test": { A: [peer.host] } };
  for (
    const [records, options] of [[unsigned, {}], [zone, { usesDane: false }], [zone, { tls: "off" }]] as const
  ) assertEquals(summary((await deliver(records, peer, options)).outcomes), ["relayed 2.6.0"]);
});

daneTest("DANE proves a host where TLS is required, whatever authorities say", async () => {
  await using peer = startPeer({ tls: "starttls", extensions: ["REQUIRETLS"] });
  const { outcomes } = await deliver(signedZone(peer, { TLSA: [GOOD] }), peer, { tls: "required" });
  assertEquals(summary(outcomes), ["relayed 2.6.0"]);
  const demanded = await deliver(signedZone(peer, { TLSA: [GOOD] }), peer, {}, true);
  assertEquals(summary(demanded.outcomes), ["relayed 2.6.0"]);
  assertMatch(peer.messages[1]?.mail ?? "", /REQUIRETLS/);
  // Unusable records prove nothing: then an authority has to.
  const unusable = await deliver(signedZone(peer, { TLSA: [UNUSABLE] }), peer, { tls: "required" });
  assertEquals(summary(unusable.outcomes), ["delayed 4.7.5"]);
});

daneTest("DANE holds for an opportunistic smarthost, and not beside a certificate that is asked for", async () => {
  await using peer = startPeer({ tls: "starttls" });
  const zone = signedZone(peer, { TLSA: [WRONG] });
  await using target = testTarget(zone, { caCertificates: [readTestPem("ca.pem")] });
  const hop = smarthostHop({ host: "mx1.test", port: peer.port });
  const request = { recipients: ["a@example.test"] };
  assertEquals(summary(await target.deliver(testRequest({ hop, ...request }))), ["delayed 4.7.5"]);
  const strict = smarthostHop({ host: "mx1.test", port: peer.port, tls: "required" });
  const [outcome] = await target.deliver(testRequest({ hop: strict, ...request }));
  assertEquals(outcome?.action, "relayed");
  assertMatch(outcome?.tls ?? "", /, verified$/);
});

daneTest("DANE: where the host is an alias, the policy is that of where it leads", async () => {
  await using peer = startPeer({ tls: "starttls" });
  const isSecure = true;
  const zone = {
    "example.test": { MX: [{ preference: 1, exchange: "alias.test" }], isSecure },
    "alias.test": { cname: "mx2.test", isSecure },
    "mx2.test": { A: ["127.0.0.1"], isSecure },
    [`_${peer.port}._tcp.mx2.test`]: { TLSA: [AUTHORITY], isSecure },
  };
  const { outcomes, results } = await deliver(zone, peer);
  assertEquals(summary(outcomes), ["relayed 2.6.0"]);
  assertEquals(results[0]?.policy.domain, "mx2.test");
  assert(results[0]?.mxHost === "alias.test");
});

daneTest("DANE: a connection whose certificate may name the domain only is not used for another domain", async () => {
  await using peer = startPeer({ tls: "starttls" });
  const mx = { MX: [{ preference: 1, exchange: "elsewhere.test" }] };
  for (const [tlsa, expected] of [[AUTHORITY, ["2.6.0", "4.7.5"]], [GOOD, ["2.6.0", "2.6.0"]]] as const) {
    const zone = {
      "mx.test": mx,
      "other.test": mx,
      "elsewhere.test": { A: ["127.0.0.1"], isSecure: true },
      [`_${peer.port}._tcp.elsewhere.test`]: { TLSA: [tlsa], isSecure: true },
    };
    await using target = testTarget(zone, { mxPort: peer.port });
    const statuses: (string | undefined)[] = [];
    for (const domain of ["mx.test", "other.test"]) {
      const [outcome] = await target.deliver(testRequest({ hop: mxHop(domain), recipients: [`a@${domain}`] }));
      statuses.push(outcome?.status);
    }
    assertEquals(statuses, [...expected]);
  }
  // Of the certificate itself no name matters: both messages shared one connection.
  assertEquals(peer.messages.map(({ connection }) => connection), [1, 3, 3]);
});
