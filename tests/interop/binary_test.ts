/** The single executable, named by $POSTHORN_BINARY, does what the program does. */

import { assertEquals, assertMatch, assertNotMatch } from "@std/assert";
import { bucketOf, QueueIds } from "../../lib/queue/queue_id.ts";
import { encodeEnvelope, encodeEvents, encodeHead } from "../../lib/queue/spool_file.ts";
import { systemClock } from "../../lib/system/clock.ts";
import { PosthornProcess } from "../support/posthorn_process.ts";
import { outcome, sampleContent, sampleEnvelope } from "../support/queue_samples.ts";
import { TestAuthority } from "../support/interop/certificates.ts";
import { mustRun } from "../support/interop/command.ts";
import { MAIL_CLIENTS } from "../support/interop/mail_clients.ts";
import { traceFieldsBefore } from "../support/interop/maildir.ts";
import { awkwardMessage } from "../support/interop/messages.ts";
import { peerTest } from "../support/interop/peers.ts";
import { TemporaryFolder } from "../support/interop/temporary_folder.ts";

const ALICE = { address: "alice@example.org", password: "correct horse battery staple" };

peerTest("The executable tells its version", ["POSTHORN_BINARY"], async () => {
  assertMatch(await mustRun([Deno.env.get("POSTHORN_BINARY") ?? "", "version"]), /\b\d+\.\d+\.\d+\b/);
});

peerTest(
  "The executable checks a configuration: 0 for a good one, 78 and the place for a bad one",
  ["POSTHORN_BINARY"],
  async () => {
    await using posthorn = await PosthornProcess.start({ isStopped: true });
    const good = await posthorn.run(["check"]);
    assertEquals(good.code, 0, good.stderr);
    await posthorn.configure({ hostnam: "x" });
    const bad = await posthorn.run(["check"]);
    assertEquals(bad.code, 78);
    assertMatch(bad.stdout + bad.stderr, /posthorn\.yaml:\d+:\d+.*hostnam/);
  },
);

peerTest("The executable takes a message over implicit TLS and puts it into the Maildir", [
  "POSTHORN_BINARY",
  "curl",
  "openssl",
], async () => {
  await using folder = await TemporaryFolder.create();
  const authority = await TestAuthority.create(folder.path);
  const certificate = await authority.issue("mail", ["DNS:mail.example.org", "IP:127.0.0.1"]);
  await using posthorn = await PosthornProcess.start({
    config: { tls: { certificates: [certificate] } },
    isStopped: true,
  });
  await posthorn.addAccount(ALICE.address, ALICE.password);
  await posthorn.restart();
  const curl = MAIL_CLIENTS.find(({ name }) => name === "curl");
  const message = awkwardMessage({ from: ALICE.address, to: ALICE.address, subject: "by the executable" });
  const sent = await curl?.send({
    host: "127.0.0.1",
    port: posthorn.port("submission", "implicit"),
    security: "implicit",
    caFile: authority.file,
    login: { mechanism: "PLAIN", username: ALICE.address, password: ALICE.password },
    from: ALICE.address,
    to: ALICE.address,
    content: message.octets,
    folder: folder.path,
  });
  assertEquals(sent?.code, 0, `${sent?.stderr}\n${posthorn.log}`);
  const [arrived] = await posthorn.maildir(ALICE.address).waitFor(1, { detail: () => posthorn.log });
  traceFieldsBefore(message.octets, arrived?.octets ?? new Uint8Array());
  assertEquals((await posthorn.kill("SIGTERM")).code, 0);
});

peerTest("The executable checks the hashes of other servers, whose code it holds besides", [
  "POSTHORN_BINARY",
  "curl",
  "openssl",
], async () => {
  const password = "Grüße, Welt";
  const hashes = [
    "{ARGON2ID}$argon2id$v=19$m=256,t=2,p=2$c2FsdHNhbHRzYWx0$vg54UmE7grpdEAsn6YpW0JjZZuGKPkN2lleHsbtV68Q",
    "{BLF-CRYPT}$2y$05$gMJwKZy6bv10A/8euFlc9esXhBCwqei4OykbuQruqE1tmgR.NTRzy",
    "$5$MWH6hiLsgSTFyY4t$pqwy.Rdps.J5g1OHYKbaL/2A497OVXi2QFep0HA6cL8",
  ];
  await using folder = await TemporaryFolder.create();
  const authority = await TestAuthority.create(folder.path);
  const certificate = await authority.issue("mail", ["DNS:mail.example.org", "IP:127.0.0.1"]);
  await using posthorn = await PosthornProcess.start({
    config: { tls: { certificates: [certificate] } },
    isStopped: true,
  });
  const lines = hashes.map((hash, at) => `user${at}@example.org: { password: "${hash}" }\n`);
  await Deno.writeTextFile(`${posthorn.folder}/accounts.yaml`, lines.join(""));
  await posthorn.restart();
  const curl = MAIL_CLIENTS.find(({ name }) => name === "curl");
  for (const at of hashes.keys()) {
    const address = `user${at}@example.org`;
    const sent = await curl?.send({
      host: "127.0.0.1",
      port: posthorn.port("submission", "implicit"),
      security: "implicit",
      caFile: authority.file,
      login: { mechanism: "PLAIN", username: address, password },
      from: address,
      to: address,
      content: awkwardMessage({ from: address, to: address, subject: "moved" }).octets,
      folder: folder.path,
    });
    assertEquals(sent?.code, 0, `${sent?.stderr}\n${posthorn.log}`);
  }
});

peerTest("The executable changes the queue over its control socket, and on the files when it is stopped", [
  "POSTHORN_BINARY",
], async () => {
  await using posthorn = await PosthornProcess.start();
  const suspended = await posthorn.run(["queue", "suspend", "x.example"]);
  assertEquals([suspended.code, suspended.stdout], [0, "x.example: suspended\n"], suspended.stderr);
  await posthorn.waitForLog(/Suspended x\.example as an operator asks/);
  assertEquals((await posthorn.kill("SIGTERM")).code, 0);
  assertMatch((await posthorn.run(["queue", "suspensions"])).stdout, /^x\.example since /);
  const resumed = await posthorn.run(["queue", "resume", "x.example"]);
  assertEquals([resumed.code, resumed.stdout], [0, "x.example: resumed\n"], resumed.stderr);
});

/** So many that threads read the last of them. */
const MANY_MESSAGES = 3_000;

peerTest("The executable reads a long queue in threads, whose code it holds besides", ["POSTHORN_BINARY"], async () => {
  await using posthorn = await PosthornProcess.start();
  await posthorn.kill("SIGTERM");
  await fillQueue(`${posthorn.dataFolder}/spool/queue`);
  await posthorn.restart();
  await posthorn.waitForLog(new RegExp(`Found ${MANY_MESSAGES} message\\(s\\) in the queue`));
  assertNotMatch(posthorn.log, /No thread reads the queue/);
});

/** Messages that were tried once, and are due again in an hour. */
async function fillQueue(folder: string): Promise<void> {
  const ids = new QueueIds({ clock: systemClock, randomOctets: (into) => void crypto.getRandomValues(into) });
  const content = sampleContent(100);
  const at = new Date().toISOString();
  const envelope = sampleEnvelope(["bob@x.example"], { arrived: at });
  const nextAttempt = new Date(Date.now() + 3_600_000).toISOString();
  const tried = { event: "attempt", at, recipients: [0], outcome: outcome("delayed", "4.2.0"), nextAttempt } as const;
  for (let i = 0; i < MANY_MESSAGES; i++) {
    const queueId = ids.next();
    const parts = [encodeHead(content.length), content, encodeEnvelope(queueId, envelope), encodeEvents([tried])];
    const message = await new Blob(parts as Uint8Array<ArrayBuffer>[]).bytes();
    await Deno.mkdir(`${folder}/${bucketOf(queueId)}`, { recursive: true, mode: 0o700 });
    await Deno.writeFile(`${folder}/${bucketOf(queueId)}/${queueId}`, message, { mode: 0o600 });
  }
}
