/** What a message near the limit of size costs in memory: measured against what the process had just before. */

import { assert } from "@std/assert";
import { SmtpDialog } from "../support/interop/dialog.ts";
import { latin1Octets } from "../support/interop/maildir.ts";
import { report } from "../support/interop/peers.ts";
import { mebi, processMemory } from "../support/interop/process_memory.ts";
import { PosthornProcess } from "../support/posthorn_process.ts";

const MESSAGE_OCTETS = 49 * 1024 * 1024;
const ROUNDS = 3;
const SHORT_MESSAGES = 200;
/** The promise is 1 MB; the rest is what a heap grows by meanwhile. With copies of what passes by it was 60 MiB. */
const MOST_OCTETS = 12 * 1024 * 1024;
const SAMPLE_MS = 20;

const ALICE = { address: "alice@example.org", password: "correct horse battery staple" };
const LINE = `${"x".repeat(76)}\r\n`;
const SHORT = latin1Octets(`Subject: short\r\n\r\n${LINE}.\r\n`);
const CONTENT = latin1Octets(`Subject: long\r\n\r\n${LINE.repeat(MESSAGE_OCTETS / LINE.length)}.\r\n`);

for (
  const [way, config] of [["straight into a mailbox", { relay_from: ["127.0.0.0/8"] }], [
    "through checks and the spool",
    { relay_from: [], msgauth: { spf: false, dkim: true, dmarc: "off" } },
  ]] as const
) {
  Deno.test({
    name: `a message of 49 MiB that goes ${way} takes little memory`,
    ignore: Deno.build.os !== "linux",
    fn: async () => {
      await using posthorn = await PosthornProcess.start({ accounts: [ALICE], config });
      using dialog = await SmtpDialog.open(posthorn.port("mx"));
      for (let i = 0; i < SHORT_MESSAGES; i++) await send(dialog, SHORT);
      const before = (await processMemory(posthorn.pid)).own;
      const peaks: number[] = [];
      for (let i = 0; i < ROUNDS; i++) peaks.push(await peakOf(posthorn.pid, () => send(dialog, CONTENT)));
      const text = `${mebi(before)} before, at most ${peaks.map(mebi).join(", ")}`;
      await report(`memory: messages of 49 MiB ${way}, one after the other: ${text}`);
      assert(Math.max(...peaks) - before < MOST_OCTETS, text);
    },
  });
}

async function send(dialog: SmtpDialog, content: Uint8Array): Promise<void> {
  dialog.expect("250", await dialog.command("MAIL FROM:<bob@client.example>"));
  dialog.expect("250", await dialog.command(`RCPT TO:<${ALICE.address}>`));
  dialog.expect("354", await dialog.command("DATA"));
  await dialog.write(content);
  dialog.expect("250", await dialog.reply());
}

/** The most own memory that a process has meanwhile. */
async function peakOf(pid: number, work: () => Promise<void>): Promise<number> {
  let most = 0;
  const look = async (): Promise<void> => {
    most = Math.max(most, (await processMemory(pid)).own);
  };
  const timer = setInterval(look, SAMPLE_MS);
  try {
    await work();
  } finally {
    clearInterval(timer);
  }
  await look();
  return most;
}
