import { assert, assertEquals } from "@std/assert";
import type { Files, OpenFile } from "../../../lib/system/files.ts";
import { MemoryFiles } from "../../support/memory_files.ts";
import { openSpool, put, sampleContent, sampleEnvelope } from "../../support/queue_samples.ts";

const CONTENT_OCTETS = 4 * 1024 * 1024;

/** Notes which memory comes to the disk. */
class WatchedFiles extends MemoryFiles {
  readonly buffers = new Map<ArrayBufferLike, number>();

  override async open(path: string, options: Deno.OpenOptions): Promise<OpenFile> {
    const file = await super.open(path, options);
    const write = file.write.bind(file);
    return Object.assign(file, {
      write: (octets: Uint8Array): Promise<number> => {
        this.buffers.set(octets.buffer, octets.buffer.byteLength);
        return write(octets);
      },
    });
  }

  get octets(): number {
    return [...this.buffers.values()].reduce((sum, octets) => sum + octets, 0);
  }
}

Deno.test("long messages go through the spool in few buffers, which the next one uses again", async () => {
  const files = new WatchedFiles();
  await using spool = await openSpool(files satisfies Files, { memoryOctets: 1024 * 1024 });
  const content = sampleContent(CONTENT_OCTETS);
  await put(spool, sampleEnvelope(), content, 60_000);
  assert(files.octets < 2 * 1024 * 1024, `${files.octets} octets for one message`);
  const { octets } = files;
  for (let i = 0; i < 2; i++) await put(spool, sampleEnvelope(), content, 60_000);
  assert(files.octets < octets + 100_000, `${files.octets - octets} octets more for two others`);
});

Deno.test("what was in a buffer before comes into no other message", async () => {
  const files = new MemoryFiles();
  await using spool = await openSpool(files, { memoryOctets: 1024 * 1024 });
  const sizes = [2_000_000, 100_000, 900_000, 1_200_000, 70_000];
  for (const size of sizes) {
    const content = sampleContent(size);
    const { content: stored } = await put(spool, sampleEnvelope(), content, 50_000);
    const read = new Uint8Array(size);
    let at = 0;
    for await (const chunk of stored.chunks()) {
      read.set(chunk, at);
      at += chunk.length;
    }
    assertEquals(at, size);
    assertEquals(read, content);
  }
  for (const file of files.tree("/data/spool/queue").values()) {
    if (file instanceof Uint8Array) assertEquals(new TextDecoder().decode(file.subarray(0, 14)), "posthorn-spool");
  }
});
