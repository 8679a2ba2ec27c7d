/** What a listener with `client_certificates` makes of the certificate that a client showed, or did not show. */

import type { ListenerConfig } from "../config/config.ts";
import type { Logger } from "../log/logger.ts";
import type { OctetConn } from "../smtp/octet_conn.ts";
import { formatReply, reply } from "../smtp/reply.ts";
import type { TlsFacts } from "../tls/tls_conn.ts";

/** Logs that a certificate counts for nothing, and why; the session goes on without it. */
export function noteRefusedCertificate(
  { refusedCertificate }: Pick<TlsFacts, "refusedCertificate">,
  client: string,
  logger: Logger,
): void {
  if (refusedCertificate === undefined) return;
  logger.info("The certificate of {client} counts for nothing: {reason}", { client, reason: refusedCertificate });
}

/**
 * Lets a client in on a listener for implicit TLS, or tells it that it needs a certificate and closes the connection.
 *
 * @returns Whether the session may begin.
 */
export async function admit(
  conn: OctetConn & Partial<TlsFacts>,
  { clientCertificates }: ListenerConfig,
  client: string,
  logger: Logger,
): Promise<boolean> {
  const { clientCertificate, refusedCertificate } = conn;
  if (clientCertificate !== undefined) {
    const { subject, sha256 } = clientCertificate;
    logger.debug("{client} has the certificate of {subject}, SHA-256 {sha256}", { client, subject, sha256 });
    return true;
  }
  if (clientCertificates !== "require") {
    noteRefusedCertificate(conn, client, logger);
    return true;
  }
  const reason = refusedCertificate ?? "none was given";
  logger.info("No session with {client}: it needs a certificate of tls.client_ca: {reason}", { client, reason });
  try {
    const refusal = reply(554, "5.7.0", "A client certificate that we trust is needed here; closing connection");
    await conn.write(new TextEncoder().encode(formatReply(refusal)));
  } catch {
    // The client is gone already.
  } finally {
    conn.close();
  }
  return false;
}
