/** What a sender hears in the end, from the queue with its real reports. */

import { assert, assertEquals, assertMatch } from "@std/assert";
import type { NextHop, RouteDecision, RouteHistory } from "../../../lib/delivery/next_hop.ts";
import type { DeliveryRequest } from "../../../lib/delivery/target.ts";
import type { Envelope, EnvelopeRecipient } from "../../../lib/mail/envelope.ts";
import type { Outcome } from "../../../lib/mail/outcome.ts";
import { dsnReporter } from "../../../lib/queue/reporter.ts";
import { QueueRunner } from "../../../lib/queue/runner.ts";
import type { Spool } from "../../../lib/queue/spool.ts";
import { FakeClock } from "../../support/fake_clock.ts";
import { MemoryFiles } from "../../support/memory_files.ts";
import { catchLog, openSpool, outcome, put, recoverAll, sampleEnvelope } from "../../support/queue_samples.ts";

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const NEVER: Outcome = { ...outcome("failed", "5.1.1", "550 5.1.1 nobody"), isRemoteReply: true, stage: "rcpt" };
const LATER: Outcome = { ...outcome("delayed", "4.3.0", "451 4.3.0 later"), isRemoteReply: true, stage: "rcpt" };
const BLOCKED: Outcome = { ...NEVER, status: "5.7.1", text: "550 5.7.1 blocked", replyClass: "block" };
const RELAYED = outcome("relayed", "2.0.0", "250 ok");
const SENDER_DOMAIN = "sender.example";

/** A report as it was delivered: to whom, what kind of, on whom. */
interface Heard {
  readonly to: string;
  readonly actions: readonly string[];
  readonly recipients: readonly string[];
  readonly text: string;
}

/** A queue on files in memory whose remote side is scripted, and the mailbox of the sender. */
class Post implements AsyncDisposable {
  readonly heard: Heard[] = [];
  readonly hops: string[] = [];
  answer: (address: string, hop: NextHop) => Outcome | Promise<Outcome> = () => RELAYED;
  readonly runner: QueueRunner;

  private constructor(
    readonly clock: FakeClock,
    readonly spool: Spool,
    readonly log: Awaited<ReturnType<typeof catchLog>>,
  ) {
    const expireAfterMs = 24 * HOUR;
    this.runner = new QueueRunner({
      spool,
      clock,
      logger: log.logger,
      route: routeTo,
      deliver: (request) => this.#deliver(request),
      reporter: dsnReporter({
        spool,
        clock,
        hostname: "mail.example.org",
        randomOctets: (into) => void crypto.getRandomValues(into),
        expireAfterMs: () => expireAfterMs,
        expand: (address) => [{ address }],
      }),
      random: Math.random,
      settings: {
        retryMs: [5 * MINUTE, HOUR],
        warnAfterMs: 4 * HOUR,
        expireAfterMs,
        concurrency: 20,
        limitsOf: () => ({ concurrency: 2, initial: 2 }),
      },
    });
  }

  static async open(files: MemoryFiles = new MemoryFiles(), start?: string): Promise<Post> {
    const clock = new FakeClock(start);
    return new Post(clock, await openSpool(files, { clock }), await catchLog());
  }

  async accept(recipients: readonly EnvelopeRecipient[], more: Partial<Envelope> = {}): Promise<void> {
    const arrived = new Date(this.clock.now()).toISOString();
    const envelope = sampleEnvelope([], { recipients, reversePath: `alice@${SENDER_DOMAIN}`, ...more, arrived });
    this.runner.enqueue(await put(this.spool, envelope, new TextEncoder().encode("Subject: hi\r\n\r\nbody\r\n")));
    await this.advance(0);
  }

  /** Lets time pass in steps, and the spool come to rest after each. */
  async advance(ms: number, stepMs = 10 * MINUTE): Promise<void> {
    for (let left = ms; left >= 0; left -= stepMs) {
      await this.clock.advance(Math.min(left, stepMs));
      for (let i = 0; i < 8; i++) await new Promise((resolve) => setTimeout(resolve, 0));
      if (left === 0) return;
    }
  }

  async queued(): Promise<number> {
    return (await recoverAll(this.spool)).size;
  }

  async #deliver({ recipients, hop, content, envelope }: DeliveryRequest): Promise<Outcome[]> {
    this.hops.push(hop.key);
    if (envelope.session.service === "local") {
      const text = new TextDecoder().decode(content.inMemory);
      const values = (name: string): string[] =>
        Array.from(text.matchAll(new RegExp(`^${name}: (.*)\\r$`, "gm")), ([, value = ""]) => value);
      this.heard.push({
        to: recipients.map(({ address }) => address).join(),
        actions: [...new Set(values("Action"))],
        recipients: values("Final-Recipient").map((value) => value.replace("rfc822; ", "")),
        text,
      });
      return recipients.map(() => RELAYED);
    }
    return await Promise.all(recipients.map(({ address }) => this.answer(address, hop)));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.runner[Symbol.asyncDispose]();
    await this.spool[Symbol.asyncDispose]();
    await this.log[Symbol.asyncDispose]();
  }
}

const SMARTHOST: NextHop = {
  kind: "smarthost",
  smarthost: { scheme: "smtp", host: "smarthost.example", port: 587, tls: "required" },
  key: "smtp:smarthost.example:587",
};

/** By MX; `f.example` has a fallback. */
function routeTo(address: string, { isOnFallback }: RouteHistory): RouteDecision {
  const domain = address.slice(address.lastIndexOf("@") + 1);
  if (isOnFallback) return { kind: "hop", hop: SMARTHOST };
  const fallback = { key: SMARTHOST.key, after: 2, classes: ["block"] as const };
  return {
    kind: "hop",
    hop: { kind: "mx", domain, key: `mx:${domain}` },
    ...(domain === "f.example" && { fallback }),
  };
}

const HUNDRED = Array.from({ length: 100 }, (_, at) => ({ address: `user${at}@${"abc".charAt(at % 3)}.example` }));

Deno.test("a hundred recipients on three hops that fail at once are one report", async () => {
  await using post = await Post.open();
  post.answer = () => NEVER;
  await post.accept(HUNDRED);
  await post.advance(MINUTE);
  assertEquals(post.heard.map(({ to, actions, recipients }) => [to, actions, recipients.length]), [
    [`alice@${SENDER_DOMAIN}`, ["failed"], 100],
  ]);
  assertEquals(await post.queued(), 0);
});

Deno.test("hops that answer one after the other are waited for, and make one report", async () => {
  await using post = await Post.open();
  const slow = Promise.withResolvers<void>();
  post.answer = async (address) => {
    if (address.endsWith("@c.example")) await slow.promise;
    return NEVER;
  };
  await post.accept(HUNDRED);
  await post.advance(10 * MINUTE);
  assertEquals(post.heard.length, 0, "one hop has not answered yet");
  slow.resolve();
  await post.advance(MINUTE);
  assertEquals(post.heard.map(({ recipients }) => recipients.length), [100]);
});

Deno.test("a hundred recipients on three hops that expire are warned of once and reported on once", async () => {
  await using post = await Post.open();
  post.answer = () => LATER;
  await post.accept(HUNDRED);
  await post.advance(25 * HOUR, HOUR);
  assertEquals(post.heard.map(({ actions, recipients }) => [actions, recipients.length]), [
    [["delayed"], 100],
    [["failed"], 100],
  ]);
  assertMatch(post.heard[1]?.text ?? "", /^Status: 4\.4\.7\r$/m);
  assertMatch(post.heard[1]?.text ?? "", / {2}<<< 451 4\.3\.0 later\r\n/);
  assertEquals(await post.queued(), 0);
});

Deno.test("a recipient is warned of at most once, over any number of restarts", async () => {
  const files = new MemoryFiles();
  const warned: (readonly string[])[] = [];
  for (let run = 0; run < 4; run++) {
    const start = new Date(Date.UTC(2026, 0, 1, run * 5)).toISOString();
    await using post = await Post.open(files, start);
    post.answer = () => LATER;
    if (run === 0) await post.accept([{ address: "bob@a.example" }, { address: "carol@b.example" }]);
    else await post.runner.start();
    await post.advance(4.5 * HOUR, HOUR);
    warned.push(...post.heard.map(({ actions }) => actions));
  }
  assertEquals(warned, [["delayed"]]);
});

Deno.test("NOTIFY of each recipient is kept where they are mixed", async () => {
  await using post = await Post.open();
  post.answer = (address) => address.startsWith("ok") ? RELAYED : NEVER;
  await post.accept([
    { address: "no-default@a.example" },
    { address: "no-never@a.example", notify: "never" },
    { address: "no-failure@b.example", notify: ["failure"] },
    { address: "no-success@b.example", notify: ["success"] },
    { address: "no-delay@b.example", notify: ["delay"] },
    { address: "ok-default@a.example" },
    { address: "ok-success@b.example", notify: ["success", "failure"] },
    { address: "ok-never@b.example", notify: "never" },
  ]);
  await post.advance(MINUTE);
  assertEquals(post.heard.map(({ actions, recipients }) => [actions.join(), ...recipients]), [
    ["failed", "no-default@a.example", "no-failure@b.example"],
    ["relayed", "ok-success@b.example"],
  ]);
});

Deno.test("a return address made for each recipient (VERP) gets the report as it is", async () => {
  await using post = await Post.open();
  const reversePath = `list-bounces+bob=a.example@${SENDER_DOMAIN}`;
  post.answer = () => NEVER;
  await post.accept([{ address: "bob@a.example" }], { reversePath });
  await post.advance(MINUTE);
  assertEquals(post.heard.map(({ to }) => to), [reversePath]);
  assertMatch(post.heard[0]?.text ?? "", new RegExp(`^To: ${reversePath.replace("+", "\\+")}\\r$`, "m"));
});

Deno.test("what is blocked goes by the fallback at once, without a report, and stays there after a restart", async () => {
  const files = new MemoryFiles();
  {
    await using post = await Post.open(files);
    post.answer = (_, hop) => hop.kind === "mx" ? BLOCKED : LATER;
    await post.accept([{ address: "bob@f.example" }]);
    await post.advance(MINUTE);
    assertEquals(post.hops, ["mx:f.example", SMARTHOST.key]);
    assertEquals(post.log.lines.filter((line) => line.includes("goes via the fallback")).length, 1);
  }
  await using post = await Post.open(files, "2026-01-01T02:00:00.000Z");
  await post.runner.start();
  await post.advance(MINUTE);
  assertEquals(post.hops, [SMARTHOST.key]);
  assertEquals([post.heard.length, await post.queued()], [0, 0]);
});

Deno.test("what the fallback refuses, too, is reported", async () => {
  await using post = await Post.open();
  post.answer = () => BLOCKED;
  await post.accept([{ address: "bob@f.example" }]);
  await post.advance(MINUTE);
  assertEquals(post.hops.slice(0, 2), ["mx:f.example", SMARTHOST.key]);
  assertEquals(post.heard.map(({ recipients }) => recipients), [["bob@f.example"]]);
  assert(post.log.lines.every((line) => !line.includes("cannot")), post.log.lines.join("\n"));
});

Deno.test("a member of a list that fails is reported to the owner, who learns the address and nothing of the sender's wishes", async () => {
  await using post = await Post.open();
  post.answer = (address) => address.startsWith("gone") ? NEVER : RELAYED;
  const member = (address: string): EnvelopeRecipient => ({
    address,
    notify: ["failure"],
    list: "member",
    reversePath: `owner-list@${SENDER_DOMAIN}`,
  });
  await post.accept([
    member("gone@a.example"),
    member("fine@a.example"),
    { address: "gone-too@a.example", original: `alias@${SENDER_DOMAIN}` },
    { address: `list@${SENDER_DOMAIN}`, notify: ["success"], isExpanded: true, list: "itself" },
  ], { ret: "FULL", envid: "QQ1", deliverBy: { until: "2099-01-01T00:00:00.000Z", mode: "return", isTraced: true } });
  await post.advance(MINUTE);
  assertEquals(post.heard.map(({ to, actions, recipients }) => [to, actions.join(), ...recipients]), [
    [`owner-list@${SENDER_DOMAIN}`, "failed", "gone@a.example"],
    [`alice@${SENDER_DOMAIN}`, "failed", `alias@${SENDER_DOMAIN}`],
    [`alice@${SENDER_DOMAIN}`, "delivered", `list@${SENDER_DOMAIN}`],
  ]);
  const [toOwner = "", toSender = "", onList = ""] = post.heard.map(({ text }) => text);
  assertMatch(toOwner, /A message to a list of yours could not be delivered/);
  assert(!toOwner.includes("QQ1") && !toOwner.includes("message/rfc822"), toOwner);
  assert(toSender.includes("Original-Envelope-Id: QQ1") && toSender.includes("message/rfc822"), toSender);
  assertMatch(onList.replaceAll("\r\n    ", " "), /It goes to the members of this list\./);
  assertEquals(await post.queued(), 0);
});

Deno.test("nobody is warned of a member that waits, and the owner hears when it is given up", async () => {
  await using post = await Post.open();
  post.answer = () => LATER;
  const owner = `owner-list@${SENDER_DOMAIN}`;
  await post.accept([{ address: "slow@a.example", notify: ["failure"], list: "member", reversePath: owner }]);
  await post.advance(20 * HOUR);
  assertEquals(post.heard, []);
  await post.advance(5 * HOUR);
  assertEquals(post.heard.map(({ to, actions }) => [to, actions.join()]), [[owner, "failed"]]);
});
