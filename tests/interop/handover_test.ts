/** Accounts whose mail others keep: Dovecot and Cyrus by LMTP, and an application by webhook. */

import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { Cyrus } from "../support/interop/cyrus.ts";
import { SmtpDialog } from "../support/interop/dialog.ts";
import { type DovecotLmtp, startDovecotLmtp } from "../support/interop/dovecot_lmtp.ts";
import { startLmtpTap } from "../support/interop/lmtp_tap.ts";
import { traceFieldsBefore } from "../support/interop/maildir.ts";
import { awkwardMessage, type SampleMessage } from "../support/interop/messages.ts";
import { peerTest } from "../support/interop/peers.ts";
import { TemporaryFolder } from "../support/interop/temporary_folder.ts";
import { PosthornProcess } from "../support/posthorn_process.ts";

const [ALICE, BOB, CAROL, DAVE] = ["alice", "bob", "carol", "dave"].map((name) => `${name}@example.org`) as [
  string,
  string,
  string,
  string,
];
const SENDER = "sender@elsewhere.example";
/** Where reports on mail of SENDER go: a mailbox of posthorn itself. */
const REPORTS = "reports@example.org";

/** Posthorn with accounts that somebody else keeps, and REPORTS, which it keeps itself. */
async function start(via: string, addresses: readonly string[], secret?: string): Promise<PosthornProcess> {
  const posthorn = await PosthornProcess.start({
    listeners: [{ service: "mx" }],
    isStopped: true,
    config: {
      mailboxes: { via, ...(secret === undefined ? {} : { secret }) },
      queue: { retry: ["1s"] },
      dns: { servers: ["127.0.0.1:9"] },
    },
  });
  const accounts = [...addresses.map((address) => `${address}: {}`), `${REPORTS}: { via: maildir }`];
  await Deno.writeTextFile(`${posthorn.folder}/accounts.yaml`, accounts.join("\n") + "\n");
  await posthorn.restart();
  return posthorn;
}

function sample(subject: string, to = ALICE): SampleMessage {
  return awkwardMessage({ from: SENDER, to, subject });
}

async function send(posthorn: PosthornProcess, recipients: readonly string[], octets: Uint8Array): Promise<string> {
  using dialog = await SmtpDialog.open(posthorn.port("mx"));
  return await dialog.send(REPORTS, recipients, octets);
}

peerTest(
  "Dovecot keeps the mail of accounts: octet for octet, user+folder in the folder, and RCPT knows who has none",
  ["root", "dovecot", "dovecot-lmtpd"],
  async () => {
    await using folder = await TemporaryFolder.create({ isPublic: true });
    await using dovecot = await startDovecotLmtp({
      folder: folder.path,
      users: { [ALICE]: undefined, [BOB]: undefined },
    });
    await using posthorn = await start(`lmtp://unix:${folder.path}/run/lmtp`, [ALICE, BOB]);
    const detail = (): string => `${dovecot.log}\n${posthorn.log}`;
    const message = sample("to two");
    assertMatch(await send(posthorn, [ALICE, "Bob@Example.Org"], message.octets), /^250 /);
    for (const user of [ALICE, BOB]) {
      const [arrived] = await dovecot.maildir(user).waitFor(1, { detail });
      const trace = traceFieldsBefore(message.octets, arrived?.octets ?? new Uint8Array());
      assertEquals(trace[0], `Return-Path: <${REPORTS}>`);
      assertMatch(trace[1] ?? "", /from mail\.example\.org .*by dovecot\.example\.org with LMTP/);
      assertMatch(trace[2] ?? "", /from client\.example .*by mail\.example\.org .*with ESMTP/);
    }
    assertMatch(await send(posthorn, ["Alice+lists@example.org"], message.octets), /^250 /);
    const [filed] = await dovecot.maildir(ALICE, ".lists").waitFor(1, { detail });
    const trace = traceFieldsBefore(message.octets, filed?.octets ?? new Uint8Array());
    assertEquals(trace[1], "Delivered-To: alice+lists@example.org");
    const nobody = await send(posthorn, ["nobody@example.org"], message.octets);
    assertMatch(nobody, /^550 5\.1\.1 /, "known at RCPT, although Dovecot was not asked");
    await posthorn.waitForEmptyQueue();
    assertMatch(await posthorn.waitForLog(/: delivered to alice@example\.org/), /status 2\.0\.0: 250 2\.0\.0 <alice/);
  },
);

for (
  const { name, settings, stage } of [
    { name: "after the content", settings: "lmtp_rcpt_check_quota = no", stage: "dot" },
    { name: "at RCPT", settings: "lmtp_rcpt_check_quota = yes", stage: "rcpt" },
  ]
) {
  peerTest(
    `Dovecot refuses ${name} who is full or unknown, and each recipient gets its own outcome`,
    ["root", "dovecot", "dovecot-lmtpd"],
    async () => {
      await using folder = await TemporaryFolder.create({ isPublic: true });
      const users = { [ALICE]: undefined, [CAROL]: 100 };
      await using dovecot = await startDovecotLmtp({ folder: folder.path, users, settings });
      await using posthorn = await start(`lmtp://127.0.0.1:${dovecot.port}`, [ALICE, CAROL, DAVE]);
      const detail = (): string => `${dovecot.log}\n${posthorn.log}`;
      assertMatch(await send(posthorn, [CAROL, ALICE, DAVE], sample("three").octets), /^250 /);
      await dovecot.maildir(ALICE).waitFor(1, { detail });
      const reports = posthorn.maildir(REPORTS);
      await reports.waitFor(1, { detail });
      await posthorn.waitForEmptyQueue();
      const text = (await reports.messages()).map(({ text }) => text).join("\n").replaceAll("\r\n", "\n");
      assertMatch(text, /^Final-Recipient: rfc822; ?carol@example\.org\nAction: failed\nStatus: 5\.2\.2$/m, stage);
      assertMatch(text, /552 5\.2\.2 <carol@example\.org> Quota exceeded/);
      assertMatch(text, /^Final-Recipient: rfc822; ?dave@example\.org\nAction: failed\nStatus: 5\.1\.1$/m);
      assertEquals((await dovecot.maildir(ALICE).names()).length, 1, "once, although others were refused");
    },
  );
}

peerTest(
  "Dovecot that puts off who is full has the mail when there is room again",
  ["root", "dovecot", "dovecot-lmtpd"],
  async () => {
    await using folder = await TemporaryFolder.create({ isPublic: true });
    const settings = "quota_full_tempfail = yes";
    await using dovecot = await startDovecotLmtp({ folder: folder.path, users: { [CAROL]: 100 }, settings });
    await using posthorn = await start(`lmtp://127.0.0.1:${dovecot.port}`, [CAROL]);
    const detail = (): string => `${dovecot.log}\n${posthorn.log}`;
    assertMatch(await send(posthorn, [CAROL], sample("later").octets), /^250 /);
    const line = await posthorn.waitForLog(/: delayed for carol@example\.org/);
    assertMatch(line, /status 4\.2\.2: 452 4\.2\.2 <carol@example\.org> Quota exceeded/);
    await dovecot.setUsers({ [CAROL]: 1_000_000 });
    await dovecot.maildir(CAROL).waitFor(1, { detail });
    await posthorn.waitForEmptyQueue();
  },
);

peerTest(
  "Large mail goes to Dovecot in chunks; a connection that breaks after the final dot loses nothing",
  ["root", "dovecot", "dovecot-lmtpd"],
  async () => {
    await using folder = await TemporaryFolder.create({ isPublic: true });
    await using dovecot = await startDovecotLmtp({ folder: folder.path, users: { [ALICE]: undefined } });
    await using tap = startLmtpTap(dovecot.port);
    await using posthorn = await start(`lmtp://127.0.0.1:${tap.port}`, [ALICE]);
    const detail = (): string => `${dovecot.log}\n${posthorn.log}`;
    const small = sample("small");
    tap.isCutting = true;
    assertMatch(await send(posthorn, [ALICE], small.octets), /^250 /);
    // What Dovecot answered was lost, so it gets the message again: twice is better than never.
    const copies = await dovecot.maildir(ALICE).waitFor(2, { detail });
    for (const { octets } of copies) traceFieldsBefore(small.octets, octets);
    assertEquals(tap.cuts, 1);
    assertMatch(posthorn.log, /delayed for alice@example\.org .*status 4\.4\.2: Lost the connection/);
    await posthorn.waitForEmptyQueue();

    const large = new Uint8Array([...small.octets, ...new TextEncoder().encode("0123456789\r\n".repeat(50_000))]);
    assertMatch(await send(posthorn, [ALICE], large), /^250 /);
    await dovecot.maildir(ALICE).waitFor(3, { detail });
    const [arrived] = (await dovecot.maildir(ALICE).messages()).filter(({ octets }) => octets.length > large.length);
    traceFieldsBefore(large, arrived?.octets ?? new Uint8Array());
    assert(/BDAT \d+ LAST\r\n/.test(tap.said), "the large one went in chunks");
    await posthorn.waitForEmptyQueue();
  },
);

peerTest(
  "Dovecot that is away closes its destination, and all mail follows when it is back",
  ["root", "dovecot", "dovecot-lmtpd"],
  async () => {
    await using folder = await TemporaryFolder.create({ isPublic: true });
    const first: DovecotLmtp = await startDovecotLmtp({ folder: folder.path, users: { [ALICE]: undefined } });
    await first[Symbol.asyncDispose]();
    await using posthorn = await start(`lmtp://unix:${folder.path}/run/lmtp`, [ALICE]);
    for (let count = 0; count < 3; count++) {
      assertMatch(await send(posthorn, [ALICE], sample(`number ${count}`).octets), /^250 /);
    }
    const key = `lmtp:unix:${folder.path}/run/lmtp`;
    assertStringIncludes(await posthorn.waitForLog(/^.*Destination .* takes no mail/), key);
    const { stdout } = await posthorn.run(["queue", "destinations"]);
    assertStringIncludes(stdout, key);
    await Deno.remove(`${folder.path}/homes`, { recursive: true });
    await using dovecot = await startDovecotLmtp({ folder: folder.path, users: { [ALICE]: undefined } });
    await dovecot.maildir(ALICE).waitFor(3, { detail: () => `${dovecot.log}\n${posthorn.log}` });
    await posthorn.waitForEmptyQueue();
    assert(posthorn.log.includes("takes mail again"), posthorn.log);
  },
);

const CYRUS = ["root", "cyrmaster", "cyrus-lmtpd", "POSTHORN_CYRUS_IMAPD"] as const;

/** Cyrus takes the message that goes over the limit, and refuses the next one. */
async function fill(posthorn: PosthornProcess, cyrus: Cyrus): Promise<void> {
  assertMatch(await send(posthorn, [CAROL], sample("the one too much").octets), /^250 /);
  await cyrus.waitFor(CAROL, 1, () => posthorn.log);
}

peerTest("Cyrus keeps the mail of accounts, octet for octet, each recipient with its own answer", CYRUS, async () => {
  await using folder = await TemporaryFolder.create({ isPublic: true });
  const settings = "lmtp_over_quota_perm_failure: yes";
  await using cyrus = await Cyrus.start(folder.path, { [ALICE]: undefined, [CAROL]: 1 }, settings);
  await using posthorn = await start(`lmtp://127.0.0.1:${cyrus.port}`, [ALICE, CAROL, DAVE]);
  await fill(posthorn, cyrus);
  const message = sample("to Cyrus");
  assertMatch(await send(posthorn, [CAROL, ALICE, DAVE], message.octets), /^250 /);
  const [arrived] = await cyrus.waitFor(ALICE, 1, () => posthorn.log);
  const trace = traceFieldsBefore(message.octets, arrived ?? new Uint8Array());
  assertEquals(trace[0], `Return-Path: <${REPORTS}>`);
  await posthorn.maildir(REPORTS).waitFor(1, { detail: () => posthorn.log });
  await posthorn.waitForEmptyQueue();
  const reports = (await posthorn.maildir(REPORTS).messages()).map(({ text }) => text.replaceAll("\r\n", "\n")).join(
    "\n",
  );
  assertMatch(reports, /^Final-Recipient: rfc822; ?carol@example\.org\nAction: failed\nStatus: 5\.2\.2$/m);
  assertMatch(reports, /^Final-Recipient: rfc822; ?dave@example\.org\nAction: failed\nStatus: 5\.1\.1$/m);
});

peerTest("Cyrus that puts off who is full has the mail when there is room again", CYRUS, async () => {
  await using folder = await TemporaryFolder.create({ isPublic: true });
  await using cyrus = await Cyrus.start(folder.path, { [CAROL]: 1 });
  await using posthorn = await start(`lmtp://127.0.0.1:${cyrus.port}`, [CAROL]);
  await fill(posthorn, cyrus);
  assertMatch(await send(posthorn, [CAROL], sample("later").octets), /^250 /);
  assertMatch(await posthorn.waitForLog(/: delayed for carol@example\.org/), /status 4\.2\.2: 452 4\.2\.2 Over quota/);
  await cyrus.setQuota(CAROL, 1_000);
  await cyrus.waitFor(CAROL, 2, () => posthorn.log);
  await posthorn.waitForEmptyQueue();
});
