/**
 * DKIM key pairs on disk, and the DNS records that publish them (RFC 6376, RFC 8301, RFC 8463).
 *
 * A selector of the configuration names a pair of keys, because messages are signed twice: RSA under the selector itself,
 * Ed25519 under the selector with `-ed` behind it. Each is a file and a record of its own.
 */

import { type Files, parentOf, writeDurable } from "../../system/files.ts";
import { DkimKeyError } from "./key_error.ts";
import { dkimTxtValue, makePrivateKey } from "./private_key.ts";

/** Which key: `SELECTOR._domainkey.DOMAIN`. */
export interface DkimKeyName {
  /** A-label form. */
  readonly domain: string;
  /** One or more labels (RFC 6376 §3.1). */
  readonly selector: string;
}

/** A character-string of a TXT record holds at most 255 octets (RFC 1035 §3.3.14). */
const MAX_STRING_OCTETS = 255;
const LABELS = /^[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?(?:\.[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?)*$/;
const ED25519_SUFFIX = "-ed";

/** The selectors of the keys that a selector of the configuration stands for: RSA, then Ed25519. */
export function dkimPair(selector: string): readonly [rsa: string, ed25519: string] {
  return [selector, `${selector}${ED25519_SUFFIX}`];
}

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
 * Makes the keys of a pair that are not there yet, RSA of 2,048 bits and Ed25519, and keeps them, mode 0600.
 *
 * @param name The selector of the configuration.
 * @returns The names of the keys that were made: one where the other was there.
 * @throws {DkimKeyError} When both are there already: they are in use, and are never replaced.
 */
export async function createDkimKeys(keysFolder: string, name: DkimKeyName, files: Files): Promise<DkimKeyName[]> {
  const [rsa, ed25519] = dkimPair(name.selector).map((selector) => ({ domain: name.domain, selector }));
  const made: DkimKeyName[] = [];
  if (rsa === undefined || ed25519 === undefined) return made;
  if (await createKey(keysFolder, rsa, "rsa-sha256", files)) made.push(rsa);
  if (await createKey(keysFolder, ed25519, "ed25519-sha256", files)) made.push(ed25519);
  if (made.length > 0) return made;
  const mend = "choose another selector, or move the old keys away once no mail signed with them is on its way";
  throw new DkimKeyError(`Cannot create DKIM key "${dkimKeyPath(keysFolder, name)}": it exists; ${mend}`);
}

/** @returns False where there is a key of this name. */
async function createKey(
  keysFolder: string,
  name: DkimKeyName,
  algorithm: "rsa-sha256" | "ed25519-sha256",
  files: Files,
): Promise<boolean> {
  const path = dkimKeyPath(keysFolder, name);
  await files.makeFolder(parentOf(path), 0o700);
  try {
    await writeDurable(files, path, await makePrivateKey(algorithm), { mode: 0o600, replace: false });
    return true;
  } catch (error) {
    if (!(error instanceof Deno.errors.AlreadyExists)) throw error;
    return false;
  }
}

/**
 * Lists the selectors of a domain that have a key, sorted; none for a domain without keys. Both of a pair are in it.
 */
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

/** Formats the record as one line of a zone file, the value in strings of at most 255 octets. */
export function dkimRecord(name: DkimKeyName, pem: string): string {
  const value = dkimTxtValue(pem);
  const strings: string[] = [];
  for (let at = 0; at < value.length; at += MAX_STRING_OCTETS) {
    strings.push(`"${value.slice(at, at + MAX_STRING_OCTETS)}"`);
  }
  return `${dkimRecordName(name)}. IN TXT ${strings.join(" ")}`;
}

/**
 * The name of the record of a key, without final dot.
 *
 * @throws {DkimKeyError} Where it is no DNS name.
 */
export function dkimRecordName({ domain, selector }: DkimKeyName): string {
  return `${checkName("selector", selector)}._domainkey.${checkName("domain", domain)}`;
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
