/** Binary content (BINARYMIME) goes from one posthorn through another to a server that takes it. */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { randomBytes } from "node:crypto";
import { SmtpDialog } from "../support/interop/dialog.ts";
import { latin1Octets } from "../support/interop/maildir.ts";
import { peerTest } from "../support/interop/peers.ts";
import { sendWithSmtplib } from "../support/interop/smtplib.ts";
import { PosthornProcess } from "../support/posthorn_process.ts";
import { startPeer } from "../support/scripted_peer.ts";

const ALICE = { address: "alice@example.org", password: "correct horse battery staple" };
const HEADER = `From: <${ALICE.address}>\r\nTo: <bob@remote.example>\r\nSubject: binary\r\n` +
  "MIME-Version: 1.0\r\nContent-Type: application/octet-stream\r\nContent-Transfer-Encoding: binary\r\n\r\n";

/** What no line of text may hold, then every octet, then a megabyte without order; no line end behind. */
function binaryMessage(): Uint8Array<ArrayBuffer> {
  const odd = "\0\n\n\r\r\r\n.\r\n.\r\n..\r\n\xff\xfe" + "x".repeat(5_000) + "\r\nQUIT\r\nBDAT 5 LAST\r\n";
  const all = Uint8Array.from({ length: 256 }, (_, octet) => octet);
  const parts = [latin1Octets(HEADER + odd), all, randomBytes(1024 * 1024), latin1Octets("\r")];
  const octets = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    octets.set(part, at);
    at += part.length;
  }
  return octets;
}

/** A posthorn that offers BINARYMIME and hands everything on to a port. */
async function startRelay(
  port: number,
  more: Parameters<typeof PosthornProcess.start>[0] = {},
): Promise<PosthornProcess> {
  return await PosthornProcess.start({
    listeners: [{ service: "mx" }],
    ...more,
    config: {
      binary_mime: true,
      relay_from: ["127.0.0.0/8"],
      routes: [{ domain: "*", via: `smtp://127.0.0.1:${port}` }],
    },
  });
}

peerTest("A megabyte of binary content in chunks arrives octet for octet behind two servers", ["python"], async () => {
  await using peer = startPeer({ extensions: ["PIPELINING", "8BITMIME", "CHUNKING", "BINARYMIME", "SIZE"] });
  await using hub = await startRelay(peer.port);
  await using posthorn = await startRelay(hub.port("mx"), { accounts: [ALICE] });
  const content = binaryMessage();
  const replies = await sendWithSmtplib({ port: posthorn.port("mx") }, [{
    from: ALICE.address,
    mail: ["BODY=BINARYMIME"],
    to: [[ALICE.address], ["bob@remote.example"]],
    content,
    chunkOctets: 100_003,
  }]);
  assertEquals(replies.slice(0, 3), [
    "250 2.1.0 Sender OK",
    "554 5.6.1 This mailbox takes no binary content; send it encoded",
    "250 2.1.5 Recipient OK",
  ]);
  assertMatch(replies.at(-1) ?? "", /^250 2\.0\.0 Queued as /);
  await posthorn.waitForEmptyQueue();
  await hub.waitForEmptyQueue();
  const [message, ...more] = peer.messages;
  assert(message !== undefined && more.length === 0, hub.log);
  assertMatch(message.mail, / BODY=BINARYMIME\b/);
  const start = message.content.length - content.length;
  assertEquals(message.content.subarray(start).every((octet, at) => octet === content[at]), true);
  const trace = new TextDecoder().decode(message.content.subarray(0, start));
  assertMatch(trace, /^Received: from mail\.example\.org [^]*\r\nReceived: from client\.example [^]*\r\n$/);
});

peerTest(
  "Who sends binary content by DATA, or to a server that does not offer it, is told so",
  ["python"],
  async () => {
    await using posthorn = await PosthornProcess.start({
      listeners: [{ service: "mx" }],
      accounts: [ALICE],
    });
    const content = latin1Octets(`${HEADER}text\r\n`);
    const message = { from: ALICE.address, to: [[ALICE.address]] as const, content };
    const [refused] = await sendWithSmtplib({ port: posthorn.port("mx") }, [{ ...message, mail: ["BODY=BINARYMIME"] }])
      .catch((error: Error) => [error.message]);
    assertMatch(refused ?? "", /501 5\.5\.4 BODY is 7BIT or 8BITMIME/);
    await posthorn.configure({ binary_mime: true, relay_from: ["127.0.0.0/8"] });
    await posthorn.restart();
    using dialog = await SmtpDialog.open(posthorn.port("mx"));
    assertMatch(await dialog.command(`MAIL FROM:<${ALICE.address}> BODY=BINARYMIME`), /^250 /);
    assertMatch(await dialog.command("RCPT TO:<bob@remote.example>"), /^250 /);
    assertMatch(await dialog.command("DATA"), /^503 5\.5\.1 /);
  },
);
