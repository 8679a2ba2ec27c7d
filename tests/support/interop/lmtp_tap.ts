/** Stands between an LMTP client and its server: hears what the client says, and may keep the answer to the content. */

/** The tap; disposing of it ends its connections. */
export interface LmtpTap extends AsyncDisposable {
  /** Of 127.0.0.1, for the client. */
  readonly port: number;
  /** All that clients said so far, each octet as the character of the same number. */
  readonly said: string;
  /** How often a connection was cut between the end of the content and the answer. */
  readonly cuts: number;
  /** Set to cut the next connection there. */
  isCutting: boolean;
}

/** Starts a tap in front of a server on a port of 127.0.0.1. */
export function startLmtpTap(serverPort: number): LmtpTap {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const open = new Set<Deno.TcpConn>();
  const ends: Promise<unknown>[] = [];
  const state = { said: "", cuts: 0, isCutting: false };
  const end = (connection: Deno.TcpConn): void => {
    if (open.delete(connection)) connection.close();
  };
  const carry = async (client: Deno.TcpConn): Promise<void> => {
    const server = await Deno.connect({ port: serverPort });
    open.add(client).add(server);
    let isContentOver = false;
    const pump = async (from: Deno.TcpConn, to: Deno.TcpConn): Promise<void> => {
      const buffer = new Uint8Array(65_536);
      try {
        for (let count = await from.read(buffer); count !== null; count = await from.read(buffer)) {
          if (from === client) {
            state.said += String.fromCharCode(...buffer.subarray(0, count));
            isContentOver = state.said.endsWith("\r\n.\r\n");
          } else if (isContentOver && state.isCutting) {
            state.isCutting = false;
            state.cuts++;
            return;
          }
          for (let at = 0; at < count;) at += await to.write(buffer.subarray(at, count));
        }
      } catch {
        // Either side may go at any time.
      } finally {
        end(client);
        end(server);
      }
    };
    await Promise.all([pump(client, server), pump(server, client)]);
  };
  const accepting = (async (): Promise<void> => {
    for await (const client of listener) ends.push(carry(client));
  })();
  return {
    port: listener.addr.port,
    get said(): string {
      return state.said;
    },
    get cuts(): number {
      return state.cuts;
    },
    get isCutting(): boolean {
      return state.isCutting;
    },
    set isCutting(value: boolean) {
      state.isCutting = value;
    },
    async [Symbol.asyncDispose](): Promise<void> {
      listener.close();
      for (const connection of open) end(connection);
      await accepting;
      await Promise.all(ends);
    },
  };
}
