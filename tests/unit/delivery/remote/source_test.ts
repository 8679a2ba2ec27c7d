import { assertEquals, assertStringIncludes } from "@std/assert";
import { mxHop, smarthostHop, testRequest, testTarget } from "../../../support/remote_delivery.ts";
import { startPeer } from "../../../support/scripted_peer.ts";

const HOP = mxHop("example.test");
const MX = { MX: [{ preference: 10, exchange: "mx1.test" }] };
const request = testRequest({ hop: HOP, recipients: ["a@example.test"] });

/** Takes one connection, tells where it came from, and closes it. */
function witness(hostname = "127.0.0.1"): { readonly port: number; readonly client: Promise<string> } {
  const listener = Deno.listen({ hostname, port: 0 });
  const client = listener.accept().then((connection) => {
    connection.close();
    listener.close();
    return (connection.remoteAddr as Deno.NetAddr).hostname;
  });
  return { port: (listener.addr as Deno.NetAddr).port, client };
}

/** Deno before 2.8 cannot choose the address that it connects from. */
const canChoose = Deno.version.deno.localeCompare("2.8.0", "en", { numeric: true }) >= 0;

Deno.test({
  name: "connections come from the configured address",
  ignore: !canChoose,
  fn: async () => {
    const { port, client } = witness();
    await using target = testTarget({ "example.test": MX, "mx1.test": { A: ["127.0.0.1"] } }, {
      mxPort: port,
      source: { v4: "127.0.0.5", v6: "::1" },
    });
    await target.deliver(request);
    assertEquals(await client, "127.0.0.5");
  },
});

Deno.test({
  name: "a smarthost may have a source address of its own",
  ignore: !canChoose,
  fn: async () => {
    const { port, client } = witness();
    await using target = testTarget({}, { source: { v4: "127.0.0.5" } });
    const hop = smarthostHop({ port, source: { v4: "127.0.0.6" } });
    await target.deliver(testRequest({ hop, recipients: ["a@example.test"] }));
    assertEquals(await client, "127.0.0.6");
  },
});

Deno.test("a peer on this machine is not reached from an address of the network", async () => {
  await using peer = startPeer();
  await using target = testTarget({ "example.test": MX, "mx1.test": { A: ["127.0.0.1"] } }, {
    mxPort: peer.port,
    source: { v4: "192.0.2.254" },
  });
  assertEquals((await target.deliver(request))[0]?.action, "relayed");
});

Deno.test({
  name: "a source address that this machine does not have is named, and does not make the destination look down",
  ignore: !canChoose,
  fn: async () => {
    await using peer = startPeer();
    await using target = testTarget({});
    const hop = smarthostHop({ port: peer.port, source: { v4: "203.0.113.254" } });
    const [outcome] = await target.deliver(testRequest({ hop, recipients: ["a@example.test"] }));
    assertEquals([outcome?.action, outcome?.status, outcome?.destination], ["delayed", "4.3.5", undefined]);
    assertStringIncludes(outcome?.text ?? "", "the source address 203.0.113.254 is not one of this machine");
    assertEquals(peer.connections, 0);
  },
});

Deno.test({
  name: "a version of Deno that cannot choose the source address sends nothing from another one",
  ignore: canChoose,
  fn: async () => {
    await using peer = startPeer();
    await using target = testTarget({});
    const hop = smarthostHop({ port: peer.port, source: { v4: "127.0.0.5" } });
    const [outcome] = await target.deliver(testRequest({ hop, recipients: ["a@example.test"] }));
    assertEquals([outcome?.status, outcome?.destination], ["4.3.5", undefined]);
    assertEquals(peer.commands, []);
  },
});

for (
  const [ipv6, reason] of [
    ["off", "IPv6 is switched off here (delivery.ipv6)"],
    ["auto", "IPv6 is not used here, because 2001:db8::7 has no PTR record"],
  ] as const
) {
  const options = { ipv6, ownAddresses: (): string[] => ["2001:db8::7"] };

  Deno.test(`ipv6 ${ipv6}: a host with both kinds of addresses is reached over IPv4`, async () => {
    await using peer = startPeer();
    const zone = { "example.test": MX, "mx1.test": { AAAA: ["2001:db8::25"], A: ["127.0.0.1"] } };
    await using target = testTarget(zone, { mxPort: peer.port, ...options });
    const [outcome] = await target.deliver(request);
    assertEquals([outcome?.action, outcome?.remoteAddress], ["relayed", `127.0.0.1:${peer.port}`]);
  });

  Deno.test(`ipv6 ${ipv6}: mail for hosts with IPv6 addresses only waits, and the text says why`, async () => {
    await using target = testTarget({ "example.test": MX, "mx1.test": { AAAA: ["2001:db8::25"] } }, options);
    const [outcome] = await target.deliver(request);
    assertEquals([outcome?.action, outcome?.status, outcome?.destination], ["delayed", "4.4.1", undefined]);
    assertEquals(outcome?.text, `The mail servers of example.test have IPv6 addresses only, and ${reason}`);
  });

  Deno.test(`ipv6 ${ipv6}: peers on this machine and smarthosts are reached over IPv6 all the same`, async () => {
    await using peer = startPeer({ host: "::1" });
    const zone = { "example.test": MX, "mx1.test": { AAAA: ["::1"] } };
    await using target = testTarget(zone, { mxPort: peer.port, ...options });
    assertEquals((await target.deliver(request))[0]?.action, "relayed");
    const hop = smarthostHop({ host: "::1", port: peer.port });
    const outcomes = await target.deliver(testRequest({ hop, recipients: ["a@example.test"] }));
    assertEquals(outcomes[0]?.action, "relayed");
  });
}
