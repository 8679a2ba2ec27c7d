/**
 * How long the queue takes to start on a full spool, what it keeps in memory, and how it holds up meanwhile.
 *
 * ```
 * deno task bench:queue [--messages 100000] [--folder /tmp/posthorn-queue-scale] [--keep] [--cold]
 * ```
 *
 * Makes a spool of messages of 2 KiB that were all tried once and wait for their next attempt, starts the queue on it, and
 * sends it new mail while it starts. `--keep` leaves the spool in its folder, where the next run finds it; `--cold` empties
 * the caches of the system first, which needs root. A million messages take 4 GiB of disk and two million inodes' worth of
 * patience.
 */

import process from "node:process";
import { getLogger } from "@logtape/logtape";
import { parseArgs } from "@std/cli/parse-args";
import { domainOf } from "../../lib/mail/mailbox.ts";
import { openFileSpool } from "../../lib/queue/file_spool.ts";
import { bucketOf, QueueIds } from "../../lib/queue/queue_id.ts";
import { QueueRunner } from "../../lib/queue/runner.ts";
import { type Spool, type SpoolEvent } from "../../lib/queue/spool.ts";
import { encodeEnvelope, encodeEvents, encodeHead } from "../../lib/queue/spool_file.ts";
import { openBulkReader } from "../../lib/system/bulk_reader.ts";
import { type Clock, systemClock } from "../../lib/system/clock.ts";
import { systemFiles } from "../../lib/system/files.ts";
import { put, sampleContent, sampleEnvelope } from "../support/queue_samples.ts";

const CONTENT = sampleContent(2048);
const MINUTE_MS = 60_000;

function randomOctets(into: Uint8Array<ArrayBuffer>): void {
  crypto.getRandomValues(into);
}

/** Writes the files, as fast as the disk takes them: nothing is synced. */
function makeSpool(folder: string, messages: number): void {
  const nowMs = Date.now();
  let made = 0;
  // One message in 10 ms, so that folders fill as they do in life.
  const clock: Clock = { ...systemClock, now: () => nowMs - (messages - made) * 10 };
  const ids = new QueueIds({ clock, randomOctets });
  const head = encodeHead(CONTENT.length);
  for (; made < messages; made++) {
    const queueId = ids.next();
    const bucket = `${folder}/queue/${bucketOf(queueId)}`;
    Deno.mkdirSync(bucket, { recursive: true, mode: 0o700 });
    const addresses = [`user${made}@domain${made % 2000}.example`];
    if (made % 20 === 0) addresses.push(`other@domain${(made + 7) % 2000}.example`);
    const envelope = encodeEnvelope(queueId, sampleEnvelope(addresses, { arrived: timeText(clock.now()) }));
    const events = encodeEvents([
      delayed(clock.now(), nowMs + MINUTE_MS * (60 + made % 60), addresses.map((_, i) => i)),
    ]);
    const file = Deno.openSync(`${bucket}/${queueId}`, { write: true, createNew: true, mode: 0o600 });
    for (const part of [join(head, CONTENT, envelope, events)]) file.writeSync(part);
    file.close();
  }
}

function delayed(atMs: number, nextMs: number, recipients: readonly number[]): SpoolEvent {
  const text =
    "450 4.2.0 <user@example.org>: Recipient address rejected: Greylisted, see http://postgrey.example/help.html";
  return {
    event: "attempt",
    at: timeText(atMs),
    recipients,
    outcome: {
      action: "delayed",
      status: "4.2.0",
      text,
      isRemoteReply: true,
      remoteMta: "mx1.example.org",
      remoteAddress: "192.0.2.1:25",
      tls: "TLSv1.3 TLS_AES_256_GCM_SHA384",
    },
    nextAttempt: timeText(nextMs),
  };
}

function timeText(ms: number): string {
  return new Date(ms).toISOString();
}

function join(...parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((octets, part) => octets + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

/** Watches how late timers are, and how long new mail takes, until aborted. */
async function watch(
  spool: Spool,
  queue: QueueRunner,
  stop: AbortSignal,
): Promise<{ lateMs: number[]; mailMs: number[] }> {
  const lateMs: number[] = [];
  const mailMs: number[] = [];
  const watchTimers = async (): Promise<void> => {
    while (!stop.aborted) {
      const beganMs = performance.now();
      await systemClock.sleep(1);
      lateMs.push(performance.now() - beganMs - 1);
    }
  };
  const sendMail = async (): Promise<void> => {
    while (!stop.aborted) {
      const beganMs = performance.now();
      queue.enqueue(await put(spool));
      mailMs.push(performance.now() - beganMs);
      await systemClock.sleep(20);
    }
  };
  await Promise.all([watchTimers(), sendMail()]);
  return { lateMs, mailMs };
}

/** Of the values, the one that this part of them does not exceed. */
function quantile(values: readonly number[], part: number): string {
  const sorted = values.toSorted((a, b) => a - b);
  return (sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? 0).toFixed(1);
}

interface Memory {
  readonly heap: number;
  readonly external: number;
  readonly resident: number;
}

function memory(): Memory {
  // With --v8-flags=--expose-gc.
  const gc: unknown = Reflect.get(globalThis, "gc");
  if (typeof gc === "function") { for (let i = 0; i < 3; i++) gc(); }
  const { heapUsed, external, rss } = Deno.memoryUsage();
  return { heap: heapUsed, external, resident: rss };
}

async function start(folder: string): Promise<void> {
  const logger = getLogger(["bench"]);
  const clock = systemClock;
  const openedMs = performance.now();
  await using spool = await openFileSpool({
    folder,
    files: systemFiles,
    clock,
    logger,
    randomOctets,
    processId: Deno.pid,
    openBulkReader,
  });
  const openMs = performance.now() - openedMs;
  await using queue = new QueueRunner({
    spool,
    clock,
    logger,
    route: (address) => {
      const domain = domainOf(address);
      return { kind: "hop", hop: { kind: "mx", domain, key: `mx:${domain}` } };
    },
    deliver: ({ recipients }) =>
      Promise.resolve(
        recipients.map(() => ({ action: "relayed", status: "2.0.0", text: "250 ok", isRemoteReply: true })),
      ),
    reporter: { report: () => Promise.resolve(undefined) },
    settings: {
      retryMs: [2 * 60 * MINUTE_MS],
      warnAfterMs: 24 * 60 * MINUTE_MS,
      expireAfterMs: 120 * 60 * MINUTE_MS,
      concurrency: 200,
      limitsOf: () => ({ concurrency: 20, initial: 5 }),
    },
    random: Math.random,
  });
  const before = memory();
  const done = new AbortController();
  const watched = watch(spool, queue, done.signal);
  const cpuBefore = process.cpuUsage();
  const beganMs = performance.now();
  await queue.start();
  const seconds = (performance.now() - beganMs) / 1000;
  const { user, system } = process.cpuUsage(cpuBefore);
  done.abort();
  const { lateMs, mailMs } = await watched;
  const peak = Deno.memoryUsage().rss;
  const after = memory();
  const found = queue.size.scheduled;
  const each = (octets: number): string => (octets / found).toFixed(0);
  const speed = `${(found / seconds).toFixed(0)}/s, CPU ${(user / found).toFixed(1)} + ${
    (system / found).toFixed(1)
  } µs each`;
  print(`open ${openMs.toFixed(0)} ms; start ${seconds.toFixed(1)} s for ${found} messages (${speed})`);
  print(
    `event loop late by: median ${quantile(lateMs, 0.5)}, 99% ${quantile(lateMs, 0.99)}, max ${quantile(lateMs, 1)} ms`,
  );
  print(
    `new mail (${mailMs.length}) taken in: median ${quantile(mailMs, 0.5)}, 99% ${quantile(mailMs, 0.99)}, ` +
      `max ${quantile(mailMs, 1)} ms`,
  );
  print(
    `memory for each: heap ${each(after.heap - before.heap)}, external ${each(after.external - before.external)}, ` +
      `resident ${each(after.resident - before.resident)} octets; resident in all ${
        mib(after.resident)
      }, at the end of the ` +
      `start ${mib(peak)}`,
  );
}

function mib(octets: number): string {
  return `${(octets / 1024 / 1024).toFixed(0)} MiB`;
}

function print(line: string): void {
  Deno.stdout.writeSync(new TextEncoder().encode(`${line}\n`));
}

async function main(): Promise<void> {
  const flags = parseArgs(Deno.args, { string: ["messages", "folder"], boolean: ["keep", "cold"] });
  const messages = typeof flags.messages === "string" ? Number(flags.messages) : 100_000;
  const folder = typeof flags.folder === "string" ? flags.folder : "/tmp/posthorn-queue-scale";
  const isThere = await Deno.stat(folder).then(() => true, () => false);
  if (!isThere) {
    const beganMs = performance.now();
    makeSpool(folder, messages);
    print(`made ${messages} messages in ${((performance.now() - beganMs) / 1000).toFixed(0)} s`);
  }
  if (flags.cold) {
    await new Deno.Command("sync").output();
    await Deno.writeTextFile("/proc/sys/vm/drop_caches", "3");
  }
  try {
    await start(folder);
  } finally {
    if (!flags.keep) await Deno.remove(folder, { recursive: true });
  }
}

if (import.meta.main) await main();
