/** Rewritten senders as others write and read them, and forwarded mail with its reports on the whole way. */

import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { parseMailbox } from "../../lib/mail/mailbox.ts";
import { createSrs, type Srs } from "../../lib/routing/srs/srs.ts";
import { SmtpDialog } from "../support/interop/dialog.ts";
import { latin1Octets, traceFieldsBefore } from "../support/interop/maildir.ts";
import { awkwardMessage } from "../support/interop/messages.ts";
import { peerTest } from "../support/interop/peers.ts";
import { perlForward, perlReverse, PostSrsd } from "../support/interop/sender_rewriting.ts";
import { SmtpSink } from "../support/interop/sink.ts";
import { waitUntil } from "../support/interop/wait.ts";
import { PosthornProcess } from "../support/posthorn_process.ts";
import { TemporaryFolder } from "../support/interop/temporary_folder.ts";

const QUEUE = { "retry": ["1s"], "warn_after": "1h", "expire_after": "2h" };
const SECRET = "hKX3oUuQ0m1cJ5W0xJm3o2mZc1yQ4y2o7pXwq8m0c2E=";
const SENDERS = [
  "alice@sender.example",
  "Alice.B+tag@sender.example",
  "a=b=c@sender.example",
  "SRS0=HHHH=AB=sender.example=alice@first.example",
  "SRS0+HHHH=AB=sender.example=alice@first.example",
  "SRS1=HHHH=first.example==HHHH=AB=sender.example=alice@second.example",
  `${"bounces-".repeat(7)}alice@sender.example`,
];
/** What comes back of `SENDERS`: a chain of forwarders is cut to its first one. */
const ORIGINALS = SENDERS.map((sender) =>
  sender.startsWith("SRS1") ? "SRS0=HHHH=AB=sender.example=alice@first.example" : sender
);

const scheme = (): Srs => createSrs({ secrets: [SECRET], now: Date.now, maxAgeMs: 21 * 86_400_000 });

function rewrite(sender: string): string {
  const mailbox = parseMailbox(sender);
  const rewritten = mailbox === undefined ? undefined : scheme().rewrite(mailbox, "ours.example");
  assert(rewritten?.kind === "rewritten", sender);
  return rewritten.address;
}

function original(address: string): string {
  const reading = scheme().read(parseMailbox(address)?.localPart ?? "");
  return reading.kind === "valid" ? reading.original.text : reading.kind;
}

peerTest("Mail::SRS reads the senders that we rewrite, and we read its", ["perl", "Mail::SRS"], async () => {
  const ours = SENDERS.map(rewrite);
  assertEquals(await perlReverse(SECRET, 0, ours), ORIGINALS);
  assertEquals(await perlReverse(SECRET, 0, ours.map((address) => address.toLowerCase().replace(/^srs/, "SRS"))), [
    ...ORIGINALS.map((address) => address.toLowerCase().replace(/^srs/, "SRS")),
  ]);
  const theirs = await perlForward(SECRET, 8, "ours.example", SENDERS);
  assertEquals(theirs, ours);
  assertEquals(theirs.map(original), ORIGINALS);
  assertEquals(await perlReverse("another secret", 0, ours), ours.map(() => "refused"));
  assertEquals((await perlForward(SECRET, 4, "ours.example", SENDERS)).map(original), SENDERS.map(() => "forged"));
});

peerTest("PostSRSd reads the senders that we rewrite, and we read its", ["postsrsd"], async () => {
  await using folder = await TemporaryFolder.create();
  await Deno.writeTextFile(`${folder.path}/secret`, `${SECRET}\n`);
  await using postSrsd = await PostSrsd.start(`${folder.path}/secret`, "ours.example", 8);
  for (const [index, sender] of SENDERS.entries()) {
    const ours = rewrite(sender);
    assertEquals(await postSrsd.forward(sender), ours);
    assertEquals(await postSrsd.reverse(ours), ORIGINALS[index]);
    assertEquals(original(ours), ORIGINALS[index]);
  }
});

/** A posthorn that forwards, between the server of the senders and that of the receivers. */
async function startForwarder(senders: SmtpSink, receivers: SmtpSink): Promise<PosthornProcess> {
  return await PosthornProcess.start({
    listeners: [{ service: "mx" }],
    config: {
      aliases: { "fwd@example.org": "carol@receiver.example" },
      routes: [
        { domain: "sender.example", via: `smtp://127.0.0.1:${senders.port}` },
        { domain: "receiver.example", via: `smtp://127.0.0.1:${receivers.port}` },
      ],
      queue: QUEUE,
    },
  });
}

async function until<T>(what: string, found: () => T | undefined, posthorn: PosthornProcess): Promise<T> {
  return await waitUntil(() => Promise.resolve(found()), { what, everyMs: 20, detail: () => posthorn.log });
}

const SAMPLE = awkwardMessage({ from: "bob@sender.example", to: "fwd@example.org", subject: "to be sent on" });

peerTest("forwarded mail that is refused comes back to its sender", [], async () => {
  await using senders = new SmtpSink();
  await using receivers = new SmtpSink({
    reply: ({ kind }) => kind === "recipient" ? "550 5.1.1 No carol here" : undefined,
  });
  await using posthorn = await startForwarder(senders, receivers);
  using dialog = await SmtpDialog.open(posthorn.port("mx"));
  assertMatch(await dialog.send("bob@sender.example", ["fwd@example.org"], SAMPLE.octets), /^250 /);
  const dsn = await until("the report", () => senders.messages[0], posthorn);
  assertEquals([dsn.reversePath, dsn.recipients], ["", ["bob@sender.example"]]);
  assertMatch(dsn.text, /^Status: 5\.1\.1\r$/m);
  await posthorn.waitForEmptyQueue();
});

peerTest(
  "forwarded mail is the same octets under a sender of ours, and a report that comes later finds the sender",
  [],
  async () => {
    await using senders = new SmtpSink();
    await using receivers = new SmtpSink();
    await using posthorn = await startForwarder(senders, receivers);
    assertEquals(((await Deno.stat(`${posthorn.dataFolder}/keys/srs`)).mode ?? 0) & 0o777, 0o600);
    using dialog = await SmtpDialog.open(posthorn.port("mx"));
    assertMatch(await dialog.send("bob@sender.example", ["fwd@example.org"], SAMPLE.octets), /^250 /);
    const taken = await until("the message", () => receivers.messages[0], posthorn);
    assertMatch(taken.reversePath, /^SRS0=[^=]{8}=[A-Z2-7]{2}=sender\.example=bob@example\.org$/);
    const trace = traceFieldsBefore(SAMPLE.octets, latin1Octets(taken.text)).map((field) => field.split(":")[0]);
    assertEquals(trace, ["Delivered-To", "Received"]);
    // The secret outlives a restart, and the case of the address its way.
    await posthorn.restart();
    using later = await SmtpDialog.open(posthorn.port("mx"));
    const address = taken.reversePath.toLowerCase();
    assertMatch(await later.send("mallory@receiver.example", [address], SAMPLE.octets), /^550 5\.7\.1 /);
    assertMatch(await later.send("", [address.replace("=bob@", "=eve@")], SAMPLE.octets), /^550 5\.1\.1 /);
    assertMatch(await later.send("", [address], latin1Octets("Subject: it failed\r\n\r\nno\r\n")), /^250 /);
    const report = await until("the report", () => senders.messages[0], posthorn);
    assertEquals([report.reversePath, report.recipients], ["", ["bob@sender.example"]]);
    assertStringIncludes(report.text, "Subject: it failed\r\n");
    await posthorn.waitForEmptyQueue();
    assertEquals(senders.messages.length, 1);
  },
);

peerTest("a receiver that takes no long sender gets the message from the sender itself", [], async () => {
  const sender = `${"bounces-".repeat(7)}bob@sender.example`;
  await using senders = new SmtpSink();
  await using receivers = new SmtpSink({
    reply: (step) => step.kind === "mail" && step.reversePath.length > 80 ? "501 5.1.7 Local part too long" : undefined,
  });
  await using posthorn = await startForwarder(senders, receivers);
  using dialog = await SmtpDialog.open(posthorn.port("mx"));
  assertMatch(await dialog.send(sender, ["fwd@example.org"], SAMPLE.octets), /^250 /);
  const taken = await until("the message", () => receivers.messages[0], posthorn);
  assertEquals(taken.reversePath, sender);
  await posthorn.waitForEmptyQueue();
  assertEquals(senders.messages.length, 0);
});

peerTest(
  "two servers that forward to each other end after one round, and the sender hears of it once",
  [],
  async () => {
    await using senders = new SmtpSink();
    const start = async (name: string, other: string): Promise<PosthornProcess> =>
      await PosthornProcess.start({
        listeners: [{ service: "mx" }],
        isStopped: true,
        config: {
          hostname: `mail.${name}.example`,
          domains: { [`${name}.example`]: {} },
          aliases: { [`fwd@${name}.example`]: `fwd@${other}.example` },
          queue: QUEUE,
        },
      });
    await using first = await start("first", "second");
    await using second = await start("second", "first");
    for (const [posthorn, other, domain] of [[first, second, "second"], [second, first, "first"]] as const) {
      await posthorn.configure({
        routes: [
          { domain: "sender.example", via: `smtp://127.0.0.1:${senders.port}` },
          { domain: `${domain}.example`, via: `smtp://127.0.0.1:${other.port("mx")}` },
        ],
      });
      await posthorn.restart();
    }
    using dialog = await SmtpDialog.open(first.port("mx"));
    assertMatch(await dialog.send("bob@sender.example", ["fwd@first.example"], SAMPLE.octets), /^250 /);
    const dsn = await waitUntil(() => Promise.resolve(senders.messages[0]), {
      what: "the report",
      detail: () => `${first.log}\n${second.log}`,
    });
    assertEquals([dsn.reversePath, dsn.recipients], ["", ["bob@sender.example"]]);
    assertMatch(dsn.text, /^Status: 5\.4\.6\r$/m);
    await first.waitForEmptyQueue();
    await second.waitForEmptyQueue();
    assertEquals(senders.messages.length, 1);
  },
);
