/** What a client showed of itself in a TLS handshake, as `node:tls` tells it. */

import type { TLSSocket } from "node:tls";
import type { PresentedCertificates } from "./client_authorities.ts";
import { peerChain } from "./peer_chain.ts";

/** Collects it after the handshake; undefined where the client gave no certificate. */
export function presentedCertificates(socket: TLSSocket): PresentedCertificates | undefined {
  const [leaf, ...others] = peerChain(socket);
  if (leaf === undefined) return undefined;
  return { chain: [leaf, ...others], libraryError: libraryError(socket), isResumed: socket.isSessionReused() };
}

/**
 * `authorized` is filled in by `tls.Server` only, and this is where that takes it from. Where it cannot be asked, every
 * certificate is refused.
 */
function libraryError(socket: TLSSocket): string {
  const handle: unknown = "_handle" in socket ? socket._handle : undefined;
  if (typeof handle !== "object" || handle === null || !("verifyError" in handle)) return "NOT_CHECKED";
  if (typeof handle.verifyError !== "function") return "NOT_CHECKED";
  const error: unknown = handle.verifyError();
  if (error === undefined || error === null || error === "") return "";
  return error instanceof Error && "code" in error ? String(error.code) : String(error);
}
