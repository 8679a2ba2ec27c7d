/**
 * The fast tests in a few batches, each with one share of all test files: a process that loads the modules once for
 * many files takes half the time of one that begins anew for each. A single file still runs alone with `deno test FILE`.
 */

const BATCHES = 8;
const FOLDERS = ["unit", "conversations", "property", "crash"];

function testsBelow(folder: URL): string[] {
  return [...Deno.readDirSync(folder)].flatMap(({ name, isDirectory }) => {
    if (isDirectory) return testsBelow(new URL(`${name}/`, folder));
    return name.endsWith("_test.ts") ? [new URL(name, folder).href] : [];
  });
}

/**
 * Loads the test files of a batch, which registers their tests.
 *
 * @param batch From 0.
 */
export async function loadShare(batch: number): Promise<void> {
  const files = FOLDERS.flatMap((name) => testsBelow(new URL(`../${name}/`, import.meta.url))).sort();
  for (const [place, file] of files.entries()) {
    if (place % BATCHES === batch) await import(file);
  }
}
