/** Plays generated sessions against the receiving side: everything is real but network, spool, time and TLS. */

import type { Envelope } from "../../../lib/mail/envelope.ts";
import { Connection } from "../../../lib/inbound/connection.ts";
import { freshPatience } from "../../../lib/inbound/patience.ts";
import { DEFAULT_TIMEOUTS, type Services, type Settings } from "../../../lib/inbound/services.ts";
import type { Session } from "../../../lib/inbound/session.ts";
import { RateLimit } from "../../../lib/policy/rate_limit.ts";
import { relayBlocks } from "../../../lib/policy/relay.ts";
import { BufferPool } from "../../../lib/smtp/octet_input.ts";
import type { OctetConn } from "../../../lib/smtp/octet_conn.ts";
import type { Clock } from "../../../lib/system/clock.ts";
import type { TlsConn, TlsFacts } from "../../../lib/tls/tls_conn.ts";
import { MemoryConn } from "../memory_conn.ts";
import { MemorySpool } from "../memory_spool.ts";
import { testLogins } from "../test_logins.ts";
import { testServices, testSession } from "../test_session.ts";
import type { SessionCase, Setup } from "./session_case.ts";

/** The limits of every session here: small, so that they are reached. */
export const LIMITS = {
  messageOctets: 3000,
  headerOctets: 1500,
  headerFields: 120,
  recipients: 4,
  connections: 1,
  connectionsPerIp: 1,
} as const;

const MECHANISMS = ["EXTERNAL", "SCRAM-SHA-256-PLUS", "SCRAM-SHA-256", "OAUTHBEARER", "XOAUTH2", "PLAIN", "LOGIN"];
const TRUSTED = relayBlocks(["192.0.2.0/24"]);
const FACTS: TlsFacts = { protocol: "TLSv1.3", cipher: "", serverEndPoint: new Uint8Array(32).fill(7) };
const CERTIFICATE = { subject: "CN=Alice", sha256: "ab".repeat(32), emails: ["alice@example.org"] };
/** More than any wait may take. */
const LONG_MS = 4 * 3_600_000;

/** What became of a session. */
export interface Played {
  /** All that the server wrote. */
  readonly output: string;
  /** Length of `output` before each step, and when the server had answered the last one. */
  readonly outputBefore: readonly number[];
  readonly messages: readonly { readonly content: string; readonly envelope: Envelope }[];
  readonly openReceptions: number;
  readonly closes: number;
  /** Buffers that were taken from the pool and are not back. */
  readonly heldBuffers: number;
  /** What the log has of internal errors. */
  readonly errors: readonly string[];
  /** The transaction was forgotten. */
  readonly isReset: boolean;
}

/** A pool that counts what is not back. */
class CountingPool extends BufferPool {
  held = 0;

  override take(octets: number): Uint8Array<ArrayBuffer> {
    this.held++;
    return super.take(octets);
  }

  override give(buffer: Uint8Array<ArrayBuffer>): void {
    this.held--;
    super.give(buffer);
  }
}

const pool = new CountingPool();

/** A clock that only the case moves. Who sleeps is woken at once, and time has passed. */
class CaseClock implements Clock {
  #ms = 0;

  now(): number {
    return 1_767_225_600_000 + this.#ms;
  }

  monotonic(): number {
    return this.#ms;
  }

  sleep(ms: number): Promise<void> {
    this.#ms += ms;
    return Promise.resolve();
  }
}

/** Turns text of one octet a character into octets. */
export function octetsOf(text: string): Uint8Array {
  const octets = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) octets[i] = text.charCodeAt(i);
  return octets;
}

/** Turns octets into text of one octet a character; `latin1` of TextDecoder is another encoding. */
function textOf(octets: Uint8Array = new Uint8Array(0)): string {
  let text = "";
  for (const octet of octets) text += String.fromCharCode(octet);
  return text;
}

/** Plays a case. `pieces` cuts a step into what arrives together. */
export async function play(
  { setup, steps, pauses, leaving }: SessionCase,
  pieces: (octets: Uint8Array, step: number) => readonly Uint8Array[] = (octets) => [octets],
): Promise<Played> {
  const conn = new MemoryConn();
  const spool = new MemorySpool();
  if (setup.spool === "full") spool.faults.write = new Deno.errors.WriteZero("No space left on device (os error 28)");
  if (setup.spool === "fails on write") spool.faults.write = new Error("the disk is gone");
  if (setup.spool === "fails on commit") spool.faults.commit = new Error("the disk is gone");
  const clock = new CaseClock();
  const errors: string[] = [];
  const session = sessionOf(setup, clock);
  const services = servicesOf(setup, { clock, spool, errors });
  const heldBefore = pool.held;
  const connection = new Connection({ conn, session, services, pool, timeouts: DEFAULT_TIMEOUTS });
  const running = connection.run();
  await conn.send([]);
  const outputBefore = [conn.output.length];
  for (const [index, step] of steps.entries()) {
    const pauseMs = pauses[index] ?? 0;
    if (pauseMs > 0 && conn.closes === 0) {
      await clock.sleep(pauseMs);
      connection.checkDeadline(clock.monotonic());
    }
    if (leaving === "is deaf" && index === steps.length - 1) conn.turnDeaf();
    await conn.send(pieces(octetsOf(step), index));
    outputBefore.push(conn.output.length);
  }
  await leave(connection, { conn, clock, leaving });
  await running;
  return {
    output: conn.output,
    outputBefore,
    messages: spool.messages.map(({ content, envelope }) => ({ content: textOf(content.inMemory), envelope })),
    openReceptions: spool.openReceptions,
    closes: conn.closes,
    heldBuffers: pool.held - heldBefore,
    errors,
    isReset: session.transaction === undefined,
  };
}

interface Left {
  readonly conn: MemoryConn;
  readonly clock: CaseClock;
  readonly leaving: SessionCase["leaving"];
}

async function leave(connection: Connection, { conn, clock, leaving }: Left): Promise<void> {
  switch (leaving) {
    case "hangs up":
      return conn.end();
    case "resets":
      return conn.breakOff();
    case "is cut off":
      connection.stop();
      return connection.abort();
    case "is told to go":
      connection.stop();
      break;
    case "is silent":
    case "is deaf":
      break;
  }
  // As the server does about once a second: first the last word is due, then the connection is closed.
  for (let i = 0; i < 2 && conn.closes === 0; i++) {
    await clock.sleep(LONG_MS);
    connection.checkDeadline(clock.monotonic());
  }
}

function sessionOf(setup: Setup, clock: Clock): Session {
  const { service, tls, isProxy, hasCertificate } = setup;
  return testSession({
    service,
    isProxy,
    mayStartTls: tls === "starttls" || tls === "fails",
    requestsCertificate: hasCertificate,
    tls: tls === "implicit" ? factsOf(setup) : undefined,
    spent: freshPatience(clock.monotonic()),
  }, settingsOf(setup));
}

function settingsOf({ isTrusted, binaryMime, bareLf, senders, rate }: Setup): Partial<Settings> {
  return {
    binaryMime,
    relayFrom: isTrusted ? TRUSTED : [],
    submission: { senders, bareLf, ...(rate > 0 ? { rate: { count: rate, perMs: 86_400_000 } } : {}) },
    limits: LIMITS,
  };
}

function factsOf({ hasCertificate }: Setup): TlsFacts {
  return hasCertificate ? { ...FACTS, clientCertificate: CERTIFICATE } : FACTS;
}

interface World {
  readonly clock: Clock;
  readonly spool: MemorySpool;
  readonly errors: string[];
}

function servicesOf(setup: Setup, { clock, spool, errors }: World): Services {
  const ignore = (): void => {};
  return testServices({
    clock,
    logger: {
      debug: ignore,
      info: ignore,
      warning: ignore,
      error: (message, fields) => {
        if (!message.startsWith("Cannot store message")) errors.push(`${message} ${JSON.stringify(fields)}`);
      },
    },
    spool,
    rates: new RateLimit(clock),
    sasl: testLogins(MECHANISMS),
    startTls: (conn) =>
      setup.tls === "fails" ? Promise.reject(new Error("no TLS here")) : Promise.resolve(underTls(conn, setup)),
  });
}

/** What is sent after STARTTLS counts as sent under TLS. */
function underTls(conn: OctetConn, setup: Setup): TlsConn {
  return {
    ...factsOf(setup),
    remoteAddr: conn.remoteAddr,
    localAddr: conn.localAddr,
    read: (into) => conn.read(into),
    write: (octets) => conn.write(octets),
    close: () => conn.close(),
  };
}
