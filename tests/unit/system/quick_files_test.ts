import { assert, assertEquals, assertInstanceOf, assertRejects } from "@std/assert";
import { systemFiles } from "../../../lib/system/files.ts";
import { type BlockingCalls, blockingCalls, type BlockingFile, quickFiles } from "../../../lib/system/quick_files.ts";

/** Files in a folder of their own; `ways` says for each call whether it took a thread. */
class Lab implements Disposable {
  readonly folder = Deno.makeTempDirSync({ prefix: "posthorn-quick-" });
  readonly ways: string[] = [];
  nowMs = 0;
  /** How long each call without a thread takes. */
  callMs = 0.05;
  isLocal = true;
  readonly files = quickFiles({
    files: {
      ...systemFiles,
      open: (path, options) => this.#inThread("open", () => systemFiles.open(path, options)),
      rename: (from, to) => this.#inThread("rename", () => systemFiles.rename(from, to)),
      remove: (path) => this.#inThread("remove", () => systemFiles.remove(path)),
    },
    calls: this.#calls(),
    clock: { monotonic: () => this.nowMs },
    isLocal: () => this.isLocal,
  });

  #calls(): BlockingCalls {
    return {
      open: (path, options) => this.#at("open", () => this.#spy(blockingCalls.open(path, options))),
      rename: (from, to) => this.#at("rename", () => blockingCalls.rename(from, to)),
      remove: (path) => this.#at("remove", () => blockingCalls.remove(path)),
    };
  }

  #spy(file: BlockingFile): BlockingFile {
    return {
      read: (into) => file.read(into),
      seek: (offset, whence) => file.seek(offset, whence),
      stat: () => file.stat(),
      statSync: () => file.statSync(),
      sync: () => file.sync(),
      truncate: (octets) => file.truncate(octets),
      close: () => file.close(),
      write: (octets) => this.#inThread("write", () => file.write(octets)),
      syncData: () => this.#inThread("syncData", () => file.syncData()),
      writeSync: (octets) => this.#at("write", () => file.writeSync(octets)),
    };
  }

  #at<T>(name: string, call: () => T): T {
    this.ways.push(name);
    this.nowMs += this.callMs;
    return call();
  }

  #inThread<T>(name: string, call: () => Promise<T>): Promise<T> {
    this.ways.push(`${name} in a thread`);
    return call();
  }

  /** Writes a file as a delivery does. */
  async deliver(octets: Uint8Array, name = "message"): Promise<void> {
    const file = await this.files.open(`${this.folder}/tmp`, { write: true, createNew: true, mode: 0o600 });
    assertEquals(await file.write(octets), octets.length);
    await file.syncData();
    file.close();
    await this.files.rename(`${this.folder}/tmp`, `${this.folder}/${name}`);
  }

  [Symbol.dispose](): void {
    Deno.removeSync(this.folder, { recursive: true });
  }
}

Deno.test("a small file takes a thread for nothing but fdatasync", async () => {
  using lab = new Lab();
  await lab.deliver(new Uint8Array([1, 2, 3]));
  assertEquals(lab.ways, ["open", "write", "syncData in a thread", "rename"]);
  assertEquals(await Deno.readFile(`${lab.folder}/message`), new Uint8Array([1, 2, 3]));
  await lab.files.remove(`${lab.folder}/message`);
  assertEquals(lab.ways.at(-1), "remove");
  await assertRejects(() => systemFiles.stat(`${lab.folder}/message`), Deno.errors.NotFound);
});

Deno.test("a long piece is written in a thread", async () => {
  using lab = new Lab();
  await lab.deliver(new Uint8Array(64 * 1024 + 1));
  assertEquals(lab.ways, ["open", "write in a thread", "syncData in a thread", "rename"]);
});

Deno.test("on a file system of the network all takes threads", async () => {
  using lab = new Lab();
  lab.isLocal = false;
  await lab.deliver(new Uint8Array(3));
  assertEquals(lab.ways, ["open in a thread", "rename in a thread"]);
});

Deno.test("where calls become slow, threads do them for five seconds", async () => {
  using lab = new Lab();
  lab.callMs = 100;
  await lab.deliver(new Uint8Array(3), "first");
  lab.ways.length = 0;
  await lab.deliver(new Uint8Array(3), "second");
  assertEquals(lab.ways, ["open in a thread", "rename in a thread"]);
  lab.nowMs += 5_000;
  lab.callMs = 0.05;
  lab.ways.length = 0;
  await lab.deliver(new Uint8Array(3), "third");
  assertEquals(lab.ways, ["open", "write", "syncData in a thread", "rename"]);
});

Deno.test("what may turn out to be a pipe, which waits for its other end, is opened in a thread", async () => {
  using lab = new Lab();
  const path = `${lab.folder}/message`;
  await lab.deliver(new Uint8Array(3));
  lab.ways.length = 0;
  for (const options of [{ read: true }, { append: true }, { write: true, create: true }]) {
    (await lab.files.open(path, options)).close();
  }
  assertEquals(lab.ways, ["open in a thread", "open in a thread", "open in a thread"]);
  // Both ends at once: nobody is waited for (fifo(7)).
  (await lab.files.open(path, { read: true, append: true })).close();
  assertEquals(lab.ways.at(-1), "open");
});

Deno.test("one late call, because the machine had other things to do, changes nothing", async () => {
  using lab = new Lab();
  lab.callMs = 50;
  await assertRejects(() => lab.files.remove(`${lab.folder}/nothing`), Deno.errors.NotFound);
  lab.callMs = 0.05;
  await lab.deliver(new Uint8Array(3));
  assertEquals(lab.ways, ["remove", "open", "write", "syncData in a thread", "rename"]);
});

Deno.test("errors are those of the other way: promises that reject, and never throw", async () => {
  using lab = new Lab();
  for (const isLocal of [true, false]) {
    lab.isLocal = isLocal;
    const path = `${lab.folder}/missing/file`;
    const options = { write: true, createNew: true };
    assertInstanceOf(await lab.files.open(path, options).catch((error: unknown) => error), Deno.errors.NotFound);
    const error = await lab.files.rename(path, `${lab.folder}/x`).catch((error: unknown) => error);
    assertInstanceOf(error, Deno.errors.NotFound);
    assert(error.message.includes(path), error.message);
  }
});
