/** One posthorn hands its mail to the submission port of another, with TLS and AUTH. */

import { assertEquals, assertMatch } from "@std/assert";
import { PosthornProcess } from "../support/posthorn_process.ts";
import { TestAuthority } from "../support/interop/certificates.ts";
import { SmtpDialog } from "../support/interop/dialog.ts";
import { traceFieldsBefore } from "../support/interop/maildir.ts";
import { awkwardMessage, type SampleMessage } from "../support/interop/messages.ts";
import { peerTest } from "../support/interop/peers.ts";
import { TemporaryFolder } from "../support/interop/temporary_folder.ts";

const BRANCH = { address: "branch@hub.example", password: "correct horse battery staple" };
const BOB = { address: "bob@hub.example", password: "another password" };

/** The server that is relayed to; with its own self-signed certificate, or one that `authority` issues. */
async function startHub(authority?: TestAuthority): Promise<PosthornProcess> {
  const certificate = await authority?.issue("hub.example", ["DNS:hub.example", "DNS:localhost", "IP:127.0.0.1"]);
  return await PosthornProcess.start({
    accounts: [BRANCH, BOB],
    config: {
      hostname: "hub.example",
      domains: { "hub.example": {} },
      ...(certificate === undefined ? {} : { tls: { certificates: [certificate] } }),
    },
  });
}

/** The server that relays. */
async function startBranch(
  via: string,
  tls: "required" | "opportunistic",
  more: { readonly password?: string; readonly caFile?: string } = {},
): Promise<PosthornProcess> {
  return await PosthornProcess.start({
    listeners: [{ service: "mx" }],
    config: {
      hostname: "branch.example",
      domains: { "branch.example": {} },
      relay_from: ["127.0.0.0/8"],
      routes: [{ domain: "*", via, username: BRANCH.address, password: more.password ?? BRANCH.password, tls }],
      queue: { retry: ["1s"], warn_after: "1h", expire_after: "2h" },
    },
    ...(more.caFile === undefined ? {} : { env: { DENO_CERT: more.caFile, NODE_EXTRA_CA_CERTS: more.caFile } }),
  });
}

async function send(branch: PosthornProcess): Promise<SampleMessage> {
  const message = awkwardMessage({ from: BRANCH.address, to: BOB.address, subject: "by the smarthost" });
  using dialog = await SmtpDialog.open(branch.port("mx"));
  assertMatch(await dialog.send(BRANCH.address, [BOB.address], message.octets), /^250 2\.0\.0 /);
  return message;
}

async function assertRelayed(branch: PosthornProcess, hub: PosthornProcess): Promise<void> {
  const message = await send(branch);
  const [arrived] = await hub.maildir(BOB.address).waitFor(1, { detail: () => `${branch.log}\n${hub.log}` });
  const received = traceFieldsBefore(message.octets, arrived?.octets ?? new Uint8Array())
    .filter((field) => /^Received:/i.test(field));
  assertMatch(received[0] ?? "", /from branch\.example .*by hub\.example .*with ESMTPSA/);
  assertMatch(received[1] ?? "", /by branch\.example .*with ESMTP /);
  await branch.waitForEmptyQueue();
}

async function assertDelayed(branch: PosthornProcess, hub: PosthornProcess): Promise<string> {
  await send(branch);
  const journal = await branch.waitForDelay();
  assertEquals((await branch.queueFiles()).length, 1);
  assertEquals(await hub.maildir(BOB.address).names(), []);
  return journal;
}

for (
  const [title, scheme, listenerTls] of [["STARTTLS", "smtp", undefined], [
    "implicit TLS",
    "smtps",
    "implicit",
  ]] as const
) {
  peerTest(`A smarthost with a certificate that is trusted gets mail with ${title} and AUTH when TLS is required`, [
    "openssl",
  ], async () => {
    await using folder = await TemporaryFolder.create();
    const authority = await TestAuthority.create(folder.path);
    await using hub = await startHub(authority);
    const via = `${scheme}://127.0.0.1:${hub.port("submission", listenerTls)}`;
    await using branch = await startBranch(via, "required", { caFile: authority.file });
    await assertRelayed(branch, hub);
  });
}

Deno.test("A smarthost with a self-signed certificate gets nothing when TLS is required: the mail waits", async () => {
  await using hub = await startHub();
  await using branch = await startBranch(`smtp://127.0.0.1:${hub.port("submission")}`, "required");
  assertMatch(await assertDelayed(branch, hub), /certificate|TLS/i);
});

Deno.test("A smarthost with a self-signed certificate gets mail when TLS is opportunistic", async () => {
  await using hub = await startHub();
  await using branch = await startBranch(`smtp://127.0.0.1:${hub.port("submission")}`, "opportunistic");
  await assertRelayed(branch, hub);
});

Deno.test("A smarthost that refuses the password keeps the mail waiting, and the password stays out of log and queue", async () => {
  await using hub = await startHub();
  const password = "not-the-right-one";
  await using branch = await startBranch(`smtp://127.0.0.1:${hub.port("submission")}`, "opportunistic", { password });
  const journal = await assertDelayed(branch, hub);
  assertMatch(journal, /5\.7\.8|4\.7\.8/);
  for (const secret of [password, btoa(password), btoa(`\0${BRANCH.address}\0${password}`)]) {
    assertEquals(`${branch.log}\n${hub.log}\n${journal}`.includes(secret), false);
  }
});
