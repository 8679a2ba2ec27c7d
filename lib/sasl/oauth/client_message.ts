/** What the client sends to log in with a bearer token: the messages of OAUTHBEARER (RFC 7628 §3.1) and of XOAUTH2. */

/** The content of either message. */
export interface BearerMessage {
  /** The account that the client wants, as it wrote it; undefined: the one that the token names. Never empty. */
  readonly identity: string | undefined;
  /** Never to be logged or kept. Undefined where the client only asks which authorization server to use. */
  readonly token: string | undefined;
}

/** A parsed message, or why it is none. The reason never contains what the client sent. */
export type ParsedBearerMessage =
  | { readonly kind: "message"; readonly message: BearerMessage }
  | { readonly kind: "invalid"; readonly reason: string };

/** As much as a line of 12,288 octets of base64 holds (RFC 4954 §4). */
const MAX_MESSAGE_OCTETS = 9216;
/** As for the other mechanisms. */
const MAX_IDENTITY_LENGTH = 1024;

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
/** RFC 6750 §2.1: `"Bearer" 1*SP b64token`; RFC 7628 §3.1 lets the name of the scheme have any case. */
const BEARER = /^bearer +([A-Za-z0-9._~+/-]+=*)$/i;

/**
 * Parses the message of OAUTHBEARER. Host and port are checked for their form only: the name under which a client
 * knows us is its own affair, and TLS has checked it. Keys that are not known are passed over.
 *
 *     client-resp = (gs2-header kvsep *kvpair kvsep) / kvsep   ; RFC 7628 §3.1, kvsep = %x01
 *     kvpair      = key "=" value kvsep
 *     gs2-header  = ("n" / "y") "," ["a=" saslname] ","        ; RFC 5801 §4, without channel binding
 */
export function parseOauthBearer(octets: Uint8Array): ParsedBearerMessage {
  const text = decodeMessage(octets);
  if (text === undefined) return invalid("not UTF-8, too long, or with NUL");
  const [header = "", ...rest] = text.split("\x01");
  const [, flag, rawIdentity] = /^([ny]|p=[A-Za-z0-9.-]+),(?:a=([^,]+))?,$/.exec(header) ?? [];
  if (flag === undefined) return invalid('it has to begin with a GS2 header such as "n,a=name,"');
  if (flag.startsWith("p")) return invalid("channel binding is not part of it");
  const identity = rawIdentity === undefined ? undefined : decodeSaslName(rawIdentity);
  if (rawIdentity !== undefined && identity === undefined) return invalid("the authorization identity is malformed");
  // The last kvpair ends with a separator, and a second one ends the message.
  if (rest.length < 2 || rest.pop() !== "" || rest.pop() !== "") return invalid("it has to end with two %x01");
  const pairs = new Map<string, string>();
  for (const pair of rest) {
    const [, key, value] = /^([A-Za-z]+)=([\t\n\r -~]*)$/.exec(pair) ?? [];
    if (key === undefined || value === undefined) return invalid("a key and its value are malformed");
    if (pairs.has(key)) return invalid("a key is there twice");
    pairs.set(key, value);
  }
  const port = pairs.get("port");
  if (port !== undefined && !(/^[1-9]\d{0,4}$/.test(port) && Number(port) <= 65_535)) {
    return invalid("the port is none");
  }
  const credentials = pairs.get("auth");
  if (credentials === undefined) return invalid('the key "auth" is missing');
  // RFC 7628 §3.1 with §4.3: an empty one asks for the error, which says where to get a token.
  if (credentials === "") return { kind: "message", message: { identity, token: undefined } };
  return withToken(identity, credentials);
}

/**
 * Parses the message of XOAUTH2, which no RFC describes: Google's and Microsoft's manuals do.
 *
 *     "user=" name %x01 "auth=Bearer " token %x01 %x01
 */
export function parseXoauth2(octets: Uint8Array): ParsedBearerMessage {
  const text = decodeMessage(octets);
  if (text === undefined) return invalid("not UTF-8, too long, or with NUL");
  const [user = "", credentials = "", ...rest] = text.split("\x01");
  const isWhole = rest.length === 2 && rest.every((part) => part === "");
  if (!isWhole || !user.startsWith("user=") || !credentials.startsWith("auth=")) {
    return invalid('expected "user=" and a name, %x01, "auth=Bearer " and a token, %x01 and %x01');
  }
  const identity = user.slice(5);
  if (identity === "" || identity.length > MAX_IDENTITY_LENGTH) return invalid("the user is empty or too long");
  return withToken(identity, credentials.slice(5));
}

function withToken(identity: string | undefined, credentials: string): ParsedBearerMessage {
  const token = BEARER.exec(credentials)?.[1];
  if (token === undefined) return invalid('expected "Bearer" and a token');
  return { kind: "message", message: { identity, token } };
}

function decodeMessage(octets: Uint8Array): string | undefined {
  if (octets.length > MAX_MESSAGE_OCTETS || octets.includes(0)) return undefined;
  try {
    return utf8.decode(octets);
  } catch {
    return undefined;
  }
}

/** RFC 5801 §4: in a saslname "=2C" stands for a comma and "=3D" for "="; no other "=" may be there. */
function decodeSaslName(name: string): string | undefined {
  if (name.length > MAX_IDENTITY_LENGTH || !/^(?:[^=]|=2C|=3D)+$/i.test(name)) return undefined;
  return name.replace(/=2C/gi, ",").replace(/=3D/gi, "=");
}

function invalid(reason: string): ParsedBearerMessage {
  return { kind: "invalid", reason };
}
