/**
 * Whose login a client tries, as far as it can be read from its first message before Dovecot has seen it. It is used to
 * count failures by account, and for nothing else: who logged in is what Dovecot says.
 */

/** Finds the name in the text of a first message. */
const NAMES: ReadonlyMap<string, RegExp> = new Map([
  ["PLAIN", /^[^\0]*\0([^\0]+)\0/], // RFC 4616 §2
  ["LOGIN", /^(.+)$/s],
  ["CRAM-MD5", /^(.+) [^ ]+$/s], // RFC 2195 §2
  ["DIGEST-MD5", /(?:^|,)\s*username="((?:[^"\\]|\\.)+)"/], // RFC 2831 §2.1.2
  ["OAUTHBEARER", /^n,a=([^,]+),/],
  ["XOAUTH2", /^user=([^\x01]+)\x01/],
]);
/** RFC 5802 §7: gs2-header, and the name as the first attribute that is not reserved. */
const SCRAM_NAME = /^[^,]*,[^,]*,n=([^,]+),/;

/** Longer ones are no names: they would only fill the memory of who counts. */
const MAX_NAME_LENGTH = 320;

const utf8 = new TextDecoder();

/**
 * Reads the name that the first message of a mechanism has.
 *
 * @param message From the client, of any length and content.
 * @returns Undefined where there is none, or the mechanism is not known.
 */
export function claimedName(mechanism: string, message: Uint8Array): string | undefined {
  const pattern = mechanism.startsWith("SCRAM-") ? SCRAM_NAME : NAMES.get(mechanism);
  const name = pattern?.exec(utf8.decode(message))?.[1];
  if (name === undefined || name.length > MAX_NAME_LENGTH) return undefined;
  return pattern === SCRAM_NAME || mechanism === "OAUTHBEARER" ? unescapeSaslName(name) : name;
}

/** RFC 5802 §5.1: `=2C` is a comma, `=3D` an equals sign. */
function unescapeSaslName(name: string): string {
  return name.replaceAll("=2C", ",").replaceAll("=3D", "=");
}
