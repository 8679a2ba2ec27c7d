/** Keys for tests, made once: making RSA keys is slow. */

import { dkimTxtValue, makePrivateKey, readPrivateKey } from "../../../lib/msgauth/dkim/private_key.ts";
import type { SigningKey } from "../../../lib/msgauth/dkim/sign.ts";

/** A key and the record that publishes it. */
export interface TestKey extends SigningKey {
  /** Private key in PEM. */
  readonly pem: string;
  /** TXT value. */
  readonly record: string;
}

/** Makes a key of `SELECTOR._domainkey.example.org`. */
export async function testKey(
  algorithm: "rsa-sha256" | "ed25519-sha256",
  selector: string,
  domain = "example.org",
): Promise<TestKey> {
  const pem = await makePrivateKey(algorithm);
  return { domain, selector, ...await readPrivateKey(pem), pem, record: dkimTxtValue(pem) };
}

/** The records of keys, for a `FakeResolver`. */
export function zoneOf(...keys: readonly TestKey[]): Record<string, { TXT: string[] }> {
  return Object.fromEntries(
    keys.map(({ selector, domain, record }) => [`${selector}._domainkey.${domain}`, { TXT: [record] }]),
  );
}
