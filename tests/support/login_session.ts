/** A session on a submission port under TLS, without a network: for tests of AUTH. */

import { Connection } from "../../lib/inbound/connection.ts";
import { DEFAULT_TIMEOUTS } from "../../lib/inbound/services.ts";
import type { Session } from "../../lib/inbound/session.ts";
import type { SaslServer } from "../../lib/sasl/mechanisms.ts";
import { BufferPool } from "../../lib/smtp/octet_input.ts";
import type { TlsFacts } from "../../lib/tls/tls_conn.ts";
import { MemoryConn } from "./memory_conn.ts";
import { testServices, testSession } from "./test_session.ts";

const encoder = new TextEncoder();

/** A session that is open: what is sent arrives at once, and what is answered is there when `send` is done. */
export class LoginSession {
  readonly #conn = new MemoryConn();
  readonly #running: Promise<void>;
  readonly session: Session;
  #seen = 0;

  constructor(sasl: SaslServer, facts: Partial<TlsFacts> = {}) {
    this.session = testSession({
      service: "submission",
      greeting: { verb: "EHLO", name: "client.test" },
      tls: { protocol: "TLSv1.3", cipher: "", ...facts },
    });
    const services = testServices({ sasl });
    const { session } = this;
    const pool = new BufferPool();
    this.#running = new Connection({ conn: this.#conn, session, services, pool, timeouts: DEFAULT_TIMEOUTS }).run();
  }

  /** Sends octets in pieces, and returns all that is answered to them; at first also the greeting. */
  async send(...pieces: readonly (string | Uint8Array)[]): Promise<string> {
    await this.#conn.send(pieces.map((piece) => typeof piece === "string" ? encoder.encode(piece) : piece));
    const answer = this.#conn.output.slice(this.#seen);
    this.#seen = this.#conn.output.length;
    return answer;
  }

  /** True once the server has closed the connection. */
  get isClosed(): boolean {
    return this.#conn.closes > 0;
  }

  /** The client hangs up; returns what was still answered. */
  async end(): Promise<string> {
    this.#conn.end();
    await this.#running;
    return this.#conn.output.slice(this.#seen);
  }
}
