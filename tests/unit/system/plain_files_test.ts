import { assertEquals, assertRejects } from "@std/assert";
import { type Files, plainly, readSmallText, systemFiles } from "../../../lib/system/files.ts";
import { makePipe } from "../../support/pipe.ts";

async function folder(): Promise<{ path: string } & AsyncDisposable> {
  const path = await Deno.makeTempDir();
  return { path, [Symbol.asyncDispose]: () => Deno.remove(path, { recursive: true }) };
}

/** Files in which somebody does something between the look at a file and its opening. */
function between(run: () => Promise<void>): Files {
  return {
    ...systemFiles,
    lstat: async (path) => {
      const facts = await systemFiles.lstat(path);
      await run();
      return facts;
    },
  };
}

Deno.test("A plain file is opened; a link, a pipe and a folder in its place are not, and nothing is waited for", async () => {
  await using temp = await folder();
  const path = (name: string): string => `${temp.path}/${name}`;
  await Deno.writeTextFile(path("file"), "text");
  await Deno.symlink(path("file"), path("link"));
  await Deno.mkdir(path("folder"));
  await makePipe(path("pipe"));
  assertEquals(await readSmallText(plainly(systemFiles), path("file"), 10), "text");
  for (const name of ["link", "pipe", "folder"]) {
    for (const options of [{ read: true }, { append: true }]) {
      await assertRejects(() => plainly(systemFiles).open(path(name), options), Error, "no plain file");
    }
  }
  await assertRejects(() => plainly(systemFiles).open(path("missing"), { read: true }), Deno.errors.NotFound);
});

Deno.test("A link that takes the place of a file in the very moment is not written through", async () => {
  await using temp = await folder();
  const [path, other] = [`${temp.path}/file`, `${temp.path}/other`];
  await Deno.writeTextFile(other, "other");
  const files = between(async () => {
    await Deno.remove(path);
    await Deno.symlink(other, path);
  });
  await Deno.writeTextFile(path, "mine");
  await assertRejects(() => plainly(files).open(path, { append: true }), Error, "no plain file");
});

Deno.test("A file that another one takes the place of is opened as it is then", async () => {
  await using temp = await folder();
  const path = `${temp.path}/file`;
  await Deno.writeTextFile(path, "old");
  await Deno.writeTextFile(`${path}.new`, "new");
  let isReplaced = false;
  const files = between(async () => {
    if (!isReplaced) await Deno.rename(`${path}.new`, path);
    isReplaced = true;
  });
  assertEquals(await readSmallText(plainly(files), path, 10), "new");
});
