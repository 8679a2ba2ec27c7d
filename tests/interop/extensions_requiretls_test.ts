/** REQUIRETLS (RFC 8689): a chain of servers that keeps the demand, and what happens where one cannot. */

import { assertEquals, assertMatch } from "@std/assert";
import { TestAuthority } from "../support/interop/certificates.ts";
import { awkwardMessage } from "../support/interop/messages.ts";
import { peerTest } from "../support/interop/peers.ts";
import { SmtpSink } from "../support/interop/sink.ts";
import { readWithPython, sendWithSmtplib } from "../support/interop/smtplib.ts";
import { TemporaryFolder } from "../support/interop/temporary_folder.ts";
import { waitUntil } from "../support/interop/wait.ts";
import { canUpgradeServer } from "../../lib/tls/server_tls.ts";
import { startDnsServer } from "../support/dns_server.ts";
import { PosthornProcess } from "../support/posthorn_process.ts";

const ALICE = { address: "alice@branch.example", password: "correct horse battery staple" };
const BOB = { address: "bob@hub.example", password: "another password" };

peerTest(
  "REQUIRETLS goes along to a server that offers it, and nothing goes in the clear behind it",
  ["python", "openssl"],
  async () => {
    if (!canUpgradeServer) return;
    await using folder = await TemporaryFolder.create();
    const authority = await TestAuthority.create(folder.path);
    const names = ["DNS:localhost", "IP:127.0.0.1"];
    const env = { DENO_CERT: authority.file, NODE_EXTRA_CA_CERTS: authority.file };
    await using sink = new SmtpSink();
    await using hub = await PosthornProcess.start({
      listeners: [{ service: "mx" }],
      accounts: [BOB],
      config: {
        hostname: "hub.example",
        domains: { "hub.example": {} },
        relay_from: ["127.0.0.0/8"],
        tls: { certificates: [await authority.issue("hub", names)] },
        routes: [{ domain: "*", via: `smtp://127.0.0.1:${sink.port}`, tls: "off" }],
      },
      env,
    });
    await using branch = await PosthornProcess.start({
      listeners: [{ service: "submission", tls: "implicit" }],
      accounts: [ALICE],
      config: {
        hostname: "branch.example",
        domains: { "branch.example": {} },
        tls: { certificates: [await authority.issue("branch", names)] },
        routes: [
          { domain: "unsigned.example", via: `smtp://127.0.0.1:${sink.port}`, tls: "off" },
          { domain: "*", via: `smtp://127.0.0.1:${hub.port("mx")}` },
        ],
      },
      env,
    });
    const server = { port: branch.port("submission", "implicit"), caFile: authority.file, login: ALICE };
    const content = awkwardMessage({ from: ALICE.address, to: BOB.address, subject: "secret", is8bit: false }).octets;
    const replies = await sendWithSmtplib(server, [{
      from: ALICE.address,
      mail: ["REQUIRETLS", "RET=FULL"],
      to: [[BOB.address], ["far@remote.example"], ["eve@unsigned.example"]],
      content,
    }]);
    assertMatch(replies.at(-1) ?? "", /^250 2\.0\.0 Queued as /);
    const detail = (): string => `${branch.log}\n${hub.log}`;
    const [arrived] = await hub.maildir(BOB.address).waitFor(1, { detail });
    assertMatch(arrived?.text ?? "", /^Received: from branch\.example .*\r\n(?:\t.*\r\n)*?\ttls TLS_/m);
    // The demand came along: the hub sends nothing in the clear, whatever its route says.
    await waitUntil(() => /far@remote\.example.* 4\.7\.5: TLS is required/.test(hub.log) || undefined, {
      what: "the hub asks for TLS",
      detail,
    });
    await waitUntil(() => /eve@unsigned\.example.* 4\.7\.5: TLS is required/.test(branch.log) || undefined, {
      what: "TLS asked for",
      detail,
    });
    assertEquals(sink.messages, []);
  },
);

peerTest(
  "A message with REQUIRETLS for a domain without DNSSEC goes back, and the report shows its header section only",
  ["python", "openssl"],
  async () => {
    await using folder = await TemporaryFolder.create();
    const authority = await TestAuthority.create(folder.path);
    await using dns = await startDnsServer({
      "unsigned.example": { MX: [[10, "mx.unsigned.example"]] },
      "mx.unsigned.example": { A: ["127.0.0.1"] },
    });
    await using branch = await PosthornProcess.start({
      listeners: [{ service: "submission", tls: "implicit" }],
      accounts: [ALICE],
      config: {
        hostname: "branch.example",
        domains: { "branch.example": {} },
        tls: { certificates: [await authority.issue("branch", ["DNS:localhost", "IP:127.0.0.1"])] },
        dns: { servers: [`${dns.address.host}:${dns.address.port}`] },
      },
    });
    const server = { port: branch.port("submission", "implicit"), caFile: authority.file, login: ALICE };
    const content =
      awkwardMessage({ from: ALICE.address, to: "eve@unsigned.example", subject: "secret", is8bit: false })
        .octets;
    await sendWithSmtplib(server, [{
      from: ALICE.address,
      mail: ["REQUIRETLS", "RET=FULL"],
      to: [["eve@unsigned.example"]],
      content,
    }]);
    const maildir = branch.maildir(ALICE.address);
    await maildir.waitFor(1, { detail: () => branch.log });
    const [name] = await maildir.names();
    const report = await readWithPython(`${maildir.path}/new/${name}`);
    assertEquals(report.recipients.map(({ action, status }) => [action, status]), [["failed", "5.7.30"]]);
    assertEquals(report.originalType, "text/rfc822-headers");
  },
);
