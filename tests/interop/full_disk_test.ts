/** A full disk refuses mail for the moment, loses none, and mends by itself once there is room. */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { PosthornProcess } from "../support/posthorn_process.ts";
import { type CommandResult } from "../support/interop/command.ts";
import { MAIL_CLIENTS } from "../support/interop/mail_clients.ts";
import { latin1Octets } from "../support/interop/maildir.ts";
import { Namespace } from "../support/interop/namespace.ts";
import { peerTest } from "../support/interop/peers.ts";
import { waitUntil } from "../support/interop/wait.ts";

const ALICE = { address: "alice@example.org", password: "correct horse battery staple" };
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

peerTest("A full disk answers 452 4.3.1; what was accepted arrives, and mail flows again once there is room", [
  "root",
  "unshare",
  "nsenter",
  "ip",
  "swaks",
], async () => {
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
    config: { queue: { retry: ["1s"], warn_after: "1h", expire_after: "2h" } },
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
  const subjects = (await maildir.messages()).map(({ text }) => Number(/^Subject: message (\d+)\r$/m.exec(text)?.[1]));
  assertEquals(subjects.sort((a, b) => a - b), accepted);
  for (const { text } of await maildir.messages()) assert(text.endsWith(`${"x".repeat(76)}\r\n`), "truncated");
  assertEquals((await maildir.names("tmp")).length, 0);
});
