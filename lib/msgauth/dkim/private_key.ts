/** Private keys of signatures in PEM: what they are, how they sign, and what is published of them. */

import { createPrivateKey, createPublicKey, type KeyObject } from "node:crypto";
import { toPem } from "../../tls/pem_file.ts";
import { DkimKeyError } from "./key_error.ts";
import type { SignatureAlgorithm } from "./signature.ts";

/** RFC 8301 §3.2: signers should use 2048 bits at least; larger keys do not fit into a DNS answer over UDP everywhere. */
const RSA_BITS = 2048;

/** Makes a key. @returns PKCS#8 in PEM. */
export async function makePrivateKey(algorithm: SignatureAlgorithm): Promise<string> {
  const pair = algorithm === "rsa-sha256"
    ? await crypto.subtle.generateKey(
      { ...RSA, modulusLength: RSA_BITS, publicExponent: Uint8Array.of(1, 0, 1) },
      true,
      ["sign", "verify"],
    )
    : await crypto.subtle.generateKey("Ed25519", true, ["sign", "verify"]) as CryptoKeyPair;
  return toPem("PRIVATE KEY", new Uint8Array(await crypto.subtle.exportKey("pkcs8", pair.privateKey)));
}

const RSA = { name: "RSASSA-PKCS1-v1_5", hash: "SHA-256" } as const;

/**
 * Reads a private key for signing.
 *
 * @param pem PKCS#8, or PKCS#1 for RSA.
 * @throws {DkimKeyError} For anything but an Ed25519 key or an RSA key of 1,024 to 4,096 bits (RFC 8301 §3.2).
 */
export async function readPrivateKey(
  pem: string,
): Promise<{ readonly algorithm: SignatureAlgorithm; readonly privateKey: CryptoKey }> {
  const key = parseKey(pem);
  const algorithm = algorithmOf(key);
  const der = new Uint8Array(key.export({ type: "pkcs8", format: "der" }));
  const parameters = algorithm === "rsa-sha256" ? RSA : "Ed25519";
  return { algorithm, privateKey: await crypto.subtle.importKey("pkcs8", der, parameters, false, ["sign"]) };
}

/**
 * Derives the TXT value that publishes a key from its private key: `v=DKIM1; k=rsa; p=…`.
 *
 * For RSA `p` is a SubjectPublicKeyInfo, as every signer and verifier has it, although RFC 6376 §3.6.1 speaks of an
 * RSAPublicKey (its Appendix C makes it with `openssl rsa -pubout`, which writes the former). For Ed25519 it is the 32
 * octets of the key (RFC 8463 §4.2).
 *
 * @param pem Private key in PEM.
 * @throws {DkimKeyError} For anything but an Ed25519 key or an RSA key of 1,024 to 4,096 bits (RFC 8301 §3.2).
 */
export function dkimTxtValue(pem: string): string {
  const key = parseKey(pem);
  const algorithm = algorithmOf(key);
  const der: Uint8Array = createPublicKey(key).export({ type: "spki", format: "der" });
  // The SubjectPublicKeyInfo of Ed25519 has the same 12 octets in front always (RFC 8410 §4).
  const octets = algorithm === "rsa-sha256" ? new Uint8Array(der) : new Uint8Array(der).slice(-32);
  return `v=DKIM1; k=${algorithm === "rsa-sha256" ? "rsa" : "ed25519"}; p=${octets.toBase64()}`;
}

function algorithmOf(key: KeyObject): SignatureAlgorithm {
  if (key.asymmetricKeyType === "ed25519") return "ed25519-sha256";
  const bits = key.asymmetricKeyDetails?.modulusLength ?? RSA_BITS;
  if (key.asymmetricKeyType === "rsa" && bits >= 1024 && bits <= 4096) return "rsa-sha256";
  throw new DkimKeyError("Cannot use DKIM key: it is neither an RSA key of 1024 to 4096 bits nor an Ed25519 key");
}

function parseKey(pem: string): KeyObject {
  try {
    return createPrivateKey(pem);
  } catch (error) {
    throw new DkimKeyError("Cannot parse DKIM key: no PEM private key found", { cause: error });
  }
}
