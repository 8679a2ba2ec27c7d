import { assert, assertEquals } from "@std/assert";
import type { OpenFile } from "../../../lib/system/files.ts";
import { MemoryFiles } from "../../support/memory_files.ts";
import { openSpool, put, recoverAll } from "../../support/queue_samples.ts";

/** Files that count how many journals are open. */
class CountingFiles extends MemoryFiles {
  opened = 0;
  most = 0;

  override async open(path: string, options: Deno.OpenOptions): Promise<OpenFile> {
    const file = await super.open(path, options);
    if (!options.append) return file;
    this.most = Math.max(this.most, ++this.opened);
    // A disk that takes its time, as all of them do for a sync.
    const syncData = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 1));
    return { ...file, syncData, close: () => (this.opened--, file.close()) };
  }
}

Deno.test("thousands of records at once open few files at a time, and each is written", async () => {
  const files = new CountingFiles();
  await using spool = await openSpool(files);
  const messages = [];
  for (let i = 0; i < 500; i++) messages.push(await put(spool));
  const at = "2026-01-01T00:00:01.000Z";
  await Promise.all(messages.map(({ queueId }) => spool.append(queueId, [{ event: "held", at }])));
  assert(files.most > 1 && files.most <= 64, `${files.most} at a time`);
  assertEquals([...(await recoverAll(spool)).values()].filter(({ isHeld }) => isHeld).length, 500);
});
