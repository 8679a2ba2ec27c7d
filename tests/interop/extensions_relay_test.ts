/** One posthorn hands on to another: as many recipients as that takes (LIMITS), and when it asks (ETRN). */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { mustRun } from "../support/interop/command.ts";
import { SmtpDialog } from "../support/interop/dialog.ts";
import { awkwardMessage } from "../support/interop/messages.ts";
import { peerTest, programPath } from "../support/interop/peers.ts";
import { SmtpSink } from "../support/interop/sink.ts";
import { sendWithSmtplib } from "../support/interop/smtplib.ts";
import { waitUntil } from "../support/interop/wait.ts";
import { PosthornProcess } from "../support/posthorn_process.ts";

const FROM = "alice@client.test";
const BOB = { address: "bob@branch.example", password: "correct horse battery staple" };

peerTest("Ten recipients go in four transactions to a server that takes three at a time", ["python"], async () => {
  await using sink = new SmtpSink();
  await using hub = await PosthornProcess.start({
    listeners: [{ service: "mx" }],
    config: {
      relay_from: ["127.0.0.0/8"],
      limits: { recipients: 3 },
      routes: [{ domain: "*", via: `smtp://127.0.0.1:${sink.port}` }],
    },
  });
  await using posthorn = await PosthornProcess.start({
    listeners: [{ service: "mx" }],
    config: {
      relay_from: ["127.0.0.0/8"],
      routes: [{ domain: "*", via: `smtp://127.0.0.1:${hub.port("mx")}` }],
      // What is put off would come too late for this test.
      queue: { retry: ["1h"], warn_after: "2h", expire_after: "1d" },
    },
  });
  const recipients = Array.from({ length: 10 }, (_, number) => `user-${number}@remote.example`);
  const { octets, text } = awkwardMessage({ from: FROM, to: "everybody", subject: "to ten", is8bit: false });
  const to = recipients.map((address) => [address] as const);
  const replies = await sendWithSmtplib({ port: posthorn.port("mx") }, [{ from: FROM, to, content: octets }]);
  assertMatch(replies.at(-1) ?? "", /^250 2\.0\.0 Queued as /);
  await posthorn.waitForEmptyQueue();
  await hub.waitForEmptyQueue();
  assertEquals(sink.messages.map((each) => each.recipients.length).sort(), [1, 3, 3, 3], hub.log);
  assertEquals(sink.messages.flatMap((each) => each.recipients).sort(), recipients);
  for (const message of sink.messages) assert(message.text.endsWith(text));
  assertEquals(/Too many recipients/.test(hub.log), false, "no recipient had to be refused");
});

const ETRN_SCRIPT = `
import smtplib, sys
with smtplib.SMTP("127.0.0.1", int(sys.argv[1]), local_hostname="client.example", timeout=30) as smtp:
    smtp.ehlo_or_helo_if_needed()
    print(smtp.has_extn("ETRN"))
    for node in sys.argv[2:]:
        code, text = smtp.docmd("ETRN", node)
        print(code, text.decode())
`;

peerTest("A server that was down asks with ETRN for what waits, and gets it at once but for what is held", [
  "python",
], async () => {
  await using branch = await PosthornProcess.start({
    listeners: [{ service: "mx" }],
    accounts: [BOB],
    config: { hostname: "branch.example", domains: { "branch.example": {}, "north.branch.example": {} } },
    isStopped: true,
  });
  await branch.addAccount("nora@north.branch.example", BOB.password);
  const via = `smtp://127.0.0.1:${branch.port("mx")}`;
  await using posthorn = await PosthornProcess.start({
    listeners: [{ service: "mx" }, { service: "submission" }],
    config: {
      relay_from: ["127.0.0.0/8"],
      routes: [{ domain: "branch.example", via }, { domain: "*.branch.example", via }],
      queue: { retry: ["1h"], warn_after: "2h", expire_after: "1d" },
    },
  });
  const content = (subject: string): Uint8Array<ArrayBuffer> =>
    awkwardMessage({ from: FROM, to: BOB.address, subject, is8bit: false }).octets;
  await sendWithSmtplib({ port: posthorn.port("submission") }, [
    { from: FROM, to: [[BOB.address]], content: content("waits") },
    { from: FROM, to: [["nora@north.branch.example"]], content: content("waits, too") },
    { from: FROM, mail: ["HOLDFOR=3600"], to: [[BOB.address]], content: content("held") },
  ]);
  // The second may not be tried, once the first has found the server down.
  const delays = (): number => posthorn.log.split(/: (?:delayed|not tried) for /).length - 1;
  await waitUntil(() => delays() === 2 ? true : undefined, { what: "two delays", detail: () => posthorn.log });

  await branch.restart();
  using dialog = await SmtpDialog.open(posthorn.port("submission"));
  assertMatch(await dialog.command("ETRN branch.example"), /^502 5\.5\.1 /);
  const asked = [programPath("python"), "-c", ETRN_SCRIPT, `${posthorn.port("mx")}`];
  const output = await mustRun([...asked, "example.com", "client.test", "@branch.example"]);
  assertEquals(output.split("\n"), [
    "True",
    "459 4.7.1 Node example.com not allowed: there is no route for it",
    "459 4.7.1 Node client.test not allowed: there is no route for it",
    "250 2.0.0 Queuing for node branch.example started",
    "",
  ]);
  for (const address of [BOB.address, "nora@north.branch.example"]) {
    await branch.maildir(address).waitFor(1, { timeoutMs: 10_000, detail: () => posthorn.log });
  }
  await posthorn.waitForLog(/Trying 2 message\(s\) for \.branch\.example/);
  const { stdout } = await posthorn.run(["queue", "list"]);
  assertMatch(stdout, /^ {4}<bob@branch\.example> attempt 1 at /m);
  assertEquals((await branch.maildir(BOB.address).names()).length, 1, "who asks is not given what is held");
});
