/** What a connection under TLS is, whoever made it, and why a handshake fails. */

import type { OctetConn } from "../smtp/octet_conn.ts";

/** What is known of the TLS of a connection, once its handshake is done. */
export interface TlsFacts {
  /** `TLSv1.3` or `TLSv1.2`; `TLS` where the runtime does not tell. */
  readonly protocol: string;
  /** Standard (IANA) name of the cipher suite; empty where the runtime does not tell. */
  readonly cipher: string;
  /**
   * The channel binding `tls-server-end-point` (RFC 5929 §4): a hash of the certificate that we showed. Undefined where
   * its signature has no hash function of its own (Ed25519), and in a resumed session.
   */
  readonly serverEndPoint?: Uint8Array;
  /** Absent unless the client was asked for a certificate, gave one, and it was verified. */
  readonly clientCertificate?: ClientCertificate;
  /** Why the certificate that the client gave counts for nothing, fit for a log line. */
  readonly refusedCertificate?: string;
}

/** A verified certificate of a client. */
export interface ClientCertificate {
  /** The subject's distinguished name, `CN=Alice, O=Example`, for log lines. */
  readonly subject: string;
  /** Fingerprint: the SHA-256 hash of its DER form, 64 hexadecimal digits in lower case. */
  readonly sha256: string;
  /** The mail addresses of its subjectAltName (rfc822Name, RFC 5280 §4.2.1.6), as they stand there. */
  readonly emails: readonly string[];
}

/** A server-side connection under TLS, handshake done. */
export interface TlsConn extends OctetConn, TlsFacts {
  /** The name that the client asked for (SNI), when it did and the runtime tells. */
  readonly serverName?: string;
}

/** What is kept of a connection under TLS: not the connection, which another one may replace. */
export function tlsFacts({ protocol, cipher, serverEndPoint, clientCertificate }: TlsFacts): TlsFacts {
  return {
    protocol,
    cipher,
    ...(serverEndPoint === undefined ? {} : { serverEndPoint }),
    ...(clientCertificate === undefined ? {} : { clientCertificate }),
  };
}

/** A handshake that did not end in a TLS connection. The connection is closed. */
export class TlsHandshakeError extends Error {
  /** For `catch` across realms and log lines. */
  override readonly name = "TlsHandshakeError";
  /** Why, in a few words, fit for a log line. */
  readonly reason: string;

  /** Takes the reason; the message says the rest. */
  constructor(reason: string, options?: ErrorOptions) {
    super(`TLS handshake failed: ${reason}`, options);
    this.reason = reason;
  }
}

/** What the TLS library says → what an operator understands. */
const REASONS: readonly (readonly [RegExp, string])[] = [
  [/InvalidContentType|InvalidMessage|corrupt message/, "the client does not speak TLS here"],
  [
    /ProtocolVersion|Tls1[23]NotOffered|SignatureAlgorithmsExtensionRequired/,
    "the client offers no TLS version from 1.2 on",
  ],
  [
    /NoCipherSuitesInCommon|NoKxGroupsInCommon|NoSignatureSchemesInCommon|no server certificate chain/,
    "no cipher in common",
  ],
  [
    /close_notify|unexpected eof|UnexpectedEof|ECONNRESET|EPIPE|[Cc]onnection reset|[Bb]roken pipe/,
    "the client closed the connection",
  ],
];

/** Finds the short reason in an error of the TLS library or the socket. */
export function handshakeReason(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  const known = REASONS.find(([pattern]) => pattern.test(message));
  if (known !== undefined) return known[1];
  const alert = /received fatal alert: (\w+)/.exec(message);
  if (alert !== null) return `the client sent alert ${alert[1]}`;
  return message.replace(/^TLS accept error: /, "").replace(/[^\x20-\x7e]/g, " ").slice(0, 120);
}
