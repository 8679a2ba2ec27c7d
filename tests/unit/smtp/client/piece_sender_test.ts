import { assertEquals } from "@std/assert";
import { PieceSender } from "../../../../lib/smtp/client/piece_sender.ts";

Deno.test("content leaves in buffers that are used again only after they have left", () => {
  const written: { readonly octets: Uint8Array; readonly hasLeft: () => void }[] = [];
  const pieces = new PieceSender({
    write: (octets, hasLeft): undefined =>
      void written.push({ octets: octets as Uint8Array, hasLeft: hasLeft as () => void }),
  });
  for (let i = 0; i < 3; i++) pieces.sendCopy(new Uint8Array(60_000).fill(i));
  assertEquals(written.map(({ octets }) => octets[0]), [0, 1, 2]);
  written[1]?.hasLeft();
  pieces.sendCopy(new Uint8Array(70_000 - 8_000).fill(3));
  pieces.sendCopy(new Uint8Array(200_000).fill(4));
  assertEquals(written.map(({ octets }) => octets[0]), [0, 3, 2, 3, 4]);
  assertEquals(new Set(written.map(({ octets }) => octets.buffer)).size, 4);
});
