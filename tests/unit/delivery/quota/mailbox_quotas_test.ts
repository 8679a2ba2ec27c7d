import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import type { QuotaLimits } from "../../../../lib/config/config.ts";
import type { Leeway } from "../../../../lib/delivery/quota/leeway.ts";
import { MailboxQuotas, type QuotaSettings, type Reservation } from "../../../../lib/delivery/quota/mailbox_quotas.ts";
import type { QuotaWarning } from "../../../../lib/delivery/quota/warning.ts";
import type { LogFields } from "../../../../lib/log/logger.ts";
import type { Files } from "../../../../lib/system/files.ts";
import { FakeClock } from "../../../support/fake_clock.ts";
import { diskFull, MemoryFiles } from "../../../support/memory_files.ts";

const ALICE = "alice@example.org";
const MAILBOX = "/mail/example.org/alice";
const FILE = `${MAILBOX}/maildirsize`;
const MINUTE = 60_000;

/** A mailbox with a quota, on a disk in memory whose times follow the clock. */
class Lab {
  readonly clock = new FakeClock("2026-11-23T10:00:00Z", true);
  readonly disk = new MemoryFiles();
  readonly log: string[] = [];
  readonly quotas: MailboxQuotas;
  limits: QuotaLimits | undefined = { octets: 1000, messages: 100 };
  settings: QuotaSettings = { whenFull: "defer", warnAt: [] };
  /** Lists of folders so far. */
  lists = 0;
  looks = 0;
  /** Lists wait for it. */
  gate: Promise<void> | undefined;
  /** When the file was last written, where that is not now. */
  mtimeMs: number | undefined;
  #count = 0;

  constructor() {
    const note = (message: string, fields: LogFields = {}): void => {
      this.log.push(message.replace(/\{(\w+)\}/g, (_, name: string) => String(fields[name])));
    };
    this.quotas = new MailboxQuotas({
      mailRoot: "/mail",
      files: this.#files(),
      clock: this.clock,
      logger: { debug: note, info: note, warning: note, error: note },
      hostname: "mail.example.org",
      randomOctets: (into) => void into.fill(1),
      limitsOf: (account) => account === ALICE ? this.limits : undefined,
      settings: () => this.settings,
    });
  }

  #files(): Files {
    const { disk } = this;
    return {
      open: (path, options) => {
        this.looks++;
        return disk.open(path, options);
      },
      rename: (from, to) => disk.rename(from, to),
      remove: (path) => disk.remove(path),
      makeFolder: (path) => disk.makeFolder(path),
      list: (path) => this.#list(path),
      stat: async (path) => {
        this.looks++;
        return { ...await disk.stat(path), mtime: new Date(this.mtimeMs ?? this.clock.now()) };
      },
      lstat: (path) => disk.lstat(path),
    };
  }

  async *#list(path: string): ReturnType<Files["list"]> {
    this.lists++;
    await this.gate;
    yield* this.disk.list(path);
  }

  /** Makes the folders, and messages of these sizes in new/. */
  async mailbox(...sizes: number[]): Promise<void> {
    for (const folder of ["tmp", "new", "cur"]) await this.disk.makeFolder(`${MAILBOX}/${folder}`);
    for (const size of sizes) this.put(size);
  }

  put(size: number): void {
    this.disk.overwrite(`${MAILBOX}/new/${this.#count++}.host,S=${size}`, new Uint8Array(1));
  }

  write(text: string): void {
    this.disk.overwrite(FILE, new TextEncoder().encode(text));
  }

  /** The quota file; undefined where there is none. */
  get file(): string | undefined {
    const octets = this.disk.tree(MAILBOX).get(FILE);
    return octets === undefined ? undefined : new TextDecoder().decode(octets).replaceAll(/^ +/gm, "");
  }

  async reserve(octets: number, leeway: Leeway = "none"): Promise<Reservation> {
    const room = await this.quotas.reserve(ALICE, octets, leeway);
    assert(room !== undefined && !("action" in room), JSON.stringify(room));
    return room;
  }

  /** Why there is no room; undefined where there is, and then nothing is kept of it. */
  async refusal(octets: number, leeway: Leeway = "none"): Promise<string | undefined> {
    const room = await this.quotas.reserve(ALICE, octets, leeway);
    if (room !== undefined && "action" in room) return `${room.action} ${room.status} ${room.text}`;
    room?.release();
    return undefined;
  }

  /** Delivers as the Maildir target does. */
  async deliver(octets: number, leeway: Leeway = "none"): Promise<QuotaWarning | undefined> {
    const room = await this.reserve(octets, leeway);
    this.put(octets);
    return await room.commit(octets);
  }

  async check(octets?: number, leeway: Leeway = "none"): Promise<string | undefined> {
    return (await this.quotas.check(ALICE, octets, leeway))?.status;
  }
}

Deno.test("A mailbox without a quota is not looked at, and gets no quota file", async () => {
  const lab = new Lab();
  await lab.mailbox(10_000);
  lab.limits = undefined;
  assertEquals(lab.quotas.applyTo(ALICE), false);
  assertEquals(await lab.quotas.reserve(ALICE, 1e9, "none"), undefined);
  assertEquals(await lab.check(1e9), undefined);
  assertEquals([lab.looks, lab.lists, lab.file], [0, 0, undefined]);
});

Deno.test("The first message counts the mailbox, the next ones add a line each", async () => {
  const lab = new Lab();
  await lab.mailbox(100, 200);
  await lab.deliver(30);
  assertEquals(lab.file, "1000S,100C\n300 2\n30 1\n");
  const { lists } = lab;
  await lab.deliver(40);
  assertEquals(lab.file, "1000S,100C\n300 2\n30 1\n40 1\n");
  assertEquals(lab.lists, lists);
});

Deno.test("A message that turns out smaller is counted as it is", async () => {
  const lab = new Lab();
  await lab.mailbox();
  const room = await lab.reserve(900);
  await room.commit(500);
  assertEquals(lab.file, "1000S,100C\n0 0\n500 1\n");
  assertEquals(await lab.refusal(500), undefined);
  assertEquals(await lab.refusal(501), "delayed 4.2.2 mailbox is full");
});

Deno.test("A mailbox that was never delivered to gets its quota file with the first message", async () => {
  const lab = new Lab();
  const room = await lab.reserve(10);
  await lab.mailbox(10);
  await room.commit(10);
  assertEquals(lab.file, "1000S,100C\n10 1\n");
  assertEquals(lab.log, []);
});

Deno.test("What other programs write into the quota file counts at once", async () => {
  const lab = new Lab();
  await lab.mailbox(900);
  assertEquals(await lab.refusal(200), "delayed 4.2.2 mailbox is full");
  lab.write("1000S,100C\n900 1\n-800 -0\n-5 0\n");
  assertEquals(await lab.refusal(200), undefined);
  lab.write("1000S,100C\n900 1\n-800 -1\n");
  lab.mtimeMs = lab.clock.now() + 1;
  lab.write("1000S,100C\n900 1\n-100 -1\n");
  assertEquals(await lab.refusal(201), "delayed 4.2.2 mailbox is full", "of the same size, but later");
  await lab.deliver(100);
  assertEquals(lab.file, "1000S,100C\n900 1\n-100 -1\n100 1\n");
});

Deno.test("Messages that come at the same time do not pass the quota together", async () => {
  const lab = new Lab();
  await lab.mailbox();
  const rooms = await Promise.all(Array.from({ length: 12 }, () => lab.quotas.reserve(ALICE, 100, "none")));
  const taken = rooms.filter((room) => room !== undefined && !("action" in room)) as Reservation[];
  assertEquals(taken.length, 10);
  assertEquals(await lab.refusal(1), "delayed 4.2.2 mailbox is full with what is being delivered");
  taken[0]?.release();
  await taken[1]?.commit(100);
  assertEquals(await lab.refusal(100), undefined, "what did not come gave its room back");
  assertEquals(await lab.refusal(101), "delayed 4.2.2 mailbox is full with what is being delivered");
});

Deno.test("What is on its way refuses nobody for good, and nobody at RCPT", async () => {
  const lab = new Lab();
  lab.settings = { whenFull: "refuse", warnAt: [] };
  await lab.mailbox();
  const room = await lab.reserve(1000);
  assertEquals(await lab.refusal(1), "delayed 4.2.2 mailbox is full with what is being delivered");
  assertEquals(await lab.check(1), undefined);
  await room.commit(1000);
  assertEquals(await lab.refusal(1), "failed 5.2.2 mailbox is full");
  assertEquals(await lab.check(), "5.2.2");
});

Deno.test("At RCPT a full mailbox is told, and one that the size overfills; without a size one octet must fit", async () => {
  const lab = new Lab();
  await lab.mailbox(900);
  assertEquals([await lab.check(100), await lab.check(101), await lab.check()], [undefined, "4.2.2", undefined]);
  await lab.deliver(100);
  assertEquals(await lab.check(), "4.2.2");
});

Deno.test("A number of messages is a limit, too", async () => {
  const lab = new Lab();
  lab.limits = { messages: 2 };
  await lab.mailbox(1_000_000);
  assertEquals(await lab.check(1e9), undefined);
  await lab.deliver(1_000_000);
  assertEquals(lab.file, "2C\n1000000 1\n1000000 1\n");
  assertEquals(await lab.check(), "4.2.2");
});

Deno.test("A message larger than the whole quota is refused for good, without a look at the mailbox", async () => {
  const lab = new Lab();
  assertEquals(await lab.check(1001), "5.2.3");
  assertEquals(await lab.refusal(1001), "failed 5.2.3 message is larger than the mailbox may hold");
  assertEquals(lab.looks, 0);
});

Deno.test("A tenth more is there for what has to arrive, and any amount for a warning", async () => {
  const lab = new Lab();
  await lab.mailbox(1000);
  assertEquals(await lab.check(100, "grace"), undefined);
  assertEquals(await lab.refusal(100, "grace"), undefined);
  assertEquals(await lab.refusal(101, "grace"), "delayed 4.2.2 mailbox is full");
  await lab.deliver(5000, "any");
  assertEquals(lab.file, "1000S,100C\n1000 1\n5000 1\n");
});

Deno.test("Limits that have changed have the mailbox counted, and stand in the file then", async () => {
  const lab = new Lab();
  await lab.mailbox(100);
  lab.write("500S\n7 1\n");
  await lab.deliver(10);
  assertEquals(lab.file, "1000S,100C\n100 1\n10 1\n");
  lab.limits = { octets: 2000 };
  const { lists } = lab;
  await lab.deliver(10);
  assertEquals(lab.file, "2000S\n110 2\n10 1\n", "a moment later the sum is known without a count");
  assertEquals(lab.lists, lists);
});

Deno.test("A file without sense, or that cannot be read, has the mailbox counted", async () => {
  for (const text of ["", "1000S,100C\nnonsense\n", "1000S,100C\n1 1\n-5 -1\n"]) {
    const lab = new Lab();
    await lab.mailbox(100);
    lab.write(text);
    await lab.deliver(10);
    assertEquals(lab.file, "1000S,100C\n100 1\n10 1\n");
  }
  const lab = new Lab();
  await lab.mailbox(100);
  lab.write("1000S,100C\n5 1\n");
  let isLocked = true;
  lab.disk.fault = ({ name, path }) => {
    if (name === "open" && path === FILE && isLocked) throw new Deno.errors.PermissionDenied("not yours");
    isLocked = isLocked && name !== "rename";
  };
  await lab.deliver(10);
  assertEquals(lab.file, "1000S,100C\n100 1\n10 1\n");
  assertEquals(lab.log, [`Cannot read ${FILE}, the mailbox will be counted: not yours`]);
});

Deno.test("A file that somebody took away has the mailbox counted, however soon", async () => {
  const lab = new Lab();
  await lab.mailbox(100);
  await lab.deliver(10);
  lab.put(300);
  await lab.disk.remove(FILE);
  await lab.deliver(10);
  assertEquals(lab.file, "1000S,100C\n410 3\n10 1\n");
  lab.write("nonsense");
  lab.put(300);
  await lab.deliver(10);
  assertEquals(lab.file, "1000S,100C\n720 5\n10 1\n");
});

Deno.test("A file that has grown to 5,120 octets has the mailbox counted, but not every moment", async () => {
  const lab = new Lab();
  lab.limits = { octets: 100_000 };
  await lab.mailbox(100);
  const long = `100000S\n50 1\n${"1 0\n".repeat(1275)}`;
  assert(long.length < 5120);
  lab.write(long);
  await lab.deliver(1);
  assertEquals(lab.lists, 0);
  await lab.deliver(1);
  assertEquals(lab.lists > 0, true);
  assertEquals(lab.file, "100000S\n101 2\n1 1\n", "what the count found, not what the file said");
  const { lists } = lab;
  lab.write(`100000S\n${"1 1\n".repeat(1300)}`);
  await lab.deliver(1);
  assertEquals(lab.lists, lists);
  assertEquals(lab.file, "100000S\n1300 1300\n1 1\n", "put in order from what it said");
  await lab.clock.advance(MINUTE);
  lab.write(`100000S\n${"1 1\n".repeat(1301)}`);
  await lab.deliver(1);
  assertEquals(lab.file, "100000S\n103 4\n1 1\n");
});

Deno.test("That there is no room is believed of a fresh file of one line only", async () => {
  const lab = new Lab();
  await lab.mailbox(100);
  lab.write("1000S,100C\n990 1\n");
  lab.mtimeMs = lab.clock.now() - 15 * MINUTE + 1;
  assertEquals(await lab.refusal(20), "delayed 4.2.2 mailbox is full");
  assertEquals(lab.lists, 0);
  lab.mtimeMs--;
  assertEquals(await lab.refusal(20), undefined);
  assertEquals(lab.file, "1000S,100C\n100 1\n");

  const other = new Lab();
  await other.mailbox(100);
  other.write("1000S,100C\n900 1\n90 1\n");
  assertEquals(await other.refusal(20), undefined);
  assertEquals(other.file, "1000S,100C\n100 1\n");
});

Deno.test("A full mailbox is counted once a minute at most", async () => {
  const lab = new Lab();
  await lab.mailbox(600);
  await lab.deliver(300);
  const { lists } = lab;
  for (let attempt = 0; attempt < 3; attempt++) assertEquals(await lab.refusal(200), "delayed 4.2.2 mailbox is full");
  assertEquals(lab.lists, lists);
  await lab.clock.advance(MINUTE);
  assertEquals(await lab.refusal(200), "delayed 4.2.2 mailbox is full");
  assert(lab.lists > lists);
});

Deno.test("Deliveries to one mailbox wait for one count together", async () => {
  const lab = new Lab();
  await lab.mailbox(100);
  const gate = Promise.withResolvers<void>();
  lab.gate = gate.promise;
  const waiting = [lab.reserve(100), lab.reserve(100), lab.check(100)];
  await lab.clock.advance(100);
  gate.resolve();
  await Promise.all(waiting);
  assertEquals(lab.lists, 3, "the mailbox, new and cur");
});

Deno.test("Who waited for a look that was enough for a smaller message has the mailbox counted for a larger one", async () => {
  const lab = new Lab();
  await lab.mailbox(100);
  lab.write("1000S,100C\n950 5\n-10 0\n");
  assertEquals(await Promise.all([lab.refusal(10), lab.refusal(200)]), [undefined, undefined]);
});

Deno.test("A count that takes long holds a client up for a second, a delivery for half a minute", async () => {
  const lab = new Lab();
  await lab.mailbox(100);
  lab.gate = new Promise(() => {});
  lab.write("5S\n950 5\n");
  let answer: string | undefined = "none yet";
  const checked = lab.check(100).then((status) => answer = status);
  await lab.clock.advance(999);
  assertEquals(answer, "none yet");
  await lab.clock.advance(1);
  await checked;
  assertEquals(answer, "4.2.2", "what the file said is the best that is known");
  let room: string | undefined = "none yet";
  const reserved = lab.refusal(10).then((refusal) => room = refusal);
  await lab.clock.advance(29_999);
  assertEquals(room, "none yet");
  await lab.clock.advance(1);
  await reserved;
  assertEquals(room, undefined);
});

Deno.test("Nothing is refused for good while it is still being counted whether the mailbox is full", async () => {
  const lab = new Lab();
  lab.settings = { whenFull: "refuse", warnAt: [] };
  await lab.mailbox(100);
  const gate = Promise.withResolvers<void>();
  lab.gate = gate.promise;
  lab.write("1000S,100C\n950 5\n40 1\n");
  const checked = lab.check(100);
  await lab.clock.advance(1_000);
  assertEquals(await checked, "4.2.2");
  const reserved = lab.refusal(100);
  await lab.clock.advance(30_000);
  assertEquals(await reserved, "delayed 4.2.2 mailbox is full");
  gate.resolve();
  assertEquals(await lab.refusal(100), undefined);
  assertEquals(await lab.refusal(901), "failed 5.2.2 mailbox is full");
});

Deno.test("A mailbox of which nothing is known takes mail while it is being counted", async () => {
  const lab = new Lab();
  await lab.mailbox(2000);
  const gate = Promise.withResolvers<void>();
  lab.gate = gate.promise;
  const checked = lab.check(10);
  await lab.clock.advance(1000);
  assertEquals(await checked, undefined);
  gate.resolve();
  await lab.refusal(10);
  assertEquals(await lab.check(10), "4.2.2");
});

Deno.test("A count waits for messages that are under way, but for five seconds only", async () => {
  const lab = new Lab();
  await lab.mailbox(100);
  const room = await lab.reserve(100);
  await lab.clock.advance(MINUTE);
  lab.write("broken");
  const { lists } = lab;
  const next = lab.refusal(1);
  await lab.clock.advance(4999);
  assertEquals(lab.lists, lists);
  lab.put(100);
  await room.commit(100);
  assertEquals(await next, undefined);
  assertEquals(lab.file, "1000S,100C\n200 2\n", "counted once, not as a file and as a line");

  const slow = await lab.reserve(100);
  await lab.clock.advance(MINUTE);
  lab.write("broken");
  const later = lab.refusal(1);
  await lab.clock.advance(5000);
  assertEquals(await later, undefined);
  slow.release();
});

Deno.test("A message that cannot be noted has been delivered, and the mailbox is counted the next time", async () => {
  const lab = new Lab();
  await lab.mailbox();
  await lab.deliver(100);
  lab.disk.fault = ({ name, path }) => {
    if (name === "write" && path === FILE) throw diskFull();
  };
  await lab.deliver(200);
  lab.disk.fault = undefined;
  assertEquals(lab.file, undefined, "nobody believes a sum that is too low");
  assertStringIncludes(lab.log[0] ?? "", `Cannot note a message in ${FILE}`);
  await lab.deliver(1);
  assertEquals(lab.file, "1000S,100C\n300 2\n1 1\n");
});

Deno.test("A quota file that cannot be written stops no mail: the quota is kept in memory", async () => {
  const lab = new Lab();
  await lab.mailbox(800);
  lab.disk.fault = ({ name, path }) => {
    if (name === "rename" && path.startsWith(`${MAILBOX}/tmp`)) throw new Deno.errors.PermissionDenied("read-only");
  };
  await lab.deliver(100);
  assertEquals(await lab.refusal(101), "delayed 4.2.2 mailbox is full");
  assertEquals(lab.file, undefined);
  assertEquals([...lab.disk.tree(`${MAILBOX}/tmp`).keys()], []);
});

Deno.test("A mailbox that cannot be looked at fails a delivery, and takes a recipient", async () => {
  const lab = new Lab();
  await lab.mailbox();
  lab.disk.fault = ({ name }) => {
    if (name === "list") throw new Deno.errors.PermissionDenied("no entry");
  };
  assertEquals(await lab.check(10), undefined);
  const error = await lab.quotas.reserve(ALICE, 10, "none").catch((error: unknown) => error);
  assert(error instanceof Deno.errors.PermissionDenied);
});

Deno.test("What a count could not see of a mailbox is not written down", async () => {
  const lab = new Lab();
  await lab.mailbox(100);
  await lab.disk.makeFolder(`${MAILBOX}/.Locked/new`);
  lab.disk.fault = ({ name, path }) => {
    if (name === "list" && path.includes("Locked")) throw new Deno.errors.PermissionDenied("no entry");
  };
  await lab.deliver(10);
  assertEquals(lab.file, undefined);
  assertEquals(lab.log, [`Cannot count all of the mailbox of ${FILE}: no entry`]);
  assertEquals(await lab.refusal(891), "delayed 4.2.2 mailbox is full");
});

Deno.test("A count that could not see all takes a file away that says otherwise, and believes the next one", async () => {
  const lab = new Lab();
  await lab.mailbox(100);
  await lab.disk.makeFolder(`${MAILBOX}/.Locked/new`);
  lab.disk.fault = ({ name, path }) => {
    if (name === "list" && path.includes("Locked")) throw new Deno.errors.PermissionDenied("no entry");
  };
  lab.write("1000S,100C\n990 5\n5 1\n");
  assertEquals(await lab.refusal(100), undefined);
  assertEquals(lab.file, undefined);
  lab.write("1000S,100C\n300 3\n");
  await lab.deliver(10);
  lab.limits = { octets: 2000, messages: 100 };
  await lab.deliver(20);
  assertEquals(lab.file, "2000S,100C\n310 4\n20 1\n");
});

Deno.test("A mailbox that changes while it is counted is counted again", async () => {
  const lab = new Lab();
  await lab.mailbox(100);
  lab.disk.fault = ({ name, path }) => {
    if (name !== "list" || path !== `${MAILBOX}/cur` || lab.lists > 3) return;
    lab.put(50);
    lab.mtimeMs = lab.clock.now() + 1_000;
  };
  await lab.deliver(10);
  assertEquals(lab.file, "1000S,100C\n150 2\n10 1\n");
});

Deno.test("The owner is warned when a threshold is reached, once a day for each", async () => {
  const lab = new Lab();
  lab.settings = { whenFull: "defer", warnAt: [80, 95] };
  await lab.mailbox();
  assertEquals(await lab.deliver(799), undefined);
  const warning = await lab.deliver(1);
  assertStringIncludes(new TextDecoder().decode(warning?.content.inMemory), "Subject: Your mailbox is 80% full\r\n");
  assertEquals(lab.log, ['Mailbox "alice@example.org" has reached 80 % of its quota: 800 octets in 2 messages']);
  assertEquals(await lab.deliver(100), undefined);
  lab.write("1000S,100C\n700 2\n");
  assertEquals(await lab.deliver(110), undefined, "told less than a day ago");
  assertStringIncludes(
    new TextDecoder().decode((await lab.deliver(150))?.content.inMemory),
    "Subject: Your mailbox is 96% full",
  );
  await lab.clock.advance(24 * 60 * MINUTE);
  lab.write("1000S,100C\n700 2\n");
  assertStringIncludes(new TextDecoder().decode((await lab.deliver(280))?.content.inMemory), "98% full");
  assertEquals(lab.log.length, 3, "both at once are told as the higher one");
});

Deno.test("A warning causes no warning", async () => {
  const lab = new Lab();
  lab.settings = { whenFull: "defer", warnAt: [80, 95] };
  await lab.mailbox(700);
  assertEquals(await lab.deliver(280, "any"), undefined);
});
