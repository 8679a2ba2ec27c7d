/**
 * What a server keeps of a password to check SCRAM-SHA-256 with: neither the password, nor enough to log in with
 * (RFC 5802 §3). In the accounts file it is one text, after RFC 5803 §2 and as PostgreSQL writes it:
 *
 *     SCRAM-SHA-256$<iterations>:<salt>$<StoredKey>:<ServerKey>         ; all three in base64
 *
 * The form of Dovecot and GNU SASL is read, too: `{SCRAM-SHA-256}<iterations>,<salt>,<StoredKey>,<ServerKey>`.
 */

import { createHash, createHmac } from "node:crypto";
import type { Account } from "../../config/config.ts";
import { decodeBase64, encodeBase64 } from "../base64.ts";
import { saslPrep } from "../saslprep.ts";

/** A verifier in parts. */
export interface ScramVerifier {
  /** How often the client hashes. */
  readonly iterations: number;
  /** Random, for each account. */
  readonly salt: Uint8Array<ArrayBuffer>;
  /** SHA-256 of the key that the client proves to have; 32 octets. */
  readonly storedKey: Uint8Array;
  /** Signs the last message, to show the client who we are; 32 octets. */
  readonly serverKey: Uint8Array;
}

/**
 * The client does this work at each login. RFC 7677 §4 wants 4,096 at least; clients that use Cyrus SASL refuse more than
 * 65,536. Who reads the accounts file can guess passwords at this price, which is below that of scrypt.
 */
export const SCRAM_ITERATIONS = 60_000;
/** Of a new verifier. */
export const SCRAM_SALT_OCTETS = 16;
/** A verifier from elsewhere that would keep a client busy for minutes is a mistake. */
const MAX_ITERATIONS = 10_000_000;
const MIN_ITERATIONS = 4096;

const FORMS: readonly RegExp[] = [
  /^SCRAM-SHA-256\$([1-9]\d{3,7}):([^$:]+)\$([^$:]+):([^$:]+)$/,
  /^\{SCRAM-SHA-256\}([1-9]\d{3,7}),([^,]+),([^,]+),([^,]+)$/,
];

/** Makes the verifier of a password. The salt is random octets; the work is done on a thread of the runtime. */
export async function makeVerifier(
  password: string,
  salt: Uint8Array<ArrayBuffer>,
  iterations: number = SCRAM_ITERATIONS,
): Promise<ScramVerifier> {
  const octets = new TextEncoder().encode(saslPrep(password));
  const key = await crypto.subtle.importKey("raw", octets, "PBKDF2", false, ["deriveBits"]);
  // Hi() of RFC 5802 §2.2 is PBKDF2 (RFC 8018 §5.2) with HMAC as its function.
  const bits = await crypto.subtle.deriveBits({ name: "PBKDF2", hash: "SHA-256", salt, iterations }, key, 256);
  const salted = new Uint8Array(bits);
  return {
    iterations,
    salt,
    storedKey: sha256(hmac(salted, "Client Key")),
    serverKey: hmac(salted, "Server Key"),
  };
}

/** Makes the text of a new verifier with a random salt. */
export async function hashForScram(password: string): Promise<string> {
  return formatVerifier(await makeVerifier(password, crypto.getRandomValues(new Uint8Array(SCRAM_SALT_OCTETS))));
}

/** Writes a verifier for the accounts file. */
export function formatVerifier({ iterations, salt, storedKey, serverKey }: ScramVerifier): string {
  return `SCRAM-SHA-256$${iterations}:${encodeBase64(salt)}$${encodeBase64(storedKey)}:${encodeBase64(serverKey)}`;
}

/** Reads a verifier; undefined for anything else, also for one with fewer than 4,096 iterations. */
export function parseVerifier(text: string): ScramVerifier | undefined {
  const [, count, ...encoded] = FORMS.map((form) => form.exec(text)).find((match) => match !== null) ?? [];
  const iterations = Number(count);
  const [salt, storedKey, serverKey] = encoded.map(decodeBase64);
  if (!(iterations >= MIN_ITERATIONS && iterations <= MAX_ITERATIONS)) return undefined;
  if (salt === undefined || storedKey?.length !== 32 || serverKey?.length !== 32) return undefined;
  return salt.length >= 8 && salt.length <= 64 ? { iterations, salt, storedKey, serverKey } : undefined;
}

/**
 * The accounts that can log in with a password, and not with SCRAM: while there is one, SCRAM is not offered, because a
 * client that prefers it could not log in to that account at all.
 */
export function accountsWithoutVerifier(accounts: readonly Account[]): readonly Account[] {
  return accounts.filter(({ passwordHash, scram }) =>
    passwordHash !== undefined && (scram === undefined || parseVerifier(scram) === undefined)
  );
}

/** HMAC-SHA-256. */
export function hmac(key: Uint8Array, text: string): Uint8Array {
  return new Uint8Array(createHmac("sha256", key).update(text).digest());
}

/** SHA-256. */
export function sha256(octets: Uint8Array): Uint8Array {
  return new Uint8Array(createHash("sha256").update(octets).digest());
}
