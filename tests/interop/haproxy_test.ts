/** HAProxy in front of posthorn: PROXY headers as the program that made them writes them. */

import { assertEquals, assertMatch } from "@std/assert";
import { mustRun } from "../support/interop/command.ts";
import { Daemon } from "../support/interop/daemon.ts";
import { freePort } from "../support/interop/free_port.ts";
import { latin1 } from "../support/interop/maildir.ts";
import { peerTest, programPath } from "../support/interop/peers.ts";
import { TemporaryFolder } from "../support/interop/temporary_folder.ts";
import { waitUntil } from "../support/interop/wait.ts";
import { PosthornProcess } from "../support/posthorn_process.ts";

const ALICE = { address: "alice@example.org", password: "correct horse" };
/** The client's address; the proxy's is 127.0.0.1. */
const CLIENT = "127.0.0.2";

/** One way through the proxy: the port it listens on, the port of posthorn, and how HAProxy speaks to that. */
interface Way {
  readonly name: string;
  readonly from: number;
  readonly to: number;
  readonly keyword: string;
}

function haproxyConfig(ways: readonly Way[]): string {
  const timeouts = "  mode tcp\n  timeout connect 5s\n  timeout client 30s\n  timeout server 30s\n";
  const proxies = ways.map(({ name, from, to, keyword }) =>
    `listen ${name}\n  bind 127.0.0.1:${from}\n  server posthorn 127.0.0.1:${to} ${keyword} check inter 200ms\n`
  );
  return `defaults\n${timeouts}${proxies.join("")}`;
}

async function send(url: string, options: readonly string[], file: string): Promise<void> {
  const command = ["curl", "--silent", "--show-error", "--max-time", "20", "--interface", CLIENT, "--url", url];
  await mustRun([...command, "--mail-rcpt", ALICE.address, "--upload-file", file, ...options]);
}

peerTest("Mail comes through HAProxy with version 1 and 2, with STARTTLS and implicit TLS, and health checks pass", [
  "haproxy",
  "curl",
], async () => {
  await using folder = await TemporaryFolder.create();
  const [v1, v2, smtps] = [freePort(), freePort(), freePort()];
  const plain = freePort();
  const listener = (port: number, more: object): object => ({
    bind: `127.0.0.1:${port}`,
    proxy_protocol: ["127.0.0.1"],
    ...more,
  });
  await using posthorn = await PosthornProcess.start({
    accounts: [ALICE],
    listeners: [{ service: "mx", port: plain }],
    config: {
      listeners: [
        { bind: `127.0.0.1:${plain}`, service: "mx" },
        listener(v1, { service: "mx" }),
        listener(v2, { service: "mx" }),
        listener(smtps, { service: "submission", tls: "implicit" }),
      ],
    },
  });
  const ways: readonly Way[] = [
    { name: "v1", from: freePort(), to: v1, keyword: "send-proxy" },
    { name: "v2", from: freePort(), to: v2, keyword: "send-proxy-v2 proxy-v2-options unique-id,crc32c" },
    { name: "smtps", from: freePort(), to: smtps, keyword: "send-proxy-v2" },
  ];
  await Deno.writeTextFile(`${folder.path}/haproxy.cfg`, haproxyConfig(ways));
  await using haproxy = new Daemon([programPath("haproxy"), "-db", "-f", `${folder.path}/haproxy.cfg`]);
  const [one, two, three] = ways.map(({ from }) => from);
  await waitUntil(async () => {
    try {
      (await Deno.connect({ port: three ?? 0, hostname: "127.0.0.1" })).close();
      return true;
    } catch {
      return undefined;
    }
  }, { what: "HAProxy to listen", detail: () => haproxy.log });

  const file = `${folder.path}/message`;
  await Deno.writeTextFile(file, "From: x@elsewhere.example\r\nSubject: through a proxy\r\n\r\nhello\r\n");
  const stranger = ["--mail-from", "x@elsewhere.example"];
  const login = ["--insecure", "--user", `${ALICE.address}:${ALICE.password}`, "--mail-from", ALICE.address];
  const own = `${folder.path}/own`;
  await Deno.writeTextFile(own, `From: ${ALICE.address}\r\nSubject: through a proxy\r\n\r\nhello\r\n`);
  await send(`smtp://127.0.0.1:${one}/client.test`, stranger, file);
  await send(`smtp://127.0.0.1:${two}/client.test`, [...stranger, "--ssl-reqd", "--insecure"], file);
  await send(`smtps://127.0.0.1:${three}/client.test`, login, own);

  const maildir = posthorn.maildir(ALICE.address);
  await maildir.waitFor(3, { detail: () => posthorn.log });
  for (const { octets } of await maildir.messages()) {
    assertMatch(latin1(octets), /^Received: from client\.test \(\[127\.0\.0\.2\]\)/m);
  }
  // Two health checks of each way have passed by now; they come from the proxy itself, with LOCAL or UNKNOWN.
  await new Promise((done) => setTimeout(done, 500));
  assertEquals(posthorn.log.match(/Closed connection from .* proxy_protocol/g), null, posthorn.log);
  assertEquals(/DOWN/.test(haproxy.log), false, haproxy.log);

  (await Deno.connect({ port: v1, hostname: "127.0.0.1" })).close();
  await posthorn.waitForLog(/Closed connection from 127\.0\.0\.1:\d+ on a listener with proxy_protocol/);
});
