/** The certificates that the other side of a TLS connection showed. */

import type { DetailedPeerCertificate, TLSSocket } from "node:tls";

/** More are not looked at: the peer decides how many it sends. */
const MAX_CERTIFICATES = 8;

/**
 * True where this runtime, as a client that takes any certificate, still proves that the peer has its key, and gives the
 * certificates above the first: Deno 2.8 and later. Before, neither holds, and what the peer shows proves nothing.
 */
export const canJudgePeers: boolean = isAtLeast(Deno.version.deno, 2, 8);

/** Collects them after the handshake: DER, the peer's own first, the others in the order in which they came. */
export function peerChain(socket: TLSSocket): Uint8Array[] {
  const chain: Uint8Array[] = [];
  let at: Partial<DetailedPeerCertificate> | undefined = socket.getPeerCertificate(true);
  for (; at?.raw !== undefined && chain.length < MAX_CERTIFICATES; at = at.issuerCertificate) {
    chain.push(at.raw);
    // A self-signed certificate is its own issuer.
    if (at.issuerCertificate === at) break;
  }
  return chain;
}

/** Compares a version such as `2.9.6` with a least one. */
export function isAtLeast(version: string, major: number, minor: number): boolean {
  const [ownMajor = 0, ownMinor = 0] = version.split(".").map(Number);
  return ownMajor > major || (ownMajor === major && ownMinor >= minor);
}
