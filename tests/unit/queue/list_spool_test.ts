import { assertEquals, assertRejects } from "@std/assert";
import { listQueueIds, listSpool, messagePath, readMessage, readMessages } from "../../../lib/queue/list_spool.ts";
import { SpoolFileError } from "../../../lib/queue/spool_json.ts";
import { MemoryFiles } from "../../support/memory_files.ts";
import { delayedEvent, openSpool, put } from "../../support/queue_samples.ts";

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

Deno.test("messages come in the order they were asked for, and those that went meanwhile are passed over", async () => {
  const files = new MemoryFiles();
  await using spool = await openSpool(files);
  const ids: string[] = [];
  for (let i = 0; i < 40; i++) ids.push((await put(spool)).queueId);
  const wanted = [...ids].reverse();
  await spool.remove(ids[7] ?? "");
  const found: string[] = [];
  for await (const { queueId } of readMessages(files, "/data/spool", wanted)) found.push(queueId);
  assertEquals(found, wanted.filter((id) => id !== ids[7]));
  assertEquals(await listQueueIds(files, "/data/spool"), ids.filter((id) => id !== ids[7]).sort());
});

Deno.test("who stops reading messages early leaves no file open", async () => {
  const files = new MemoryFiles();
  await using spool = await openSpool(files);
  const ids: string[] = [];
  for (let i = 0; i < 40; i++) ids.push((await put(spool)).queueId);
  const before = files.openHandles;
  for await (const { queueId } of readMessages(files, "/data/spool", ids)) if (queueId === ids[0]) break;
  assertEquals(files.openHandles, before);
});

Deno.test("one message is read with its journal; a file that cannot be understood is an error, one that is not there none", async () => {
  const files = new MemoryFiles();
  await using spool = await openSpool(files);
  const { queueId } = await put(spool);
  await spool.append(queueId, [delayedEvent(), { event: "held", at: "2026-01-01T00:00:02.000Z" }]);
  assertEquals((await readMessage(files, "/data/spool", queueId))?.events.map(({ event }) => event), [
    "attempt",
    "held",
  ]);
  assertEquals(await readMessage(files, "/data/spool", "2tb1k9q7x0m2had4"), undefined);
  files.overwrite(messagePath("/data/spool", queueId), new Uint8Array(3));
  await assertRejects(() => readMessage(files, "/data/spool", queueId), SpoolFileError);
});
