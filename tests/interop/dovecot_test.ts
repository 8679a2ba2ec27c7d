/** Dovecot reads the Maildir that posthorn writes, and gives a mail reader the same octets. */

import { assert, assertEquals } from "@std/assert";
import { PosthornProcess } from "../support/posthorn_process.ts";
import { mustRun } from "../support/interop/command.ts";
import { SmtpDialog } from "../support/interop/dialog.ts";
import { Dovecot } from "../support/interop/dovecot.ts";
import { latin1Octets, traceFieldsBefore } from "../support/interop/maildir.ts";
import { awkwardMessage } from "../support/interop/messages.ts";
import { peerTest, programPath } from "../support/interop/peers.ts";
import { TemporaryFolder } from "../support/interop/temporary_folder.ts";

const ALICE = { address: "alice@example.org", password: "correct horse battery staple" };
const USER = "nobody";

/** Prints each message of INBOX: its RFC822.SIZE and its octets in base64. */
const IMAP_SCRIPT = `
import base64, imaplib, re, sys
imap = imaplib.IMAP4("127.0.0.1", int(sys.argv[1]))
imap.login(sys.argv[2], sys.argv[3])
status, count = imap.select("INBOX")
assert status == "OK", count
for number in range(1, int(count[0]) + 1):
    status, data = imap.fetch(str(number), "(RFC822.SIZE BODY.PEEK[])")
    size = re.search(rb"RFC822.SIZE (\\d+)", b" ".join(part if isinstance(part, bytes) else part[0] for part in data))
    print(size.group(1).decode(), base64.b64encode(data[0][1]).decode())
imap.logout()
`;

peerTest(
  "Dovecot shows over IMAP the octets that posthorn put into the Maildir",
  ["root", "dovecot", "python"],
  async () => {
    await using posthorn = await PosthornProcess.start({ listeners: [{ service: "mx" }], accounts: [ALICE] });
    const maildir = posthorn.maildir(ALICE.address);
    const messages = [
      awkwardMessage({ from: "x@elsewhere.example", to: ALICE.address, subject: "first" }),
      awkwardMessage({ from: "x@elsewhere.example", to: ALICE.address, subject: "second", is8bit: false }),
    ];
    using dialog = await SmtpDialog.open(posthorn.port("mx"));
    for (const [index, { octets }] of messages.entries()) {
      assert((await dialog.send("x@elsewhere.example", [ALICE.address], octets)).startsWith("250"));
      await maildir.waitFor(index + 1, { detail: () => posthorn.log });
    }
    const files = await maildir.messages();

    // Tests run as root, which Dovecot does not let read mail.
    await mustRun(["chmod", "755", posthorn.folder]);
    await mustRun(["chown", "-R", `${USER}:`, posthorn.dataFolder]);
    await using folder = await TemporaryFolder.create({ isPublic: true });
    await using dovecot = await Dovecot.start({ folder: folder.path, maildir: maildir.path, user: USER, login: ALICE });
    const output = await mustRun([
      programPath("python"),
      ...["-c", IMAP_SCRIPT, `${dovecot.port}`, ALICE.address, ALICE.password],
    ]);
    const fetched = output.trim().split("\n").map((line) => line.split(" "));
    assertEquals(fetched.length, 2, dovecot.log);
    for (const [index, message] of messages.entries()) {
      const octets = latin1Octets(atob(fetched[index]?.[1] ?? ""));
      assertEquals(octets.length, Number(fetched[index]?.[0]), "RFC822.SIZE is that of the octets");
      traceFieldsBefore(message.octets, octets);
      assert(
        files.some((file) =>
          file.octets.every((octet, at) => octet === octets[at]) && file.octets.length === octets.length
        ),
      );
    }
  },
);
