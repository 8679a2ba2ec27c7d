/**
 * The least that a connection can cost on this runtime: greets, waits for octets, and answers a line with a line. Started
 * by tests as a program of its own, with the port as its argument.
 */

const GREETING = new TextEncoder().encode("220 bare ESMTP\r\n");
/** As much as an idle connection of posthorn has room for. */
const ROOM_OCTETS = 256;

async function serve(conn: Deno.Conn): Promise<void> {
  await conn.write(GREETING);
  const room = new Uint8Array(ROOM_OCTETS);
  while (await conn.read(room) !== null) await conn.write(GREETING);
  conn.close();
}

for await (const conn of Deno.listen({ hostname: "127.0.0.1", port: Number(Deno.args[0]) })) {
  serve(conn).catch(() => {});
}
