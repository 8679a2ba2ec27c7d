/**
 * Ten thousand connections that do nothing, or drip: what they cost in memory and in time. How much is little depends on
 * the runtime, so the bounds are those of a bare listener that is measured in the same run.
 */

import { assert } from "@std/assert";
import { freePort } from "../support/interop/free_port.ts";
import { Crowd, type Manner } from "../support/interop/crowd.ts";
import { Daemon } from "../support/interop/daemon.ts";
import { SmtpDialog } from "../support/interop/dialog.ts";
import { latin1Octets } from "../support/interop/maildir.ts";
import { report } from "../support/interop/peers.ts";
import { descriptorLimit, mebi, processMemory } from "../support/interop/process_memory.ts";
import { waitUntil } from "../support/interop/wait.ts";
import { type PosthornOptions, PosthornProcess, startOptions } from "../support/posthorn_process.ts";

const WANTED = 10_000;
/** Descriptors that the processes need for other things. */
const SPARE_DESCRIPTORS = 200;
/** The promise is 150 MB for 10,000 of them; a fixed bound that must hold on any machine has to leave room. */
const CAP_OCTETS = 200_000_000;
const MESSAGES = 200;
/** What may still be held of the memory of connections some time after they ended, as a share. */
const GIVEN_BACK = 0.7;
/** What a heap grows by for other reasons: compiled code, and garbage that was not collected yet. */
const SLACK_OCTETS = 10 * 1024 * 1024;

const ALICE = { address: "alice@example.org", password: "correct horse battery staple" };

/** Each round has a loopback address of its own: the kernel keeps the ports of closed connections for a minute. */
const HOSTS = ["127.0.0.1", "127.0.0.2", "127.0.0.3", "127.0.0.4"] as const;
const OPTIONS: PosthornOptions = {
  accounts: [ALICE],
  listeners: HOSTS.map((host) => ({ service: "mx", host })),
  config: { limits: { connections: 2 * WANTED, connections_per_ip: 2 * WANTED }, log: { level: "warning" } },
};
const isLinux = Deno.build.os === "linux";

Deno.test({
  name: `${WANTED} idle connections cost little more than those of a bare listener, and do not slow the others`,
  ignore: !isLinux,
  fn: async () => {
    await using posthorn = await PosthornProcess.start(OPTIONS);
    const count = await possible(posthorn.pid);
    const bare = await bareCost(count);
    const port = posthorn.port("mx");
    await medianMs(port);
    const alone = await medianMs(port);
    const idle = await processMemory(posthorn.pid);
    using _crowd = await Crowd.gather(count, port, HOSTS[0]);
    const crowded = await processMemory(posthorn.pid);
    const among = await medianMs(port);
    const each = (crowded.own - idle.own) / count;
    await report(
      `memory: ${count} idle connections ${mebi(crowded.total)} in all, ${mebi(idle.total)} without them; each ` +
        `${Math.round(each)} octets, of a bare listener ${Math.round(bare)}; a message takes ${among.toFixed(2)} ms ` +
        `among them, ${alone.toFixed(2)} ms without`,
    );
    assert(each < 1.5 * bare + SLACK_OCTETS / count, `${each} octets each, of a bare listener ${bare}`);
    assert(crowded.total < CAP_OCTETS, `${mebi(crowded.total)} in all`);
    assert(among < 2 * alone + 2, `a message takes ${among} ms, and ${alone} ms without the others`);
  },
});

Deno.test({
  name: "connections that drip, pipeline or stay silent give their memory back when they end",
  ignore: !isLinux,
  fn: async () => {
    await using posthorn = await PosthornProcess.start(OPTIONS);
    const count = await possible(posthorn.pid);
    const idle = await processMemory(posthorn.pid);
    const full: number[] = [];
    for (const { host, port } of posthorn.listeners.slice(1)) {
      using crowd = await Crowd.gather(count, port, host, mixed);
      full.push((await processMemory(posthorn.pid)).own);
      crowd[Symbol.dispose]();
      await isEmpty(posthorn);
    }
    const [, before = 0, after = 0] = full;
    const each = (Math.max(...full) - idle.own) / count;
    const rest = await waitUntil(async () => {
      const { own } = await processMemory(posthorn.pid);
      return own < idle.own + GIVEN_BACK * (after - idle.own) + SLACK_OCTETS ? own : undefined;
    }, { what: "the memory of the connections to be given back", timeoutMs: 120_000, everyMs: 500 });
    await report(
      `memory: ${count} dripping, pipelining and silent connections, three times: ${
        full.map(mebi).join(", ")
      } (own); ` +
        `each at most ${Math.round(each)} octets; ${mebi(rest)} some time after they ended`,
    );
    assert(after < before * 1.25 + SLACK_OCTETS, `from ${mebi(before)} to ${mebi(after)} with connections`);
    assert(each < 20 * 1024 + 2 * SLACK_OCTETS / count, `${each} octets for each connection`);
  },
});

/** As many connections as this process and the server may have. */
async function possible(pid: number): Promise<number> {
  const limit = Math.min(await descriptorLimit("self"), await descriptorLimit(pid)) - SPARE_DESCRIPTORS;
  if (limit < WANTED) await report(`memory: only ${limit} connections, because ulimit -n allows no more`);
  return Math.min(WANTED, limit);
}

/** What a connection costs a program that does nothing but wait for it, in octets. */
async function bareCost(count: number): Promise<number> {
  const port = freePort();
  const program = `${import.meta.dirname}/../support/interop/bare_listener.ts`;
  const listener = new Daemon([Deno.execPath(), "run", "--quiet", ...startOptions(), program, String(port)]);
  await using _end = listener;
  const detail = (): string => listener.log;
  await waitUntil(() => Crowd.gather(1, port, HOSTS[0]).catch(() => undefined), { what: "the bare listener", detail })
    .then((first) => first[Symbol.dispose]());
  const before = await processMemory(listener.pid);
  using _crowd = await Crowd.gather(count, port, HOSTS[0]);
  return ((await processMemory(listener.pid)).own - before.own) / count;
}

/** How long a small message takes from MAIL to the last reply, on one connection. */
async function medianMs(port: number): Promise<number> {
  using dialog = await SmtpDialog.open(port);
  const content = latin1Octets(`Subject: how long?\r\n\r\n${"x".repeat(70)}\r\n`);
  const times: number[] = [];
  for (let message = 0; message < MESSAGES; message++) {
    const start = performance.now();
    dialog.expect("250", await dialog.send("bob@client.example", [ALICE.address], content));
    times.push(performance.now() - start);
  }
  return times.sort((a, b) => a - b)[MESSAGES / 2] ?? NaN;
}

/** Waits until the server has noticed the end of all connections: what is left are its listeners and the like. */
async function isEmpty(posthorn: PosthornProcess): Promise<void> {
  await waitUntil(async () => {
    let sockets = 0;
    for await (const { name } of Deno.readDir(`/proc/${posthorn.pid}/fd`)) {
      const target = await Deno.readLink(`/proc/${posthorn.pid}/fd/${name}`).catch(() => "");
      if (target.startsWith("socket:")) sockets++;
    }
    return sockets < 100 ? true : undefined;
  }, { what: "the end of all connections", detail: () => posthorn.log });
}

/** Half a command line, in two pieces: it does not fit into the room of an idle connection. */
const dripCommand: Manner = async (conn) => {
  await writeAll(conn, "MAIL FROM:<");
  await writeAll(conn, "x".repeat(1000));
};

/** Half a message. */
const dripContent: Manner = async (conn) => {
  await greet(conn);
  await writeAll(conn, `MAIL FROM:<>\r\nRCPT TO:<${ALICE.address}>\r\nDATA\r\n`);
  await readUntil(conn, /^354 .*\r\n$/m);
  await writeAll(conn, "Subject: never\r\n");
};

/** Many commands at once, and all the replies. */
const pipeline: Manner = async (conn) => {
  await greet(conn);
  await writeAll(conn, "NOOP\r\n".repeat(50) + "VRFY end\r\n");
  await readUntil(conn, /^252 .*\r\n$/m);
};

const MANNERS: readonly (Manner | undefined)[] = [dripCommand, dripContent, pipeline, undefined];
const mixed: Manner = async (conn, index) => await MANNERS[index % MANNERS.length]?.(conn, index);

async function greet(conn: Deno.Conn): Promise<void> {
  await writeAll(conn, "EHLO client.example\r\n");
  await readUntil(conn, /^250 .*\r\n$/m);
}

async function writeAll(conn: Deno.Conn, text: string): Promise<void> {
  const octets = latin1Octets(text);
  for (let at = 0; at < octets.length;) at += await conn.write(octets.subarray(at));
}

async function readUntil(conn: Deno.Conn, pattern: RegExp): Promise<void> {
  const room = new Uint8Array(4096);
  for (let text = ""; !pattern.test(text);) {
    const count = await conn.read(room);
    if (count === null) throw new Error(`Closed after: ${text}`);
    text += new TextDecoder().decode(room.subarray(0, count));
  }
}
