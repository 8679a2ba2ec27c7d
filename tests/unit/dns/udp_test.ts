import { assertEquals, assertRejects } from "@std/assert";
import { createSocket } from "node:dgram";
import { makeQuery } from "../../../lib/dns/query.ts";
import { exchangeTcp } from "../../../lib/dns/tcp.ts";
import { exchangeUdp } from "../../../lib/dns/udp.ts";
import { addressData, encodeRecord, encodeResponse, flag } from "../../support/dns_encoding.ts";
import { startDnsServer } from "../../support/dns_server.ts";

const query = makeQuery({ id: 7, name: "example.test", type: "A" });

for (const exchange of [exchangeUdp, exchangeTcp]) {
  Deno.test(`${exchange.name} ends at the signal at any moment, with its reason`, async () => {
    await using dns = await startDnsServer({ "*": { fault: "timeout" } });
    const gone = AbortSignal.abort(new Error("enough"));
    await assertRejects(() => exchange(dns.address, query, gone), Error, "enough");
    for (const waitMs of [undefined, 0, 5]) {
      const stop = new AbortController();
      const answer = exchange(dns.address, query, stop.signal);
      if (waitMs !== undefined) await new Promise((resolve) => setTimeout(resolve, waitMs));
      stop.abort(new Error("enough"));
      await assertRejects(() => answer, Error, "enough");
    }
    const asked = dns.queries.length;
    const stop = new AbortController();
    const answer = exchange(dns.address, query, stop.signal);
    await dns.untilQueried(asked + 1);
    stop.abort(new Error("enough"));
    await assertRejects(() => answer, Error, "enough");
  });
}

Deno.test("A port where nobody listens for TCP is an error", async () => {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr;
  listener.close();
  const { signal } = new AbortController();
  await assertRejects(() => exchangeTcp({ host: "127.0.0.1", port }, query, signal));
});

Deno.test("A server is asked over IPv6", async () => {
  const socket = createSocket("udp6");
  const isBound = await new Promise<boolean>((resolve) => {
    socket.once("error", () => resolve(false));
    socket.bind(0, "::1", () => resolve(true));
  });
  if (isBound) {
    socket.on("message", (_, from) => {
      const answers = [encodeRecord("example.test", "A", addressData("192.0.2.1"))];
      const question = { name: "example.test", typeCode: 1 };
      const octets = encodeResponse({ id: 7, flags: flag.response, responseCode: 0, question, answers });
      socket.send(octets, from.port, from.address);
    });
    const server = { host: "0:0:0:0:0:0:0:1", port: socket.address().port };
    const { answers } = await exchangeUdp(server, query, new AbortController().signal);
    assertEquals(answers.map(({ data }) => data), ["192.0.2.1"]);
  }
  await new Promise<void>((resolve) => socket.close(resolve));
});
