/** Public keys of signatures, and whether a signature is theirs. */

import { createHash } from "node:crypto";
import { type RsaPublicKey, verifyRsaSha256 } from "./rsa.ts";

/** An Ed25519 key (RFC 8463 §4.2). */
export interface Ed25519PublicKey {
  /** For `switch`. */
  readonly algorithm: "ed25519-sha256";
  /** 32 octets. */
  readonly octets: Uint8Array<ArrayBuffer>;
}

/** A key of one of the algorithms that count. */
export type PublicKey = RsaPublicKey | Ed25519PublicKey;

/**
 * Tells whether a signature over a message was made with the private half of a key.
 *
 * Ed25519 signs the SHA-256 of the message (RFC 8463 §3), and is checked on a thread of the runtime.
 *
 * @param message What was signed, before it is hashed.
 * @returns False for whatever is wrong with the signature. Never rejects.
 */
export async function verifySignature(
  key: PublicKey,
  message: Uint8Array,
  signature: Uint8Array<ArrayBuffer>,
): Promise<boolean> {
  if (key.algorithm === "rsa-sha256") return verifyRsaSha256(key, message, signature);
  if (signature.length !== 64) return false;
  const digest = new Uint8Array(createHash("sha256").update(message).digest());
  try {
    const publicKey = await crypto.subtle.importKey("raw", key.octets, "Ed25519", false, ["verify"]);
    return await crypto.subtle.verify("Ed25519", publicKey, signature, digest);
  } catch {
    // Octets that are no point of the curve.
    return false;
  }
}
