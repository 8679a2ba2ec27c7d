/** Exim sends in chunks (BDAT) to those who offer CHUNKING. */

import { assertEquals, assertMatch } from "@std/assert";
import { PosthornProcess } from "../support/posthorn_process.ts";
import { sendWithExim } from "../support/interop/exim.ts";
import { latin1Octets, traceFieldsBefore } from "../support/interop/maildir.ts";
import { awkwardMessage } from "../support/interop/messages.ts";
import { peerTest } from "../support/interop/peers.ts";
import { TemporaryFolder } from "../support/interop/temporary_folder.ts";

const ALICE = { address: "alice@example.org", password: "correct horse battery staple" };
const FROM = "bob@client.test";

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
