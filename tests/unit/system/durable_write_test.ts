import { assertEquals, assertRejects } from "@std/assert";
import { type Files, systemFiles, writeDurable } from "../../../lib/system/files.ts";

async function folder(): Promise<{ path: string } & AsyncDisposable> {
  const path = await Deno.makeTempDir();
  return { path, [Symbol.asyncDispose]: () => Deno.remove(path, { recursive: true }) };
}

Deno.test("a file is written with its mode, replaced when allowed, and otherwise kept as it is", async () => {
  await using temp = await folder();
  const path = `${temp.path}/key.pem`;
  await writeDurable(systemFiles, path, "one", { mode: 0o600, replace: false });
  assertEquals(((await Deno.stat(path)).mode ?? 0) & 0o777, 0o600);
  await assertRejects(
    () => writeDurable(systemFiles, path, "two", { mode: 0o600, replace: false }),
    Deno.errors.AlreadyExists,
  );
  assertEquals(await Deno.readTextFile(path), "one");
  await writeDurable(systemFiles, path, "three", { mode: 0o600, replace: true });
  assertEquals(await Deno.readTextFile(path), "three");
  assertEquals((await Array.fromAsync(Deno.readDir(temp.path))).length, 1);
});

Deno.test("the content is synced before the name changes, and the folder after", async () => {
  await using temp = await folder();
  const steps: string[] = [];
  const files: Files = {
    ...systemFiles,
    open: async (path, options) => {
      const file = await Deno.open(path, options);
      const sync = async (): Promise<void> => {
        steps.push(`sync ${path.slice(temp.path.length)}`);
        await file.sync();
      };
      return {
        read: (into) => file.read(into),
        write: (octets) => file.write(octets.subarray(0, 2)),
        seek: (offset, whence) => file.seek(offset, whence),
        syncData: () => file.syncData(),
        sync,
        stat: () => file.stat(),
        truncate: (octets) => file.truncate(octets),
        close: () => file.close(),
      };
    },
    rename: async (from, to) => {
      steps.push(`rename ${to.slice(temp.path.length)}`);
      await Deno.rename(from, to);
    },
  };
  await writeDurable(files, `${temp.path}/a`, "content", { mode: 0o644, replace: true });
  assertEquals(steps, ["sync /a.new", "rename /a", "sync "]);
  assertEquals(await Deno.readTextFile(`${temp.path}/a`), "content");
});
