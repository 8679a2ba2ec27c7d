/** A full disk refuses mail for the moment, loses none, and mends by itself once there is room. */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { PosthornProcess } from "../support/posthorn_process.ts";
import { type CommandResult } from "../support/interop/command.ts";
import { MAIL_CLIENTS } from "../support/interop/mail_clients.ts";
import { latin1Octets } from "../support/interop/maildir.ts";
import { Namespace } from "../support/interop/namespace.ts";
import { peerTest } from "../support/interop/peers.ts";
import { TemporaryFolder } from "../support/interop/temporary_folder.ts";
import { waitUntil } from "../support/interop/wait.ts";

const NEEDS = ["root", "unshare", "nsenter", "ip", "swaks"] as const;
const ALICE = { address: "alice@example.org", password: "correct horse battery staple" };
const QUEUE = { "retry": ["1s"], "warn_after": "1h", "expire_after": "2h" };
const STRANGER = "x@elsewhere.example";

async function send(
  namespace: Namespace,
  posthorn: PosthornProcess,
  content: Uint8Array<ArrayBuffer>,
): Promise<CommandResult> {
  const [swaks] = MAIL_CLIENTS;
  assert(swaks);
  return await swaks.send({
    prefix: namespace.prefix,
    host: "127.0.0.1",
    port: posthorn.port("mx"),
    security: "plain",
    caFile: "",
    from: STRANGER,
    to: ALICE.address,
    content,
    folder: posthorn.folder,
  });
}

function message(number: number, octets: number): Uint8Array<ArrayBuffer> {
  const line = `${"x".repeat(76)}\r\n`;
  return latin1Octets(`Subject: message ${number}\r\n\r\n${line.repeat(Math.ceil(octets / line.length))}`);
}

peerTest(
  "A full disk answers 452 4.3.1; what was accepted arrives, and mail flows again once there is room",
  NEEDS,
  async () => {
    await using namespace = await Namespace.create();
    const disk = await Deno.makeTempDir({ prefix: "posthorn-disk-" });
    await using _removal = { [Symbol.asyncDispose]: () => Deno.remove(disk, { recursive: true }) };
    await namespace.mountTmpfs(disk, "8m");
    await using posthorn = await PosthornProcess.start({
      prefix: namespace.prefix,
      seenAs: (path) => namespace.seen(path),
      dataFolder: `${disk}/data`,
      listeners: [{ service: "mx" }],
      accounts: [ALICE],
      config: { queue: QUEUE, limits: { free_space: 0 } },
    });
    const maildir = posthorn.maildir(ALICE.address);
    assertEquals((await send(namespace, posthorn, message(0, 1000))).code, 0, posthorn.log);
    await maildir.waitFor(1, { detail: () => posthorn.log });

    const ballast = namespace.seen(`${disk}/ballast`);
    await Deno.writeFile(ballast, new Uint8Array(7_000_000));
    const accepted = [0];
    let refusals = 0;
    for (let number = 1; refusals < 3; number++) {
      const { code, stdout } = await send(namespace, posthorn, message(number, 150_000));
      if (code === 0) {
        accepted.push(number);
      } else {
        assertMatch(stdout, /^<[~*]{1,2}\s+452 4\.3\.1 /m);
        refusals++;
      }
      assert(number < 60, "the disk never got full");
    }
    await Deno.remove(ballast);

    const last = 1000;
    await waitUntil(async () => (await send(namespace, posthorn, message(last, 150_000))).code === 0 || undefined, {
      what: "mail to be accepted again",
      everyMs: 200,
      detail: () => posthorn.log,
    });
    accepted.push(last);
    await posthorn.waitForEmptyQueue(30_000);
    const subjects = (await maildir.messages()).map(({ text }) =>
      Number(/^Subject: message (\d+)\r$/m.exec(text)?.[1])
    );
    assertEquals(subjects.sort((a, b) => a - b), accepted);
    for (const { text } of await maildir.messages()) assert(text.endsWith(`${"x".repeat(76)}\r\n`), "truncated");
    assertEquals((await maildir.names("tmp")).length, 0);
  },
);

function subjects(messages: readonly { readonly text: string }[]): number[] {
  return messages.map(({ text }) => Number(/^Subject: message (\d+)\r?$/m.exec(text)?.[1])).sort((a, b) => a - b);
}

peerTest(
  "Below limits.free_space MAIL is refused and the queue drains; the log tells the beginning and the end once",
  NEEDS,
  async () => {
    await using namespace = await Namespace.create();
    await using folder = await TemporaryFolder.create();
    await namespace.mountTmpfs(folder.path, "20m");
    await using posthorn = await PosthornProcess.start({
      prefix: namespace.prefix,
      seenAs: (path) => namespace.seen(path),
      dataFolder: `${folder.path}/data`,
      listeners: [{ service: "mx" }],
      accounts: [ALICE],
      config: { queue: QUEUE, limits: { free_space: "5MiB" } },
    });
    const maildir = posthorn.maildir(ALICE.address);
    const ballast = namespace.seen(`${folder.path}/ballast`);
    // Mail that waits: its mailbox is gone for now.
    assertEquals((await send(namespace, posthorn, message(0, 1000))).code, 0, posthorn.log);
    await maildir.waitFor(1, { detail: () => posthorn.log });
    await Deno.rename(maildir.path, `${maildir.path}.away`);
    assertEquals((await send(namespace, posthorn, message(1, 150_000))).code, 0, posthorn.log);
    await posthorn.waitForDelay();

    await Deno.writeFile(ballast, new Uint8Array(16 * 2 ** 20));
    // The disk is asked once a second: some may still be taken.
    const accepted = [0, 1];
    await waitUntil(async () => {
      const { code, stdout } = await send(namespace, posthorn, message(2, 100));
      if (code === 0) accepted.push(2);
      return /^<[~*]{1,2}\s+452 4\.3\.1 /m.test(stdout) || undefined;
    }, { what: "mail to be refused", everyMs: 200, detail: () => posthorn.log });
    await posthorn.waitForLog(
      /Little room on the disk of .*\/spool: .* the limit is 5 MiB and .* refused with 452 4\.3\.1/,
    );
    await Deno.rename(`${maildir.path}.away`, maildir.path);
    await maildir.waitFor(2, { detail: () => posthorn.log });

    await Deno.remove(ballast);
    await waitUntil(async () => (await send(namespace, posthorn, message(3, 100))).code === 0 || undefined, {
      what: "mail to be taken again",
      everyMs: 200,
      detail: () => posthorn.log,
    });
    await posthorn.waitForEmptyQueue();
    assertEquals(subjects(await maildir.messages()), [...accepted, 3]);
    // Its line may be read after mail that was taken behind it.
    await posthorn.waitForLog(/Room again on the disk of/);
    assertEquals(posthorn.log.match(/Little room on the disk of/g)?.length, 1, posthorn.log);
    assertEquals(posthorn.log.match(/Room again on the disk of/g)?.length, 1, posthorn.log);
  },
);

peerTest(
  "While the disk of the mailboxes is full and that of the queue is not, mail is taken and waits, and then comes whole",
  NEEDS,
  async () => {
    await using namespace = await Namespace.create();
    await using posthorn = await PosthornProcess.start({
      prefix: namespace.prefix,
      seenAs: (path) => namespace.seen(path),
      listeners: [{ service: "mx" }],
      accounts: [ALICE],
      config: { queue: QUEUE },
      isStopped: true,
    });
    const mail = `${posthorn.dataFolder}/mail`;
    await Deno.mkdir(mail, { recursive: true });
    await namespace.mountTmpfs(mail, "1m");
    await posthorn.restart();
    const maildir = posthorn.maildir(ALICE.address);
    const sent = Array.from({ length: 22 }, (_, number) => number);
    for (const number of sent) {
      assertEquals((await send(namespace, posthorn, message(number, 60_000))).code, 0, posthorn.log);
    }
    await posthorn.waitForLog(/delayed for alice@example\.org .* status 4\.3\.1/);
    const there = await maildir.messages();
    assert(there.length > 0 && there.length < sent.length, `${there.length} messages`);
    for (const { text } of there) assertMatch(text, /x{76}\r?\n$/, "half of a message");
    await namespace.run(["mount", "-o", "remount,size=8m", mail]);
    await maildir.waitFor(sent.length, { timeoutMs: 30_000, detail: () => posthorn.log });
    await posthorn.waitForEmptyQueue();
    assertEquals(subjects(await maildir.messages()), sent);
    for (const { text } of await maildir.messages()) assertMatch(text, /x{76}\r?\n$/, "half of a message");
    assertEquals((await maildir.names("tmp")).length, 0);
  },
);
