/** Asks one question over UDP, from a socket of its own. */

import { createSocket } from "node:dgram";
import { isIPv6 } from "node:net";
import type { DnsMessage } from "./message.ts";
import { type Query, readAnswerTo } from "./query.ts";
import { type DnsServer, isFromServer } from "./server.ts";

/**
 * Sends the query once and waits for its answer.
 *
 * Every query has its own socket, so that the system chooses a new source port at random (RFC 5452 §9.2). What comes
 * from elsewhere, or answers something else, is ignored, and waiting goes on (RFC 5452 §9.1). The socket is closed
 * when the promise settles.
 *
 * `node:dgram`, because `Deno.listenDatagram` exists only with a flag.
 *
 * @param signal Ends the waiting; there is no time limit but this.
 * @returns The answer, which may be truncated.
 * @throws {DnsMessageError} When an answer with the right id from the server is malformed.
 * @throws The reason of `signal`, or the error of the socket.
 */
export function exchangeUdp(server: DnsServer, query: Query, signal: AbortSignal): Promise<DnsMessage> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) return reject(signal.reason);
    const socket = createSocket(isIPv6(server.host) ? "udp6" : "udp4");
    let isOpen = true;
    const end = (settle: () => void): void => {
      if (!isOpen) return;
      isOpen = false;
      signal.removeEventListener("abort", onAbort);
      socket.close(settle);
    };
    const fail = (error: unknown): void => end(() => reject(error));
    const onAbort = (): void => fail(signal.reason);
    signal.addEventListener("abort", onAbort, { once: true });
    socket.on("error", fail);
    socket.on("message", (octets, from) => {
      if (!isOpen || !isFromServer(server, from)) return;
      try {
        const answer = readAnswerTo(query, octets);
        if (answer !== undefined) end(() => resolve(answer));
      } catch (error) {
        fail(error);
      }
    });
    socket.bind(0, undefined, () => {
      if (!isOpen) return;
      socket.send(query.octets, server.port, server.host, (error) => {
        if (error !== null && error !== undefined) fail(error);
      });
    });
  });
}
