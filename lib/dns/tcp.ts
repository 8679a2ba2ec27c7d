/** Asks one question over TCP, after an answer over UDP was truncated (RFC 7766 §5). */

import type { DnsMessage } from "./message.ts";
import { type Query, readAnswerTo } from "./query.ts";
import type { DnsServer } from "./server.ts";
import { DnsMessageError } from "./wire_reader.ts";

/**
 * Connects, sends the query and reads its answer. The connection is closed when the promise settles.
 *
 * @param signal Ends the waiting; there is no time limit but this.
 * @throws {DnsMessageError} When the answer is malformed, cut short, or answers another question.
 * @throws The reason of `signal`, or the error of the connection.
 */
export async function exchangeTcp(server: DnsServer, query: Query, signal: AbortSignal): Promise<DnsMessage> {
  signal.throwIfAborted();
  let connection: Deno.TcpConn | undefined;
  const onAbort = (): void => close(connection);
  signal.addEventListener("abort", onAbort, { once: true });
  try {
    connection = await Deno.connect({ hostname: server.host, port: server.port, signal });
    signal.throwIfAborted();
    await writeAll(connection, framed(query.octets));
    const length = await readExactly(connection, 2);
    const octets = await readExactly(connection, new DataView(length.buffer).getUint16(0));
    const answer = readAnswerTo(query, octets);
    if (answer === undefined) throw new DnsMessageError("Answer belongs to another question");
    if (answer.isTruncated) throw new DnsMessageError("Answer over TCP is truncated");
    return answer;
  } catch (error) {
    // Closing the connection makes the read fail; what matters is why it was closed.
    signal.throwIfAborted();
    throw error;
  } finally {
    signal.removeEventListener("abort", onAbort);
    close(connection);
  }
}

/** The message with its length in front, in one piece (RFC 7766 §8). */
function framed(octets: Uint8Array): Uint8Array {
  const frame = new Uint8Array(octets.length + 2);
  new DataView(frame.buffer).setUint16(0, octets.length);
  frame.set(octets, 2);
  return frame;
}

async function writeAll(connection: Deno.TcpConn, octets: Uint8Array): Promise<void> {
  let written = 0;
  while (written < octets.length) written += await connection.write(octets.subarray(written));
}

async function readExactly(connection: Deno.TcpConn, count: number): Promise<Uint8Array<ArrayBuffer>> {
  const octets = new Uint8Array(count);
  let filled = 0;
  while (filled < count) {
    const got = await connection.read(octets.subarray(filled));
    if (got === null) throw new DnsMessageError("Connection ends inside the answer");
    filled += got;
  }
  return octets;
}

function close(connection: Deno.TcpConn | undefined): void {
  try {
    connection?.close();
  } catch {
    // Closed before, by the signal.
  }
}
