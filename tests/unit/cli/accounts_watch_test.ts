import { assertEquals, assertStrictEquals } from "@std/assert";
import { ACCOUNTS_CHECK_MS, ACCOUNTS_KNOWN_WITHIN_S, watchAccounts } from "../../../lib/cli/accounts_watch.ts";
import { type Live, type LiveOptions, loadLive, reloadLive } from "../../../lib/cli/live.ts";
import { loadConfig } from "../../../lib/config/load.ts";
import type { Logger } from "../../../lib/log/logger.ts";
import { parseMailbox } from "../../../lib/mail/mailbox.ts";
import { systemFiles } from "../../../lib/system/files.ts";
import { FakeClock } from "../../support/fake_clock.ts";

const START = "2026-11-23T15:00:00Z";
const ALICE = "alice@example.org: {}\n";
const BOTH = "alice@example.org: {}\nbob@example.org: { addresses: [b@example.org] }\n";
const NEWS = "info: Accounts changed on disk and are in use: 2 mailboxes, 1 more addresses, 1 aliases";

/** A server that watches `accounts.yaml` of a temporary folder. */
class Fixture implements AsyncDisposable {
  readonly folder: string;
  readonly clock = new FakeClock(START);
  readonly lines: string[] = [];
  readonly #end = new AbortController();
  readonly options: LiveOptions;
  /** Reading this file is not allowed. */
  forbidden: string | undefined;
  live!: Live;
  /** The files that were read, without their folder. */
  reads: string[] = [];
  #minute = 0;
  #watching: Promise<void> = Promise.resolve();

  private constructor(folder: string) {
    this.folder = folder;
    const taker = (level: string) => (message: string, fields: Record<string, unknown> = {}): void => {
      const text = message.replace(/\{(\w+)\}/g, (_, name) => String(fields[name])).replaceAll(this.folder, "");
      this.lines.push(`${level}: ${text}`);
    };
    const logger: Logger = {
      debug: taker("debug"),
      info: taker("info"),
      warning: taker("warning"),
      error: taker("error"),
    };
    const readText = (path: string): Promise<string> => {
      const name = path.slice(this.folder.length + 1);
      this.reads.push(name);
      return name === this.forbidden ? Promise.reject(new Deno.errors.PermissionDenied(path)) : Deno.readTextFile(path);
    };
    const io = { readText, env: () => undefined };
    this.options = { file: `${folder}/posthorn.yaml`, io, files: systemFiles, clock: this.clock, logger };
  }

  static async start(accounts: string | undefined = ALICE): Promise<Fixture> {
    const fixture = new Fixture(await Deno.makeTempDir());
    await fixture.configure("aliases: { sales@example.org: alice@example.org }\n");
    if (accounts !== "") await fixture.write(accounts);
    fixture.live = await loadLive(await loadConfig(fixture.options.file, fixture.options.io), fixture.options);
    fixture.reads = [];
    fixture.lines.length = 0;
    fixture.#watching = watchAccounts(
      { ...fixture.options, live: () => fixture.live, use: (live) => fixture.live = live },
      fixture.#end.signal,
    );
    return fixture;
  }

  get file(): string {
    return `${this.folder}/accounts.yaml`;
  }

  /** Writes the configuration. */
  async configure(keys: string): Promise<void> {
    await Deno.writeTextFile(this.options.file, `hostname: mail.example.org\ndomains: { example.org: {} }\n${keys}`);
  }

  /** Whom mail for an address reaches. */
  membersOf(address: string): readonly string[] {
    const mailbox = parseMailbox(address);
    const resolved = mailbox === undefined ? undefined : this.live.settings.router.resolveRecipient(mailbox);
    return resolved?.kind === "local" ? resolved.targets.map((target) => target.address) : [];
  }

  /** Writes the accounts in place; each time at a time of its own, whatever the clock of the file system can tell apart. */
  async write(text: string, name = "accounts.yaml"): Promise<void> {
    await Deno.writeTextFile(`${this.folder}/${name}`, text);
    const time = new Date(Date.parse(START) + 60_000 * this.#minute++);
    await Deno.utime(`${this.folder}/${name}`, time, time);
  }

  /** Lets the watch look so many times. */
  async look(times = 1): Promise<void> {
    for (let i = 0; i < times; i++) {
      await this.clock.untilSleeping();
      await this.clock.advance(ACCOUNTS_CHECK_MS);
      await this.clock.untilSleeping();
    }
  }

  /** The mailboxes that take mail now. */
  get known(): string {
    return ["alice", "bob", "carol"].filter((name) => {
      const mailbox = parseMailbox(`${name}@example.org`);
      return mailbox !== undefined && this.live.settings.router.resolveRecipient(mailbox).kind === "local";
    }).join(" ");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#end.abort();
    await this.#watching;
    await Deno.remove(this.folder, { recursive: true });
  }
}

Deno.test("changed accounts are in use after two looks, with one log line; nothing else is read again", async () => {
  await using fixture = await Fixture.start();
  await fixture.look(5);
  assertEquals([fixture.reads, fixture.known], [[], "alice"]);
  const { certificates, config } = fixture.live;
  await fixture.write(BOTH);
  await fixture.look();
  assertEquals(fixture.known, "alice", "a file that just changed may be half-written");
  await fixture.look();
  assertEquals([fixture.known, fixture.lines, fixture.reads], ["alice bob", [NEWS], ["accounts.yaml"]]);
  assertStrictEquals(fixture.live.certificates, certificates);
  assertStrictEquals(fixture.live.config, config);
  await fixture.look(5);
  assertEquals([fixture.lines.length, fixture.reads.length], [1, 1]);
  assertEquals(2 * ACCOUNTS_CHECK_MS < 1_000 * ACCOUNTS_KNOWN_WITHIN_S, true);
});

Deno.test("what is most likely a mistake is said when it comes in, and not again at each change", async () => {
  await using fixture = await Fixture.start();
  const lost = "alice@example.org: { forward: allice@example.org }\n";
  await fixture.write(lost);
  await fixture.look(2);
  const hint =
    "warning: The mailbox alice@example.org forwards to allice@example.org, which is no mailbox here and gets " +
    "none of its mail";
  assertEquals(fixture.lines.filter((line) => line.startsWith("warning")), [hint]);
  await fixture.write(`${lost}bob@example.org: {}\n`);
  await fixture.look(2);
  assertEquals(fixture.known, "alice bob");
  assertEquals(fixture.lines.filter((line) => line.startsWith("warning")), [hint]);
});

Deno.test("an accounts file that another one took the place of is noticed at the same time and size", async () => {
  await using fixture = await Fixture.start();
  await fixture.write("carol@example.org: {}\n", "new.yaml");
  const { mtime } = await Deno.stat(fixture.file);
  await Deno.utime(`${fixture.folder}/new.yaml`, mtime ?? 0, mtime ?? 0);
  await Deno.rename(`${fixture.folder}/new.yaml`, fixture.file);
  await fixture.look(2);
  assertEquals(fixture.known, "carol");
});

Deno.test("a broken accounts file keeps the old accounts with one log line that has its places, and a mended one is taken", async () => {
  await using fixture = await Fixture.start();
  await fixture.write(
    "alice@example.org: {}\nbob@example.com: {}\ncarol@example.org: { addresses: sales@example.org }\n",
  );
  await fixture.look(10);
  assertEquals([fixture.known, fixture.reads.length], ["alice", 1]);
  assertEquals(fixture.lines, [
    'error: /accounts.yaml:2:1: accounts: expected a mailbox of one of our domains, found "bob@example.com"; ' +
    '/accounts.yaml:3:33: accounts.carol@example.org.addresses: "sales@example.org" is in "aliases" of the ' +
    "configuration, too: one of them must go; the accounts in use stay",
  ]);
  await fixture.write("alice@example.org: {");
  await fixture.look(10);
  assertEquals(fixture.lines.length, 2);
  await fixture.write(BOTH);
  await fixture.look(2);
  assertEquals([fixture.known, fixture.lines[2], fixture.lines.length], ["alice bob", NEWS, 3]);
});

Deno.test("an accounts file that is gone or empty keeps the old accounts, with one log line each, until it is back", async () => {
  await using fixture = await Fixture.start(BOTH);
  await Deno.remove(fixture.file);
  await fixture.look(10);
  await fixture.write("\n");
  await fixture.look(10);
  assertEquals([fixture.known, fixture.lines], ["alice bob", [
    "error: /accounts.yaml:1:1: cannot read the accounts file: no such file; it was there before; the accounts in use stay",
    'error: /accounts.yaml:1:1: the accounts file is empty; "{}" in it says that there are no mailboxes any more; ' +
    "the accounts in use stay",
  ]]);
  await fixture.write("{}\n");
  await fixture.look(2);
  assertEquals(fixture.known, "");
});

Deno.test("the first accounts file is taken without a restart", async () => {
  await using fixture = await Fixture.start("");
  await fixture.look(3);
  await fixture.write(BOTH);
  await fixture.look(2);
  assertEquals([fixture.known, fixture.lines], ["alice bob", [NEWS]]);
});

Deno.test("an accounts file that may not be read is named once, and taken when it may", async () => {
  await using fixture = await Fixture.start();
  fixture.forbidden = "accounts.yaml";
  await fixture.write(BOTH);
  await fixture.look(5);
  assertEquals(fixture.lines, [
    "error: /accounts.yaml:1:1: cannot read the accounts file: permission denied; the accounts in use stay",
  ]);
  fixture.forbidden = undefined;
  await fixture.look();
  assertEquals(fixture.known, "alice bob");
});

Deno.test("a file that was only touched is no news, and what a reload took already is not read again", async () => {
  await using fixture = await Fixture.start();
  await fixture.write(ALICE);
  await fixture.look(3);
  assertEquals([fixture.lines, fixture.reads.length], [[], 1]);
  await fixture.write(BOTH);
  await fixture.look();
  fixture.live = await reloadLive(fixture.options, fixture.live);
  const { length } = fixture.reads;
  await fixture.look(3);
  assertEquals([fixture.known, fixture.reads.length, fixture.lines], ["alice bob", length, []]);
});

Deno.test("a file that is named in the accounts file is watched, too", async () => {
  await using fixture = await Fixture.start();
  const hash = (salt: string): string => `$scrypt$ln=15,r=8,p=1$${btoa(salt).replaceAll("=", "")}$${"a".repeat(43)}`;
  await fixture.write(hash("first salt of it"), "alice.hash");
  await fixture.write("alice@example.org: { password: !file alice.hash }\n");
  await fixture.look(2);
  assertEquals(fixture.live.passwordHashes, [hash("first salt of it")]);
  await fixture.write(hash("a new salt for it"), "alice.hash");
  await fixture.look(2);
  assertEquals(fixture.live.passwordHashes, [hash("a new salt for it")]);
});

Deno.test("a file of members that an alias includes is watched, and of the configuration only aliases are read again", async () => {
  await using fixture = await Fixture.start(BOTH);
  const { options, folder } = fixture;
  await fixture.write("bob@example.org\n", "team");
  await fixture.configure("aliases: { team@example.org: { include: team } }\nlimits: { recipients: 7 }\n");
  fixture.live = await reloadLive(options, fixture.live);
  fixture.lines.length = 0;
  await fixture.configure("aliases: { team@example.org: { include: team } }\nlimits: { recipients: 5 }\n");
  await fixture.write("alice@example.org\nbob@example.org\n", "team");
  await fixture.look(2);
  assertEquals(fixture.membersOf("team@example.org"), ["alice@example.org", "bob@example.org"]);
  assertEquals(fixture.live.settings.limits.recipients, 7);
  assertEquals(fixture.lines, [NEWS]);
  await fixture.write("alice@example.org\nbob\n", "team");
  await fixture.look(5);
  assertEquals(fixture.lines.slice(1), [
    'error: /team:2:1: expected a mailbox such as "alice@example.org", found "bob"; the accounts in use stay',
  ]);
  await Deno.remove(`${folder}/team`);
  await fixture.look(5);
  assertEquals([fixture.membersOf("team@example.org").length, fixture.lines.length], [2, 3]);
});
