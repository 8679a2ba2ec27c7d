import { assertEquals, assertMatch, assertRejects } from "@std/assert";
import { SrsKeyError, type SrsKeysOptions, srsSecrets } from "../../../../lib/routing/srs/keys.ts";
import { type Files, systemFiles } from "../../../../lib/system/files.ts";
import { LogLines } from "../../../support/log_lines.ts";

const randomOctets = (into: Uint8Array<ArrayBuffer>): void => void into.fill(7);

async function inFolder(
  test: (options: SrsKeysOptions & { readonly logger: LogLines }) => Promise<void>,
): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    const logger = new LogLines();
    await test({ file: `${folder}/keys/srs`, isMade: true, files: systemFiles, randomOctets, logger });
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("a secret is made where there is none, for us alone, and is the same ever after", async () => {
  await inFolder(async (options) => {
    const [secret = "", ...others] = await srsSecrets(options);
    assertEquals(secret, new Uint8Array(32).fill(7).toBase64());
    assertEquals(others, []);
    const { mode } = await Deno.stat(options.file);
    assertEquals((mode ?? 0) & 0o777, 0o600);
    assertEquals(await Deno.readTextFile(options.file), `${secret}\n`);
    assertEquals(options.logger.lines.length, 1);
    assertEquals(options.logger.lines[0]?.includes(secret), false);
    const again = await srsSecrets({ ...options, randomOctets: (into) => void into.fill(8) });
    assertEquals(again, [secret]);
  });
});

Deno.test("no secret is made where senders are not rewritten, but one that is there is read", async () => {
  await inFolder(async (options) => {
    assertEquals(await srsSecrets({ ...options, isMade: false }), []);
    await assertRejects(() => Deno.stat(options.file), Deno.errors.NotFound);
    const made = await srsSecrets(options);
    assertEquals(await srsSecrets({ ...options, isMade: false }), made);
  });
});

Deno.test("each line is a secret, the first one first", async () => {
  await inFolder(async (options) => {
    await srsSecrets(options);
    await Deno.writeTextFile(options.file, "new secret\r\n\nold secret");
    assertEquals(await srsSecrets(options), ["new secret", "old secret"]);
  });
});

Deno.test("a file without a good secret is an error that shows none of it", async () => {
  await inFolder(async (options) => {
    await srsSecrets(options);
    for (const text of ["", "\n", "a good secret\nshort\n"]) {
      await Deno.writeTextFile(options.file, text);
      const error = await assertRejects(() => srsSecrets(options), SrsKeyError);
      assertMatch(error.message, /^expected a secret of 8 characters or more in each line; without the file/);
    }
    await Deno.remove(options.file);
    await Deno.mkdir(options.file);
    await assertRejects(() => srsSecrets(options), SrsKeyError, "cannot read");
  });
});

Deno.test("a secret that cannot be written signs nothing", async () => {
  await inFolder(async (options) => {
    const files: Files = { ...systemFiles, rename: () => Promise.reject(new Error("No space left (os error 28)")) };
    assertEquals(await srsSecrets({ ...options, files }), []);
    assertMatch(options.logger.lines.join(), /^warning: Cannot write .*keys\/srs, forwarded mail keeps its sender/);
  });
});
