import { assertEquals, assertMatch } from "@std/assert";
import { X509Certificate } from "node:crypto";
import { makeSelfSigned } from "../../../lib/tls/self_signed.ts";

const NOW = Date.parse("2026-11-23T15:00:00Z");

Deno.test("a self-signed certificate is valid from a day before for ten years and verifies with its own key", async () => {
  const { chain } = await makeSelfSigned("mail.example.org", NOW);
  const certificate = new X509Certificate(chain);
  assertEquals(new Date(certificate.validFrom).toISOString(), "2026-11-22T15:00:00.000Z");
  assertEquals(new Date(certificate.validTo).toISOString(), "2036-11-20T15:00:00.000Z");
  assertMatch(certificate.subject, /CN=mail\.example\.org/);
  assertEquals(certificate.checkHost("mail.example.org"), "mail.example.org");
});

Deno.test("two self-signed certificates have different serial numbers", async () => {
  const serials = new Set<string>();
  for (let i = 0; i < 8; i++) {
    serials.add(new X509Certificate((await makeSelfSigned("a.example", NOW)).chain).serialNumber);
  }
  assertEquals(serials.size, 8);
});

Deno.test("a self-signed certificate works with the TLS of the runtime, for long and short names and late dates", async () => {
  const long = `${"a".repeat(60)}.${"b".repeat(60)}.${"c".repeat(60)}.example`;
  for (
    const [hostname, now] of [["mail.example.org", NOW], ["localhost", NOW], [long, NOW], ["x.example", NOW]] as const
  ) {
    const { chain, key } = await makeSelfSigned(hostname, now);
    using listener = Deno.listenTls({ hostname: "127.0.0.1", port: 0, cert: chain, key });
    const server = (async (): Promise<void> => {
      using conn = await listener.accept();
      await conn.handshake();
    })();
    // connectTls checks the name, so the plain connection is to the address and TLS is for the name.
    const plain = await Deno.connect({ hostname: "127.0.0.1", port: listener.addr.port });
    using client = await Deno.startTls(plain, { hostname, caCerts: [chain] });
    await client.handshake();
    await server;
  }
});

Deno.test("from 2050 on the dates of a certificate are written as GeneralizedTime", async () => {
  const { chain } = await makeSelfSigned("mail.example.org", Date.parse("2045-01-01T00:00:00Z"));
  const certificate = new X509Certificate(chain);
  assertEquals(new Date(certificate.validFrom).getUTCFullYear(), 2044);
  assertEquals(new Date(certificate.validTo).getUTCFullYear(), 2054);
});
