/** What a SASL mechanism is on the server's side: pure steps, no input or output (RFC 4422 §3). */

/** A login name and password as the client gave them, valid UTF-8 without NUL, neither of them empty. */
export interface Credentials {
  /** Authentication identity (authcid): the login name. */
  readonly identity: string;
  /** Never to be logged. */
  readonly password: string;
}

/** What follows from the start or from a response of the client. */
export type SaslStep =
  /** Send these octets and wait for a response. */
  | { readonly kind: "challenge"; readonly octets: Uint8Array }
  /** The exchange is complete: check these. */
  | { readonly kind: "credentials"; readonly credentials: Credentials }
  /** The client broke the rules of the mechanism. The reason never contains what it sent. */
  | { readonly kind: "invalid"; readonly reason: string };

/** One exchange. Made anew for each AUTH command. */
export interface SaslMechanism {
  /**
   * Begins the exchange.
   *
   * @param initial Decoded initial response; undefined when the client sent none.
   */
  start(initial?: Uint8Array): SaslStep;
  /** Takes the decoded response to the last challenge. */
  step(response: Uint8Array): SaslStep;
}

/** Longest login name or password in octets: RFC 4616 §2 demands 255 at least. */
const MAX_FIELD_OCTETS = 1024;

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/**
 * Decodes a login name, authorization identity or password.
 *
 * @returns undefined unless it is UTF-8 without NUL, of at most 1,024 octets.
 */
export function decodeField(octets: Uint8Array): string | undefined {
  if (octets.length > MAX_FIELD_OCTETS || octets.includes(0)) return undefined;
  try {
    return utf8.decode(octets);
  } catch {
    return undefined;
  }
}
