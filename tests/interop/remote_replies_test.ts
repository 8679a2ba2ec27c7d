/** What a remote server answers decides what happens to the mail, and the sender can read it in a DSN. */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { PosthornProcess } from "../support/posthorn_process.ts";
import { readWithFlufl, readWithSisimai } from "../support/interop/bounce_parsers.ts";
import { SmtpDialog } from "../support/interop/dialog.ts";
import { freePort } from "../support/interop/free_port.ts";
import { awkwardMessage } from "../support/interop/messages.ts";
import { peerTest } from "../support/interop/peers.ts";
import { type SinkReply, SmtpSink } from "../support/interop/sink.ts";

const ALICE = { address: "alice@example.org", password: "correct horse battery staple" };
const REMOTE = "bob@remote.example";

async function startWithRoute(port: number, expireAfter: string): Promise<PosthornProcess> {
  return await PosthornProcess.start({
    listeners: [{ service: "mx" }],
    accounts: [ALICE],
    config: {
      relay_from: ["127.0.0.0/8"],
      routes: [{ domain: "remote.example", via: `smtp://127.0.0.1:${port}` }],
      queue: { retry: ["1s"], warn_after: "1h", expire_after: expireAfter },
    },
  });
}

/** Sends one message from Alice to the remote recipients; posthorn has to accept it. */
async function send(
  posthorn: PosthornProcess,
  recipients: readonly string[],
): Promise<ReturnType<typeof awkwardMessage>> {
  const message = awkwardMessage({ from: ALICE.address, to: recipients.join(", "), subject: "remote" });
  using dialog = await SmtpDialog.open(posthorn.port("mx"));
  assertMatch(await dialog.send(ALICE.address, recipients, message.octets), /^250 2\.0\.0 /);
  return message;
}

/** Answers `refusal` to the first steps of a kind, and takes everything afterwards. */
function firstRefuse(kind: "connect" | "mail" | "recipient" | "content", refusal: string, times = 1): SinkReply {
  return (step) => step.kind === kind && times-- > 0 ? refusal : undefined;
}

const TRANSIENT: readonly (readonly [string, SinkReply])[] = [
  ["421 4.3.2 in the greeting", firstRefuse("connect", "421 4.3.2 Come back later")],
  ["451 4.7.1 to MAIL", firstRefuse("mail", "451 4.7.1 Greylisted")],
  ["450 4.2.1 to RCPT", firstRefuse("recipient", "450 4.2.1 Mailbox busy")],
  ["452 4.3.1 after the final dot, twice", firstRefuse("content", "452 4.3.1 Disk full", 2)],
];

for (const [title, reply] of TRANSIENT) {
  Deno.test(`A remote server that answers ${title} gets the message on a retry, octet for octet`, async () => {
    await using sink = new SmtpSink({ reply });
    await using posthorn = await startWithRoute(sink.port, "2h");
    const message = await send(posthorn, [REMOTE]);
    assertMatch(await posthorn.waitForDelay(), /"4\.\d\.\d"/);
    await posthorn.waitForEmptyQueue();
    assertEquals(sink.messages.length, 1);
    const [arrived] = sink.messages;
    assertEquals(arrived?.reversePath, ALICE.address);
    assertEquals(arrived?.recipients, [REMOTE]);
    assert(arrived?.text.endsWith(message.text), arrived?.text);
    assertMatch(arrived?.text ?? "", /^Received: /);
    assertEquals(await posthorn.maildir(ALICE.address).names(), [], "the sender is not told of a short delay");
  });
}

peerTest(
  "A remote 550 5.1.1 is reported so that Sisimai and flufl.bounce read it",
  ["sisimai", "flufl.bounce"],
  async () => {
    await using sink = new SmtpSink({
      reply: (step) =>
        step.kind === "recipient" && step.recipient === "gone@remote.example"
          ? "550 5.1.1 No such user here"
          : undefined,
    });
    await using posthorn = await startWithRoute(sink.port, "2h");
    await send(posthorn, ["gone@remote.example", REMOTE]);
    const maildir = posthorn.maildir(ALICE.address);
    const [dsn] = await maildir.waitFor(1, { detail: () => posthorn.log });
    assert(dsn);
    assertMatch(dsn.text, /^Return-Path: <>\r$/im);
    const file = `${maildir.path}/new/${dsn.name}`;
    const [bounce, ...more] = await readWithSisimai(file);
    assertEquals(more, []);
    assertEquals(bounce?.recipient, "gone@remote.example");
    assertEquals(bounce?.action, "failed");
    assertEquals(bounce?.status, "5.1.1");
    assertEquals(bounce?.reason, "userunknown");
    assertMatch(bounce?.diagnostic ?? "", /No such user here/);
    assertEquals(await readWithFlufl(file), ["gone@remote.example"]);
    await posthorn.waitForEmptyQueue();
    assertEquals(sink.messages.map(({ recipients }) => recipients), [[REMOTE]]);
  },
);

peerTest("A remote 554 after the final dot is reported for all recipients", ["sisimai", "flufl.bounce"], async () => {
  const recipients = ["bob@remote.example", "carol@remote.example"];
  await using sink = new SmtpSink({
    reply: ({ kind }) => kind === "content" ? "554 5.7.1 Looks like spam" : undefined,
  });
  await using posthorn = await startWithRoute(sink.port, "2h");
  await send(posthorn, recipients);
  const maildir = posthorn.maildir(ALICE.address);
  const [dsn] = await maildir.waitFor(1, { detail: () => posthorn.log });
  const file = `${maildir.path}/new/${dsn?.name}`;
  assertEquals((await readWithSisimai(file)).map(({ recipient, status }) => [recipient, status]), [
    ["bob@remote.example", "5.7.1"],
    ["carol@remote.example", "5.7.1"],
  ]);
  assertEquals(await readWithFlufl(file), recipients);
  await posthorn.waitForEmptyQueue();
});

peerTest(
  "A remote server that stays down past expiry is reported as a failure",
  ["sisimai", "flufl.bounce"],
  async () => {
    await using posthorn = await startWithRoute(freePort(), "3s");
    await send(posthorn, [REMOTE]);
    const maildir = posthorn.maildir(ALICE.address);
    const [dsn] = await maildir.waitFor(1, { timeoutMs: 20_000, detail: () => posthorn.log });
    const file = `${maildir.path}/new/${dsn?.name}`;
    const [bounce] = await readWithSisimai(file);
    assertEquals(bounce?.recipient, REMOTE);
    assertEquals(bounce?.action, "failed");
    assertMatch(bounce?.status ?? "", /^[45]\.4\.\d$/);
    assertEquals(await readWithFlufl(file), [REMOTE]);
    await posthorn.waitForEmptyQueue();
  },
);

Deno.test("A message with the null reverse-path that fails ends in the log, not in another message", async () => {
  await using sink = new SmtpSink({ reply: ({ kind }) => kind === "recipient" ? "550 5.1.1 Nobody" : undefined });
  await using posthorn = await startWithRoute(sink.port, "2h");
  using dialog = await SmtpDialog.open(posthorn.port("mx"));
  const { octets } = awkwardMessage({ from: "mailer-daemon@elsewhere.example", to: REMOTE, subject: "a bounce" });
  assertMatch(await dialog.send("", [REMOTE], octets), /^250 2\.0\.0 /);
  await posthorn.waitForLog(/bob@remote\.example.*5\.1\.1|5\.1\.1.*bob@remote\.example/);
  await posthorn.waitForEmptyQueue();
  assertEquals(await posthorn.maildir(ALICE.address).names(), []);
  assertEquals(sink.messages, []);
});

Deno.test("What a server blocks goes by the fallback of its route, octet for octet, and nobody hears of it", async () => {
  const blocked = "550 5.7.1 Service unavailable; Client host [192.0.2.1] blocked using zen.spamhaus.org";
  await using sink = new SmtpSink({ reply: ({ kind }) => kind === "recipient" ? blocked : undefined });
  await using other = new SmtpSink();
  await using posthorn = await PosthornProcess.start({
    listeners: [{ service: "mx" }],
    accounts: [ALICE],
    config: {
      relay_from: ["127.0.0.0/8"],
      routes: [{
        domain: "remote.example",
        via: `smtp://127.0.0.1:${sink.port}`,
        fallback: { via: `smtp://127.0.0.1:${other.port}`, classes: ["block"] },
      }],
    },
  });
  const message = await send(posthorn, [REMOTE]);
  await posthorn.waitForLog(/bob@remote\.example.*goes via the fallback smtp:127\.0\.0\.1:\d+ from now on/);
  await posthorn.waitForEmptyQueue();
  assertEquals([sink.messages.length, other.messages.length], [0, 1]);
  assert(other.messages[0]?.text.endsWith(message.text));
  assertEquals(await posthorn.maildir(ALICE.address).names(), []);
});
