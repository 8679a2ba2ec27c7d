import { assertEquals } from "@std/assert";
import { openBulkReader } from "../../../lib/system/bulk_reader.ts";

Deno.test("a thread reads files in the order of asking, and passes over what is missing or too long", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const write = async (name: string, text: string): Promise<string> => {
      await Deno.writeTextFile(`${folder}/${name}`, text);
      return `${folder}/${name}`;
    };
    const [a, b, long] = [await write("a", "one"), await write("b", "second"), await write("long", "x".repeat(64))];
    using reader = openBulkReader();
    const [first, second] = await Promise.all([
      reader.read({ paths: [a, `${folder}/none`, long, b], maxOctets: 64 }),
      reader.read({ paths: [b], maxOctets: 64 }),
    ]);
    assertEquals([new TextDecoder().decode(first.octets), first.lengths], ["onesecond", [3, -1, -1, 6]]);
    assertEquals([new TextDecoder().decode(second.octets), second.lengths], ["second", [6]]);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
