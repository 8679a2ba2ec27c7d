import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import type { RemoteTargetOptions } from "../../../../lib/delivery/remote/remote_target.ts";
import { parseStsPolicy, type StsPolicy } from "../../../../lib/delivery/remote/mta_sts_policy.ts";
import type { TlsResult } from "../../../../lib/delivery/remote/tls_results.ts";
import type { Envelope } from "../../../../lib/mail/envelope.ts";
import type { Outcome } from "../../../../lib/mail/outcome.ts";
import { FakeClock } from "../../../support/fake_clock.ts";
import { LogLines } from "../../../support/log_lines.ts";
import { mxHop, testRequest, testTarget } from "../../../support/remote_delivery.ts";
import { readTestPem, type ScriptedPeer, startPeer } from "../../../support/scripted_peer.ts";

const ZONE = {
  "example.test": {
    MX: [{ preference: 10, exchange: "mx1.test" }, { preference: 20, exchange: "mx2.test" }],
  },
  "one.test": { MX: [{ preference: 10, exchange: "mx1.test" }] },
  "named.test": { MX: [{ preference: 10, exchange: "mx.other.test" }] },
  "mx1.test": { A: ["127.0.0.1"] },
  "mx2.test": { A: ["127.0.0.2"] },
  // No certificate has this name.
  "mx.other.test": { A: ["127.0.0.1"] },
};
const CA = [readTestPem("ca.pem")];

function policy(mode: string, ...mx: string[]): StsPolicy {
  const reading = parseStsPolicy(
    ["version: STSv1", `mode: ${mode}`, "max_age: 60", ...mx.map((name) => `mx: ${name}`)].join("\n"),
  );
  if (reading.kind === "invalid") throw new TypeError(reading.reason);
  return reading.policy;
}

interface Tried {
  readonly outcome: Outcome | undefined;
  readonly results: readonly TlsResult[];
  readonly log: readonly string[];
}

async function deliver(
  sts: StsPolicy | undefined,
  peer: ScriptedPeer,
  { domain = "one.test", requireTls = false, ...options }: Partial<RemoteTargetOptions> & {
    domain?: string;
    requireTls?: boolean;
  } = {},
): Promise<Tried> {
  const results: TlsResult[] = [];
  const logger = new LogLines();
  await using target = testTarget(ZONE, {
    mxPort: peer.port,
    caCertificates: CA,
    logger,
    results: { record: (result) => void results.push(result) },
    mtaSts: { policyOf: () => Promise.resolve(sts) },
    ...options,
  });
  const envelope = requireTls ? { envelope: { requireTls: true as const } } : {};
  const [outcome] = await target.deliver(testRequest({ hop: mxHop(domain), recipients: [`a@${domain}`], ...envelope }));
  return { outcome, results, log: logger.lines };
}

function counted(results: readonly TlsResult[]): string[] {
  return results.map(({ policy, failure = "success" }) => `${policy.type} ${failure}`);
}

Deno.test("MTA-STS enforce: a host that is named and has a valid certificate gets the message", async () => {
  await using peer = startPeer({ tls: "starttls" });
  const { outcome, results } = await deliver(policy("enforce", "*.test"), peer);
  assertEquals(outcome?.action, "relayed");
  assertMatch(outcome?.tls ?? "", /, MTA-STS$/);
  assertEquals(counted(results), ["sts success"]);
  assertEquals(results[0], {
    recipientDomain: "one.test",
    policy: {
      type: "sts",
      domain: "one.test",
      strings: ["version: STSv1", "mode: enforce", "max_age: 60", "mx: *.test"],
      mxHosts: ["*.test"],
    },
    mxHost: "mx1.test",
    receivingIp: "127.0.0.1",
  });
});

for (
  const [what, peerOptions, mx, options, text, failure] of [
    ["is not named", { tls: "starttls" }, "mx9.test", {}, /does not name mx1\.test/, "validation-failure"],
    [
      "offers no STARTTLS",
      {},
      "mx1.test",
      {},
      /TLS is required by the MTA-STS policy of one\.test, but/,
      "starttls-not-supported",
    ],
    [
      "has a certificate of an unknown authority",
      { tls: "starttls" },
      "mx1.test",
      { caCertificates: [] },
      /Cannot verify the certificate/,
      "certificate-not-trusted",
    ],
    [
      "has a certificate for another name",
      { tls: "starttls" },
      "mx.other.test",
      { domain: "named.test" },
      /Cannot verify the certificate/,
      "certificate-host-mismatch",
    ],
  ] as const
) {
  Deno.test(`MTA-STS enforce: a host that ${what} gets nothing`, async () => {
    await using peer = startPeer(peerOptions);
    const { outcome, results } = await deliver(policy("enforce", mx), peer, options);
    assertEquals([outcome?.action, outcome?.status], ["delayed", "4.7.5"]);
    assertMatch(outcome?.text ?? "", text);
    assertEquals(peer.messages, []);
    // Deno before 2.8 does not say what is wrong with a certificate.
    if (!/^2\.[0-7]\./.test(Deno.version.deno)) assertEquals(counted(results), [`sts ${failure}`]);
  });

  Deno.test(`MTA-STS testing: a host that ${what} gets the message all the same, and it is recorded`, async () => {
    await using peer = startPeer(peerOptions);
    const { outcome, results } = await deliver(policy("testing", mx), peer, options);
    assertEquals(outcome?.action, "relayed");
    assertEquals(outcome?.tls === undefined, what === "offers no STARTTLS");
    if (outcome?.tls !== undefined) assertMatch(outcome.tls, /^TLS\S*(?: TLS_\w+)?$/, "nothing was proved");
    assertEquals(results.length, 1);
    if (!/^2\.[0-7]\./.test(Deno.version.deno)) assertEquals(counted(results), [`sts ${failure}`]);
  });
}

Deno.test("MTA-STS testing: a host that does all right is a success", async () => {
  await using peer = startPeer({ tls: "starttls" });
  const { outcome, results } = await deliver(policy("testing", "mx1.test"), peer);
  assertMatch(outcome?.tls ?? "", /, MTA-STS$/);
  assertEquals([counted(results), peer.connections], [["sts success"], 1]);
});

Deno.test("MTA-STS testing: a broken handshake ends in the clear, after two connections", async () => {
  await using peer = startPeer({ tls: "starttls", tlsFault: "garbage" });
  const { outcome, results } = await deliver(policy("testing", "mx1.test"), peer);
  assertEquals([outcome?.action, outcome?.tls], ["relayed", undefined]);
  assertEquals([counted(results), peer.connections], [["sts validation-failure"], 2]);
});

Deno.test("MTA-STS enforce: the host that is named is found behind one that is not", async () => {
  await using peer = startPeer({ tls: "starttls" });
  await using second = startPeer({ tls: "starttls", host: "127.0.0.2", port: peer.port });
  const { outcome } = await deliver(policy("enforce", "mx2.test"), peer, { domain: "example.test" });
  assertEquals([outcome?.action, outcome?.remoteMta], ["relayed", "mx2.test"]);
  assertEquals([peer.connections, second.messages.length], [0, 1]);
});

Deno.test("without a policy, opportunistic TLS is recorded as such", async () => {
  await using peer = startPeer({ tls: "starttls" });
  assertEquals(counted((await deliver(undefined, peer)).results), ["no-policy-found success"]);
  await using plain = startPeer();
  assertEquals(counted((await deliver(undefined, plain)).results), ["no-policy-found starttls-not-supported"]);
});

Deno.test("TLS that is off stays off: no policy is asked for", async () => {
  await using peer = startPeer({ tls: "starttls" });
  const mtaSts = { policyOf: () => Promise.reject(new Error("asked")) };
  const { outcome, results } = await deliver(undefined, peer, { tls: "off", mtaSts });
  assertEquals([outcome?.action, outcome?.tls, results], ["relayed", undefined, []]);
});

Deno.test("REQUIRETLS may rest on a policy in mode enforce instead of DNSSEC, not on one in mode testing", async () => {
  await using peer = startPeer({ tls: "starttls", extensions: ["REQUIRETLS"] });
  const good = await deliver(policy("enforce", "mx1.test"), peer, { requireTls: true });
  assertEquals(good.outcome?.action, "relayed");
  assertMatch(peer.messages[0]?.mail ?? "", /REQUIRETLS/);
  const testing = await deliver(policy("testing", "mx1.test"), peer, { requireTls: true });
  assertEquals([testing.outcome?.action, testing.outcome?.status], ["failed", "5.7.30"]);
  const unnamed = await deliver(policy("enforce", "mx9.test"), peer, { requireTls: true });
  assertEquals([unnamed.outcome?.action, unnamed.outcome?.status], ["delayed", "4.7.5"]);
});

Deno.test("a connection that mail for a domain without a policy opened is not used for a domain that has one", async () => {
  await using peer = startPeer({ tls: "starttls" });
  const enforced = policy("enforce", "mx1.test");
  await using target = testTarget(ZONE, {
    mxPort: peer.port,
    // Nobody vouches for the peer.
    caCertificates: [],
    mtaSts: { policyOf: (domain) => Promise.resolve(domain === "one.test" ? enforced : undefined) },
  });
  const send = async (domain: string): Promise<string | undefined> => {
    const [outcome] = await target.deliver(testRequest({ hop: mxHop(domain), recipients: [`a@${domain}`] }));
    return outcome?.status;
  };
  assertEquals([await send("example.test"), await send("one.test"), await send("example.test")], [
    "2.6.0",
    "4.7.5",
    "2.6.0",
  ]);
  assertEquals(peer.messages.length, 2);
});

Deno.test("a connection under MTA-STS is kept for its own domain", async () => {
  await using peer = startPeer({ tls: "starttls" });
  await using target = testTarget(ZONE, {
    mxPort: peer.port,
    caCertificates: CA,
    mtaSts: {
      policyOf: (domain) => Promise.resolve(domain === "one.test" ? policy("enforce", "mx1.test") : undefined),
    },
  });
  for (const domain of ["one.test", "one.test", "example.test"]) {
    await target.deliver(testRequest({ hop: mxHop(domain), recipients: [`a@${domain}`] }));
  }
  assertEquals(peer.messages.map(({ connection }) => connection), [1, 1, 2]);
});

// ---- what is remembered

Deno.test("a host whose handshake fails is not asked for another one, and a host that loses TLS is a warning", async () => {
  await using broken = startPeer({ tls: "starttls", tlsFault: "garbage" });
  const clock = new FakeClock();
  const log = new LogLines();
  await using target = testTarget(ZONE, { mxPort: broken.port, clock, logger: log, pool: { maxIdle: 0 } });
  const send = async (): Promise<void> => {
    const [outcome] = await target.deliver(testRequest({ hop: mxHop("one.test"), recipients: ["a@one.test"] }));
    assertEquals([outcome?.action, outcome?.tls], ["relayed", undefined]);
  };
  await send();
  assertEquals(broken.connections, 2);
  await send();
  assertEquals(broken.connections, 3, "in the clear at once");
  await clock.advance(4 * 3_600_000);
  await send();
  assertEquals(broken.connections, 5);
  assertEquals(log.lines.filter((line) => line.startsWith("warning")), []);
});

Deno.test("a host that offered TLS and does not any more is a warning", async () => {
  let offers = true;
  const replies = { ehlo: () => offers ? undefined : "250 peer.test" };
  await using peer = startPeer({ tls: "starttls", replies });
  const log = new LogLines();
  await using target = testTarget(ZONE, { mxPort: peer.port, logger: log, pool: { maxIdle: 0 } });
  for (offers of [true, false, false]) {
    const [outcome] = await target.deliver(testRequest({ hop: mxHop("one.test"), recipients: ["a@one.test"] }));
    assertEquals([outcome?.action, outcome?.tls !== undefined], ["relayed", offers]);
  }
  const warnings = log.lines.filter((line) => line.startsWith("warning"));
  assertEquals(warnings.length, 1);
  assertStringIncludes(warnings[0] ?? "", "mx1.test had TLS 0 h ago, but it does not offer STARTTLS any more");
});

Deno.test("TLS-Required: No sends a message as if there were no policy, and on a connection of its own", async () => {
  await using peer = startPeer();
  const mtaSts = { policyOf: () => Promise.resolve(policy("enforce", "mx1.test")) };
  const results: TlsResult[] = [];
  await using target = testTarget(ZONE, {
    mxPort: peer.port,
    mtaSts,
    results: { record: (result) => void results.push(result) },
  });
  const send = async (envelope: Partial<Envelope>): Promise<string> => {
    const [outcome] = await target.deliver(
      testRequest({ hop: mxHop("one.test"), recipients: ["a@one.test"], envelope }),
    );
    return outcome?.action ?? "nothing";
  };
  assertEquals(await send({ isTlsOptional: true }), "relayed");
  assertEquals(results, [], "it counts for no report");
  assertEquals(await send({}), "delayed");
  assertEquals(await send({ isTlsOptional: true }), "relayed");
  assertEquals(peer.messages.length, 2);
});
