import { assert, assertEquals } from "@std/assert";
import type { OctetConn } from "../../../lib/smtp/octet_conn.ts";
import { BufferPool, OctetInput } from "../../../lib/smtp/octet_input.ts";

const ADDRESS: Deno.NetAddr = { transport: "tcp", hostname: "192.0.2.1", port: 4711 };

/** A conn that gives `octets` in reads of at most `atOnce`, and notes how much room each read had. */
function scripted(octets: Uint8Array, atOnce = Infinity): { conn: OctetConn; room: number[] } {
  const room: number[] = [];
  let at = 0;
  const read = (into: Uint8Array): Promise<number | null> => {
    room.push(into.length);
    const piece = octets.subarray(at, at + Math.min(into.length, atOnce));
    into.set(piece);
    at += piece.length;
    return Promise.resolve(piece.length === 0 ? null : piece.length);
  };
  const conn = {
    read,
    write: (from: Uint8Array) => Promise.resolve(from.length),
    close: () => {},
    remoteAddr: ADDRESS,
    localAddr: ADDRESS,
  };
  return { conn, room };
}

async function fill(input: OctetInput): Promise<boolean> {
  return input.take(await input.read());
}

Deno.test("An idle connection holds 256 octets", () => {
  assertEquals(new OctetInput(scripted(new Uint8Array(0)).conn, new BufferPool()).heldOctets, 256);
});

Deno.test("A command line that drips in takes no more room than four times its length", async () => {
  const input = new OctetInput(scripted(new Uint8Array(12_000).fill(0x41), 1).conn, new BufferPool());
  while (await fill(input)) assert(input.heldOctets <= Math.max(256, input.length * 4));
  assertEquals(input.nextLine(12_000), { kind: "tooLong" });
});

Deno.test("Who pipelines much is read in ever larger pieces, and holds 256 octets again once silent", async () => {
  const commands = new TextEncoder().encode("RCPT TO:<somebody@example.org>\r\n".repeat(4000));
  const { conn, room } = scripted(commands);
  const input = new OctetInput(conn, new BufferPool());
  let lines = 0;
  while (await fill(input)) {
    while (input.nextLine(2048) !== undefined) lines++;
  }
  assertEquals(lines, 4000);
  assertEquals([room[0], room.some((octets) => octets > 60_000)], [256, true]);
  await fill(input);
  assertEquals(input.heldOctets, 256);
});

Deno.test("Content that comes fast is read 64 KiB at a time, content that drips 4 KiB at a time", async () => {
  const content = new Uint8Array(300_000);
  for (const [atOnce, expected] of [[Infinity, 65_536], [100, 4096]] as const) {
    const input = new OctetInput(scripted(content, atOnce).conn, new BufferPool());
    input.expect("content");
    for (let reads = 0; reads < 3; reads++) {
      await fill(input);
      input.consume(input.length);
    }
    assertEquals(input.heldOctets, expected);
  }
});

Deno.test("A line is the same line wherever it lies in the buffer, and however the buffer moves", async () => {
  const lines = Array.from({ length: 300 }, (_, index) => "x".repeat(index));
  const octets = new TextEncoder().encode(lines.map((line) => `${line}\r\n`).join(""));
  for (const atOnce of [1, 7, 255, 256, 257, 1000, Infinity]) {
    const input = new OctetInput(scripted(octets, atOnce).conn, new BufferPool());
    const seen: string[] = [];
    while (await fill(input)) {
      for (let line = input.nextLine(2048); line !== undefined; line = input.nextLine(2048)) {
        seen.push(line instanceof Uint8Array ? new TextDecoder().decode(line) : line.kind);
      }
    }
    assertEquals(seen, lines);
  }
});

Deno.test("An overlong line is one whatever of it has arrived, and whatever it has behind the limit", async () => {
  for (const behind of ["\n", "\r\n", "\rx", "x\n", "x\r\n"]) {
    const line = new TextEncoder().encode("x".repeat(99) + behind + "x".repeat(20));
    for (const atOnce of [1, 50, 99, 100, 101, 102, Infinity]) {
      const input = new OctetInput(scripted(line, atOnce).conn, new BufferPool());
      let first: unknown;
      while (first === undefined && await fill(input)) first = input.nextLine(100);
      assertEquals(
        first,
        behind === "\n" ? { kind: "bareLf", offset: 99 } : { kind: "tooLong" },
        `${behind} ${atOnce}`,
      );
    }
  }
});

Deno.test("A pool keeps at most 2 MiB of each size, and gives used buffers before new ones", () => {
  const pool = new BufferPool();
  const buffers = Array.from({ length: 40 }, () => pool.take(65_536));
  for (const buffer of buffers) pool.give(buffer);
  const again = Array.from({ length: 40 }, () => pool.take(65_536));
  assertEquals(again.filter((buffer) => buffers.includes(buffer)).length, 32);
});
