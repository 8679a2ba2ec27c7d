/** How long the client waits for a peer. */

/** Time limits in milliseconds, each from the last octet sent or received. */
export interface TimeLimits {
  /** For TCP to connect. */
  readonly connectMs: number;
  /** Until the next address of the same host is tried as well; default {@linkcode NEXT_ADDRESS_MS}. */
  readonly nextAddressMs?: number;
  /** From the connection to the whole greeting. */
  readonly greetingMs: number;
  /** For the answer to any command that has no limit of its own here: EHLO, STARTTLS, AUTH, MAIL, RCPT, RSET. */
  readonly commandMs: number;
  /** The TLS handshake. */
  readonly tlsMs: number;
  /** For 354 after DATA. */
  readonly dataMs: number;
  /** For each block of content to leave. */
  readonly blockMs: number;
  /** For the reply to the final dot. */
  readonly dotMs: number;
  /** For the final dot's reply once we are asked to stop: without it the message would be sent twice. */
  readonly stopMs: number;
  /** For the answer to QUIT, which nobody needs. */
  readonly quitMs: number;
}

/** The Connection Attempt Delay that RFC 8305 §5 recommends, milliseconds. */
export const NEXT_ADDRESS_MS = 250;

/** The limits of RFC 5321 §4.5.3.2, and our own where it names none. */
export const TIME_LIMITS: TimeLimits = {
  connectMs: 30_000,
  greetingMs: 300_000,
  commandMs: 300_000,
  tlsMs: 60_000,
  dataMs: 120_000,
  blockMs: 180_000,
  dotMs: 600_000,
  stopMs: 5_000,
  quitMs: 1_000,
};
