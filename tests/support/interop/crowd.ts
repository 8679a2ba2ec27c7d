/** Very many SMTP clients that do next to nothing. */

const BANNER_OCTETS = 512;
/** Clients that connect at the same time: the backlog of a listener is 128 in many places. */
const LANES = 64;

/** What a client does after the banner; it must leave nothing unread. */
export type Manner = (conn: Deno.Conn, index: number) => Promise<void>;

/** Open connections. Disposing of it closes them all. */
export class Crowd implements Disposable {
  readonly #conns: Deno.Conn[] = [];

  /** Connects so many clients, each of which has read its banner. */
  static async gather(count: number, port: number, hostname: string, manner?: Manner): Promise<Crowd> {
    const crowd = new Crowd();
    let next = 0;
    const lane = async (): Promise<void> => {
      const banner = new Uint8Array(BANNER_OCTETS);
      for (let index = next++; index < count; index = next++) {
        const conn = await Deno.connect({ hostname, port });
        crowd.#conns.push(conn);
        const octets = await conn.read(banner) ?? 0;
        const text = new TextDecoder().decode(banner.subarray(0, octets));
        if (!text.startsWith("220 ")) throw new Error(`Client ${index} was greeted with: ${text}`);
        await manner?.(conn, index);
      }
    };
    try {
      await Promise.all(Array.from({ length: LANES }, lane));
      return crowd;
    } catch (error) {
      crowd[Symbol.dispose]();
      throw error;
    }
  }

  [Symbol.dispose](): void {
    for (const conn of this.#conns.splice(0)) conn.close();
  }
}
