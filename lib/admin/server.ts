/** The control socket of a running server: accepts, reads one request, answers, closes. */

import type { Logger } from "../log/logger.ts";
import { BindError, removeStaleSocket } from "../inbound/bind.ts";
import type { Clock } from "../system/clock.ts";
import { type Api, type ApiRequest, type ApiResponse, failure } from "./api.ts";
import { type HttpConn, HttpError } from "../web/http_head.ts";
import { type HttpMessage, readHttp, writeHttp } from "./http_message.ts";
import { MAX_REQUEST_OCTETS } from "./protocol.ts";

/** What the server is made of. */
export interface AdminServerOptions {
  /** The socket, absolute. */
  readonly path: string;
  /** Carries out requests. */
  readonly api: Api;
  /** For time limits. */
  readonly clock: Clock;
  /** For what goes wrong. */
  readonly logger: Logger;
}

/** Octets may take so long to come, or to be taken, in all. */
export const TRANSFER_MS = 10_000;
/** Who comes when so many are there is sent away. */
const MAX_CONNECTIONS = 32;
/** Who was refused gets so long to read why. */
const LINGER_MS = 1_000;
/** Pause when there are no file descriptors. */
const ACCEPT_PAUSE_MS = 1_000;

const REASONS: Readonly<Record<number, string>> = {
  200: "OK",
  400: "Bad Request",
  404: "Not Found",
  405: "Method Not Allowed",
  411: "Length Required",
  413: "Content Too Large",
  431: "Request Header Fields Too Large",
  500: "Internal Server Error",
  503: "Service Unavailable",
};

/** A control socket that answers; disposing of it closes and removes it. */
export class AdminServer implements AsyncDisposable {
  readonly #options: AdminServerOptions;
  readonly #listener: Deno.UnixListener;
  readonly #connections: Set<Deno.Conn> = new Set();

  private constructor(options: AdminServerOptions, listener: Deno.UnixListener) {
    this.#options = options;
    this.#listener = listener;
    this.#accept();
  }

  /**
   * Binds the socket for this user alone, in the place of one that a crash left, and answers on it.
   *
   * @throws {BindError} It cannot be made, or somebody answers on it.
   */
  static async open(options: AdminServerOptions): Promise<AdminServer> {
    const { path } = options;
    try {
      await removeStaleSocket(path);
      return new AdminServer(options, bindPrivate(path));
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      throw new BindError(`Cannot open the control socket "${path}": ${reason}`, { cause: error });
    }
  }

  /** Stops; what is being carried out may go on. */
  async [Symbol.asyncDispose](): Promise<void> {
    closeQuietly(this.#listener);
    for (const conn of this.#connections) closeQuietly(conn);
    await Deno.remove(this.#options.path).catch(() => {});
  }

  async #accept(): Promise<void> {
    const { logger, clock } = this.#options;
    for (;;) {
      try {
        this.#serve(await this.#listener.accept());
      } catch (error) {
        if (error instanceof Deno.errors.BadResource || error instanceof Deno.errors.Interrupted) return;
        logger.error("Cannot accept on the control socket: {error}; trying again", { error });
        await clock.sleep(ACCEPT_PAUSE_MS);
      }
    }
  }

  /** Never rejects. */
  async #serve(conn: Deno.UnixConn): Promise<void> {
    this.#connections.add(conn);
    try {
      const response = this.#connections.size > MAX_CONNECTIONS
        ? failure(503, "Too many connections to the control socket")
        : await this.#respond(conn);
      if (response !== undefined) await this.#inTime(conn, answer(conn, response), response.status < 400);
    } catch (error) {
      this.#options.logger.debug("A connection to the control socket broke off: {error}", { error });
    } finally {
      this.#connections.delete(conn);
      closeQuietly(conn);
    }
  }

  async #respond(conn: HttpConn & { close(): void }): Promise<ApiResponse | undefined> {
    try {
      const message = await this.#inTime(conn, readHttp(conn, MAX_REQUEST_OCTETS));
      return message === undefined ? undefined : await this.#options.api(requestOf(message));
    } catch (error) {
      if (error instanceof HttpError) return failure(error.status, error.message);
      throw error;
    }
  }

  /** Ends the connection, and with it what was waited for, when the time is over. */
  async #inTime<T>(conn: { close(): void }, work: Promise<T>, isLong = true): Promise<T> {
    const timer = new AbortController();
    this.#options.clock.sleep(isLong ? TRANSFER_MS : LINGER_MS, timer.signal).then(() => closeQuietly(conn), () => {});
    try {
      return await work;
    } finally {
      timer.abort();
    }
  }
}

/** Writes the response. What a refused client still sends is read: closing over it would take the response away from it. */
async function answer(conn: Deno.UnixConn, response: ApiResponse): Promise<void> {
  await writeHttp(conn, messageOf(response));
  if (response.status < 400) return;
  await conn.closeWrite();
  const dropped = new Uint8Array(16 * 1024);
  while (await conn.read(dropped) !== null);
}

/** No moment passes in which others could connect: the mask holds while the socket is made, which waits for nothing. */
function bindPrivate(path: string): Deno.UnixListener {
  const mask = Deno.umask(0o177);
  try {
    return Deno.listen({ transport: "unix", path });
  } finally {
    Deno.umask(mask);
  }
}

function requestOf({ startLine, body }: HttpMessage): ApiRequest {
  const [, method = "", path = ""] = /^([A-Z]+) (\/\S*) HTTP\/1\.[01]$/.exec(startLine) ?? [];
  if (method === "") throw new HttpError(400, "The first line is no request of HTTP/1.1");
  try {
    return { method, path, body: body === "" ? undefined : JSON.parse(body) };
  } catch {
    throw new HttpError(400, "The body is no JSON");
  }
}

function messageOf({ status, body }: ApiResponse): HttpMessage {
  return { startLine: `HTTP/1.1 ${status} ${REASONS[status] ?? "Error"}`, body: `${JSON.stringify(body)}\n` };
}

function closeQuietly(resource: { close(): void }): void {
  try {
    resource.close();
  } catch (error) {
    if (!(error instanceof Deno.errors.BadResource)) throw error;
  }
}
