/** SASL PLAIN: everything in one message, so only under TLS (RFC 4616). */

import {
  type CheckPassword,
  decodeField,
  done,
  type SaslChannel,
  type SaslMechanism,
  type SaslStep,
} from "./mechanism.ts";

/** Starts a PLAIN exchange. */
export function plainMechanism(checkPassword: CheckPassword, channel: SaslChannel): SaslMechanism {
  const take = async (message: Uint8Array): Promise<SaslStep> => {
    const parsed = parsePlain(message);
    return "kind" in parsed ? parsed : done(await checkPassword(parsed.identity, parsed.password, channel));
  };
  return {
    // RFC 4954 §4: without an initial response the server sends an empty challenge.
    start: (initial) => initial === undefined ? { kind: "challenge", octets: new Uint8Array(0) } : take(initial),
    step: take,
  };
}

/**
 * Parses the message of the client.
 *
 *     message = [authzid] UTF8NUL authcid UTF8NUL passwd      ; RFC 4616 §2
 *
 * To act for another user is not supported: authzid is empty or the same as authcid.
 */
function parsePlain(message: Uint8Array): { readonly identity: string; readonly password: string } | SaslStep {
  const first = message.indexOf(0);
  const second = first < 0 ? -1 : message.indexOf(0, first + 1);
  if (second < 0) return { kind: "invalid", reason: "PLAIN needs two NUL octets" };
  const authorization = decodeField(message.subarray(0, first));
  const identity = decodeField(message.subarray(first + 1, second));
  const password = decodeField(message.subarray(second + 1));
  if (authorization === undefined || identity === undefined || password === undefined) {
    return { kind: "invalid", reason: "PLAIN field is not UTF-8, is too long or holds NUL" };
  }
  if (identity === "" || password === "") return { kind: "invalid", reason: "PLAIN needs a login name and a password" };
  if (authorization !== "" && authorization !== identity) {
    return { kind: "invalid", reason: "acting for another user is not supported" };
  }
  return { identity, password };
}
