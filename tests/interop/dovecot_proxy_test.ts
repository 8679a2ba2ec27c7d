/** Dovecot in front of posthorn: its submission server hands mail on, and its LMTP server is a proxy for ours. */

import { assertEquals, assertMatch } from "@std/assert";
import { createTransport } from "nodemailer";
import { mustRun } from "../support/interop/command.ts";
import { SmtpDialog } from "../support/interop/dialog.ts";
import { Dovecot } from "../support/interop/dovecot.ts";
import { freePort } from "../support/interop/free_port.ts";
import { latin1Octets, traceFieldsBefore } from "../support/interop/maildir.ts";
import { awkwardMessage } from "../support/interop/messages.ts";
import { peerTest } from "../support/interop/peers.ts";
import { TemporaryFolder } from "../support/interop/temporary_folder.ts";
import { PosthornProcess } from "../support/posthorn_process.ts";

const ALICE = { address: "alice@example.org", password: "correct horse battery staple" };
const CAROL = { address: "carol@example.org", password: "another password" };

/** Dovecot's submission server with one user, who is Alice for posthorn, too. */
async function startSubmission(folder: string, posthorn: PosthornProcess): Promise<Dovecot> {
  const port = freePort();
  const [uid, gid] = [await mustRun(["id", "-u", "nobody"]), await mustRun(["id", "-g", "nobody"])];
  return await Dovecot.run(
    folder,
    port,
    `protocols = submission
hostname = submission.example.org
mail_location = maildir:${folder}/mail
submission_relay_host = 127.0.0.1
submission_relay_port = ${posthorn.port("submission")}
submission_relay_ssl = starttls
submission_relay_ssl_verify = no
submission_relay_user = ${ALICE.address}
submission_relay_password = ${ALICE.password}
passdb {
  driver = static
  args = password=secret
}
userdb {
  driver = static
  args = uid=${uid.trim()} gid=${gid.trim()} home=${folder}/home
}
service submission-login {
  inet_listener submission {
    port = ${port}
  }
  inet_listener submissions {
    port = 0
  }
}
`,
  );
}

peerTest("Dovecot's submission server hands on what its users send, by DATA and in chunks, and the replies come back", [
  "root",
  "dovecot",
  "dovecot-submissiond",
], async () => {
  await using folder = await TemporaryFolder.create({ isPublic: true });
  await mustRun(["chmod", "777", folder.path]);
  await using posthorn = await PosthornProcess.start({ accounts: [ALICE, CAROL] });
  await using dovecot = await startSubmission(folder.path, posthorn);
  using dialog = await SmtpDialog.open(dovecot.port);
  assertMatch(await dialog.command(`AUTH PLAIN ${btoa("\0alice\0secret")}`), /^235 /, dovecot.log);
  const offered = await dialog.command("EHLO client.example");
  for (const keyword of ["BURL", "CHUNKING", "DSN", "PIPELINING"]) {
    assertMatch(offered, new RegExp(`250.${keyword}\\b`));
  }
  const detail = (): string => `${dovecot.log}\n${posthorn.log}`;
  const message = awkwardMessage({ from: ALICE.address, to: CAROL.address, subject: "through Dovecot" });
  assertMatch(await dialog.send(ALICE.address, [CAROL.address], message.octets), /^250 2\.0\.0 Queued as /, detail());

  // Again, in two chunks with an unknown recipient beside the good one, who is to be reported.
  await dialog.command(
    `MAIL FROM:<${ALICE.address}> BODY=8BITMIME SIZE=${message.octets.length} RET=HDRS ENVID=number`,
  );
  assertMatch(await dialog.command("RCPT TO:<nobody@example.org>"), /^550 5\.1\.1 .*No such mailbox here$/);
  assertMatch(await dialog.command(`RCPT TO:<${CAROL.address}> NOTIFY=SUCCESS`), /^250 2\.1\.5 /);
  const half = Math.floor(message.octets.length / 2);
  for (
    const [chunk, last] of [[message.octets.subarray(0, half), ""], [message.octets.subarray(half), " LAST"]] as const
  ) {
    await dialog.write(latin1Octets(`BDAT ${chunk.length}${last}\r\n`));
    await dialog.write(chunk);
    assertMatch(await dialog.reply(), /^250 2\.0\.0 /, detail());
  }
  const arrived = await posthorn.maildir(CAROL.address).waitFor(2, { detail });
  for (const { octets } of arrived) {
    const trace = traceFieldsBefore(message.octets, octets).filter((field) => field.startsWith("Received:"));
    assertMatch(trace[0] ?? "", /from submission\.example\.org .*by mail\.example\.org .*with ESMTPSA /);
    assertMatch(trace[1] ?? "", /from client\.example .*by submission\.example\.org with ESMTPA /);
  }
  const [report] = await posthorn.maildir(ALICE.address).waitFor(1, { detail });
  assertMatch(report?.text ?? "", /^Original-Envelope-Id: number\r$/mi);
  assertMatch(report?.text ?? "", /^Final-Recipient: rfc822; ?carol@example\.org\r\nAction: delivered\r$/m);

  const foreign = await dialog.command("MAIL FROM:<mallory@elsewhere.example>");
  assertEquals(foreign, "550 5.7.1 mallory@elsewhere.example is not one of your addresses");
});

peerTest("Dovecot's LMTP proxy hands each reply of ours to its client, one unknown recipient among good ones", [
  "root",
  "dovecot",
  "dovecot-lmtpd",
], async () => {
  await using folder = await TemporaryFolder.create({ isPublic: true });
  await using posthorn = await PosthornProcess.start({ accounts: [ALICE, CAROL], listeners: [{ service: "lmtp" }] });
  const port = freePort();
  await using dovecot = await Dovecot.run(
    folder.path,
    port,
    `protocols = lmtp
hostname = proxy.example.org
lmtp_proxy = yes
passdb {
  driver = static
  args = proxy=y host=127.0.0.1 port=${posthorn.port("lmtp")} protocol=lmtp nopassword=y
}
service lmtp {
  inet_listener lmtp {
    port = ${port}
  }
}
`,
  );
  const transport = createTransport({ host: "127.0.0.1", port, lmtp: true, ignoreTLS: true });
  const message = awkwardMessage({ from: "x@elsewhere.example", to: ALICE.address, subject: "through the LMTP proxy" });
  const { accepted, rejected, rejectedErrors } = await transport.sendMail({
    envelope: { from: "x@elsewhere.example", to: [ALICE.address, "nobody@example.org", CAROL.address] },
    raw: Buffer.from(message.octets),
  });
  assertEquals([accepted, rejected], [[ALICE.address, CAROL.address], ["nobody@example.org"]], dovecot.log);
  assertMatch(String(rejectedErrors?.[0]), /550 5\.1\.1 .*No such mailbox here/);
  for (const { address } of [ALICE, CAROL]) {
    const [arrived] = await posthorn.maildir(address).waitFor(1, { detail: () => posthorn.log });
    const trace = traceFieldsBefore(message.octets, arrived?.octets ?? new Uint8Array());
    assertEquals(trace[1], `Delivered-To: ${address}`);
    assertMatch(trace[2] ?? "", /from proxy\.example\.org .*by mail\.example\.org .*with LMTP /);
    assertMatch(trace[3] ?? "", /by proxy\.example\.org with LMTP /);
  }
});
