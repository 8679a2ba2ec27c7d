/** What Python's smtplib does beyond plain mail: addresses beyond ASCII, and LMTP on a Unix socket. */

import { assertEquals, assertMatch } from "@std/assert";
import { mustRun } from "../support/interop/command.ts";
import { traceFieldsBefore } from "../support/interop/maildir.ts";
import { awkwardMessage } from "../support/interop/messages.ts";
import { peerTest, programPath } from "../support/interop/peers.ts";
import { PosthornProcess } from "../support/posthorn_process.ts";

const ALICE = { address: "alice@example.org", password: "correct horse battery staple" };
const JURGEN = { address: "j\u00fcrgen@b\u00fccher.example", password: "correct horse battery staple" };
/** Its domain as DNS and folders have it. */
const A_LABEL = "xn--bcher-kva.example";

/** Sends a message object: smtplib itself finds that it needs SMTPUTF8, and gives up where that is not offered. */
const UTF8_SCRIPT = `
import email.message, email.policy, smtplib, sys
message = email.message.EmailMessage(email.policy.SMTPUTF8)
message["From"] = "<absender@b\u00fccher.example>"
message["To"] = f"J\u00fcrgen <{sys.argv[2]}>"
message["Subject"] = "Gr\u00fc\u00dfe"
message.set_content("Gr\u00fc\u00dfe\\n")
with smtplib.SMTP("127.0.0.1", int(sys.argv[1]), local_hostname="client.example", timeout=30) as smtp:
    print(smtp.send_message(message))
    smtp.mail("x@elsewhere.example")
    print(smtp.docmd("RCPT", f"TO:<{sys.argv[2]}>"))
`;

const LMTP_SCRIPT = `
import smtplib, sys
with smtplib.LMTP(sys.argv[1], local_hostname="client.example") as lmtp:
    refused = lmtp.sendmail("x@elsewhere.example", sys.argv[2:], sys.stdin.buffer.read(), mail_options=["BODY=8BITMIME"])
    print(refused)
`;

peerTest("smtplib sends an address and a header beyond ASCII with SMTPUTF8", ["python"], async () => {
  await using posthorn = await PosthornProcess.start({
    accounts: [JURGEN],
    listeners: [{ service: "mx" }],
    config: { domains: { "b\u00fccher.example": {} } },
  });
  const output = await mustRun([programPath("python"), "-c", UTF8_SCRIPT, `${posthorn.port("mx")}`, JURGEN.address]);
  assertEquals(output, "{}\n(553, b'5.6.7 A non-ASCII address needs the SMTPUTF8 parameter')\n");
  const [arrived] = await posthorn.maildir(`j\u00fcrgen@${A_LABEL}`).waitFor(1, { detail: () => posthorn.log });
  const text = new TextDecoder().decode(arrived?.octets);
  assertMatch(text, /^Return-Path: <absender@xn--bcher-kva\.example>\r\n/);
  assertMatch(text, /\(posthorn\) with UTF8SMTP id /);
  assertMatch(text, /^To: J\u00fcrgen <j\u00fcrgen@b\u00fccher\.example>\r\nSubject: Gr\u00fc\u00dfe\r$/m);
});

peerTest("smtplib speaks LMTP on a Unix socket, and learns which recipient was refused", ["python"], async () => {
  await using posthorn = await PosthornProcess.start({
    accounts: [ALICE],
    listeners: [{ service: "lmtp", socket: "lmtp.sock" }],
  });
  const { octets } = awkwardMessage({ from: "x@elsewhere.example", to: ALICE.address, subject: "by LMTP" });
  const command = [programPath("python"), "-c", LMTP_SCRIPT, posthorn.socketPath("lmtp.sock")];
  const output = await mustRun([...command, ALICE.address, "nobody@example.org"], { stdin: octets });
  assertEquals(output, "{'nobody@example.org': (550, b'5.1.1 No such mailbox here')}\n");
  const [arrived] = await posthorn.maildir(ALICE.address).waitFor(1, { detail: () => posthorn.log });
  const trace = traceFieldsBefore(octets, arrived?.octets ?? new Uint8Array());
  assertMatch(trace.find((field) => field.startsWith("Received:")) ?? "", /from client\.example .*with LMTP /);
});
