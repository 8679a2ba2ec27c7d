/** `posthorn queue` on the real program: while it runs, over the control socket, and when it is stopped, on the files. */

import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { PosthornProcess } from "../support/posthorn_process.ts";
import { type CommandResult, mustRun, runCommand } from "../support/interop/command.ts";
import { SmtpDialog } from "../support/interop/dialog.ts";
import { awkwardMessage } from "../support/interop/messages.ts";
import { peerTest } from "../support/interop/peers.ts";
import { SmtpSink } from "../support/interop/sink.ts";
import { waitUntil } from "../support/interop/wait.ts";

const ALICE = { address: "alice@example.org", password: "correct horse battery staple" };
const BOB = "bob@remote.example";

/** What `queue list --json` shows. */
interface Listed {
  readonly id: string;
  readonly held: boolean;
  readonly recipients: readonly { readonly address: string; readonly state: string; readonly attempts: number }[];
}

/** A server whose remote mail goes to a sink that says "later" until it is told otherwise. */
class Fixture implements AsyncDisposable {
  readonly sink: SmtpSink;
  readonly posthorn: PosthornProcess;
  isTaking = false;

  private constructor(sink: SmtpSink, posthorn: PosthornProcess, takes: { isTaking: () => boolean }) {
    this.sink = sink;
    this.posthorn = posthorn;
    takes.isTaking = () => this.isTaking;
  }

  static async start(config: Readonly<Record<string, unknown>> = {}): Promise<Fixture> {
    const takes = { isTaking: (): boolean => false };
    const sink = new SmtpSink({
      reply: ({ kind }) => kind === "recipient" && !takes.isTaking() ? "451 4.7.1 Greylisted, come back" : undefined,
    });
    const posthorn = await PosthornProcess.start({
      listeners: [{ service: "mx" }],
      accounts: [ALICE],
      config: {
        relay_from: ["127.0.0.0/8"],
        routes: [{ domain: "*", via: `smtp://127.0.0.1:${sink.port}` }],
        queue: { retry: ["1h"] },
        ...config,
      },
    });
    return new Fixture(sink, posthorn, takes);
  }

  /** Sends a message to each of these and waits until the sink has put them off. */
  async sendDelayed(...recipients: readonly string[]): Promise<readonly Listed[]> {
    using dialog = await SmtpDialog.open(this.posthorn.port("mx"));
    for (const to of recipients) {
      const { octets } = awkwardMessage({ from: ALICE.address, to, subject: `for ${to}` });
      assertMatch(await dialog.send(ALICE.address, [to], octets), /^250 2\.0\.0 /);
    }
    return await waitUntil(async () => {
      const found = await this.list();
      const isDelayed = found.length === recipients.length &&
        found.every(({ recipients: [first] }) => first?.attempts === 1);
      return isDelayed ? found : undefined;
    }, { what: "delayed messages", everyMs: 200, detail: () => this.posthorn.log });
  }

  async list(...more: readonly string[]): Promise<readonly Listed[]> {
    return JSON.parse((await this.must("list", "--json", ...more)).stdout);
  }

  /** Runs `queue …`. */
  run(...words: readonly string[]): Promise<CommandResult> {
    return this.posthorn.run(["queue", ...words]);
  }

  /** Runs `queue …`, which has to succeed. */
  async must(...words: readonly string[]): Promise<CommandResult> {
    const result = await this.run(...words);
    assertEquals(result.code, 0, `queue ${words.join(" ")}\n${result.stdout}${result.stderr}\n${this.posthorn.log}`);
    return result;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.posthorn[Symbol.asyncDispose]();
    await this.sink[Symbol.asyncDispose]();
  }
}

const first = ([listed]: readonly Listed[]): string => listed?.id ?? "";

Deno.test("While the server runs: list, show and why tell the same as its log; retry delivers at once", async () => {
  await using fixture = await Fixture.start();
  const id = first(await fixture.sendDelayed(BOB));
  assertMatch(
    (await fixture.must("list")).stdout,
    new RegExp(`^${id} .*\\n {4}<${BOB}> attempt 2 at .*: 451 4\\.7\\.1 Grey`, "m"),
  );
  assertMatch((await fixture.must("show", id)).stdout, /^ {2}Subject: for bob@remote\.example$/m);
  assertMatch(
    (await fixture.must("why", id)).stdout,
    /^bob@remote\.example: waits until .* for attempt 2: 127\.0\.0\.1 \[127\.0\.0\.1:\d+\] answered "451 4\.7\.1 Grey.*; given up /,
  );
  fixture.isTaking = true;
  assertEquals((await fixture.must("retry", id)).stdout, `${id}: to be tried now\n`);
  await fixture.posthorn.waitForEmptyQueue();
  await fixture.posthorn.waitForLog(new RegExp(`${id}: to be tried now, as an operator asks`));
  assertEquals(fixture.sink.messages.length, 1);
  const gone = await fixture.run("retry", id);
  assertEquals([gone.code, gone.stdout], [65, `${id}: unknown: there is no such message in the queue\n`]);
});

Deno.test("While the server runs: hold stops a message over a restart, release lets it go, remove removes", async () => {
  await using fixture = await Fixture.start();
  const ids = (await fixture.sendDelayed(BOB, "eve@remote.example")).map(({ id }) => id);
  const [held = "", removed = ""] = ids;
  await fixture.must("hold", held);
  await fixture.must("remove", removed);
  assertEquals((await fixture.list()).map(({ id, held }) => [id, held]), [[held, true]]);
  fixture.isTaking = true;
  await fixture.posthorn.restart();
  await fixture.posthorn.waitForLog(/Found 1 message/);
  assertMatch((await fixture.must("why", held)).stdout, /held by an operator since .*, until it is released/);
  assertEquals(fixture.sink.messages.length, 0);
  await fixture.must("release", held);
  await fixture.posthorn.waitForEmptyQueue();
  assertEquals(fixture.sink.messages.map(({ recipients }) => recipients), [[BOB]]);
});

Deno.test("While the server runs: fail reports to the sender with the operator's reason", async () => {
  await using fixture = await Fixture.start();
  const id = first(await fixture.sendDelayed(BOB));
  await fixture.must("fail", id, "--reason", "That server is gone for good");
  const [report] = await fixture.posthorn.maildir(ALICE.address).waitFor(1, { detail: () => fixture.posthorn.log });
  assertMatch(report?.text ?? "", /^Final-Recipient: rfc822; ?bob@remote\.example\r$/m);
  assertMatch(report?.text ?? "", /That server is gone for good/);
  await fixture.posthorn.waitForEmptyQueue();
});

Deno.test("While the server runs: a suspended domain gets nothing until it is resumed", async () => {
  await using fixture = await Fixture.start();
  const id = first(await fixture.sendDelayed(BOB));
  fixture.isTaking = true;
  await fixture.must("suspend", "remote.example", "--reason", "they move");
  const { stdout } = await fixture.must("suspensions", "--json");
  assertMatch(stdout, /"pattern": "remote\.example",\n {4}"reason": "they move"/);
  await fixture.must("retry", id);
  assertMatch(
    (await fixture.must("why", id)).stdout,
    /mail for remote\.example is suspended by an operator since .* \(they move\)/,
  );
  await fixture.posthorn.restart();
  assertEquals(fixture.sink.messages.length, 0);
  await fixture.must("resume", "remote.example");
  await fixture.posthorn.waitForEmptyQueue();
  assertEquals(fixture.sink.messages.length, 1);
});

Deno.test("While the server runs: drain takes no new mail, empties the queue and ends; --off takes mail again", async () => {
  await using fixture = await Fixture.start();
  await fixture.sendDelayed(BOB, "eve@remote.example");
  using open = await SmtpDialog.open(fixture.posthorn.port("mx"));
  fixture.isTaking = true;
  const { stderr } = await fixture.must("drain");
  assertMatch(stderr, /Trying 2 messages now\n[^]*The queue is empty\n$/);
  assertEquals(fixture.sink.messages.length, 2);
  assertMatch(await open.command(`MAIL FROM:<${ALICE.address}>`), /^451 4\.3\.2 /);
  using late = await Deno.connect({ port: fixture.posthorn.port("mx") });
  assertMatch(await new Response(late.readable).text(), /^421 4\.3\.2 /);
  await fixture.must("drain", "--off");
  using again = await SmtpDialog.open(fixture.posthorn.port("mx"));
  assertMatch(await again.command("NOOP"), /^250 /);
});

Deno.test("While the server is stopped, changes are made on the files, and the next start heeds them", async () => {
  await using fixture = await Fixture.start();
  const { posthorn } = fixture;
  const listed = await fixture.sendDelayed(BOB, "eve@remote.example", "dan@remote.example", "kim@remote.example");
  const idOf = (name: string): string =>
    listed.find(({ recipients }) => recipients[0]?.address.startsWith(`${name}@`))?.id ?? "";
  await posthorn.kill("SIGTERM");
  await fixture.must("hold", idOf("bob"));
  await fixture.must("fail", idOf("eve"), "--reason", "no more");
  await fixture.must("remove", idOf("dan"));
  await fixture.must("retry", "--recipient", "kim@remote.example");
  await fixture.must("suspend", "held.example");
  const unconfirmed = await fixture.run("remove", "--all");
  assertEquals(unconfirmed.code, 64);
  assertMatch(unconfirmed.stderr, /would change 3 messages .*: add --yes/);
  const needsServer = await fixture.run("drain");
  assertEquals([needsServer.code, /needs a running server/.test(needsServer.stderr)], [69, true]);
  assertMatch((await fixture.must("why", idOf("kim"))).stdout, /waits for a server to run/);

  fixture.isTaking = true;
  await posthorn.restart();
  const [report] = await posthorn.maildir(ALICE.address).waitFor(1, { detail: () => posthorn.log });
  assertMatch(report?.text ?? "", /Final-Recipient: rfc822; ?eve@remote\.example[^]*no more/);
  await waitUntil(async () => (await posthorn.queueFiles()).length === 1 || undefined, {
    what: "all but the held message to go",
    detail: () => posthorn.log,
  });
  assertEquals(fixture.sink.messages.map(({ recipients }) => recipients), [["kim@remote.example"]]);
  assertEquals((await fixture.list()).map(({ id, held }) => [id, held]), [[idOf("bob"), true]]);
});

Deno.test("A control socket that kill -9 left does no harm: commands work on the files, and the next start replaces it", async () => {
  await using fixture = await Fixture.start();
  const id = first(await fixture.sendDelayed(BOB));
  await fixture.posthorn.kill("SIGKILL");
  assert((await Deno.lstat(fixture.posthorn.socketPath("admin.sock"))).isSocket);
  await fixture.must("hold", id);
  await fixture.posthorn.restart();
  assertMatch((await fixture.must("destinations", "--json")).stdout, /^\[/);
});

Deno.test("While a command has the queue, no server starts, and no other command changes it; both say who has it", async () => {
  await using fixture = await Fixture.start();
  const id = first(await fixture.sendDelayed(BOB));
  await fixture.posthorn.kill("SIGTERM");
  const path = `${fixture.posthorn.dataFolder}/spool/lock`;
  {
    using lock = await Deno.open(path, { read: true, write: true });
    await lock.lock(true);
    const refused = await fixture.run("hold", id);
    assertEquals(refused.code, 75);
    assertMatch(refused.stderr, /Cannot lock spool folder .*: in use by process \d+; nobody answers on .*; try again/);
    const started = await fixture.posthorn.run(["serve"], { timeoutMs: 20_000 });
    assertEquals(started.code, 69);
    assertMatch(started.stderr, /Cannot lock spool folder .*: in use by process \d+/);
  }
  await fixture.must("hold", id);
});

Deno.test("Without a control socket, a running server is not changed behind its back", async () => {
  await using fixture = await Fixture.start({ admin: { bind: "off" } });
  const id = first(await fixture.sendDelayed(BOB));
  const { code, stderr } = await fixture.run("hold", id);
  assertEquals(code, 75);
  assertMatch(stderr, /in use by process \d+; admin\.bind is off/);
  assertMatch((await fixture.must("why", id)).stdout, /^bob@remote\.example: /);
});

peerTest("Another user cannot use the control socket, and root changes files as the user they belong to", [
  "root",
  "curl",
], async () => {
  await using fixture = await Fixture.start();
  const { posthorn } = fixture;
  const id = first(await fixture.sendDelayed(BOB));
  await Deno.chmod(posthorn.folder, 0o755);
  await Deno.chmod(posthorn.dataFolder, 0o755);
  const curl = ["curl", "-sS", "--unix-socket", posthorn.socketPath("admin.sock"), "http://localhost/v1/queue"];
  assertEquals(JSON.parse(await mustRun(curl)), { isDraining: false, active: 0, scheduled: 1 });
  const denied = await runCommand(["setpriv", "--reuid=65534", "--clear-groups", "--", ...curl]);
  assertEquals(denied.code, 7, "curl cannot connect");

  await posthorn.kill("SIGTERM");
  await mustRun(["chown", "-R", "65534:65534", posthorn.dataFolder]);
  await Deno.remove(`${posthorn.dataFolder}/spool/lock`);
  const held = await fixture.run("hold", id);
  if (held.code === 77) {
    // An executable made with a Deno before 2.8 cannot change its user, and leaves no file of root behind.
    assertMatch(held.stderr, /this Deno cannot become it: run the command as that user/);
    await assertRejects(() => Deno.stat(`${posthorn.dataFolder}/spool/lock`), Deno.errors.NotFound);
    return;
  }
  assertEquals(held.code, 0, held.stderr);
  await fixture.must("suspend", "x.example");
  for (const name of ["lock", "suspensions"]) {
    assertEquals((await Deno.stat(`${posthorn.dataFolder}/spool/${name}`)).uid, 65_534, name);
  }
});
