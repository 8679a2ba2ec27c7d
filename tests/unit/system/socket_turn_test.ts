import { assertEquals } from "@std/assert";
import { openSocketTurn } from "../../../lib/system/socket_turn.ts";

Deno.test("After a turn everything has arrived that was there before it, also for many who wait at once", async () => {
  using turn = await openSocketTurn();
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const wanted = Array.from({ length: 100 }, (_, index) => index % 3);
  const pairs: { readonly client: Deno.Conn; readonly conn: Deno.Conn }[] = [];
  for (const octets of wanted) {
    const [client, conn] = await Promise.all([
      Deno.connect({ hostname: "127.0.0.1", port: listener.addr.port }),
      listener.accept(),
    ]);
    if (octets > 0) await client.write(new Uint8Array(octets));
    pairs.push({ client, conn });
  }
  const look = async (conn: Deno.Conn): Promise<number> => {
    let seen = 0;
    conn.read(new Uint8Array(100)).then((count) => seen = count ?? 0, () => {});
    await turn.next();
    return seen;
  };
  assertEquals(await Promise.all(pairs.map(({ conn }) => look(conn))), wanted);
  for (const { client, conn } of pairs) {
    client.close();
    conn.close();
  }
});

Deno.test("Nobody is kept waiting by a pair of sockets that was closed", async () => {
  const turn = await openSocketTurn();
  const waiting = [turn.next(), turn.next()];
  turn[Symbol.dispose]();
  await Promise.all(waiting);
  await turn.next();
});
