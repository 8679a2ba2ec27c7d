import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import fc from "fast-check";
import type { LineEndings } from "../../../lib/delivery/line_endings.ts";
import { MaildirWriter } from "../../../lib/delivery/maildir_writer.ts";
import type { Files, OpenFile } from "../../../lib/system/files.ts";
import { FolderSync } from "../../../lib/system/folder_sync.ts";
import { withCrlf } from "../../support/crlf.ts";
import { MemoryFiles } from "../../support/memory_files.ts";

const HEAD = "Return-Path: <a@example.com>\r\n";
const encoder = new TextEncoder();

/** One Maildir on a disk in memory. */
class Lab implements AsyncDisposable {
  readonly disk = new MemoryFiles();
  /** Octets of each write, in order. */
  readonly writes: number[] = [];
  readonly sync: FolderSync;
  readonly files: Files;
  #count = 0;

  constructor(readonly lineEndings: LineEndings, changes: (disk: MemoryFiles) => Partial<Files> = () => ({})) {
    const { disk } = this;
    this.files = {
      open: async (path, options) => this.#counting(await disk.open(path, options)),
      rename: (from, to) => disk.rename(from, to),
      remove: (path) => disk.remove(path),
      makeFolder: (path) => disk.makeFolder(path),
      list: (path) => disk.list(path),
      stat: (path) => disk.stat(path),
      lstat: (path) => disk.lstat(path),
      ...changes(disk),
    };
    this.sync = new FolderSync(disk);
  }

  #counting(file: OpenFile): OpenFile {
    const write = file.write.bind(file);
    return Object.assign(file, {
      write: (octets: Uint8Array): Promise<number> => {
        this.writes.push(octets.length);
        return write(octets);
      },
    });
  }

  static async make(...options: ConstructorParameters<typeof Lab>): Promise<Lab> {
    const lab = new Lab(...options);
    for (const maildir of ["/m", "/m/.Junk"]) {
      for (const name of ["tmp", "new", "cur"]) await lab.disk.makeFolder(`${maildir}/${name}`);
    }
    return lab;
  }

  begin(head = HEAD): Promise<MaildirWriter> {
    const { files, sync: folderSync, lineEndings } = this;
    const nextName = (): string => `1.Q${this.#count++}.host`;
    return MaildirWriter.begin({ files, folderSync, lineEndings, nextName }, "/m", encoder.encode(head));
  }

  /** Paths and texts of all files. */
  get tree(): Record<string, string> {
    return Object.fromEntries(
      [...this.disk.tree("/m")].map(([path, octets]) => [path, new TextDecoder("latin1").decode(octets)]),
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.sync[Symbol.asyncDispose]();
    assertEquals(this.disk.openHandles, 0, "every file was closed");
  }
}

Deno.test("Whatever comes, cut anywhere, the file gives it back, and its name tells both sizes", async () => {
  const line = fc.uint8Array({ maxLength: 9 }).map((octets) => [...octets.filter((o) => o !== 10 && o !== 13), 13, 10]);
  const content = fc.array(line, { maxLength: 9 }).map((lines) => Uint8Array.from(lines.flat()));
  const cuts = fc.array(fc.nat({ max: 90 }), { maxLength: 5 });
  const lineEndings = fc.constantFrom<LineEndings>("lf", "crlf");
  await fc.assert(fc.asyncProperty(content, cuts, lineEndings, async (octets, places, lineEndings) => {
    await using lab = await Lab.make(lineEndings);
    const writer = await lab.begin();
    const ends = [...places.sort((a, b) => a - b), octets.length];
    for (const [index, end] of ends.entries()) await writer.write(octets.slice(ends[index - 1] ?? 0, end));
    const published = await writer.publish({ folder: "new" });
    const file = lab.disk.tree("/m/new").get(published.path) ?? new Uint8Array();
    const whole = Uint8Array.from([...encoder.encode(HEAD), ...octets]);
    assertEquals(lineEndings === "lf" ? withCrlf(file) : file, whole);
    assert(published.path.endsWith(`.host,S=${file.length},W=${whole.length}`), published.path);
    assertEquals([published.octets, published.crlfOctets], [file.length, whole.length]);
    assertEquals(lab.disk.tree("/m").size, 1);
  }));
});

Deno.test("A small message is written by one call, with its head; of no content the head is written", async () => {
  for (const lineEndings of ["lf", "crlf"] as const) {
    await using lab = await Lab.make(lineEndings);
    const writer = await lab.begin();
    await writer.write(encoder.encode("Subject: x\r\n\r\nbody\r\n"));
    assertEquals((await writer.publish({ folder: "new" })).octets, lab.writes[0]);
    const empty = await lab.begin();
    assertEquals((await empty.publish({ folder: "new" })).crlfOctets, HEAD.length);
    assertEquals(lab.writes.length, 2);
  }
});

Deno.test("A large piece of many lines is converted whole", async () => {
  await using lab = await Lab.make("lf");
  const writer = await lab.begin();
  const text = "0123456789 0123456789\r\n".repeat(40_000);
  await writer.write(encoder.encode(text));
  const { path, crlfOctets } = await writer.publish({ folder: "new" });
  assertEquals(lab.tree[path], (HEAD + text).replaceAll("\r\n", "\n"));
  assertEquals(crlfOctets, HEAD.length + text.length);
});

Deno.test("A last line without CRLF comes out as it is", async () => {
  await using lab = await Lab.make("lf");
  const writer = await lab.begin();
  await writer.write(encoder.encode("a\r\n\r\nno end"));
  const { path } = await writer.publish({ folder: "new" });
  assertEquals(lab.tree[path], "Return-Path: <a@example.com>\na\n\nno end");
  assertMatch(path, /,S=38,W=41$/);
});

Deno.test("A message is published with flags in cur/, in another Maildir, too", async () => {
  await using lab = await Lab.make("crlf");
  const first = await (await lab.begin()).publish({ folder: "cur", flags: "SFS" });
  assertMatch(first.path, /^\/m\/cur\/1\.Q0\.host,S=30,W=30:2,FS$/);
  const second = await (await lab.begin()).publish({ maildir: "/m/.Junk", folder: "new" });
  assertMatch(second.path, /^\/m\/\.Junk\/new\/1\.Q1\.host,S=30,W=30$/);
  const third = await (await lab.begin()).publish({ folder: "cur" });
  assertMatch(third.path, /^\/m\/cur\/1\.Q2\.host,S=30,W=30:2,$/);
  assertEquals(Object.keys(lab.tree).sort(), [second.path, first.path, third.path].sort());
});

Deno.test("Nothing is visible before it is published, and nothing is left when it is aborted", async () => {
  await using lab = await Lab.make("lf");
  const writer = await lab.begin();
  await writer.write(encoder.encode("body\r\n"));
  assertEquals(Object.keys(lab.tree), ["/m/tmp/1.Q0.host"]);
  await writer.abort();
  await writer.abort();
  assertEquals(lab.tree, {});
  await assertRejects(() => writer.write(encoder.encode("late\r\n")), TypeError);
  {
    await using unfinished = await lab.begin();
    await unfinished.write(encoder.encode("body\r\n"));
  }
  assertEquals(lab.tree, {});
  {
    await using finished = await lab.begin();
    await finished.publish({ folder: "new" });
  }
  assertEquals(Object.keys(lab.tree).length, 1);
});

Deno.test("After a failed write nothing can be published", async () => {
  await using lab = await Lab.make("lf");
  const writer = await lab.begin();
  lab.disk.fault = ({ name }) => {
    if (name === "write") throw new Error("Input/output error (os error 5)");
  };
  await assertRejects(() => writer.write(encoder.encode("body\r\n")), Error, 'write "/m/tmp/1.Q0.host"');
  lab.disk.fault = undefined;
  await assertRejects(() => writer.publish({ folder: "new" }));
  assertEquals(lab.tree, {});
});

for (const failing of ["syncData", "rename", "sync"] as const) {
  Deno.test(`Where ${failing} fails, nothing stays behind in any folder`, async () => {
    await using lab = await Lab.make("lf");
    const writer = await lab.begin();
    await writer.write(encoder.encode("body\r\n"));
    lab.disk.fault = ({ name }) => {
      if (name === failing) throw new Error("Input/output error (os error 5)");
    };
    await assertRejects(() => writer.publish({ folder: "new" }));
    await writer.abort();
    assertEquals(lab.tree, {});
  });
}

Deno.test("A rename that an NFS server did, and refused when it was asked again, counts", async () => {
  await using lab = await Lab.make("lf", (disk) => ({
    rename: async (from, to) => {
      await disk.rename(from, to);
      throw new Deno.errors.NotFound(`No such file or directory (os error 2): rename '${from}' -> '${to}'`);
    },
  }));
  const { path } = await (await lab.begin()).publish({ folder: "new" });
  assertEquals(Object.keys(lab.tree), [path]);
});

Deno.test("A rename into a folder that is missing does not count", async () => {
  await using lab = await Lab.make("lf");
  const writer = await lab.begin();
  await lab.disk.remove("/m/new");
  await assertRejects(() => writer.publish({ folder: "new" }), Deno.errors.NotFound);
  assertEquals(lab.tree, {});
});

Deno.test("A file that an NFS server made, and refused when it was asked again, gets another name", async () => {
  let isFirst = true;
  await using lab = await Lab.make("lf", (disk) => ({
    open: async (path, options) => {
      const file = await disk.open(path, options);
      if (!isFirst) return file;
      isFirst = false;
      file.close();
      throw new Deno.errors.AlreadyExists("File exists (os error 17)");
    },
  }));
  const { path } = await (await lab.begin()).publish({ folder: "new" });
  assertMatch(path, /^\/m\/new\/1\.Q1\.host,S=29,W=30$/);
});
