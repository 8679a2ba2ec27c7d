/** nodemailer, with which programs in JavaScript send mail, hands in what it would write to a file: octet for octet. */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { createTransport, type SendMailOptions, type SMTPTransportOptions } from "nodemailer";
import { startCertified } from "../support/interop/certified.ts";
import { latin1Octets, type MaildirMessage, traceFieldsBefore } from "../support/interop/maildir.ts";
import { peerTest } from "../support/interop/peers.ts";
import { TemporaryFolder } from "../support/interop/temporary_folder.ts";
import { PosthornProcess } from "../support/posthorn_process.ts";

const ALICE = { address: "alice@example.org", password: "correct horse battery staple" };
const CAROL = { address: "carol@example.org", password: "correct horse battery staple" };
const JURGEN = { address: "j\u00fcrgen@example.org", password: "correct horse battery staple" };

/** A message with text, HTML and two attachments, the same in every rendering. */
function letter(subject: string, more: SendMailOptions = {}): SendMailOptions {
  const binary = Uint8Array.from({ length: 50_000 }, (_, at) => (at * at) % 256);
  return {
    from: ALICE.address,
    to: CAROL.address,
    subject: `${subject}: Gr\u00fc\u00dfe`,
    date: new Date("2026-11-23T12:00:00Z"),
    messageId: `<${subject.replaceAll(" ", ".")}@client.example>`,
    baseBoundary: "fixed",
    text: "Gr\u00fc\u00dfe\n.\n..leading dots\n\nFrom here on\n",
    html: "<p>Gr\u00fc\u00dfe</p>",
    attachments: [
      { filename: "\u00fcbersicht.bin", content: Buffer.from(binary) },
      { filename: "dots.txt", content: ".\r\n..\r\n.x\r\n", contentTransferEncoding: "quoted-printable" },
    ],
    ...more,
  };
}

/** What nodemailer makes of a message, with its last line ended as SMTP ends it. */
async function rendered(message: SendMailOptions): Promise<Uint8Array<ArrayBuffer>> {
  const stream = createTransport({ streamTransport: true, buffer: true, newline: "windows" });
  const { message: octets } = await stream.sendMail(message);
  assert(octets instanceof Uint8Array);
  return latin1Octets(octets.toString("latin1").replace(/(?:\r\n)?$/, "\r\n"));
}

function withSubject(messages: readonly MaildirMessage[], subject: string): MaildirMessage {
  const id = `<${subject.replaceAll(" ", ".")}@client.example>`;
  const found = messages.find(({ text }) => text.includes(`Message-ID: ${id}\r\n`));
  assert(found, `no message with ${id}`);
  return found;
}

async function submission(
  posthorn: PosthornProcess,
  caFile: string,
  isImplicit = false,
): Promise<SMTPTransportOptions> {
  return {
    host: "127.0.0.1",
    port: posthorn.port("submission", isImplicit ? "implicit" : undefined),
    name: "client.example",
    secure: isImplicit,
    requireTLS: true,
    tls: { ca: await Deno.readTextFile(caFile) },
    auth: { user: ALICE.address, pass: ALICE.password },
  };
}

peerTest("nodemailer logs in with STARTTLS and implicit TLS, and its attachments arrive as sent", [
  "openssl",
], async () => {
  await using folder = await TemporaryFolder.create();
  const { posthorn, caFile } = await startCertified(folder.path, { accounts: [ALICE, CAROL] });
  await using _ = posthorn;
  let count = 0;
  for (const isImplicit of [false, true]) {
    for (const authMethod of ["PLAIN", "LOGIN"]) {
      const transport = createTransport({ ...await submission(posthorn, caFile, isImplicit), authMethod });
      const subject = `${authMethod} ${isImplicit}`;
      const { response } = await transport.sendMail(letter(subject));
      assertMatch(response, /^250 2\.0\.0 Queued as /);
      count++;
      const all = await posthorn.maildir(CAROL.address).waitFor(count, { detail: () => posthorn.log });
      const trace = traceFieldsBefore(await rendered(letter(subject)), withSubject(all, subject).octets);
      assertMatch(trace.find((field) => field.startsWith("Received:")) ?? "", / with ESMTPSA /, subject);
    }
  }
  const wrong = createTransport({
    ...await submission(posthorn, caFile),
    auth: { user: ALICE.address, pass: "Tr0ub4dor&3" },
  });
  const refusal = await wrong.sendMail(letter("refused")).then(() => "taken", (error: unknown) => String(error));
  assertMatch(refusal, /Invalid login: 535 5\.7\.8 /);
});

peerTest("nodemailer sends many messages over a pool of connections, and each arrives as sent", [
  "openssl",
], async () => {
  await using folder = await TemporaryFolder.create();
  const { posthorn, caFile } = await startCertified(folder.path, { accounts: [ALICE, CAROL] });
  await using _ = posthorn;
  const transport = createTransport({
    ...await submission(posthorn, caFile),
    pool: true,
    maxConnections: 3,
    maxMessages: 10,
  });
  const subjects = Array.from({ length: 60 }, (_, index) => `pooled ${index}`);
  await Promise.all(subjects.map((subject) => transport.sendMail(letter(subject))));
  transport.close();
  const all = await posthorn.maildir(CAROL.address).waitFor(subjects.length, { detail: () => posthorn.log });
  assertEquals(all.length, subjects.length);
  for (const subject of subjects) {
    traceFieldsBefore(await rendered(letter(subject)), withSubject(all, subject).octets);
  }
  const clients = new Set(
    Array.from(posthorn.log.matchAll(/Accepted \S+ from .* octets, (\S+) helo/g), ([, from]) => from),
  );
  assert(clients.size < subjects.length / 5, `${clients.size} connections carried more than 5 messages each`);
});

peerTest("nodemailer sends to an address beyond ASCII, and says what it wants to be told", ["openssl"], async () => {
  await using folder = await TemporaryFolder.create();
  const { posthorn, caFile } = await startCertified(folder.path, { accounts: [ALICE, CAROL, JURGEN] });
  await using _ = posthorn;
  const transport = createTransport(await submission(posthorn, caFile));
  const message = letter("beyond ASCII", {
    to: [JURGEN.address, CAROL.address],
    dsn: { id: "our+number", return: "headers", notify: ["success"], recipient: CAROL.address },
  });
  const { accepted, rejected } = await transport.sendMail(message);
  assertEquals([accepted, rejected], [[JURGEN.address, CAROL.address], []]);
  const octets = await rendered(message);
  for (const { address } of [JURGEN, CAROL]) {
    const [arrived] = await posthorn.maildir(address).waitFor(1, { detail: () => posthorn.log });
    const trace = traceFieldsBefore(octets, arrived?.octets ?? new Uint8Array());
    assertMatch(trace.find((field) => field.startsWith("Received:")) ?? "", / with UTF8SMTPSA /);
  }
  const [report] = await posthorn.maildir(ALICE.address).waitFor(1, { detail: () => posthorn.log });
  assertMatch(report?.text ?? "", /^Original-Envelope-Id: our\+number\r$/mi);
  assertMatch(report?.text ?? "", /^Action: delivered\r$/m);
});

Deno.test("nodemailer's LMTP gets a reply for each recipient, one refused among others", async () => {
  await using posthorn = await PosthornProcess.start({
    accounts: [ALICE, CAROL],
    listeners: [{ service: "lmtp" }],
  });
  const transport = createTransport({ host: "127.0.0.1", port: posthorn.port("lmtp"), lmtp: true, ignoreTLS: true });
  const message = letter("by LMTP", { to: [ALICE.address, "nobody@example.org", CAROL.address] });
  const { accepted, rejected, rejectedErrors } = await transport.sendMail(message);
  assertEquals([accepted, rejected], [[ALICE.address, CAROL.address], ["nobody@example.org"]]);
  assertMatch(String(rejectedErrors?.[0]), /550 5\.1\.1 No such mailbox here/);
  const octets = await rendered(message);
  for (const { address } of [ALICE, CAROL]) {
    const [arrived] = await posthorn.maildir(address).waitFor(1, { detail: () => posthorn.log });
    const trace = traceFieldsBefore(octets, arrived?.octets ?? new Uint8Array());
    assertMatch(trace.find((field) => field.startsWith("Received:")) ?? "", / with LMTP /);
  }
});
