import { assertEquals } from "@std/assert";
import { TmpCleaner } from "../../../lib/delivery/tmp_cleaner.ts";
import type { Logger } from "../../../lib/log/logger.ts";
import { type Files, systemFiles } from "../../../lib/system/files.ts";
import { FakeClock } from "../../support/fake_clock.ts";

const NOW = "2026-11-23T10:00:00Z";
const HOUR = 3_600_000;

/** A mailbox with an `.Archive` on the disk of the machine, and what is logged about it. */
class Lab implements AsyncDisposable {
  readonly clock = new FakeClock(NOW);
  readonly lines: string[] = [];
  readonly cleaner: TmpCleaner;
  /** Asked before each operation; what it throws is the result. */
  fault: (operation: "list" | "stat" | "remove", path: string) => void = () => {};
  lists = 0;

  constructor(readonly mailbox: string) {
    const files: Files = {
      ...systemFiles,
      list: (path) => {
        this.lists++;
        this.fault("list", path);
        return systemFiles.list(path);
      },
      stat: (path) => {
        this.fault("stat", path);
        return systemFiles.stat(path);
      },
      remove: (path) => {
        this.fault("remove", path);
        return systemFiles.remove(path);
      },
    };
    const log = (message: string, fields: Record<string, unknown> = {}): void => {
      const text = message.replace(/\{(\w+)\}/g, (_, name) => String(fields[name]));
      this.lines.push(text.replaceAll(mailbox, "MAILBOX"));
    };
    const logger: Logger = { debug: log, info: log, warning: log, error: log };
    this.cleaner = new TmpCleaner({ files, clock: this.clock, logger, isOwn: (name) => name.includes("Rours") });
  }

  static async make(): Promise<Lab> {
    const mailbox = await Deno.makeTempDir();
    for (const folder of ["", "/.Archive"]) {
      for (const name of ["tmp", "new", "cur"]) await Deno.mkdir(`${mailbox}${folder}/${name}`, { recursive: true });
    }
    return new Lab(mailbox);
  }

  /** Makes a file that was written and read so long ago. */
  async put(path: string, hours: number, readHours = hours): Promise<void> {
    await Deno.writeTextFile(`${this.mailbox}/${path}`, "12345");
    const at = (hours: number): Date => new Date(Date.parse(NOW) - hours * HOUR);
    await Deno.utime(`${this.mailbox}/${path}`, at(readHours), at(hours));
  }

  async clean(): Promise<void> {
    this.cleaner.use(this.mailbox);
    await this.cleaner.idle();
  }

  /** Paths of all files. */
  async left(folder = ""): Promise<string[]> {
    const paths: string[] = [];
    for await (const { name, isDirectory } of Deno.readDir(this.mailbox + folder)) {
      if (isDirectory) paths.push(...await this.left(`${folder}/${name}`));
      else paths.push(`${folder}/${name}`.slice(1));
    }
    return paths.sort();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.cleaner[Symbol.asyncDispose]();
    await Deno.remove(this.mailbox, { recursive: true });
  }
}

Deno.test("What nobody touched for 36 hours goes from tmp/, also of a Maildir++ folder, with one line in the log", async () => {
  await using lab = await Lab.make();
  for (const path of ["tmp/old", "tmp/older", ".Archive/tmp/old", "new/old", "cur/old:2,S", "dovecot-uidlist"]) {
    await lab.put(path, 37);
  }
  await lab.put("tmp/young", 35);
  await lab.put(".Archive/tmp/young", 0);
  await lab.put("tmp/written long ago and just read", 100, 1);
  await lab.put("tmp/read long ago and just written", 1, 100);
  await lab.put("tmp/1.Rours.host", 100);
  await lab.clean();
  assertEquals(await lab.left(), [
    ".Archive/tmp/young",
    "cur/old:2,S",
    "dovecot-uidlist",
    "new/old",
    "tmp/1.Rours.host",
    "tmp/read long ago and just written",
    "tmp/written long ago and just read",
    "tmp/young",
  ]);
  assertEquals(lab.lines, ["Removed 3 file(s) of 15 octets below MAILBOX, left in tmp/ for 36 hours"]);
});

Deno.test("Folders and links in tmp/, and folders that are not of mail, are left alone", async () => {
  await using lab = await Lab.make();
  await Deno.mkdir(`${lab.mailbox}/tmp/folder`);
  await Deno.mkdir(`${lab.mailbox}/plain/tmp`, { recursive: true });
  await Deno.mkdir(`${lab.mailbox}/.hidden`);
  await lab.put("plain/tmp/old", 100);
  await lab.put(".hidden/old", 100);
  await Deno.symlink(`${lab.mailbox}/plain/tmp/old`, `${lab.mailbox}/tmp/link`);
  await Deno.symlink(`${lab.mailbox}/plain`, `${lab.mailbox}/.link`);
  await lab.clean();
  assertEquals(await lab.left(), [".hidden/old", ".link", "plain/tmp/old", "tmp/link"]);
  assertEquals(lab.lines, []);
});

Deno.test("A tmp/ that is a link leads to nothing that is removed", async () => {
  await using lab = await Lab.make();
  await Deno.mkdir(`${lab.mailbox}/keys`);
  await lab.put("keys/old", 100);
  for (const tmp of ["tmp", ".Archive/tmp"]) {
    await Deno.remove(`${lab.mailbox}/${tmp}`);
    await Deno.symlink(`${lab.mailbox}/keys`, `${lab.mailbox}/${tmp}`);
  }
  await lab.clean();
  assertEquals(await lab.left(), [".Archive/tmp", "keys/old", "tmp"]);
  assertEquals(lab.lines, []);
});

Deno.test("A mailbox is cleaned at its first use, and again a day later", async () => {
  await using lab = await Lab.make();
  await lab.clean();
  const once = lab.lists;
  await lab.put("tmp/old", 37);
  await lab.clock.advance(23 * HOUR);
  await lab.clean();
  assertEquals([await lab.left(), lab.lists], [["tmp/old"], once]);
  await lab.clock.advance(HOUR);
  await lab.clean();
  assertEquals([await lab.left(), lab.lists], [[], 2 * once]);
});

Deno.test("Files and folders that vanish meanwhile are no trouble", async () => {
  await using lab = await Lab.make();
  for (const name of ["a", "b", "c"]) await lab.put(`tmp/${name}`, 37);
  const gone = new Set<string>();
  lab.fault = (operation) => {
    if (operation === "list" || gone.has(operation)) return;
    gone.add(operation);
    throw new Deno.errors.NotFound("No such file or directory (os error 2)");
  };
  await lab.clean();
  assertEquals((await lab.left()).length, 2);
  lab.lines.length = 0;
  lab.cleaner.use(`${lab.mailbox}/missing`);
  await lab.cleaner.idle();
  assertEquals(lab.lines, []);
});

Deno.test("A disk that refuses is a line in the log, and the next mailbox is cleaned", async () => {
  await using lab = await Lab.make();
  await using other = await Lab.make();
  await lab.put("tmp/old", 37);
  await other.put("tmp/old", 37);
  lab.fault = (operation, path) => {
    if (operation === "remove" && path.startsWith(lab.mailbox)) throw new Error("Read-only file system (os error 30)");
  };
  lab.cleaner.use(lab.mailbox);
  lab.cleaner.use(other.mailbox);
  await lab.cleaner.idle();
  assertEquals([await lab.left(), await other.left()], [["tmp/old"], []]);
  assertEquals(
    lab.lines[0],
    "Cannot remove old files in tmp/ below MAILBOX, will try again in a day: Read-only file system (os error 30)",
  );
});
