/** A route with a source address and XCLIENT: Postfix behind posthorn sees the client that posthorn saw. */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { TestAuthority } from "../support/interop/certificates.ts";
import { latin1Octets } from "../support/interop/maildir.ts";
import { awkwardMessage } from "../support/interop/messages.ts";
import { Namespace } from "../support/interop/namespace.ts";
import { runCommand } from "../support/interop/command.ts";
import { peerTest, programPath } from "../support/interop/peers.ts";
import { Postfix } from "../support/interop/postfix.ts";
import { TemporaryFolder } from "../support/interop/temporary_folder.ts";
import { PosthornProcess } from "../support/posthorn_process.ts";

const POSTFIX = "127.0.0.2";
const SOURCE = "127.0.0.3";
const CLIENT = "127.0.0.7";

peerTest(
  "Postfix takes XCLIENT from the source address of a route, and large messages in chunks",
  ["root", "unshare", "nsenter", "ip", "postfix", "openssl", "swaks"],
  async () => {
    await using folder = await TemporaryFolder.create({ isPublic: true });
    for (const name of ["postfix", "tls"]) await Deno.mkdir(`${folder.path}/${name}`);
    const authority = await TestAuthority.create(`${folder.path}/tls`);
    await using namespace = await Namespace.create();
    await using postfix = await Postfix.start({
      namespace,
      folder: `${folder.path}/postfix`,
      address: POSTFIX,
      hostname: "mx.postfix.test",
      domain: "postfix.test",
      mailboxes: ["bob"],
      certificate: await authority.issue("mx.postfix.test", ["DNS:mx.postfix.test"]),
      // Verbose about its clients: the log has their commands.
      settings: [`smtpd_authorized_xclient_hosts = ${SOURCE}`, "debug_peer_list = 127.0.0.0/8", "debug_peer_level = 1"],
    });
    await using posthorn = await PosthornProcess.start({
      prefix: namespace.prefix,
      listeners: [{ service: "mx", host: "127.0.0.1", port: 2525 }],
      config: {
        hostname: "mx.posthorn.test",
        domains: { "posthorn.test": {} },
        relay_from: ["127.0.0.0/8"],
        routes: [{ domain: "*", via: `smtp://${POSTFIX}:25`, source: [SOURCE], xclient: true }],
      },
    });
    const line = "..A line of text that begins with dots, as none should.\r\n";
    const message = awkwardMessage({ from: "alice@client.test", to: "bob@postfix.test", subject: "large" });
    const text = message.text + line.repeat(40_000);
    const sent = await runCommand([
      ...namespace.prefix,
      programPath("swaks"),
      ...["--server", "127.0.0.1", "--port", "2525", "--local-interface", CLIENT, "--helo", "laptop.client.test"],
      ...["--from", "alice@client.test", "--to", "bob@postfix.test", "--no-data-fixup", "--data", "-"],
    ], { stdin: latin1Octets(`${text.replace(/^\./gm, "..")}.`) });
    assertEquals(sent.code, 0, sent.stdout);
    const detail = (): string => posthorn.log;
    const [arrived] = await postfix.maildir("bob").waitFor(1, { detail });
    assert(arrived?.text.endsWith(text), arrived?.text.slice(0, 2_000));
    const trace = (arrived?.text ?? "").slice(0, 2_000);
    assertMatch(trace, /^Received: from laptop\.client\.test \(unknown \[127\.0\.0\.7\]\)/m);
    const log = await postfix.log();
    assertMatch(log, /< \S*\[127\.0\.0\.3\]: XCLIENT .*ADDR=127\.0\.0\.7 .*HELO=laptop\.client\.test/);
    assertMatch(log, /< \S*\[127\.0\.0\.7\]: BDAT 1048576\b/);
    assertMatch(log, /< \S*\[127\.0\.0\.7\]: BDAT 2 LAST/);
    await posthorn.waitForEmptyQueue();
  },
);
