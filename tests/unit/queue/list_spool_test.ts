import { assertEquals } from "@std/assert";
import { listSpool } from "../../../lib/queue/list_spool.ts";
import { MemoryFiles } from "../../support/memory_files.ts";
import { openSpool, put } from "../../support/queue_samples.ts";

Deno.test("listing passes over what is no message, and changes nothing", async () => {
  const files = new MemoryFiles();
  await using spool = await openSpool(files);
  const { queueId } = await put(spool);
  const bucket = `/data/spool/queue/${queueId.slice(-2)}`;
  files.overwrite("/data/spool/queue/notes.txt", new Uint8Array(3));
  files.overwrite(`${bucket}/broken`, new Uint8Array(3));
  await files.makeFolder(`${bucket}/backup`);
  const before = [...files.tree("/data/spool").keys()];
  const found: string[] = [];
  for await (const message of listSpool(files, "/data/spool")) found.push(message.queueId);
  assertEquals(found, [queueId]);
  assertEquals([...files.tree("/data/spool").keys()], before);
});
