/** A session on a submission port under TLS, without a network: for tests of AUTH. */

import { getLogger } from "@logtape/logtape";
import { Connection } from "../../lib/inbound/connection.ts";
import { freshPatience } from "../../lib/inbound/patience.ts";
import { DEFAULT_TIMEOUTS } from "../../lib/inbound/services.ts";
import type { Session } from "../../lib/inbound/session.ts";
import { RateLimit } from "../../lib/policy/rate_limit.ts";
import type { SaslServer } from "../../lib/sasl/mechanisms.ts";
import { BufferPool } from "../../lib/smtp/octet_input.ts";
import { systemClock } from "../../lib/system/clock.ts";
import type { TlsFacts } from "../../lib/tls/tls_conn.ts";
import { testResolver } from "./inbound_server.ts";
import { MemoryConn } from "./memory_conn.ts";
import { MemorySpool } from "./memory_spool.ts";

const encoder = new TextEncoder();

/** A session that is open: what is sent arrives at once, and what is answered is there when `send` is done. */
export class LoginSession {
  readonly #conn = new MemoryConn();
  readonly #running: Promise<void>;
  readonly session: Session;
  #seen = 0;

  constructor(sasl: SaslServer, facts: Partial<TlsFacts> = {}) {
    this.session = {
      service: "submission",
      settings: {
        hostname: "mx.test",
        binaryMime: false,
        router: testResolver,
        relayFrom: [],
        submission: { senders: "own", bareLf: "refuse" },
        limits: {
          messageOctets: 2000,
          headerOctets: 2000,
          headerFields: 100,
          recipients: 3,
          connections: 1,
          connectionsPerIp: 1,
        },
      },
      clientAddress: "192.0.2.1",
      localAddress: "192.0.2.25",
      client: "192.0.2.1:4711",
      mayStartTls: false,
      requestsCertificate: false,
      greeting: { verb: "EHLO", name: "client.test" },
      tls: { protocol: "TLSv1.3", cipher: "", ...facts },
      login: undefined,
      transaction: undefined,
      spent: freshPatience(systemClock.monotonic()),
    };
    const services = {
      clock: systemClock,
      logger: getLogger(["test"]),
      spool: new MemorySpool(),
      rates: new RateLimit(systemClock),
      enqueue: (): void => {},
      sasl,
      startTls: () => Promise.reject(new Error("no TLS here")),
    };
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
