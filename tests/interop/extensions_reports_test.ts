/** Reports of success that posthorn itself writes, as the email package of Python reads them. */

import { assertEquals, assertMatch } from "@std/assert";
import { readWithFlufl, readWithSisimai } from "../support/interop/bounce_parsers.ts";
import { awkwardMessage } from "../support/interop/messages.ts";
import { peerTest } from "../support/interop/peers.ts";
import { SmtpSink } from "../support/interop/sink.ts";
import { readWithPython, sendWithSmtplib } from "../support/interop/smtplib.ts";
import { PosthornProcess } from "../support/posthorn_process.ts";

const ALICE = { address: "alice@example.org", password: "correct horse battery staple" };
const CAROL = { address: "carol@example.org", password: "another password" };
const DAVE = { address: "dave@example.org", password: "a third password" };

peerTest(
  "An alias is reported once, as expanded; a peer that offers no DSN as relayed; and who wants no report gets none",
  ["python", "sisimai", "flufl.bounce"],
  async () => {
    await using sink = new SmtpSink({
      reply: (step) => step.kind === "recipient" && step.recipient.startsWith("gone") ? "550 5.1.1 Gone" : undefined,
    });
    await using posthorn = await PosthornProcess.start({
      listeners: [{ service: "mx" }],
      accounts: [ALICE, CAROL, DAVE],
      config: {
        relay_from: ["127.0.0.0/8"],
        aliases: { "sales@example.org": [CAROL.address, DAVE.address] },
        routes: [{ domain: "remote.example", via: `smtp://127.0.0.1:${sink.port}` }],
      },
    });
    const message = awkwardMessage({ from: ALICE.address, to: "sales@example.org", subject: "tell me", is8bit: false });
    const replies = await sendWithSmtplib({ port: posthorn.port("mx") }, [{
      from: ALICE.address,
      mail: ["RET=FULL", "ENVID=QQ+2B1"],
      to: [
        ["sales@example.org", "NOTIFY=SUCCESS,FAILURE", "ORCPT=rfc822;sales+2Bx@list.example"],
        ["bob@remote.example", "NOTIFY=SUCCESS"],
        ["eve@remote.example"],
        ["gone-1@remote.example", "NOTIFY=NEVER"],
        ["gone-2@remote.example", "NOTIFY=FAILURE", "ORCPT=rfc822;first@list.example"],
      ],
      content: message.octets,
    }]);
    assertMatch(replies.at(-1) ?? "", /^250 2\.0\.0 Queued as /);
    await posthorn.waitForEmptyQueue();
    for (const { address } of [CAROL, DAVE]) assertEquals((await posthorn.maildir(address).names()).length, 1);

    const maildir = posthorn.maildir(ALICE.address);
    const files = (await maildir.names()).map((name) => `${maildir.path}/new/${name}`);
    const reports = await Promise.all(files.map(readWithPython));
    for (const report of reports) {
      assertEquals(report.message["original-envelope-id"], "QQ+1");
      assertMatch(report.message["reporting-mta"] ?? "", /^dns; *mail\.example\.org$/);
    }
    const lines = reports.flatMap(({ originalType, recipients }) =>
      recipients.map((each) =>
        [each["final-recipient"], each["original-recipient"] ?? "-", each["action"], each["status"], originalType]
          .join(" ").replaceAll(/;\s+/g, ";")
      )
    );
    assertEquals(lines.sort(), [
      "rfc822;bob@remote.example - relayed 2.0.0 text/rfc822-headers",
      "rfc822;gone-2@remote.example rfc822;first@list.example failed 5.1.1 message/rfc822",
      "rfc822;sales@example.org rfc822;sales+x@list.example expanded 2.1.5 text/rfc822-headers",
    ]);
    const failed = (await Promise.all(files.map(readWithFlufl))).flat();
    assertEquals(failed, ["first@list.example"], "no parser takes a success for a bounce");
    const bounces = (await Promise.all(files.map(readWithSisimai))).flat();
    assertEquals(bounces.filter(({ action }) => action === "failed").map(({ status }) => status), ["5.1.1"]);
  },
);
