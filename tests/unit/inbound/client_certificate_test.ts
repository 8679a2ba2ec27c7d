import { assertEquals, assertMatch } from "@std/assert";
import type { ListenerConfig } from "../../../lib/config/config.ts";
import type { Logger } from "../../../lib/log/logger.ts";
import { bindListener } from "../../../lib/inbound/bind.ts";
import { canUpgradeServer } from "../../../lib/tls/server_tls.ts";
import { startInbound, testCertificates } from "../../support/inbound_server.ts";

const CLIENTS = `${import.meta.dirname}/../../fixtures/tls/clients`;

/** What the client reads first, and what the log has by then: without the port, without what comes later. */
async function meet(
  clientCertificates: NonNullable<ListenerConfig["clientCertificates"]>,
  name?: string,
  ...above: string[]
): Promise<{ greeting: string; lines: string[] }> {
  const lines: string[] = [];
  const take = (message: string, fields: Record<string, unknown> = {}): void => {
    const text = message.replace(/\{(\w+)\}/g, (_, field) => String(fields[field]));
    if (!text.startsWith("Connection from")) lines.push(text.replace(/127\.0\.0\.1:\d+/, "CLIENT"));
  };
  const logger: Logger = { debug: take, info: take, warning: take, error: take };
  await using server = await startInbound({ tls: "implicit", service: "submission", clientCertificates, logger });
  const read = (file: string): string => Deno.readTextFileSync(`${CLIENTS}/${file}.pem`);
  const { all: [own] } = await testCertificates();
  using client = await Deno.connectTls({
    hostname: "127.0.0.1",
    port: server.port,
    caCerts: [own?.chain ?? ""],
    unsafelyDisableHostnameVerification: true,
    ...(name === undefined ? {} : { cert: [name, ...above].map(read).join(""), key: read(`${name}.key`) }),
  });
  const buffer = new Uint8Array(512);
  const count = await client.read(buffer) ?? 0;
  return { greeting: new TextDecoder().decode(buffer.subarray(0, count)), lines };
}

function test(name: string, run: () => Promise<void>): void {
  Deno.test({ name, ignore: !canUpgradeServer, fn: run });
}

const GREETING = "220 mx.test ESMTP posthorn\r\n";
const REFUSAL = "554 5.7.0 A client certificate that we trust is needed here; closing connection\r\n";

test("require: a client with a certificate that counts gets its session, and the log says whose it is", async () => {
  const { greeting, lines } = await meet("require", "alice");
  assertEquals(greeting, GREETING);
  assertEquals(lines.length, 1);
  assertMatch(lines[0] ?? "", /^CLIENT has the certificate of CN=Alice, O=Example, SHA-256 [0-9a-f]{64}$/);
  assertEquals((await meet("require", "below", "middle")).greeting, GREETING);
});

test("require: a client without a certificate, or with one that does not count, is told so and let go", async () => {
  const wants = "No session with CLIENT: it needs a certificate of tls.client_ca: ";
  assertEquals(await meet("require"), { greeting: REFUSAL, lines: [`${wants}none was given`] });
  assertEquals(await meet("require", "forged"), {
    greeting: REFUSAL,
    lines: [`${wants}no authority of tls.client_ca issued it`],
  });
});

test("request: everybody gets a session, and a certificate that does not count is noted in the log", async () => {
  assertEquals(await meet("request"), { greeting: GREETING, lines: [] });
  assertEquals(await meet("request", "forged"), {
    greeting: GREETING,
    lines: ["The certificate of CLIENT counts for nothing: no authority of tls.client_ca issued it"],
  });
  assertEquals((await meet("request", "alice")).greeting, GREETING);
});

Deno.test("where the runtime cannot ask for certificates, a listener that must is not bound", async () => {
  const config: ListenerConfig = {
    bind: { kind: "tcp", host: "127.0.0.1", port: 0 },
    service: "submission",
    tls: "implicit",
    clientCertificates: "request",
  };
  const certificates = await testCertificates();
  const message = await bindListener(config, () => certificates, false).then(() => "", (error: Error) => error.message);
  assertMatch(message, /: client_certificates needs Deno 2\.8 or later, and this is [\d.]+$/);
});
