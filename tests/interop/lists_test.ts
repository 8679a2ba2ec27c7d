/** Lists and aliases from one end to the other: what members, owner and sender get, with swaks as the sender. */

import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { type CommandResult, runCommand } from "../support/interop/command.ts";
import { peerTest, programPath } from "../support/interop/peers.ts";
import { SmtpSink } from "../support/interop/sink.ts";
import { PosthornProcess } from "../support/posthorn_process.ts";

const SENDER = "sender@client.example";
const PASSWORD = "correct horse battery staple";
const [ALICE, CAROL, POST] = ["alice", "carol", "post"].map((name) => ({
  address: `${name}@example.org`,
  password: PASSWORD,
}));

async function swaks(posthorn: PosthornProcess, to: string, ...words: readonly string[]): Promise<CommandResult> {
  const server = ["--server", "127.0.0.1", "--port", `${posthorn.port("mx")}`, "--ehlo", "client.example"];
  return await runCommand([programPath("swaks"), ...server, "--from", SENDER, "--to", to, ...words]);
}

peerTest("The failure of a member of a list goes to its owner, from whom the list comes", ["swaks"], async () => {
  assert(ALICE !== undefined && CAROL !== undefined && POST !== undefined);
  await using sink = new SmtpSink({
    reply: (step) => step.kind === "recipient" && step.recipient.startsWith("gone") ? "550 5.1.1 Gone" : undefined,
  });
  await using posthorn = await PosthornProcess.start({
    listeners: [{ service: "mx" }],
    accounts: [ALICE, CAROL, POST],
    isStopped: true,
    config: {
      relay_from: ["127.0.0.0/8"],
      routes: [{ domain: "remote.example", via: `smtp://127.0.0.1:${sink.port}` }],
    },
  });
  const members = `${posthorn.folder}/members.txt`;
  await Deno.writeTextFile(members, "# members\r\nbob@remote.example\r\n\r\ngone@remote.example # since May\r\n");
  await posthorn.configure({
    aliases: {
      "list@example.org": { members: [ALICE.address], include: "members.txt" },
      "owner-list@example.org": CAROL.address,
      "loop-1@example.org": "loop-2@example.org",
      "loop-2@example.org": "loop-1@example.org",
      ...Object.fromEntries(
        Array.from({ length: 12 }, (_, i) => [`ring-${i}@example.org`, `ring-${(i + 1) % 12}@example.org`]),
      ),
    },
  });
  await posthorn.restart();

  assertEquals((await swaks(posthorn, "list@example.org,List@example.org")).code, 0);
  const [atAlice] = await posthorn.maildir(ALICE.address).waitFor(1, { detail: () => posthorn.log });
  const [atCarol] = await posthorn.maildir(CAROL.address).waitFor(1, { detail: () => posthorn.log });
  await posthorn.waitForEmptyQueue();
  assertMatch(atAlice?.text ?? "", /^Return-Path: <owner-list@example\.org>\r?\n/);
  assertEquals(sink.messages.map(({ reversePath, recipients }) => [reversePath, ...recipients]), [
    ["owner-list@example.org", "bob@remote.example"],
  ]);
  assertStringIncludes(sink.messages[0]?.text ?? "", "Delivered-To: list@example.org\r\n");
  assertMatch(atCarol?.text ?? "", /^Return-Path: <>\r?\n/);
  assertMatch(atCarol?.text ?? "", /^To: owner-list@example\.org\r?$/m);
  assertMatch(atCarol?.text ?? "", /^Final-Recipient: rfc822; gone@remote\.example\r?$/m);
  assertEquals((await posthorn.maildir(ALICE.address).names()).length, 1, "a member gets it once");

  for (const address of ["loop-1@example.org", "ring-3@example.org"]) {
    const { stdout } = await swaks(posthorn, address);
    assertMatch(stdout, /^<\*\* 550 5\.4\.6 /m);
  }
  await posthorn.waitForLog(
    /warning .*<ring-3@example\.org>.*550 5\.4\.6.*to mend in the aliases of the configuration/,
  );
  assertEquals((await swaks(posthorn, "abuse@example.org")).code, 0);

  await Deno.writeTextFile(members, "bob@remote.example\nnobody\n");
  const { code, stderr } = await posthorn.run(["check"]);
  assertEquals([code, stderr.includes(`${members}:2:1: expected a mailbox`)], [78, true], stderr);
  posthorn.signal("SIGHUP");
  await posthorn.waitForLog(/members\.txt:2:1: expected a mailbox/);
  assertEquals((await swaks(posthorn, "list@example.org")).code, 0);
  await posthorn.maildir(CAROL.address).waitFor(2, { detail: () => posthorn.log });

  await Deno.writeTextFile(members, "bob@remote.example\n");
  posthorn.signal("SIGHUP");
  await posthorn.waitForLog(/were read again/);
  assertEquals((await swaks(posthorn, "list@example.org")).code, 0);
  await posthorn.waitForEmptyQueue();
  assertEquals(sink.messages.length, 3);
  assertEquals((await posthorn.maildir(CAROL.address).names()).length, 2, "who is gone is no member any more");
});
