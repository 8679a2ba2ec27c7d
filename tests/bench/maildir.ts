/**
 * Many messages into one Maildir: `deno task bench:maildir [MESSAGES]`, 100,000 by default. Prints the rate of each tenth,
 * and that of the last compared with the first: a mailbox must not get slow because it is full. Because other work on the machine
 * changes the rate as well, deliveries into an empty mailbox are measured in between.
 *
 * The mailbox lies on the disk of the current folder, not in memory. It is removed in the end, after which ext4 makes files
 * more slowly for some minutes: wait before the next run.
 */

import { getLogger } from "@logtape/logtape";
import { MaildirTarget } from "../../lib/delivery/maildir.ts";
import { memoryContent } from "../../lib/mail/content.ts";
import type { Envelope } from "../../lib/mail/envelope.ts";
import { systemClock } from "../../lib/system/clock.ts";
import { systemFiles } from "../../lib/system/files.ts";
import { FolderSync } from "../../lib/system/folder_sync.ts";

const AT_A_TIME = 32;
const OCTETS = 2048;
const SLICES = 20;

const LINE = "The quick brown fox jumps over the lazy dog, and nobody asks the dog about it.\r\n";
const CONTENT = memoryContent(
  new TextEncoder().encode(`Subject: benchmark\r\n\r\n${LINE.repeat(Math.floor(OCTETS / LINE.length))}`),
);
const ENVELOPE: Envelope = {
  reversePath: "sender@example.com",
  arrived: "2026-11-23T10:00:00.000Z",
  body: "8BITMIME",
  smtpUtf8: false,
  trace: "Received: from client.example.com ([192.0.2.7])\r\n\tby mail.example.org (posthorn) with ESMTP id q1;\r\n" +
    "\tMon, 23 Nov 2026 10:00:00 +0000\r\n",
  session: { service: "mx" },
  recipients: [{ address: "alice@example.org" }],
};

async function print(text: string): Promise<void> {
  await Deno.stdout.write(new TextEncoder().encode(`${text}\n`));
}

/** Delivers so many, `AT_A_TIME` at the same time. @returns How long that took, in seconds. */
async function deliver(target: MaildirTarget, account: string, messages: number): Promise<number> {
  let left = messages;
  const { signal } = new AbortController();
  const hop = { kind: "maildir", account, key: `maildir:${account}` } as const;
  const request = { queueId: "q", envelope: ENVELOPE, content: CONTENT, hop, recipients: ENVELOPE.recipients, signal };
  const startMs = performance.now();
  await Promise.all(Array.from({ length: AT_A_TIME }, async () => {
    while (left-- > 0) {
      const [outcome] = await target.deliver(request);
      if (outcome?.action !== "delivered") throw new Error(`Cannot deliver: ${outcome?.text}`);
    }
  }));
  return (performance.now() - startMs) / 1000;
}

/** Messages per second into the mailbox that fills, and into a new one meanwhile. */
interface Rates {
  readonly full: number;
  readonly empty: number;
}

/** One tenth, in slices, a fifth as many into a mailbox of this tenth after each. */
async function measureTenth(target: MaildirTarget, tenth: number, slice: number): Promise<Rates> {
  let fullSeconds = 0;
  let emptySeconds = 0;
  for (let count = 0; count < SLICES; count++) {
    fullSeconds += await deliver(target, "alice@example.org", slice);
    emptySeconds += await deliver(target, `empty${tenth}@example.org`, slice / 5);
  }
  return { full: SLICES * slice / fullSeconds, empty: SLICES * slice / 5 / emptySeconds };
}

async function main(messages: number): Promise<void> {
  const folder = await Deno.makeTempDir({ dir: ".", prefix: "bench-maildir-" });
  const folderSync = new FolderSync(systemFiles);
  const options = { files: systemFiles, clock: systemClock, hostname: "mail.example.org", pid: Deno.pid };
  const target = new MaildirTarget({
    ...options,
    mailRoot: `${folder}/mail`,
    folderSync,
    logger: getLogger(["bench"]),
    lineEndings: () => "lf",
  });
  try {
    await print(`${messages} messages of ${OCTETS} octets into one Maildir, ${AT_A_TIME} at a time`);
    const rates: Rates[] = [];
    const slice = Math.ceil(messages / 10 / SLICES / 5) * 5;
    for (let tenth = 1; tenth <= 10; tenth++) {
      const { full, empty } = await measureTenth(target, tenth, slice);
      rates.push({ full, empty });
      const upTo = String(tenth * slice * SLICES).padStart(9);
      await print(
        `up to ${upTo}: ${full.toFixed(0).padStart(6)}/s; into an empty mailbox ${empty.toFixed(0).padStart(6)}/s`,
      );
    }
    const [first, last] = [rates[0], rates.at(-1)];
    if (first === undefined || last === undefined) return;
    await print(`last / first: ${(last.full / first.full).toFixed(2)}`);
    await print(
      `the same, as shares of the rate into an empty mailbox: ${
        (last.full / last.empty / (first.full / first.empty)).toFixed(2)
      }`,
    );
  } finally {
    await folderSync[Symbol.asyncDispose]();
    await Deno.remove(folder, { recursive: true });
  }
}

if (import.meta.main) await main(Number(Deno.args[0] ?? 100_000));
