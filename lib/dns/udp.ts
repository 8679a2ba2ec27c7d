/** Asks one question over UDP, from a socket of its own. */

import { isIPv6 } from "node:net";
import type { DnsMessage } from "./message.ts";
import { type Query, readAnswerTo } from "./query.ts";
import { type DnsServer, isFromServer } from "./server.ts";

/** Room for one datagram. More than was asked for, because some servers do not keep to that. */
const RECEIVE_OCTETS = 4096;

/**
 * Sends the query once and waits for its answer.
 *
 * Every query has its own socket, so that the system chooses a new source port at random (RFC 5452 §9.2). What comes
 * from elsewhere, or answers something else, is ignored, and waiting goes on (RFC 5452 §9.1). The socket is closed
 * when the promise settles.
 *
 * `Deno.listenDatagram` needs `"unstable": ["net"]` in deno.json, but takes half the time of `node:dgram`, which also
 * holds 64 KiB for each socket.
 *
 * @param signal Ends the waiting; there is no time limit but this.
 * @returns The answer, which may be truncated.
 * @throws {DnsMessageError} When an answer with the right id from the server is malformed.
 * @throws The reason of `signal`, or the error of the socket.
 */
export async function exchangeUdp(server: DnsServer, query: Query, signal: AbortSignal): Promise<DnsMessage> {
  signal.throwIfAborted();
  const anyAddress = isIPv6(server.host) ? "::" : "0.0.0.0";
  const socket = Deno.listenDatagram({ transport: "udp", hostname: anyAddress, port: 0 });
  const onAbort = (): void => close(socket);
  signal.addEventListener("abort", onAbort, { once: true });
  try {
    await socket.send(query.octets, { transport: "udp", hostname: server.host, port: server.port });
    const buffer = new Uint8Array(RECEIVE_OCTETS);
    for (;;) {
      const [octets, from] = await socket.receive(buffer);
      if (from.transport !== "udp" || !isFromServer(server, { address: from.hostname, port: from.port })) continue;
      const answer = readAnswerTo(query, octets);
      if (answer !== undefined) return answer;
    }
  } catch (error) {
    // Closing the socket makes the wait fail; what matters is why it was closed.
    signal.throwIfAborted();
    throw error;
  } finally {
    signal.removeEventListener("abort", onAbort);
    close(socket);
  }
}

function close(socket: Deno.DatagramConn): void {
  try {
    socket.close();
  } catch {
    // Closed before, by the signal.
  }
}
