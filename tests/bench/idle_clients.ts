/** Clients that said EHLO, and then nothing more. */

import type { Door } from "./servers.ts";

/** Of EHLO: no server here says more. */
const REPLY_OCTETS = 2048;

/** Connects clients one after the other, each of which has read the banner and the reply to EHLO. */
export async function idleClients(door: Door, count: number): Promise<Disposable> {
  using opened = new DisposableStack();
  const ehlo = new TextEncoder().encode("EHLO client.test\r\n");
  const buffer = new Uint8Array(REPLY_OCTETS);
  for (let index = 0; index < count; index++) {
    const connection = opened.use(await Deno.connect(door));
    const banner = new TextDecoder().decode(buffer.subarray(0, await connection.read(buffer) ?? 0));
    if (!banner.startsWith("220 ")) throw new Error(`Client ${index} was greeted with: ${banner}`);
    await connection.write(ehlo);
    await connection.read(buffer);
  }
  return opened.move();
}
