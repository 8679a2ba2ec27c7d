/** The SASL mechanisms that submission offers, by name. */

import { loginMechanism } from "./login.ts";
import type { SaslMechanism } from "./mechanism.ts";
import { plainMechanism } from "./plain.ts";

const MECHANISMS: ReadonlyMap<string, () => SaslMechanism> = new Map([
  ["PLAIN", plainMechanism],
  ["LOGIN", loginMechanism],
]);

/** The names in the order of the EHLO line: preferred first. */
export const saslMechanismNames: readonly string[] = [...MECHANISMS.keys()];

/** Starts an exchange; undefined for a mechanism that is not offered. Names are matched in any case (RFC 4422 §3.1). */
export function startMechanism(name: string): SaslMechanism | undefined {
  return MECHANISMS.get(name.toUpperCase())?.();
}
