/**
 * Lines of Dovecot's authentication protocol, version 1: a command and its parameters, with tabs between them and LF at
 * the end. What the lines mean in their order is in `connection.ts`.
 *
 * The protocol is described in Dovecot's manual ("Dovecot Authentication Protocol"); no RFC has it.
 */

/** Longest line in octets, LF included, in both directions: what Dovecot 2.2 and later can take. */
export const MAX_LINE_OCTETS = 16_384;

/** What came is not of the protocol. The message never quotes it: it may hold secrets. */
export class DovecotProtocolError extends Error {
  /** Tells this error from others. */
  override readonly name = "DovecotProtocolError";
}

/** Why Dovecot refuses a login; undefined: name or password are wrong. */
export type FailCode = "temporary" | "notAuthorized" | "disabled" | "expired";

/** A line from Dovecot. */
export type ServerLine =
  | { readonly kind: "version"; readonly major: number }
  /** A mechanism; flags such as `plaintext` and `anonymous` say what it is. */
  | { readonly kind: "mech"; readonly name: string; readonly flags: readonly string[] }
  /** The end of the handshake. */
  | { readonly kind: "done" }
  /** Send this to the client and wait for its response. */
  | { readonly kind: "cont"; readonly id: number; readonly octets: Uint8Array }
  | { readonly kind: "ok"; readonly id: number; readonly user: string | undefined }
  | { readonly kind: "fail"; readonly id: number; readonly code: FailCode | undefined }
  /** Of no use to us, or unknown: to be passed over. */
  | { readonly kind: "other" };

const ESCAPED: Readonly<Record<string, string>> = { "0": "\0", "1": "\x01", t: "\t", r: "\r", n: "\n" };
const ESCAPES: Readonly<Record<string, string>> = {
  "\0": "\x010",
  "\x01": "\x011",
  "\t": "\x01t",
  "\r": "\x01r",
  "\n": "\x01n",
};
/** RFC 4422 §3.1. */
const MECHANISM_NAME = /^[A-Z0-9_-]{1,20}$/;

/** The codes of Dovecot 2.3 and later, and the flags of earlier versions. */
const FAIL_CODES: ReadonlyMap<string, FailCode> = new Map([
  ["code=temp_fail", "temporary"],
  ["temp", "temporary"],
  ["code=authz_fail", "notAuthorized"],
  ["authz", "notAuthorized"],
  ["code=user_disabled", "disabled"],
  ["user_disabled", "disabled"],
  ["code=pass_expired", "expired"],
  ["pass_expired", "expired"],
]);

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const encoder = new TextEncoder();

/**
 * Reads one line.
 *
 * @param octets Without its LF.
 * @throws {DovecotProtocolError}
 */
export function parseServerLine(octets: Uint8Array): ServerLine {
  const [command = "", ...parameters] = decode(octets).split("\t").map(unescape);
  switch (command) {
    case "VERSION":
      return { kind: "version", major: wholeNumber(parameters[0], "version") };
    case "MECH": {
      const [name = "", ...flags] = parameters;
      if (!MECHANISM_NAME.test(name)) throw new DovecotProtocolError("it offers a mechanism without a valid name");
      return { kind: "mech", name, flags };
    }
    case "DONE":
      return { kind: "done" };
    case "CONT":
      return { kind: "cont", id: wholeNumber(parameters[0], "id"), octets: decodeChallenge(parameters[1] ?? "") };
    case "OK": {
      const [id, ...rest] = parameters;
      return { kind: "ok", id: wholeNumber(id, "id"), user: valueOf(rest, "user") };
    }
    case "FAIL": {
      const [id, ...rest] = parameters;
      const known = rest.find((parameter) => FAIL_CODES.has(parameter));
      return { kind: "fail", id: wholeNumber(id, "id"), code: FAIL_CODES.get(known ?? "") };
    }
    default:
      return { kind: "other" };
  }
}

/**
 * Writes one line.
 *
 * @param parameters Any text: what would end a parameter or the line is escaped.
 * @returns With its LF; undefined where it is longer than {@linkcode MAX_LINE_OCTETS}: Dovecot would close the connection.
 */
export function formatLine(command: string, ...parameters: readonly string[]): Uint8Array<ArrayBuffer> | undefined {
  const octets = encoder.encode([command, ...parameters.map(escape)].join("\t") + "\n");
  return octets.length > MAX_LINE_OCTETS ? undefined : octets;
}

function decode(octets: Uint8Array): string {
  try {
    return utf8.decode(octets);
  } catch {
    throw new DovecotProtocolError("it sends a line that is not UTF-8");
  }
}

/** A character behind \001 that has no meaning stands for itself. */
function unescape(text: string): string {
  return text.includes("\x01") ? text.replace(/\x01([^])/gu, (_, code: string) => ESCAPED[code] ?? code) : text;
}

function escape(text: string): string {
  return text.replace(/[\0\x01\t\r\n]/g, (character) => ESCAPES[character] ?? "");
}

/** 32 bits, decimal. */
function wholeNumber(text = "", what: string): number {
  const value = /^\d{1,10}$/.test(text) ? Number(text) : NaN;
  if (!(value <= 0xffff_ffff)) throw new DovecotProtocolError(`it sends a line without a valid ${what}`);
  return value;
}

function decodeChallenge(text: string): Uint8Array {
  try {
    return Uint8Array.fromBase64(text, { lastChunkHandling: "strict" });
  } catch {
    throw new DovecotProtocolError("it sends a challenge that is not base64");
  }
}

/** The value of a `name=value` parameter; undefined where it is not there or empty. */
function valueOf(parameters: readonly string[], name: string): string | undefined {
  const found = parameters.find((parameter) => parameter.startsWith(`${name}=`));
  return found?.slice(name.length + 1) || undefined;
}
