/**
 * SASL LOGIN: name and password in two steps (draft-murchison-sasl-login-00). Obsolete, and still what some printers,
 * scanners and older versions of Outlook speak.
 */

import {
  type CheckPassword,
  decodeField,
  done,
  type SaslChannel,
  type SaslMechanism,
  type SaslStep,
} from "./mechanism.ts";

// Clients compare these texts, although the draft says not to.
const NAME_PROMPT = new TextEncoder().encode("Username:");
const PASSWORD_PROMPT = new TextEncoder().encode("Password:");

/** Starts a LOGIN exchange. An initial response is the name: several clients send it so. */
export function loginMechanism(checkPassword: CheckPassword, channel: SaslChannel): SaslMechanism {
  let identity: string | undefined;
  const step = async (response: Uint8Array): Promise<SaslStep> => {
    const text = decodeField(response);
    if (text === undefined) return { kind: "invalid", reason: "LOGIN field is not UTF-8, is too long or holds NUL" };
    if (text === "") return { kind: "invalid", reason: "LOGIN needs a login name and a password" };
    if (identity !== undefined) return done(await checkPassword(identity, text, channel));
    identity = text;
    return { kind: "challenge", octets: PASSWORD_PROMPT };
  };
  return {
    start: (initial) => initial === undefined ? { kind: "challenge", octets: NAME_PROMPT } : step(initial),
    step,
  };
}
