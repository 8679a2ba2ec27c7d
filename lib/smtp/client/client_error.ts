/** What can go wrong with a connection to a peer, apart from the replies it gives. */

/**
 * - `connect`: no connection came about;
 * - `local`: no connection came about for a reason on our own side, such as the source address, the number of files, or no route;
 * - `timeout`: the peer was silent for longer than allowed;
 * - `closed`: the connection ended or broke;
 * - `protocol`: the peer sent octets that are no reply, or one that makes no sense here;
 * - `tls`: the TLS handshake failed or octets came in the clear that belong under TLS;
 * - `certificate`: TLS would work, but the certificate does not prove the peer's name;
 * - `aborted`: we gave up, because of a shutdown;
 * - `content`: our own side could not read the message.
 */
export type ClientFault =
  | "connect"
  | "local"
  | "timeout"
  | "closed"
  | "protocol"
  | "tls"
  | "certificate"
  | "aborted"
  | "content";

/** A connection that cannot be used any further; the message is one line for log and DSN. */
export class ClientError extends Error {
  /** Always `ClientError`. */
  override readonly name = "ClientError";
  /** What kind of fault it is. */
  readonly fault: ClientFault;

  /** Takes the kind of fault and the text. */
  constructor(fault: ClientFault, message: string, options?: ErrorOptions) {
    super(message, options);
    this.fault = fault;
  }
}

/** The text of anything thrown, as one line. */
export function errorText(error: unknown): string {
  const text = error instanceof Error ? error.message || error.name : String(error);
  return text.replace(/\s*[\r\n]+\s*/g, " ").slice(0, 300);
}
