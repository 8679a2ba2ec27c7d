import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import type { Outcome } from "../../../../lib/mail/outcome.ts";
import { mxHop, smarthostHop, TEST_LIMITS, testRequest, testTarget } from "../../../support/remote_delivery.ts";
import { type PeerSaid, readTestPem, startPeer } from "../../../support/scripted_peer.ts";

const HOP = mxHop("example.test");
const ZONE = {
  "example.test": { MX: [{ preference: 10, exchange: "mx1.test" }] },
  "other.test": { MX: [{ preference: 10, exchange: "mx.other.test" }] },
  "mx1.test": { A: ["127.0.0.1"] },
  "mx.other.test": { A: ["127.0.0.1"] },
};
const CA = [readTestPem("ca.pem")];
const LOGIN = { username: "user", password: "geheim, \u00fc" };

function summary(outcomes: readonly Outcome[]): string[] {
  return outcomes.map(({ action, status }) => `${action} ${status}`);
}

Deno.test("opportunistic TLS takes any certificate, and says EHLO again under TLS", async () => {
  await using peer = startPeer({ tls: "starttls" });
  await using target = testTarget(ZONE, { mxPort: peer.port });
  const [outcome] = await target.deliver(testRequest({ hop: HOP, recipients: ["a@example.test"] }));
  assertEquals(outcome?.action, "relayed");
  assertMatch(outcome?.tls ?? "", /^TLS/);
  assertEquals(peer.messages[0]?.isTls, true);
  assertEquals(peer.commands.slice(0, 3), ["EHLO client.test", "STARTTLS", "EHLO client.test"]);
});

Deno.test("a connection under TLS is kept for the next message", async () => {
  await using peer = startPeer({ tls: "starttls" });
  await using target = testTarget(ZONE, { mxPort: peer.port });
  for (let count = 0; count < 3; count++) {
    const outcomes = await target.deliver(testRequest({ hop: HOP, recipients: ["a@example.test"] }));
    assertEquals(summary(outcomes), ["relayed 2.6.0"]);
  }
  assertEquals([peer.connections, peer.messages.length], [1, 3]);
});

Deno.test("a large message goes through TLS octet for octet", async () => {
  const content = "0123456789".repeat(6) + "\r\n";
  await using peer = startPeer({ tls: "starttls" });
  await using target = testTarget(ZONE, { mxPort: peer.port });
  const request = testRequest({ hop: HOP, recipients: ["a@example.test"], content: content.repeat(20_000) });
  assertEquals(summary(await target.deliver(request)), ["relayed 2.6.0"]);
  assert(peer.contents[0] === "X-Trace: 1\r\n" + content.repeat(20_000));
});

for (const tlsFault of ["garbage", "injection"] as const) {
  Deno.test(`opportunistic TLS that fails (${tlsFault}) is repeated once in the clear`, async () => {
    await using peer = startPeer({ tls: "starttls", tlsFault });
    await using target = testTarget(ZONE, { mxPort: peer.port });
    const [outcome] = await target.deliver(testRequest({ hop: HOP, recipients: ["a@example.test"] }));
    assertEquals([outcome?.action, outcome?.tls], ["relayed", undefined]);
    assertEquals([peer.connections, peer.messages[0]?.isTls], [2, false]);
  });

  Deno.test(`required TLS that fails (${tlsFault}) delays and sends nothing`, async () => {
    await using peer = startPeer({ tls: "starttls", tlsFault });
    await using target = testTarget(ZONE, { mxPort: peer.port, tls: "required", caCertificates: CA });
    assertEquals(summary(await target.deliver(testRequest({ hop: HOP, recipients: ["a@example.test"] }))), [
      "delayed 4.7.5",
    ]);
    assertEquals([peer.connections, peer.commands.length], [1, 2]);
  });
}

Deno.test("octets sent in the clear behind the go-ahead for TLS are named as the reason", async () => {
  await using peer = startPeer({ tls: "starttls", tlsFault: "injection" });
  await using target = testTarget(ZONE, { mxPort: peer.port, tls: "required", caCertificates: CA });
  const [outcome] = await target.deliver(testRequest({ hop: HOP, recipients: ["a@example.test"] }));
  assertStringIncludes(outcome?.text ?? "", "sent octets in the clear after its go-ahead for TLS");
});

Deno.test({
  name: "a TLS handshake that never ends runs into its limit, and the message goes in the clear",
  // Deno before 2.8 keeps the socket of a handshake that was given up until the peer closes it.
  sanitizeResources: !/^2\.[0-7]\./.test(Deno.version.deno),
  fn: async () => {
    await using peer = startPeer({ tls: "starttls", tlsFault: "silence" });
    await using target = testTarget(ZONE, {
      mxPort: peer.port,
      limits: { ...TEST_LIMITS, tlsMs: 100, commandMs: 200 },
    });
    const [outcome] = await target.deliver(testRequest({ hop: HOP, recipients: ["a@example.test"] }));
    assertEquals([outcome?.action, outcome?.tls], ["relayed", undefined]);
  },
});

Deno.test("STARTTLS that is refused: opportunistic goes on in the clear, required delays", async () => {
  await using peer = startPeer({ tls: "starttls", replies: { starttls: "454 4.7.0 Not now" } });
  await using lenient = testTarget(ZONE, { mxPort: peer.port });
  await using strict = testTarget(ZONE, { mxPort: peer.port, tls: "required", caCertificates: CA });
  const request = testRequest({ hop: HOP, recipients: ["a@example.test"] });
  assertEquals(summary(await lenient.deliver(request)), ["relayed 2.6.0"]);
  assertEquals(summary(await strict.deliver(request)), ["delayed 4.7.0"]);
  assertEquals(peer.messages.length, 1);
});

Deno.test("TLS that is off is not begun though it is offered", async () => {
  await using peer = startPeer({ tls: "starttls" });
  await using target = testTarget(ZONE, { mxPort: peer.port, tls: "off" });
  await target.deliver(testRequest({ hop: HOP, recipients: ["a@example.test"] }));
  assertEquals(peer.messages[0]?.isTls, false);
});

Deno.test("required TLS delivers where the certificate is valid for the MX host", async () => {
  await using peer = startPeer({ tls: "starttls" });
  await using target = testTarget(ZONE, { mxPort: peer.port, tls: "required", caCertificates: CA });
  assertEquals(summary(await target.deliver(testRequest({ hop: HOP, recipients: ["a@example.test"] }))), [
    "relayed 2.6.0",
  ]);
  assertEquals(peer.messages[0]?.isTls, true);
});

Deno.test("required TLS: a certificate for another name delays with 4.7.5", async () => {
  await using peer = startPeer({ tls: "starttls" });
  await using target = testTarget(ZONE, { mxPort: peer.port, tls: "required", caCertificates: CA });
  const [outcome] = await target.deliver(testRequest({ hop: mxHop("other.test"), recipients: ["a@other.test"] }));
  assertEquals([outcome?.action, outcome?.status], ["delayed", "4.7.5"]);
  assertStringIncludes(outcome?.text ?? "", "Cannot verify the certificate of mx.other.test");
  assertEquals(peer.messages.length, 0);
});

Deno.test("required TLS: a certificate of an unknown authority delays with 4.7.5", async () => {
  await using peer = startPeer({ tls: "starttls" });
  await using target = testTarget(ZONE, { mxPort: peer.port, tls: "required" });
  const [outcome] = await target.deliver(testRequest({ hop: HOP, recipients: ["a@example.test"] }));
  assertEquals([outcome?.action, outcome?.status], ["delayed", "4.7.5"]);
  assertEquals(peer.messages.length, 0);
});

Deno.test("required TLS: a host without STARTTLS delays with 4.7.5", async () => {
  await using peer = startPeer();
  await using target = testTarget(ZONE, { mxPort: peer.port, tls: "required", caCertificates: CA });
  assertEquals(summary(await target.deliver(testRequest({ hop: HOP, recipients: ["a@example.test"] }))), [
    "delayed 4.7.5",
  ]);
  assertEquals(peer.commands, ["EHLO client.test", "QUIT"]);
});

for (const mechanisms of ["PLAIN LOGIN", "LOGIN"]) {
  Deno.test(`a smarthost with implicit TLS gets name and password with ${mechanisms}`, async () => {
    await using peer = startPeer({ tls: "implicit", login: { ...LOGIN, mechanisms } });
    await using target = testTarget(ZONE, { caCertificates: CA });
    const hop = smarthostHop({ scheme: "smtps", host: "mx1.test", port: peer.port, tls: "required", ...LOGIN });
    assertEquals(summary(await target.deliver(testRequest({ hop, recipients: ["a@example.test"] }))), [
      "relayed 2.6.0",
    ]);
    assertEquals([peer.messages[0]?.isTls, peer.messages[0]?.login], [true, "user"]);
  });
}

Deno.test("an IP address as smarthost with required TLS is verified as an address", async () => {
  await using peer = startPeer({ tls: "implicit" });
  await using target = testTarget({}, { caCertificates: CA });
  const hop = smarthostHop({ scheme: "smtps", port: peer.port, tls: "required" });
  assertEquals(summary(await target.deliver(testRequest({ hop, recipients: ["a@example.test"] }))), ["relayed 2.6.0"]);
});

Deno.test("an implicit TLS handshake with a server in the clear delays and is not repeated in the clear", async () => {
  await using peer = startPeer();
  await using target = testTarget({}, { limits: { ...TEST_LIMITS, tlsMs: 1_000, greetingMs: 1_000 } });
  const hop = smarthostHop({ scheme: "smtps", port: peer.port });
  assertEquals(summary(await target.deliver(testRequest({ hop, recipients: ["a@example.test"] }))), ["delayed 4.7.5"]);
  assertEquals(peer.messages.length, 0);
  assertEquals(peer.connections, 1);
});

Deno.test("a login after STARTTLS works", async () => {
  await using peer = startPeer({ tls: "starttls", login: LOGIN });
  await using target = testTarget(ZONE, { caCertificates: CA });
  const hop = smarthostHop({ host: "mx1.test", port: peer.port, tls: "required", ...LOGIN });
  assertEquals(summary(await target.deliver(testRequest({ hop, recipients: ["a@example.test"] }))), ["relayed 2.6.0"]);
  assertEquals(peer.messages[0]?.login, "user");
});

Deno.test("a login in the clear is done on loopback only", async () => {
  await using peer = startPeer({ login: LOGIN });
  await using target = testTarget({});
  const hop = smarthostHop({ port: peer.port, ...LOGIN });
  assertEquals(summary(await target.deliver(testRequest({ hop, recipients: ["a@example.test"] }))), ["relayed 2.6.0"]);
  const own = Deno.networkInterfaces().find(({ family, address }) => family === "IPv4" && !address.startsWith("127."));
  if (own === undefined) return;
  await using outside = startPeer({ host: own.address, login: LOGIN });
  const away = smarthostHop({ host: own.address, port: outside.port, ...LOGIN });
  assertEquals(summary(await target.deliver(testRequest({ hop: away, recipients: ["a@x.test"] }))), ["delayed 4.7.11"]);
  assert(!outside.commands.some((line) => line.startsWith("AUTH")));
});

Deno.test("a refused password delays, and neither text names it", async () => {
  await using peer = startPeer({ login: LOGIN });
  await using target = testTarget({});
  const hop = smarthostHop({ port: peer.port, username: "user", password: "wrong" });
  const [outcome] = await target.deliver(testRequest({ hop, recipients: ["a@example.test"] }));
  assertEquals([outcome?.action, outcome?.status, outcome?.text], ["delayed", "4.7.8", "535 5.7.8 Wrong"]);
});

Deno.test("a peer that repeats our login puts no password into log or report", async () => {
  const replies = {
    auth: (line: string): string => `500-5.5.1 Unknown: "${line}"\r\n500 5.5.1 (${atob(line.slice(11)).slice(6)})`,
  };
  await using peer = startPeer({ login: LOGIN, replies });
  await using target = testTarget({});
  const hop = smarthostHop({ port: peer.port, username: "user", password: "geheim1" });
  const [outcome] = await target.deliver(testRequest({ hop, recipients: ["a@example.test"] }));
  assertEquals(outcome?.text, '500 5.5.1 Unknown: "AUTH PLAIN [hidden]" ([hidden])');
});

Deno.test("what a peer repeats of our login without making a reply of it, or in part, is hidden too", async () => {
  const password = "a very long password that nobody guesses";
  for (
    const auth of [
      (line: string): PeerSaid => ({ octets: `${line}\r\n` }),
      (line: string): PeerSaid => `500 5.5.1 Unknown: ${line.slice(0, 40)}...`,
      (line: string): PeerSaid => `500 5.5.1 Unknown: ${line.toUpperCase().slice(0, 40)}...`,
    ]
  ) {
    await using peer = startPeer({ login: LOGIN, replies: { auth } });
    await using target = testTarget({});
    const hop = smarthostHop({ port: peer.port, username: "user", password });
    const [outcome] = await target.deliver(testRequest({ hop, recipients: ["a@example.test"] }));
    assertEquals(outcome?.action, "delayed");
    assertMatch(outcome?.text ?? "", /AUTH PLAIN \[hidden\]/);
  }
});

Deno.test("a smarthost without AUTH delays with a clear text", async () => {
  await using peer = startPeer();
  await using target = testTarget({});
  const hop = smarthostHop({ port: peer.port, ...LOGIN });
  const [outcome] = await target.deliver(testRequest({ hop, recipients: ["a@example.test"] }));
  assertEquals(outcome?.text, "Cannot log in at 127.0.0.1: it offers neither AUTH PLAIN nor AUTH LOGIN");
});

const SECURE_ZONE = {
  ...ZONE,
  "example.test": { MX: [{ preference: 10, exchange: "mx1.test" }], isSecure: true },
  "two.test": {
    MX: [{ preference: 10, exchange: "mx1.test" }, { preference: 20, exchange: "mx.other.test" }],
    isSecure: true,
  },
};
const REQUIRED = { envelope: { requireTls: true as const } };

Deno.test("REQUIRETLS is kept: a verified peer that offers it gets the message and the demand", async () => {
  await using peer = startPeer({ tls: "starttls", extensions: ["PIPELINING", "REQUIRETLS"] });
  await using target = testTarget(SECURE_ZONE, { mxPort: peer.port, caCertificates: CA });
  const request = testRequest({ hop: mxHop("example.test"), recipients: ["a@example.test"] });
  assertEquals(summary(await target.deliver(request)), ["relayed 2.6.0"]);
  const required = testRequest({ hop: mxHop("example.test"), recipients: ["a@example.test"], ...REQUIRED });
  assertEquals(summary(await target.deliver(required)), ["relayed 2.6.0"]);
  assertEquals(peer.messages.map(({ mail }) => /REQUIRETLS/.test(mail)), [false, true]);
  assertEquals(peer.connections, 2, "a connection whose certificate was not checked is not used");
});

for (
  const [why, zone, peerOptions, ca, expected] of [
    ["a peer without REQUIRETLS", SECURE_ZONE, { tls: "starttls", extensions: [] }, CA, "failed 5.7.30"],
    ["MX records without DNSSEC", ZONE, { tls: "starttls", extensions: ["REQUIRETLS"] }, CA, "failed 5.7.30"],
    [
      "a certificate that nobody vouches for",
      SECURE_ZONE,
      { tls: "starttls", extensions: ["REQUIRETLS"] },
      [],
      "delayed 4.7.5",
    ],
    ["a peer without TLS", SECURE_ZONE, { extensions: ["REQUIRETLS"] }, CA, "delayed 4.7.5"],
  ] as const
) {
  Deno.test(`REQUIRETLS is kept: ${why} gets nothing`, async () => {
    await using peer = startPeer(peerOptions);
    await using target = testTarget(zone, { mxPort: peer.port, caCertificates: ca, tls: "off" });
    const request = testRequest({ hop: mxHop("example.test"), recipients: ["a@example.test"], ...REQUIRED });
    assertEquals(summary(await target.deliver(request)), [expected]);
    assertEquals(peer.messages, []);
  });
}

Deno.test("REQUIRETLS: a host that may be able later is waited for, whatever another says", async () => {
  await using peer = startPeer({ tls: "starttls", extensions: [] });
  // The second host's name is in no certificate.
  await using target = testTarget(SECURE_ZONE, { mxPort: peer.port, caCertificates: CA });
  const request = testRequest({ hop: mxHop("two.test"), recipients: ["a@two.test"], ...REQUIRED });
  assertEquals(summary(await target.deliver(request)), ["delayed 4.7.5"]);
});

Deno.test("REQUIRETLS does not matter for a mailbox server behind a Unix socket", async () => {
  const folder = await Deno.makeTempDir();
  try {
    await using peer = startPeer({ protocol: "lmtp", socketPath: `${folder}/lmtp.sock` });
    await using target = testTarget({}, {});
    const hop = smarthostHop({ scheme: "lmtp", host: "", port: 0, socketPath: `${folder}/lmtp.sock`, tls: "off" });
    assertEquals(summary(await target.deliver(testRequest({ hop, recipients: ["a@example.test"], ...REQUIRED }))), [
      "delivered 2.6.0",
    ]);
    assertEquals(peer.messages.length, 1);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

/** Answers up to STARTTLS, and returns what the client then sends first: its ClientHello. */
async function clientHello(listener: Deno.Listener): Promise<string> {
  using connection = await listener.accept();
  const octets = new Uint8Array(4096);
  let said = "220 peer.test";
  for (let step = 0; step < 2; step++) {
    await connection.write(new TextEncoder().encode(`${said}\r\n`));
    await connection.read(octets);
    said = step === 0 ? "250-peer.test\r\n250 STARTTLS" : "220 Go ahead";
  }
  await connection.write(new TextEncoder().encode(`${said}\r\n`));
  const read = await connection.read(octets) ?? 0;
  return String.fromCharCode(...octets.subarray(0, read));
}

Deno.test("the name of the host is sent as SNI, but an address never is (RFC 6066 §3)", async () => {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr as Deno.NetAddr;
  await using target = testTarget({ "mx1.test": { A: ["127.0.0.1"] } });
  for (const [host, isSent] of [["mx1.test", true], ["127.0.0.1", false]] as const) {
    const hello = clientHello(listener);
    const hop = smarthostHop({ host, port, tls: "required" });
    const [outcome] = await target.deliver(testRequest({ hop, recipients: ["a@example.test"] }));
    assertEquals(outcome?.action, "delayed");
    assertEquals((await hello).includes(host), isSent);
  }
});
