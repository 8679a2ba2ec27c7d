import { assertEquals } from "@std/assert";
import { usageOf } from "../../../../lib/delivery/quota/usage_of.ts";
import { MemoryFiles } from "../../../support/memory_files.ts";

Deno.test("An operator is told what the quota file says, or what a count finds", async () => {
  const files = new MemoryFiles();
  await files.makeFolder("/m/new");
  files.overwrite("/m/new/1.host,S=100", new Uint8Array(1));
  assertEquals(await usageOf("/m", files), { octets: 100, messages: 1 });
  files.overwrite("/m/maildirsize", new TextEncoder().encode("1S\n70 1\n7 1\n"));
  assertEquals(await usageOf("/m", files), { octets: 77, messages: 2 });
  files.overwrite("/m/maildirsize", new TextEncoder().encode("broken"));
  assertEquals(await usageOf("/m", files), { octets: 100, messages: 1 });
  assertEquals(await usageOf("/nobody", files), { octets: 0, messages: 0 });
  assertEquals([...files.tree("/m").keys()].sort(), ["/m/maildirsize", "/m/new/1.host,S=100"]);
});
