/**
 * Faults of a real machine under a running server: a disk that can only be read, no file descriptors, queue files that
 * cannot be read, two servers on one spool, a DNS that is gone. Nothing is lost, and it mends by itself. A full disk is
 * `full_disk_test.ts`; DNS that is silent, SERVFAIL and kill -9 are in `postfix_test.ts` and `kill_under_load_test.ts`.
 */

import { createSocket } from "node:dgram";
import { once } from "node:events";
import { assert, assertEquals, assertMatch } from "@std/assert";
import { DnsServer } from "../support/dns_server.ts";
import { PosthornProcess } from "../support/posthorn_process.ts";
import { mustRun } from "../support/interop/command.ts";
import { SmtpDialog } from "../support/interop/dialog.ts";
import { freePort } from "../support/interop/free_port.ts";
import { MAIL_CLIENTS } from "../support/interop/mail_clients.ts";
import { latin1, latin1Octets } from "../support/interop/maildir.ts";
import { Namespace } from "../support/interop/namespace.ts";
import { peerTest, programPath } from "../support/interop/peers.ts";
import { SmtpSink } from "../support/interop/sink.ts";
import { waitUntil } from "../support/interop/wait.ts";

const ALICE = { address: "alice@example.org", password: "correct horse battery staple" };
const STRANGER = "x@elsewhere.example";
const BOB = "bob@remote.example";

function message(subject: string): Uint8Array<ArrayBuffer> {
  return latin1Octets(`Subject: ${subject}\r\n\r\nHello\r\n`);
}

/** One session with one message. @returns The reply that decided. */
async function send(port: number, to: string, subject: string): Promise<string> {
  using dialog = await SmtpDialog.open(port);
  return await dialog.send(STRANGER, [to], message(subject));
}

/** Sends a message to ALICE from inside a namespace. @returns The dialogue. */
async function submitInside(namespace: Namespace, posthorn: PosthornProcess, subject: string): Promise<string> {
  const [swaks] = MAIL_CLIENTS;
  assert(swaks);
  const { stdout } = await swaks.send({
    prefix: namespace.prefix,
    host: "127.0.0.1",
    port: posthorn.port("mx"),
    security: "plain",
    caFile: "",
    from: STRANGER,
    to: ALICE.address,
    content: message(subject),
    folder: posthorn.folder,
  });
  return stdout;
}

/** As the kernel does it after an error: what is open stays open, and nothing can be changed any more. */
async function setReadOnly(namespace: Namespace, folder: string): Promise<void> {
  await namespace.run(["mount", "--bind", folder, folder]);
  await namespace.run(["mount", "-o", "remount,ro,bind", folder]);
}

/** A server whose mail to others goes to the sink, tried every second. */
function relayConfig(via: string): Readonly<Record<string, unknown>> {
  return {
    relay_from: ["127.0.0.0/8"],
    routes: [{ domain: "remote.example", via }],
    queue: { retry: ["1s"], warn_after: "1h", expire_after: "2h" },
  };
}

function subjects(texts: readonly { readonly text: string }[]): (string | undefined)[] {
  return texts.map(({ text }) => /^Subject: (.+)\r$/m.exec(text)?.[1]).sort();
}

peerTest(
  "A spool that turns read-only gives 451 4.3.0 and a line that says why; writable again, mail flows by itself",
  [
    "root",
    "unshare",
    "nsenter",
    "ip",
    "swaks",
  ],
  async () => {
    await using namespace = await Namespace.create();
    await using posthorn = await PosthornProcess.start({
      prefix: namespace.prefix,
      listeners: [{ service: "mx" }],
      accounts: [ALICE],
      config: { queue: { retry: ["1s"], warn_after: "1h", expire_after: "2h" } },
    });
    const data = `${posthorn.folder}/data`;
    const submit = (subject: string): Promise<string> => submitInside(namespace, posthorn, subject);
    assertMatch(await submit("before"), /250 2\.0\.0 /);
    await posthorn.waitForEmptyQueue();

    await setReadOnly(namespace, `${data}/spool`);
    assertMatch(await submit("direct"), /250 2\.0\.0 /, "mail for a mailbox here needs no spool");
    await setReadOnly(namespace, `${data}/mail`);
    for (let i = 0; i < 3; i++) assertMatch(await submit("refused"), /451 4\.3\.0 /);
    assertMatch(
      await posthorn.waitForLog(/Cannot store message/),
      /Read-only file system .*\/spool\/incoming\/.*; the client was told to try later/,
    );
    await namespace.run(["umount", `${data}/spool`]);
    await namespace.run(["umount", `${data}/mail`]);
    assertMatch(await submit("after"), /250 2\.0\.0 /);
    await posthorn.waitForEmptyQueue();

    // Only the mailboxes: what was accepted waits, and comes once.
    await setReadOnly(namespace, `${data}/mail`);
    assertMatch(await submit("waits"), /250 2\.0\.0 /);
    await posthorn.waitForLog(/delayed for alice@example\.org .* status 4\.3\.0/);
    await namespace.run(["umount", `${data}/mail`]);
    await posthorn.waitForEmptyQueue();

    assertEquals(subjects(await posthorn.maildir(ALICE.address).messages()), ["after", "before", "direct", "waits"]);
    assertEquals((await posthorn.maildir(ALICE.address).names("tmp")).length, 0);
    assert(!posthorn.log.includes("which belongs to no accepted message"), "there was nothing to take back");
  },
);

peerTest("A disk that turns read-only between delivery and record does not make the message come twice", [
  "root",
  "unshare",
  "nsenter",
  "ip",
  "swaks",
], async () => {
  await using namespace = await Namespace.create();
  await using posthorn = await PosthornProcess.start({
    prefix: namespace.prefix,
    listeners: [{ service: "mx" }],
    accounts: [ALICE],
    config: { queue: { retry: ["1s"], warn_after: "1h", expire_after: "2h" } },
  });
  const spool = `${posthorn.folder}/data/spool`;
  const maildir = posthorn.maildir(ALICE.address);
  assertMatch(await submitInside(namespace, posthorn, "first"), /250 2\.0\.0 /);
  await posthorn.waitForEmptyQueue();
  // The mailbox cannot be entered first, so that there is time to turn the spool read-only.
  await namespace.run(["mount", "-t", "tmpfs", "-o", "ro", "tmpfs", `${posthorn.folder}/data/mail`]);
  assertMatch(await submitInside(namespace, posthorn, "once"), /250 2\.0\.0 /);
  await posthorn.waitForLog(/delayed for alice@example\.org/);
  await setReadOnly(namespace, spool);
  await namespace.run(["umount", `${posthorn.folder}/data/mail`]);
  await maildir.waitFor(2, { detail: () => posthorn.log });
  await posthorn.waitForLog(/cannot record the outcome, will try again in 2s: .*Read-only file system/);
  assertEquals((await posthorn.queueFiles()).length, 1);
  await namespace.run(["umount", spool]);
  await posthorn.waitForEmptyQueue(20_000);
  assertEquals((await maildir.names()).length, 2);
});

peerTest("Without file descriptors the server lives, tells of it once, and takes mail again when some are free", [
  "prlimit",
], async () => {
  const descriptors = 90;
  await using posthorn = await PosthornProcess.start({
    prefix: [programPath("prlimit"), `--nofile=${descriptors}:${descriptors}`, "--"],
    listeners: [{ service: "mx" }],
    accounts: [ALICE],
    config: { limits: { connections_per_ip: 1000 }, queue: { retry: ["1s"] } },
  });
  const port = posthorn.port("mx");
  assertMatch(await send(port, ALICE.address, "before"), /^250 2\.0\.0 /);
  using early = await SmtpDialog.open(port);
  const crowd: Deno.Conn[] = [];
  for (let i = 0; i < 2 * descriptors; i++) crowd.push(await Deno.connect({ hostname: "127.0.0.1", port }));
  await posthorn.waitForLog(/Cannot accept connections on 127\.0\.0\.1:\d+: Too many open files/);
  // A session that is there already is told to come back, or is served: it is not lost.
  assertMatch(await early.send(STRANGER, [ALICE.address], message("crowded")), /^(250 2\.0\.0|451 4\.3\.0) /);

  const before = await cpuTicks(posthorn.pid);
  await new Promise((resolve) => setTimeout(resolve, 2_000));
  const ticks = await cpuTicks(posthorn.pid) - before;
  assert(ticks < 60, `${ticks} ticks of CPU in 2 s: a busy loop`);
  const complaints = posthorn.log.split("\n").filter((line) => line.includes("Cannot accept connections"));
  assertEquals(complaints.length, 1, complaints.join("\n"));

  for (const connection of crowd) connection.close();
  await waitUntil(async () => {
    const reply = await send(port, ALICE.address, "after").catch(String);
    return reply.startsWith("250") ? true : undefined;
  }, { what: "mail to be taken again", everyMs: 100, detail: () => posthorn.log });
  await posthorn.waitForLog(/Connections on .* are accepted again/);
  await posthorn.waitForEmptyQueue();
  const arrived = subjects(await posthorn.maildir(ALICE.address).messages());
  assert(arrived.includes("after") && arrived.includes("before"), String(arrived));
});

/** CPU time of a process in hundredths of a second. */
async function cpuTicks(pid: number): Promise<number> {
  const fields = (await Deno.readTextFile(`/proc/${pid}/stat`)).replace(/^.*\) /, "").split(" ");
  return Number(fields[11]) + Number(fields[12]);
}

peerTest("Queue files that cannot be read or understood hold up nobody else, are told of, and are kept", [
  "root",
], async () => {
  let isOpen = false;
  await using sink = new SmtpSink({
    reply: ({ kind }) => kind === "recipient" && !isOpen ? "450 4.2.0 Later" : undefined,
  });
  await using posthorn = await PosthornProcess.start({
    listeners: [{ service: "mx" }],
    config: { user: "nobody", ...relayConfig(`smtp://127.0.0.1:${sink.port}`) },
    isStopped: true,
  });
  await mustRun(["chmod", "755", posthorn.folder]);
  await mustRun(["chown", "-R", "nobody:", posthorn.folder]);
  await posthorn.restart();
  const port = posthorn.port("mx");
  for (const subject of ["forbidden", "garbage", "torn", "whole"]) {
    assertMatch(await send(port, BOB, subject), /^250 2\.0\.0 /);
  }
  await waitUntil(async () => {
    const texts = await Promise.all((await posthorn.queueFiles()).map((file) => Deno.readTextFile(file)));
    return texts.length === 4 && texts.every((text) => text.includes('"event":"attempt"')) ? true : undefined;
  }, { what: "four delays", detail: () => posthorn.log });
  await posthorn.kill("SIGKILL");
  const fileOf = new Map<string, string>();
  for (const file of await posthorn.queueFiles()) {
    fileOf.set(/^Subject: (.+)\r$/m.exec(latin1(await Deno.readFile(file)))?.[1] ?? "", file);
  }
  const path = (subject: string): string => fileOf.get(subject) ?? "";
  await Deno.chmod(path("forbidden"), 0);
  await Deno.writeTextFile(path("garbage"), "no spool file at all\n");
  await Deno.writeTextFile(path("torn"), '{"event":"attempt","at":"2026-', { append: true });
  isOpen = true;

  await posthorn.restart();
  await waitUntil(() => sink.messages.length >= 2 || undefined, { what: "two messages", detail: () => posthorn.log });
  const forbidden = await posthorn.waitForLog(
    /Cannot read spool file .*, which is left where it is: .*Permission denied/,
  );
  assert(forbidden.includes(path("forbidden")), forbidden);
  const garbage = await posthorn.waitForLog(/cannot be understood and is now .*\/broken\//);
  assert(garbage.includes(path("garbage")), garbage);
  const aside = path("garbage").replace(/queue\/..\//, "broken/");
  assertEquals(await Deno.readTextFile(aside), "no spool file at all\n");
  await waitUntil(async () => (await posthorn.queueFiles()).length === 1 || undefined, { what: "one file to be left" });
  assertEquals(await posthorn.queueFiles(), [path("forbidden")]);

  await Deno.chmod(path("forbidden"), 0o600);
  await posthorn.restart();
  await posthorn.waitForEmptyQueue();
  assertEquals(subjects(sink.messages), ["forbidden", "torn", "whole"], "each of them once");
});

Deno.test("A second server on the same spool ends with code 69 and a line that names the first; after kill -9 there is no lock", async () => {
  let isOpen = false;
  await using sink = new SmtpSink({
    reply: ({ kind }) => kind === "recipient" && !isOpen ? "450 4.2.0 Later" : undefined,
  });
  const config = relayConfig(`smtp://127.0.0.1:${sink.port}`);
  await using first = await PosthornProcess.start({ listeners: [{ service: "mx" }], config });
  await using second = await PosthornProcess.start({
    listeners: [{ service: "mx" }],
    config,
    dataFolder: first.dataFolder,
    isStopped: true,
  });
  assertMatch(await send(first.port("mx"), BOB, "waits"), /^250 2\.0\.0 /);
  await first.waitForDelay();
  const refused = await second.run(["serve"]);
  assertEquals(refused.code, 69, refused.stderr);
  assertMatch(
    refused.stderr,
    new RegExp(`Cannot lock spool folder ".*/spool": in use by process ${first.pid}; is posthorn running already\\?`),
  );
  assertEquals((await Deno.readTextFile(`${first.dataFolder}/posthorn.pid`)).trim(), String(first.pid));
  assertMatch(await send(first.port("mx"), BOB, "goes on"), /^250 2\.0\.0 /);
  await first.kill("SIGKILL");
  isOpen = true;
  await second.restart();
  await second.waitForEmptyQueue();
  assertEquals(subjects(sink.messages), ["goes on", "waits"]);
});

Deno.test("While no DNS server answers, mail for others waits with 4.4.3, mail for us arrives, and it goes by itself afterwards", async () => {
  await using sink = new SmtpSink();
  const dnsPort = freePort();
  await using posthorn = await PosthornProcess.start({
    listeners: [{ service: "mx" }],
    accounts: [ALICE],
    config: {
      ...relayConfig(`smtp://relay.example:${sink.port}`),
      dns: { servers: [`127.0.0.1:${dnsPort}`, `127.0.0.1:${freePort()}`] },
    },
  });
  const port = posthorn.port("mx");
  assertMatch(await send(port, BOB, "out"), /^250 2\.0\.0 /);
  assertMatch(await send(port, ALICE.address, "in"), /^250 2\.0\.0 /);
  await posthorn.maildir(ALICE.address).waitFor(1, { timeoutMs: 3_000, detail: () => posthorn.log });
  await posthorn.waitForLog(/delayed for bob@remote\.example .* status 4\.4\.3/, 60_000);
  const listener = Deno.listen({ hostname: "127.0.0.1", port: dnsPort });
  const socket = createSocket("udp4");
  socket.bind(dnsPort, "127.0.0.1");
  await once(socket, "listening");
  await using _dns = new DnsServer({ "relay.example": { A: ["127.0.0.1"] } }, listener, socket);
  await posthorn.waitForEmptyQueue(60_000);
  assertEquals(subjects(sink.messages), ["out"]);
  assertEquals((await posthorn.maildir(ALICE.address).names()).length, 1);
});
