/** The reports that posthorn writes, as the bounce parsers of mailing list software read them: Sisimai and flufl.bounce. */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { readAllWithFlufl, readWithSisimai, type SisimaiBounce } from "../support/interop/bounce_parsers.ts";
import { SmtpDialog } from "../support/interop/dialog.ts";
import { freePort } from "../support/interop/free_port.ts";
import { latin1 } from "../support/interop/maildir.ts";
import { awkwardMessage } from "../support/interop/messages.ts";
import { peerTest } from "../support/interop/peers.ts";
import { SmtpSink } from "../support/interop/sink.ts";
import { PosthornProcess } from "../support/posthorn_process.ts";

const ALICE = { address: "alice@example.org", password: "correct horse battery staple" };

async function start(port: number, queue: Readonly<Record<string, unknown>>): Promise<PosthornProcess> {
  return await PosthornProcess.start({
    listeners: [{ service: "mx" }],
    accounts: [ALICE],
    config: {
      relay_from: ["127.0.0.0/8"],
      routes: [{ domain: "*", via: `smtp://127.0.0.1:${port}` }],
      queue: { retry: ["1s"], warn_after: "1h", expire_after: "2h", ...queue },
    },
  });
}

async function send(posthorn: PosthornProcess, recipients: readonly string[]): Promise<void> {
  const { octets } = awkwardMessage({ from: ALICE.address, to: recipients[0] ?? "", subject: "read me" });
  using dialog = await SmtpDialog.open(posthorn.port("mx"));
  assertMatch(await dialog.send(ALICE.address, recipients, octets), /^250 2\.0\.0 /);
}

/** The first report that Alice gets: its text, and what the parsers make of it. */
async function firstReport(
  posthorn: PosthornProcess,
): Promise<{ text: string; sisimai: SisimaiBounce[]; permanent: string[]; temporary: string[] }> {
  const maildir = posthorn.maildir(ALICE.address);
  const [dsn] = await maildir.waitFor(1, { timeoutMs: 30_000, detail: () => posthorn.log });
  assert(dsn);
  const file = `${maildir.path}/new/${dsn.name}`;
  return { text: dsn.text, sisimai: await readWithSisimai(file), ...await readAllWithFlufl(file) };
}

/** By local part: the reply, and the reasons that Sisimai may give for it. */
const REFUSALS: Readonly<Record<string, readonly [string, ...string[]]>> = {
  unknown: ["550 5.1.1 <x>: Recipient address rejected: User unknown in local recipient table", "userunknown"],
  full: ["550 5.2.2 <x> Quota exceeded (mailbox for user is full)", "mailboxfull"],
  disabled: ["550 5.2.1 The email account that you tried to reach is disabled. - gsmtp", "suspend", "filtered"],
  blocked: [
    "554-5.7.1 Service unavailable; Client host [192.0.2.1] blocked using\r\n554 5.7.1 zen.spamhaus.org; https://www.spamhaus.org/query/ip/192.0.2.1",
    "blocked",
    // Sisimai takes any address at www.spamhaus.org for a word about spam.
    "spamdetected",
  ],
  spam: ["554 5.7.1 Message rejected as spam by Content Filtering.", "spamdetected"],
  large: ["554 5.3.4 Message size exceeds fixed limit", "mesgtoobig", "exceedlimit"],
  relay: ["554 5.7.1 <x>: Relay access denied", "norelaying"],
  dmarc: [
    "550 5.7.26 Unauthenticated email from example.org is not accepted due to domain's DMARC policy. - gsmtp",
    "blocked",
    "policyviolation",
    "authfailure",
    "securityerror",
  ],
};

peerTest("Refusals of each kind are read with address, status and reason", ["sisimai", "flufl.bounce"], async () => {
  await using sink = new SmtpSink({
    reply: (step) => step.kind === "recipient" ? REFUSALS[step.recipient.split("@")[0] ?? ""]?.[0] : undefined,
  });
  await using posthorn = await start(sink.port, {});
  const recipients = Object.keys(REFUSALS).map((name) => `${name}@remote.example`);
  await send(posthorn, recipients);
  const { text, sisimai, permanent, temporary } = await firstReport(posthorn);
  assertEquals(sisimai.map(({ recipient }) => recipient), recipients);
  for (const { recipient, action, status, reason } of sisimai) {
    const [reply = "", ...reasons] = REFUSALS[recipient.split("@")[0] ?? ""] ?? [];
    assertEquals(action, "failed");
    assertEquals(status, /\d\.\d\.\d+/.exec(reply)?.[0], recipient);
    assert(reasons.includes(reason), `${recipient}: ${reason} instead of ${reasons.join(" or ")}`);
  }
  assertEquals(permanent, [...recipients].sort());
  assertEquals(temporary, []);
  assertMatch(text, /The list is Spamhaus: look up and remove at/);
  assertMatch(text, / {2}>>> RCPT TO:<blocked@remote\.example>\r\n {2}<<< 554-5\.7\.1 Service unavailable/);
});

peerTest("A hundred recipients in one report are all read", ["sisimai", "flufl.bounce"], async () => {
  await using sink = new SmtpSink({ reply: ({ kind }) => kind === "recipient" ? "550 5.1.1 User unknown" : undefined });
  await using posthorn = await start(sink.port, {});
  const recipients = Array.from({ length: 100 }, (_, at) => `user${at}@${"abc".charAt(at % 3)}.example`).sort();
  await send(posthorn, recipients);
  const { sisimai, permanent } = await firstReport(posthorn);
  assertEquals(sisimai.map(({ recipient }) => recipient).sort(), recipients);
  assertEquals(new Set(sisimai.map(({ reason }) => reason)), new Set(["userunknown"]));
  assertEquals(permanent, recipients);
  await posthorn.waitForEmptyQueue();
  assertEquals((await posthorn.maildir(ALICE.address).names()).length, 1);
});

peerTest("A warning of a delay is read as one, and no address as lost", ["sisimai", "flufl.bounce"], async () => {
  await using sink = new SmtpSink({ reply: ({ kind }) => kind === "recipient" ? "450 4.2.0 Greylisted" : undefined });
  await using posthorn = await start(sink.port, { warn_after: "1s" });
  await send(posthorn, ["bob@remote.example"]);
  const { text, sisimai, permanent, temporary } = await firstReport(posthorn);
  assertMatch(text, /^Action: delayed\r$/m);
  assertEquals(permanent, []);
  assertEquals(temporary, ["bob@remote.example"]);
  for (const { recipient, action, status } of sisimai) {
    assertEquals([recipient, action, status], ["bob@remote.example", "delayed", "4.2.0"]);
  }
  assertMatch(text, /puts off mail of senders/);
});

peerTest("A failure because the time was over is read as one", ["sisimai", "flufl.bounce"], async () => {
  await using posthorn = await start(freePort(), { expire_after: "2s" });
  await send(posthorn, ["bob@remote.example", "carol@other.example"]);
  const { sisimai, permanent } = await firstReport(posthorn);
  assertEquals(sisimai.map(({ recipient, action, status, reason }) => [recipient, action, status, reason]), [
    ["bob@remote.example", "failed", "4.4.7", "expired"],
    ["carol@other.example", "failed", "4.4.7", "expired"],
  ]);
  assertEquals(permanent, ["bob@remote.example", "carol@other.example"]);
});

peerTest("An address outside US-ASCII is given in the form of RFC 6533", ["sisimai", "python"], async () => {
  await using sink = new SmtpSink({ reply: ({ kind }) => kind === "recipient" ? "550 5.1.1 User unknown" : undefined });
  await using posthorn = await start(sink.port, {});
  const address = "jürgen@remote.example";
  const raw = latin1(new TextEncoder().encode(address));
  using dialog = await SmtpDialog.open(posthorn.port("mx"));
  assertMatch(await dialog.command(`MAIL FROM:<${ALICE.address}> SMTPUTF8`), /^250/);
  assertMatch(await dialog.command(`RCPT TO:<${raw}>`), /^250/);
  assertMatch(await dialog.command("DATA"), /^354/);
  assertMatch(await dialog.command(`Subject: ${raw}\r\nFrom: <${ALICE.address}>\r\n\r\nHi\r\n.`), /^250/);
  const { text, sisimai } = await firstReport(posthorn);
  assertMatch(text, /^Content-Type: message\/global-delivery-status\r$/m);
  assertMatch(text, /^Content-Type: message\/global-headers\r$/m);
  assert(text.includes(`Final-Recipient: utf-8; ${raw}\r\n`), text);
  // Sisimai knows the type, but no address outside US-ASCII: what it finds must at least be no other address.
  for (const { recipient } of sisimai) assertMatch(recipient, /remote\.example$/);
});

peerTest(
  "A message that was in the mailbox before is a loop, and comes back as 5.4.6",
  ["sisimai", "flufl.bounce"],
  async () => {
    await using sink = new SmtpSink();
    await using posthorn = await start(sink.port, {});
    using dialog = await SmtpDialog.open(posthorn.port("mx"));
    const content = `Delivered-To: ${ALICE.address}\r\nFrom: <eve@remote.example>\r\nSubject: loop\r\n\r\nHi\r\n`;
    const octets = new TextEncoder().encode(content);
    assertMatch(await dialog.send("eve@remote.example", [ALICE.address], octets), /^554 5\.4\.6 .* in a loop$/);
    // Where somebody else takes it, it is too late to say so.
    const recipients = [ALICE.address, "carol@remote.example"];
    assertMatch(await dialog.send("eve@remote.example", recipients, octets), /^250/);
    await posthorn.waitForEmptyQueue();
    const [report, ...others] = sink.messages.filter(({ reversePath }) => reversePath === "");
    assertEquals([report?.recipients, others], [["eve@remote.example"], []]);
    assertMatch(report?.text ?? "", /^Status: 5\.4\.6\r$/m);
    assertEquals(await posthorn.maildir(ALICE.address).names(), []);
  },
);
