/**
 * SASL LOGIN: name and password in two steps (draft-murchison-sasl-login-00). Obsolete, and still what some printers,
 * scanners and older versions of Outlook speak.
 */

import { decodeField, type SaslMechanism, type SaslStep } from "./mechanism.ts";

// Clients compare these texts, although the draft says not to.
const NAME_PROMPT = new TextEncoder().encode("Username:");
const PASSWORD_PROMPT = new TextEncoder().encode("Password:");

/** Starts a LOGIN exchange. An initial response is the name: several clients send it so. */
export function loginMechanism(): SaslMechanism {
  let identity: string | undefined;
  const step = (response: Uint8Array): SaslStep => {
    const text = decodeField(response);
    if (text === undefined) return { kind: "invalid", reason: "LOGIN field is not UTF-8, is too long or holds NUL" };
    if (text === "") return { kind: "invalid", reason: "LOGIN needs a login name and a password" };
    if (identity !== undefined) return { kind: "credentials", credentials: { identity, password: text } };
    identity = text;
    return { kind: "challenge", octets: PASSWORD_PROMPT };
  };
  return {
    start: (initial) => initial === undefined ? { kind: "challenge", octets: NAME_PROMPT } : step(initial),
    step,
  };
}
