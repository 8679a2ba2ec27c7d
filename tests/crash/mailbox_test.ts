/**
 * Delivery into mailboxes that never were, and into one that was, where the machine stops or the disk fails at every single
 * operation: what was told as delivered is there, nothing half-written is visible, and no mailbox is taken for one that is
 * gone only because a crash took away what was just being made.
 */

import { assert, assertEquals } from "@std/assert";
import { MaildirTarget } from "../../lib/delivery/maildir.ts";
import { memoryContent } from "../../lib/mail/content.ts";
import type { Outcome } from "../../lib/mail/outcome.ts";
import { FolderSync } from "../../lib/system/folder_sync.ts";
import { FakeClock } from "../support/fake_clock.ts";
import { LogLines } from "../support/log_lines.ts";
import { folderTree } from "../support/mail_path.ts";
import { coin, diskFull, type FileOperation, MemoryFiles } from "../support/memory_files.ts";

/** Each delivery goes to one of these; the first two messages for alice are on their way together. */
const DELIVERIES = [["m1", "alice"], ["m2", "alice"], ["m3", "bob"], ["m4", "alice"], ["m5", "carol"]] as const;

/** A server on a disk. */
class Server implements AsyncDisposable {
  readonly log = new LogLines();
  readonly #sync: FolderSync;
  readonly #target: MaildirTarget;

  constructor(files: MemoryFiles, pid: number) {
    const clock = new FakeClock(undefined, true);
    this.#sync = new FolderSync(files, { clock });
    this.#target = new MaildirTarget({
      mailRoot: "/data/mail",
      files,
      clock,
      hostname: "mail.example.org",
      pid,
      folderSync: this.#sync,
      logger: this.log,
      lineEndings: () => "lf",
    });
  }

  async deliver(name: string, localPart: string): Promise<Outcome> {
    const account = `${localPart}@${localPart === "carol" ? "example.net" : "example.org"}`;
    const recipients = [{ address: account }];
    const [outcome] = await this.#target.deliver({
      queueId: name,
      envelope: {
        reversePath: "a@b.example",
        arrived: "2026-01-01T00:00:00.000Z",
        body: "7BIT",
        smtpUtf8: false,
        trace: "",
        session: { service: "mx" },
        recipients,
      },
      content: memoryContent(new TextEncoder().encode(contentOf(name).replaceAll("\n", "\r\n"))),
      hop: { kind: "maildir", account, key: `maildir:${account}` },
      recipients,
      signal: new AbortController().signal,
    });
    assert(outcome !== undefined);
    return outcome;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#sync[Symbol.asyncDispose]();
  }
}

function contentOf(name: string): string {
  return `Subject: ${name}\n\n${"x".repeat(200)}\n`;
}

/** Delivers all. @returns Names of the messages that were told as delivered. */
async function live(files: MemoryFiles, isOver: () => boolean = () => false): Promise<Set<string>> {
  const told = new Set<string>();
  await using server = new Server(files, 1);
  const one = async ([name, localPart]: readonly [string, string]): Promise<void> => {
    const { action } = await server.deliver(name, localPart);
    if (action === "delivered" && !isOver()) told.add(name);
  };
  const [first, second, ...others] = DELIVERIES;
  await Promise.all([one(first), one(second)]);
  for (const delivery of others) await one(delivery);
  return told;
}

/** A disk with the data folder, as every server makes it first. */
async function makeDisk(): Promise<MemoryFiles> {
  const files = new MemoryFiles();
  await files.makeFolder("/data");
  return files.afterCrash(() => true);
}

/** Copies by name of all messages that somebody could read. @throws {Error} One is not whole. */
function visible(files: MemoryFiles, where: string): Map<string, number> {
  const copies = new Map<string, number>();
  for (const [path, octets] of folderTree(files, "/data/mail")) {
    if (!/\/(new|cur)\/[^/]+$/.test(path)) continue;
    const text = new TextDecoder().decode(octets);
    const name = /^Subject: (.+)$/m.exec(text)?.[1] ?? "";
    assert(text.endsWith(`\n${contentOf(name)}`), `${where}: ${path} is not whole: ${text}`);
    copies.set(name, (copies.get(name) ?? 0) + 1);
  }
  return copies;
}

/** What was told is there; what was not can be delivered now, to every mailbox. */
async function check(files: MemoryFiles, told: ReadonlySet<string>, where: string, most: number): Promise<void> {
  files.fault = undefined;
  const before = visible(files, where);
  for (const name of told) assert(before.has(name), `${where}: ${name} was delivered and is lost`);
  await using server = new Server(files, 2);
  for (const [name, localPart] of [...DELIVERIES, ["m6", "alice"], ["m7", "bob"], ["m8", "carol"]] as const) {
    if (told.has(name)) continue;
    const outcome = await server.deliver(name, localPart);
    assertEquals(outcome.action, "delivered", `${where}: ${name}: ${server.log.lines.join("\n")}`);
  }
  const after = visible(files, where);
  for (const [name] of DELIVERIES) {
    const copies = after.get(name) ?? 0;
    const allowed = told.has(name) ? 1 : most;
    assert(copies >= 1 && copies <= allowed, `${where}: ${name} is there ${copies} times`);
  }
  const registry = new TextDecoder().decode(files.tree("/data").get("/data/mailboxes"));
  for (const account of ["alice@example.org", "bob@example.org", "carol@example.net"]) {
    assert(registry.split("\n").includes(account), `${where}: ${account} is not noted: ${registry}`);
  }
}

async function countOperations(): Promise<number> {
  const files = await makeDisk();
  const told = await live(files);
  assertEquals(told.size, DELIVERIES.length);
  assert(files.operations > 60, `only ${files.operations} operations`);
  return files.operations;
}

for (
  const [what, survivesAt] of [
    ["kill -9", () => (): boolean => true],
    ["power loss, with nothing unsynced on the disk,", () => (): boolean => false],
    ["power loss, with some of it on the disk,", (n: number) => coin(n)],
  ] as const
) {
  Deno.test(`${what} at any operation of a delivery loses no message, shows none half-written, and strands no mailbox`, async () => {
    const operations = await countOperations();
    for (let n = 1; n <= operations; n++) {
      const files = await makeDisk();
      let isOver = false;
      files.fault = ({ count }): void => {
        isOver ||= count >= n;
        if (isOver) throw new Error("The machine stopped");
      };
      const told = await live(files, () => isOver);
      await check(files.afterCrash(survivesAt(n)), told, `operation ${n}`, 2);
    }
  });
}

const FAULTS: readonly (readonly [string, () => Error, readonly FileOperation["name"][]])[] = [
  ["a full disk", diskFull, ["open", "write", "syncData", "sync", "makeFolder", "rename"]],
  [
    "an I/O error",
    (): Error => Object.assign(new Error("Input/output error (os error 5)"), { code: "EIO" }),
    ["open", "write", "syncData", "sync", "makeFolder", "rename", "read", "list"],
  ],
];

for (const [what, error, names] of FAULTS) {
  for (
    const [howLong, lasts] of [["for one operation", 1], ["for four operations", 4], ["for good", Infinity]] as const
  ) {
    Deno.test(`${what} ${howLong}, from any one of a delivery on, delays, leaves nothing behind, and is over by itself`, async () => {
      const operations = await countOperations();
      for (let n = 1; n <= operations; n++) {
        const files = await makeDisk();
        let hits = 0;
        files.fault = ({ name, count }): void => {
          if (count < n || hits >= lasts || !names.includes(name)) return;
          hits++;
          throw error();
        };
        const told = await live(files);
        const where = `operation ${n}`;
        assertEquals(visible(files, where).size, told.size, `${where}: delayed, and yet visible`);
        assertEquals([...folderTree(files, "/data/mail").keys()].filter((path) => path.includes("/tmp/")), [], where);
        assertEquals(files.openHandles, 0, where);
        await check(files, told, where, 1);
      }
    });
  }
}
