/** DKIM key pairs on disk, and the DNS records that publish them (RFC 6376, RFC 8301). */

import { createPrivateKey, createPublicKey, type KeyObject } from "node:crypto";
import { type Files, parentOf, writeDurable } from "../../system/files.ts";
import { toPem } from "../../tls/pem_file.ts";

/** A key that cannot be made or used; the message names the file or name and says what to do. */
export class DkimKeyError extends Error {
  /** For `catch` across realms and log lines. */
  override readonly name = "DkimKeyError";
}

/** Which key: `SELECTOR._domainkey.DOMAIN`. */
export interface DkimKeyName {
  /** A-label form. */
  readonly domain: string;
  /** One or more labels (RFC 6376 §3.1). */
  readonly selector: string;
}

/** RFC 8301 §3.2: signers should use 2048 bits at least; larger keys do not fit into a DNS answer over UDP everywhere. */
const RSA_BITS = 2048;
/** A character-string of a TXT record holds at most 255 octets (RFC 1035 §3.3.14). */
const MAX_STRING_OCTETS = 255;
const LABELS = /^[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?(?:\.[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?)*$/;

/**
 * Where the private key is kept.
 *
 * @param keysFolder `data/keys`.
 * @throws {DkimKeyError} For a domain or selector that is no DNS name, and so might lead out of the folder.
 */
export function dkimKeyPath(keysFolder: string, { domain, selector }: DkimKeyName): string {
  return `${dkimKeyFolder(keysFolder, domain)}/${checkName("selector", selector)}.pem`;
}

/**
 * Makes an RSA key of 2,048 bits and keeps it, mode 0600.
 *
 * @returns The path of the PEM file (PKCS#8).
 * @throws {DkimKeyError} When there is one already: it is in use, and is never replaced.
 */
export async function createDkimKey(keysFolder: string, name: DkimKeyName, files: Files): Promise<string> {
  const path = dkimKeyPath(keysFolder, name);
  await files.makeFolder(parentOf(path), 0o700);
  const publicExponent = Uint8Array.of(1, 0, 1);
  const algorithm = { name: "RSASSA-PKCS1-v1_5", hash: "SHA-256", modulusLength: RSA_BITS, publicExponent };
  const { privateKey } = await crypto.subtle.generateKey(algorithm, true, ["sign", "verify"]);
  const pem = toPem("PRIVATE KEY", new Uint8Array(await crypto.subtle.exportKey("pkcs8", privateKey)));
  try {
    await writeDurable(files, path, pem, { mode: 0o600, replace: false });
  } catch (error) {
    if (!(error instanceof Deno.errors.AlreadyExists)) throw error;
    const mend = "choose another selector, or move the old key away once no mail signed with it is on its way";
    throw new DkimKeyError(`Cannot create DKIM key "${path}": it exists; ${mend}`, { cause: error });
  }
  return path;
}

/** Lists the selectors of a domain that have a key, sorted; none for a domain without keys. */
export async function listDkimSelectors(keysFolder: string, domain: string, files: Files): Promise<string[]> {
  const selectors: string[] = [];
  try {
    for await (const { name, isFile } of files.list(dkimKeyFolder(keysFolder, domain))) {
      if (isFile && name.endsWith(".pem")) selectors.push(name.slice(0, -4));
    }
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
  return selectors.sort();
}

/**
 * Derives the TXT value that publishes a key from its private key: `v=DKIM1; k=rsa; p=…`.
 *
 * `p` is a SubjectPublicKeyInfo, as every signer and verifier has it, although RFC 6376 §3.6.1 speaks of an RSAPublicKey
 * (its Appendix C makes it with `openssl rsa -pubout`, which writes the former).
 *
 * @param pem Private key in PEM.
 * @throws {DkimKeyError} For anything but an RSA key of 1,024 bits or more (RFC 8301 §3.2).
 */
export function dkimTxtValue(pem: string): string {
  const key = parseKey(pem);
  if (key.asymmetricKeyType !== "rsa" || (key.asymmetricKeyDetails?.modulusLength ?? RSA_BITS) < 1024) {
    throw new DkimKeyError("Cannot use DKIM key: it is no RSA key of 1024 bits or more");
  }
  const publicKey: Uint8Array = createPublicKey(key).export({ type: "spki", format: "der" });
  return `v=DKIM1; k=rsa; p=${new Uint8Array(publicKey).toBase64()}`;
}

/** Formats the record as one line of a zone file, the value in strings of at most 255 octets. */
export function dkimRecord({ domain, selector }: DkimKeyName, pem: string): string {
  const value = dkimTxtValue(pem);
  const strings: string[] = [];
  for (let at = 0; at < value.length; at += MAX_STRING_OCTETS) {
    strings.push(`"${value.slice(at, at + MAX_STRING_OCTETS)}"`);
  }
  return `${checkName("selector", selector)}._domainkey.${checkName("domain", domain)}. IN TXT ${strings.join(" ")}`;
}

function dkimKeyFolder(keysFolder: string, domain: string): string {
  return `${keysFolder}/dkim/${checkName("domain", domain)}`;
}

function checkName(what: string, name: string): string {
  const lower = name.toLowerCase();
  if (lower.length <= 253 && LABELS.test(lower)) return lower;
  throw new DkimKeyError(
    `Cannot use ${what} "${name}" for a DKIM key: it is no DNS name; use letters, digits and hyphens`,
  );
}

function parseKey(pem: string): KeyObject {
  try {
    return createPrivateKey(pem);
  } catch (error) {
    throw new DkimKeyError("Cannot parse DKIM key: no PEM private key found", { cause: error });
  }
}
