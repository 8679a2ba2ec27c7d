/** Started as root, the server binds port 25 and then runs as a plain user. */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { PosthornProcess } from "../support/posthorn_process.ts";
import { mustRun } from "../support/interop/command.ts";
import { MAIL_CLIENTS } from "../support/interop/mail_clients.ts";
import { traceFieldsBefore } from "../support/interop/maildir.ts";
import { awkwardMessage } from "../support/interop/messages.ts";
import { Namespace } from "../support/interop/namespace.ts";
import { peerTest } from "../support/interop/peers.ts";

const ALICE = { address: "alice@example.org", password: "correct horse battery staple" };
const USER = "nobody";

peerTest("Started as root, the server binds port 25, runs as the user of the configuration and delivers", [
  "root",
  "unshare",
  "nsenter",
  "ip",
  "swaks",
], async () => {
  await using namespace = await Namespace.create();
  await using posthorn = await PosthornProcess.start({
    prefix: namespace.prefix,
    listeners: [{ service: "mx", port: 25 }],
    accounts: [ALICE],
    config: { user: USER },
    isStopped: true,
  });
  await mustRun(["chmod", "755", posthorn.folder]);
  await mustRun(["chown", "-R", `${USER}:`, posthorn.folder]);
  await posthorn.restart();

  const uid = Number(await mustRun(["id", "-u", USER]));
  const gid = Number(await mustRun(["id", "-g", USER]));
  const status = await Deno.readTextFile(`/proc/${posthorn.pid}/status`);
  assertMatch(status, new RegExp(`^Uid:\\t${uid}\\t${uid}\\t${uid}\\t${uid}$`, "m"));
  assertMatch(status, new RegExp(`^Gid:\\t${gid}\\t${gid}\\t${gid}\\t${gid}$`, "m"));
  assertMatch(status, /^CapEff:\t0+$/m);

  const [swaks] = MAIL_CLIENTS;
  assert(swaks);
  const { octets } = awkwardMessage({ from: "x@elsewhere.example", to: ALICE.address, subject: "as nobody" });
  const sent = await swaks.send({
    prefix: namespace.prefix,
    host: "127.0.0.1",
    port: 25,
    security: "plain",
    caFile: "",
    from: "x@elsewhere.example",
    to: ALICE.address,
    content: octets,
    folder: posthorn.folder,
  });
  assertEquals(sent.code, 0, sent.stdout);
  const maildir = posthorn.maildir(ALICE.address);
  const [arrived] = await maildir.waitFor(1, { detail: () => posthorn.log });
  traceFieldsBefore(octets, arrived?.octets ?? new Uint8Array());
  assertEquals((await Deno.stat(`${maildir.path}/new/${arrived?.name}`)).uid, uid);
  assertEquals((await posthorn.kill("SIGTERM")).code, 0);
});
