/** Exim sends in chunks (BDAT) to those who offer CHUNKING, and uses every other extension that it finds. */

import { assertEquals, assertMatch } from "@std/assert";
import { PosthornProcess } from "../support/posthorn_process.ts";
import { relayThroughExim, sendWithExim } from "../support/interop/exim.ts";
import { dotStuffed, latin1Octets, traceFieldsBefore } from "../support/interop/maildir.ts";
import { awkwardMessage } from "../support/interop/messages.ts";
import { peerTest } from "../support/interop/peers.ts";
import { TemporaryFolder } from "../support/interop/temporary_folder.ts";

const ALICE = { address: "alice@example.org", password: "correct horse battery staple" };
const FROM = "bob@client.test";
const JURGEN = "j\u00fcrgen@example.org";
const CAROL = "carol@example.org";

for (const isTls of [false, true]) {
  const how = isTls ? "with STARTTLS" : "in the clear";
  peerTest(
    `Exim sends in chunks ${how}, one and several, and the octets arrive`,
    ["root", "POSTHORN_EXIM"],
    async () => {
      await using folder = await TemporaryFolder.create({ isPublic: true });
      await using posthorn = await PosthornProcess.start({ accounts: [ALICE], listeners: [{ service: "mx" }] });
      const port = posthorn.listeners[0]?.port ?? 0;
      const small = awkwardMessage({ from: FROM, to: ALICE.address, subject: "small" }).text;
      const large = small + "a line of text\r\n.\r\n..\r\n".repeat(50_000);
      const maildir = posthorn.maildir(ALICE.address);
      for (const [index, text] of [small, large].entries()) {
        const octets = latin1Octets(text);
        const dialogue = await sendWithExim({ folder: folder.path, port, isTls }, {
          from: FROM,
          to: [ALICE.address],
          octets,
        });
        assertMatch(dialogue, /SMTP\+> BDAT \d+ LAST/);
        assertMatch(dialogue, /SMTP<< 250 2\.0\.0 Queued as /);
        assertEquals(/SMTP<< 250 2\.0\.0 \d+ octets received/.test(dialogue), index === 1, "several chunks");
        const message = (await maildir.waitFor(index + 1)).find((each) => each.octets.length >= octets.length);
        const trace = traceFieldsBefore(octets, message?.octets ?? new Uint8Array());
        const ours = trace.find((field) => field.startsWith("Received: from exim.client.test")) ?? "";
        assertMatch(ours, isTls ? / with ESMTPS / : / with ESMTP /);
      }
    },
  );
}

peerTest(
  "Exim sends an address beyond ASCII, passes on what the sender wants to be told, and reports who was refused",
  ["root", "POSTHORN_EXIM"],
  async () => {
    await using folder = await TemporaryFolder.create({ isPublic: true });
    const others = [{ address: JURGEN, password: ALICE.password }, { address: CAROL, password: ALICE.password }];
    await using posthorn = await PosthornProcess.start({
      accounts: [ALICE, ...others],
      listeners: [{ service: "mx" }],
    });
    const port = posthorn.port("mx");
    const message = awkwardMessage({ from: CAROL, to: JURGEN, subject: "through Exim" });
    const { replies, dialogue } = await relayThroughExim({ folder: folder.path, port, isTls: true }, [
      "EHLO user.client.test",
      `MAIL FROM:<${CAROL}> BODY=8BITMIME SMTPUTF8 RET=HDRS ENVID=Our+2BNumber`,
      `RCPT TO:<${ALICE.address}> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;al@list.example`,
      `RCPT TO:<${JURGEN}> NOTIFY=NEVER`,
      "RCPT TO:<nobody@example.org>",
    ], dotStuffed(message.octets));
    assertMatch(replies, /^250 OK id=/m);
    // "|" instead of ">" means: pipelined. The chunk goes out with the envelope, before a reply to it.
    assertMatch(dialogue, /^SMTP\|> MAIL FROM:<carol@example\.org> .*\bSMTPUTF8\b.*\nSMTP\|> RCPT TO:<alice/m);
    assertMatch(dialogue, /^SMTP\+> BDAT \d+ LAST\n(SMTP>> QUIT\n)?SMTP<< 250 2\.1\.0 Sender OK$/m);
    assertMatch(dialogue, /SMTP<< 550 5\.1\.1 No such mailbox here/);

    for (const address of [ALICE.address, JURGEN]) {
      const [arrived] = await posthorn.maildir(address).waitFor(1, { detail: () => posthorn.log });
      const trace = traceFieldsBefore(message.octets, arrived?.octets ?? new Uint8Array());
      // Exim writes its own field into the content; ours stands in front of it.
      assertMatch(trace.find((field) => field.startsWith("Received:")) ?? "", / with UTF8SMTPS /);
    }
    const reports = await posthorn.maildir(CAROL).waitFor(2, { detail: () => posthorn.log });
    const failure = reports.find(({ text }) => /^Action: failed\r$/m.test(text))?.text ?? "";
    assertMatch(failure, /^Final-Recipient: rfc822; ?nobody@example\.org\r$/m);
    assertMatch(failure, /^Diagnostic-Code: smtp; 550 5\.1\.1 No such mailbox here\r$/m);
    const success = reports.find(({ text }) => /^Action: delivered\r$/m.test(text))?.text ?? "";
    assertMatch(success, /^Original-Recipient: rfc822; ?al@list\.example\r$/m);
    assertEquals(reports.length, 2, "who asked for no report is in none");

    // RFC 3461 section 5.2: who offers DSN is given the parameters, and has to report.
    const said = /^SMTP.> MAIL FROM:<carol[^]*?^SMTP.> RCPT TO:<nobody.*/m.exec(dialogue)?.[0] ?? "";
    assertMatch(said, / RET=HDRS ENVID=Our\+2BNumber/);
    assertMatch(said, / NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;al@list\.example/);
    assertMatch(said, / NOTIFY=NEVER/);
    assertMatch(success, /^Reporting-MTA: dns; ?mail\.example\.org\r$/m);
    assertMatch(success, /^Original-Envelope-Id: Our\+Number\r$/mi);
  },
);

for (const isTls of [false, true]) {
  peerTest(
    `Exim hands over by LMTP ${isTls ? "with STARTTLS" : "in the clear"}, and reports who was refused`,
    ["root", "POSTHORN_EXIM"],
    async () => {
      await using folder = await TemporaryFolder.create({ isPublic: true });
      const tls = isTls ? "starttls" : "off";
      await using posthorn = await PosthornProcess.start({
        accounts: [ALICE, { address: CAROL, password: ALICE.password }],
        listeners: [{ service: "lmtp", tls }],
      });
      const { octets } = awkwardMessage({ from: CAROL, to: ALICE.address, subject: "by LMTP" });
      const dialogue = await sendWithExim(
        { folder: folder.path, port: posthorn.port("lmtp", tls), isTls, protocol: "lmtp" },
        { from: CAROL, to: [ALICE.address, "nobody@example.org", CAROL], octets },
      );
      assertMatch(dialogue, /SMTP>> LHLO exim\.client\.test/);
      const detail = (): string => `${dialogue}\n${posthorn.log}`;
      const [arrived] = await posthorn.maildir(ALICE.address).waitFor(1, { detail });
      const trace = traceFieldsBefore(octets, arrived?.octets ?? new Uint8Array());
      assertMatch(trace.find((field) => field.startsWith("Received:")) ?? "", isTls ? / with LMTPS / : / with LMTP /);
      const inbox = await posthorn.maildir(CAROL).waitFor(2, { detail });
      const failures = inbox.flatMap(({ text }) => text.match(/^Final-Recipient: .*$/gm) ?? []);
      assertEquals(failures.map((field) => field.replace(/\s/g, "")), ["Final-Recipient:rfc822;nobody@example.org"]);
    },
  );
}
