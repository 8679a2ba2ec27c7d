/** posthorn and Postfix exchange mail by MX lookup through a validating resolver, with STARTTLS, on port 25. */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { PosthornProcess } from "../support/posthorn_process.ts";
import { TestAuthority } from "../support/interop/certificates.ts";
import type { CommandResult } from "../support/interop/command.ts";
import { DnsLab } from "../support/interop/dns_lab.ts";
import { MAIL_CLIENTS } from "../support/interop/mail_clients.ts";
import { traceFieldsBefore } from "../support/interop/maildir.ts";
import { awkwardMessage } from "../support/interop/messages.ts";
import { Namespace } from "../support/interop/namespace.ts";
import { type Need, peerTest } from "../support/interop/peers.ts";
import { Postfix } from "../support/interop/postfix.ts";
import { TemporaryFolder } from "../support/interop/temporary_folder.ts";

const NEEDS: readonly Need[] = [
  "root",
  "unshare",
  "nsenter",
  "ip",
  "postfix",
  "knotd",
  "keymgr",
  "kdig",
  "unbound",
  "openssl",
  "swaks",
  "Net::SSLeay",
];
const ALICE = { address: "alice@posthorn.test", password: "correct horse battery staple" };
const CAROL = { address: "carol@posthorn.test", password: "another password" };
const BOB = "bob@postfix.test";
const DAVE = "dave@postfix.test";
const POSTFIX_ADDRESS = "127.0.0.2";
const POSTHORN_ADDRESS = "127.0.0.3";
const RECORDS = [
  "postfix MX 10 mx.postfix",
  `mx.postfix A ${POSTFIX_ADDRESS}`,
  // The preferred host is down: both sides have to go on to the next.
  "posthorn MX 5 down.posthorn",
  "posthorn MX 10 mx.posthorn",
  "down.posthorn A 127.0.0.9",
  `mx.posthorn A ${POSTHORN_ADDRESS}`,
];

/** Both MTAs and their DNS. */
interface World {
  readonly namespace: Namespace;
  readonly lab: DnsLab;
  readonly postfix: Postfix;
  readonly posthorn: PosthornProcess;
  /** For files of clients. */
  readonly folder: string;
  /** The CA of both MTAs' certificates. */
  readonly caFile: string;
}

/** Everything that a test of both MTAs needs, in a namespace of its own. */
async function startBoth(stack: AsyncDisposableStack): Promise<World> {
  const folder = stack.use(await TemporaryFolder.create({ isPublic: true })).path;
  for (const name of ["postfix", "dns", "tls"]) await Deno.mkdir(`${folder}/${name}`);
  const authority = await TestAuthority.create(`${folder}/tls`);
  const namespace = stack.use(await Namespace.create());
  const lab = stack.use(await DnsLab.start(namespace, `${folder}/dns`, RECORDS));
  const postfix = stack.use(
    await Postfix.start({
      namespace,
      folder: `${folder}/postfix`,
      address: POSTFIX_ADDRESS,
      hostname: "mx.postfix.test",
      domain: "postfix.test",
      mailboxes: ["bob", "dave"],
      certificate: await authority.issue("mx.postfix.test", ["DNS:mx.postfix.test"]),
    }),
  );
  const posthorn = stack.use(
    await PosthornProcess.start({
      prefix: namespace.prefix,
      listeners: [
        { service: "mx", host: POSTHORN_ADDRESS, port: 25 },
        { service: "submission", host: POSTHORN_ADDRESS, port: 587 },
      ],
      accounts: [ALICE, CAROL],
      config: {
        hostname: "mx.posthorn.test",
        domains: { "posthorn.test": {} },
        tls: {
          certificates: [await authority.issue("mx.posthorn.test", ["DNS:mx.posthorn.test", `IP:${POSTHORN_ADDRESS}`])],
        },
        queue: { retry: ["1s"], warn_after: "1h", expire_after: "2h" },
      },
    }),
  );
  return { namespace, lab, postfix, posthorn, folder, caFile: authority.file };
}

peerTest("Postfix finds posthorn by MX and hands over mail with STARTTLS", NEEDS, async () => {
  await using stack = new AsyncDisposableStack();
  const world = await startBoth(stack);
  const { namespace, postfix, posthorn } = world;
  const message = awkwardMessage({ from: BOB, to: ALICE.address, subject: "from Postfix" });
  const [swaks] = MAIL_CLIENTS;
  assert(swaks);
  for (const to of [ALICE.address, CAROL.address]) {
    const sent = await swaks.send({
      prefix: namespace.prefix,
      host: POSTFIX_ADDRESS,
      port: 25,
      security: "plain",
      caFile: "",
      from: BOB,
      to,
      content: message.octets,
      folder: posthorn.folder,
    });
    assertEquals(sent.code, 0, sent.stdout);
    const log = await postfix.log();
    const [arrived] = await posthorn.maildir(to).waitFor(1, { detail: () => `${log}\n${posthorn.log}` });
    assert(arrived);
    const trace = traceFieldsBefore(message.octets, arrived.octets);
    assertMatch(trace[0] ?? "", /^Return-Path: <bob@postfix\.test>$/i);
    const received = trace.filter((field) => /^Received:/i.test(field));
    assertMatch(received[0] ?? "", /from mx\.postfix\.test .*by mx\.posthorn\.test .*with ESMTPS/);
    assertMatch(received[1] ?? "", /by mx\.postfix\.test \(Postfix\)/);
  }
  assertMatch(await postfix.log(), /TLS connection established to mx\.posthorn\.test\[127\.0\.0\.3\]:25: TLSv1\.3/);
});

peerTest("Postfix gets 550 5.1.1 for an unknown mailbox and bounces to its own sender", NEEDS, async () => {
  await using stack = new AsyncDisposableStack();
  const world = await startBoth(stack);
  const { namespace, postfix, posthorn } = world;
  const [swaks] = MAIL_CLIENTS;
  assert(swaks);
  const message = awkwardMessage({ from: BOB, to: "nobody@posthorn.test", subject: "nobody" });
  const sent = await swaks.send({
    prefix: namespace.prefix,
    host: POSTFIX_ADDRESS,
    port: 25,
    security: "plain",
    caFile: "",
    from: BOB,
    to: "nobody@posthorn.test",
    content: message.octets,
    folder: posthorn.folder,
  });
  assertEquals(sent.code, 0, sent.stdout);
  const [bounce] = await postfix.maildir("bob").waitFor(1, { detail: () => posthorn.log });
  assertMatch(bounce?.text ?? "", /^Status: 5\.1\.1/m);
});

peerTest(
  "posthorn finds Postfix by MX and hands over mail with STARTTLS, several recipients at once",
  NEEDS,
  async () => {
    await using stack = new AsyncDisposableStack();
    const world = await startBoth(stack);
    const { lab, postfix, posthorn } = world;
    assertMatch(await lab.ask("postfix.test", "MX"), /flags:.* ad[ ;]/i);
    const message = awkwardMessage({ from: ALICE.address, to: BOB, subject: "to Postfix" });
    const sent = await submit(world, `${BOB},${DAVE},${CAROL.address}`, message.octets);
    assertEquals(sent.code, 0, sent.stdout);
    const log = await postfix.log();
    for (const name of ["bob", "dave"]) {
      const [arrived] = await postfix.maildir(name).waitFor(1, { detail: () => `${log}\n${posthorn.log}` });
      // Postfix keeps local line ends in a Maildir, and adds fields of its own in front.
      assert(arrived?.text.endsWith(message.text), arrived?.text);
      assertMatch(arrived?.text ?? "", /^Received: from mx\.posthorn\.test .*[^]*?with ESMTPS/m);
    }
    await posthorn.maildir(CAROL.address).waitFor(1, { detail: () => posthorn.log });
    assertMatch(await postfix.log(), /from=<alice@posthorn\.test>, size=\d+, nrcpt=2 /);
    await posthorn.waitForEmptyQueue();
  },
);

peerTest(
  "Mail waits in the queue while DNS gives no answer, SERVFAIL or nothing at all, and goes when it is back",
  NEEDS,
  async () => {
    // Each in a world of its own, at the same time: they consist of waiting.
    await Promise.all([
      survive("frozen", ({ lab }) => lab.freezeResolver(true), ({ lab }) => lab.freezeResolver(false)),
      survive("stopped", ({ lab }) => lab.stopResolver(), ({ lab }) => lab.startResolver()),
      survive(
        "without authority",
        ({ lab }) => lab.stopAuthority("postfix.test", "MX"),
        ({ lab }) => lab.startAuthority(),
      ),
    ]);
  },
);

peerTest(
  "A domain that does not exist bounces at once; one that never resolves bounces when the mail expires",
  NEEDS,
  async () => {
    await using stack = new AsyncDisposableStack();
    const world = await startBoth(stack);
    const { posthorn } = world;
    const gone = await submit(
      world,
      "x@nowhere.test",
      awkwardMessage({ from: ALICE.address, to: "x@nowhere.test", subject: "gone" }).octets,
    );
    assertEquals(gone.code, 0, gone.stdout);
    const [bounce] = await posthorn.maildir(ALICE.address).waitFor(1, { detail: () => posthorn.log });
    assertMatch(bounce?.text ?? "", /^Action: failed\r$/m);
    assertMatch(bounce?.text ?? "", /^Status: 5\.[14]\.\d+\r$/m);
    await posthorn.configure({ queue: { retry: ["1s"], warn_after: "1h", expire_after: "3s" } });
    await posthorn.restart();
    const lame = await submit(
      world,
      "x@mail.lame",
      awkwardMessage({ from: ALICE.address, to: "x@mail.lame", subject: "lame" }).octets,
    );
    assertEquals(lame.code, 0, lame.stdout);
    const bounces = await posthorn.maildir(ALICE.address).waitFor(2, { timeoutMs: 30_000, detail: () => posthorn.log });
    const expired = bounces.find(({ text }) => text.includes("x@mail.lame"));
    assertMatch(expired?.text ?? "", /^Action: failed\r$/m);
    assertMatch(expired?.text ?? "", /^Status: [45]\.4\.\d+\r$/m);
    await posthorn.waitForEmptyQueue();
  },
);

/** An outage of DNS begins and ends, and a message of Alice's is late. */
async function survive(
  name: string,
  begin: (world: World) => void | Promise<void>,
  end: (world: World) => void | Promise<void>,
): Promise<void> {
  await using stack = new AsyncDisposableStack();
  const world = await startBoth(stack);
  const { postfix, posthorn } = world;
  await begin(world);
  const sent = await submit(world, BOB, awkwardMessage({ from: ALICE.address, to: BOB, subject: name }).octets);
  assertEquals(sent.code, 0, sent.stdout);
  await posthorn.waitForDelay(60_000);
  assertEquals((await posthorn.queueFiles()).length, 1, name);
  await end(world);
  const [arrived] = await postfix.maildir("bob").waitFor(1, { timeoutMs: 60_000, detail: () => posthorn.log });
  assert(arrived?.text.includes(`Subject: ${name}\r\n`), name);
  await posthorn.waitForEmptyQueue();
  assertEquals(await posthorn.maildir(ALICE.address).names(), [], "nobody is told of a short outage");
}

/** Hands a message of Alice's to posthorn, as a mail client in the namespace. */
async function submit(world: World, to: string, content: Uint8Array<ArrayBuffer>): Promise<CommandResult> {
  const [swaks] = MAIL_CLIENTS;
  assert(swaks);
  return await swaks.send({
    prefix: world.namespace.prefix,
    host: POSTHORN_ADDRESS,
    port: 587,
    security: "starttls",
    caFile: world.caFile,
    login: { mechanism: "PLAIN", username: ALICE.address, password: ALICE.password },
    from: ALICE.address,
    to,
    content,
    folder: world.folder,
  });
}
