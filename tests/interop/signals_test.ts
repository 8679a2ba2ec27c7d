/** What an operator's signals do to a running server. */

import { assert, assertEquals, assertLess, assertMatch, assertNotEquals } from "@std/assert";
import { PosthornProcess } from "../support/posthorn_process.ts";
import { fileFingerprint, shownFingerprint, TestAuthority } from "../support/interop/certificates.ts";
import { SmtpDialog } from "../support/interop/dialog.ts";
import { latin1Octets } from "../support/interop/maildir.ts";
import { awkwardMessage } from "../support/interop/messages.ts";
import { peerTest } from "../support/interop/peers.ts";
import { SmtpSink } from "../support/interop/sink.ts";
import { TemporaryFolder } from "../support/interop/temporary_folder.ts";
import { waitUntil } from "../support/interop/wait.ts";

const ALICE = { address: "alice@example.org", password: "correct horse battery staple" };
const BOB = { address: "bob@example.org", password: "another password" };

Deno.test("SIGTERM ends the server with code 0 within 10 s, during a delivery and with sessions open; nothing is lost", async () => {
  const release = Promise.withResolvers<void>();
  const reached = Promise.withResolvers<void>();
  await using sink = new SmtpSink({
    async reply({ kind }): Promise<undefined> {
      if (kind !== "content") return;
      reached.resolve();
      await release.promise;
    },
  });
  using _release = { [Symbol.dispose]: release.resolve };
  await using posthorn = await PosthornProcess.start({
    listeners: [{ service: "mx" }],
    accounts: [ALICE],
    config: {
      relay_from: ["127.0.0.0/8"],
      routes: [{ domain: "remote.example", via: `smtp://127.0.0.1:${sink.port}` }],
      queue: { retry: ["1s"] },
    },
  });
  const { octets, text } = awkwardMessage({ from: ALICE.address, to: "bob@remote.example", subject: "slow" });
  using idle = await SmtpDialog.open(posthorn.port("mx"));
  assertMatch(await idle.send(ALICE.address, ["bob@remote.example"], octets), /^250 2\.0\.0 /);
  using midway = await SmtpDialog.open(posthorn.port("mx"));
  for (const line of [`MAIL FROM:<${ALICE.address}>`, `RCPT TO:<${ALICE.address}>`, "DATA"]) await midway.command(line);
  await midway.write(latin1Octets("Subject: never finished\r\n\r\nhalf a mess"));
  await reached.promise;

  const begin = performance.now();
  const [status, farewell] = await Promise.all([posthorn.kill("SIGTERM"), idle.reply()]);
  assertLess(performance.now() - begin, 10_000);
  assertEquals(status.code, 0, posthorn.log);
  assertMatch(farewell, /^421 4\.3\.2 /);
  release.resolve();

  assertEquals((await posthorn.queueFiles()).length, 1);
  await posthorn.restart();
  await waitUntil(() => sink.messages.some((message) => message.text.endsWith(text)) || undefined, {
    what: "the delivery after the restart",
    detail: () => posthorn.log,
  });
  await posthorn.waitForEmptyQueue();
  assertEquals(await posthorn.maildir(ALICE.address).names(), [], "the unfinished message is not delivered");
});

async function startWithAuthority(authority: TestAuthority): Promise<PosthornProcess> {
  const certificate = await authority.issue("first", ["DNS:mail.example.org", "IP:127.0.0.1"]);
  return await PosthornProcess.start({ accounts: [ALICE], config: { tls: { certificates: [certificate] } } });
}

async function login(port: number, caFile: string, account: typeof ALICE): Promise<string> {
  using dialog = await SmtpDialog.openTls(port, caFile);
  return await dialog.command(`AUTH PLAIN ${btoa(`\0${account.address}\0${account.password}`)}`);
}

peerTest(
  "An account made while the server runs can log in within seconds, without a signal, and open sessions go on",
  ["openssl"],
  async () => {
    await using folder = await TemporaryFolder.create();
    const authority = await TestAuthority.create(folder.path);
    await using posthorn = await startWithAuthority(authority);
    const port = posthorn.port("submission", "implicit");
    using open = await SmtpDialog.openTls(port, authority.file);
    assertMatch(await login(port, authority.file, ALICE), /^235 2\.7\.0 /);
    await posthorn.addAccount(BOB.address, BOB.password);
    await waitUntil(async () => (await login(port, authority.file, BOB)).startsWith("235 2.7.0 ") || undefined, {
      what: "the new account to log in",
      everyMs: 200,
      detail: () => posthorn.log,
    });
    assertMatch(await open.command(`AUTH PLAIN ${btoa(`\0${BOB.address}\0${BOB.password}`)}`), /^235 2\.7\.0 /);
  },
);

peerTest("A certificate that was replaced is shown after SIGHUP", ["openssl"], async () => {
  await using folder = await TemporaryFolder.create();
  const authority = await TestAuthority.create(folder.path);
  await using posthorn = await startWithAuthority(authority);
  const port = posthorn.port("submission", "implicit");
  const before = await shownFingerprint("127.0.0.1", port);
  assertEquals(before, await fileFingerprint(`${folder.path}/first.chain.pem`));
  const renewed = await authority.issue("first", ["DNS:mail.example.org", "IP:127.0.0.1"]);
  const after = await fileFingerprint(renewed.chain);
  assertNotEquals(before, after);
  posthorn.signal("SIGHUP");
  await waitUntil(async () => await shownFingerprint("127.0.0.1", port) === after || undefined, {
    what: "the new certificate",
    everyMs: 100,
    detail: () => posthorn.log,
  });
});

peerTest("A certificate that was replaced is shown without any signal", ["openssl"], async () => {
  await using folder = await TemporaryFolder.create();
  const authority = await TestAuthority.create(folder.path);
  await using posthorn = await startWithAuthority(authority);
  const renewed = await authority.issue("first", ["DNS:mail.example.org", "IP:127.0.0.1"]);
  const after = await fileFingerprint(renewed.chain);
  const port = posthorn.port("submission", "implicit");
  await waitUntil(async () => await shownFingerprint("127.0.0.1", port) === after || undefined, {
    what: "the new certificate",
    everyMs: 200,
    detail: () => posthorn.log,
  });
});

Deno.test("SIGHUP with a broken configuration names the mistake and leaves the server as it was", async () => {
  await using posthorn = await PosthornProcess.start({ accounts: [ALICE] });
  await posthorn.configure({ hostnam: "mail.example.org" });
  posthorn.signal("SIGHUP");
  await posthorn.waitForLog(/hostnam/);
  using dialog = await SmtpDialog.open(posthorn.port("mx"));
  const { octets } = awkwardMessage({ from: "x@elsewhere.example", to: ALICE.address, subject: "still here" });
  assertMatch(await dialog.send("x@elsewhere.example", [ALICE.address], octets), /^250 2\.0\.0 /);
  assert((await posthorn.maildir(ALICE.address).waitFor(1)).length === 1);
});

Deno.test("keys that a reload makes sign from then on", async () => {
  await using posthorn = await PosthornProcess.start({
    listeners: [{ service: "mx" }],
    accounts: [ALICE],
    config: { relay_from: ["127.0.0.0/8"] },
  });
  await posthorn.configure({ domains: { "example.org": { dkim: ["s1"] } } });
  posthorn.signal("SIGHUP");
  await posthorn.waitForLog(/Made DKIM key .*s1-ed\.pem/);
  let sent = 0;
  await waitUntil(async () => {
    const { octets } = awkwardMessage({ from: ALICE.address, to: ALICE.address, subject: `signed ${++sent}` });
    using client = await SmtpDialog.open(posthorn.port("mx"));
    assertMatch(await client.send(ALICE.address, [ALICE.address], octets), /^250 /);
    const messages = await posthorn.maildir(ALICE.address).waitFor(sent);
    return messages.some(({ text }) => /^DKIM-Signature: [^]* s=s1;/m.test(text)) || undefined;
  }, { what: "a signature", detail: () => posthorn.log });
});
