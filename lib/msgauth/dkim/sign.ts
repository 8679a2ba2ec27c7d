/** Signs messages: DKIM-Signature fields (RFC 6376 §5), one for each key. */

import { joinOctets } from "../../mail/octets.ts";
import { createHash } from "node:crypto";
import type { BodyHashRequest } from "./body_hash.ts";
import { fieldsNamed, headerHashInput, type IndexedHeader, indexHeader, selectFields } from "./header_hash.ts";
import type { SignatureAlgorithm } from "./signature.ts";

/** A private key, ready for use. */
export interface SigningKey {
  /** `d=` */
  readonly domain: string;
  /** `s=` */
  readonly selector: string;
  /** `a=` */
  readonly algorithm: SignatureAlgorithm;
  /** For `crypto.subtle.sign`, RSASSA-PKCS1-v1_5 with SHA-256, or Ed25519. */
  readonly privateKey: CryptoKey;
}

/** What {@linkcode signMessage} signs. */
export interface MessageToSign {
  /** The header section of the message: whole lines, without the empty line. */
  readonly headerSection: Uint8Array;
  /** The fields that will be put in front of it, CRLF ended: a Date or Message-ID of ours has to be signed, too. */
  readonly trace: string;
  /** SHA-256 of the relaxed body ({@linkcode SIGNED_BODY}). */
  readonly bodyHash: Uint8Array;
  /** Each makes a field. */
  readonly keys: readonly SigningKey[];
  /** The time of signing, milliseconds since 1970. */
  readonly nowMs: number;
}

/** The body hash that {@linkcode signMessage} needs: relaxed, the whole body. */
export const SIGNED_BODY: BodyHashRequest = { canonicalization: "relaxed" };

/**
 * Fields that are named once more than they are there, so that nobody can add one, or another one: what readers see or what
 * changes how they see it (RFC 6376 §8.15). Where the field is missing, its absence is signed.
 */
const OVERSIGNED = [
  "from",
  "to",
  "cc",
  "subject",
  "date",
  "reply-to",
  "message-id",
  "mime-version",
  "content-type",
  "content-transfer-encoding",
] as const;

/**
 * Fields that are signed where they are there (RFC 6376 §5.4.1; RFC 8058 §4 for those of lists). Others may be added on the way,
 * by mailing lists above all. Received and other trace fields are never signed.
 */
const SIGNED = [
  "sender",
  "in-reply-to",
  "references",
  "resent-from",
  "resent-to",
  "resent-cc",
  "resent-date",
  "resent-message-id",
  "resent-sender",
  "content-id",
  "content-description",
  "content-disposition",
  "list-id",
  "list-help",
  "list-unsubscribe",
  "list-unsubscribe-post",
  "list-subscribe",
  "list-post",
  "list-owner",
  "list-archive",
  "auto-submitted",
  "precedence",
  "feedback-id",
] as const;

/** Longest line that we write, without CRLF (RFC 5322 §2.1.1 recommends 78). */
const MAX_LINE = 76;

/**
 * Signs a message, relaxed/relaxed.
 *
 * @returns The DKIM-Signature fields in the order of the keys, folded, each ended by CRLF: to be put in front of message
 * and trace. Empty without keys.
 */
export async function signMessage({ headerSection, trace, bodyHash, keys, nowMs }: MessageToSign): Promise<string> {
  if (keys.length === 0) return "";
  const header = indexHeader(joinOctets([new TextEncoder().encode(trace), headerSection]));
  const names = signedNames(header);
  const fields = await Promise.all(keys.map(async (key) => {
    const unsigned = formatSignatureField("DKIM-Signature", [
      ["v", "1"],
      ["a", key.algorithm],
      ["c", "relaxed/relaxed"],
      ["d", key.domain],
      ["s", key.selector],
      ["t", String(Math.floor(nowMs / 1000))],
      ["h", names],
      ["bh", bodyHash.toBase64()],
    ]);
    return await completeSignature({ unsigned, header, names, key });
  }));
  return fields.join("");
}

/** What {@linkcode completeSignature} signs with. */
export interface UnsignedField {
  /** The field up to `b=`, as {@linkcode formatSignatureField} made it. */
  readonly unsigned: string;
  /** Where the signed fields are. */
  readonly header: IndexedHeader;
  /** `h=` */
  readonly names: readonly string[];
  /** Signs. */
  readonly key: SigningKey;
}

/** Computes `b=` over the relaxed header and puts it behind the field. @returns The whole field, CRLF ended. */
export async function completeSignature({ unsigned, header, names, key }: UnsignedField): Promise<string> {
  const message = headerHashInput({
    header,
    fields: selectFields(header, names),
    canonicalization: "relaxed",
    signatureField: new TextEncoder().encode(unsigned),
  });
  const signature = await signOctets(key, message);
  return `${unsigned}${foldBase64(signature.toBase64())}\r\n`;
}

/**
 * Signs octets on a thread of the runtime: RSASSA-PKCS1-v1_5 with SHA-256, or Ed25519 over their SHA-256 (RFC 8463 §3).
 *
 * @param message Before it is hashed.
 */
export async function signOctets(
  { algorithm, privateKey }: Pick<SigningKey, "algorithm" | "privateKey">,
  message: Uint8Array,
): Promise<Uint8Array> {
  const isRsa = algorithm === "rsa-sha256";
  const input = isRsa ? new Uint8Array(message) : new Uint8Array(createHash("sha256").update(message).digest());
  return new Uint8Array(await crypto.subtle.sign(isRsa ? "RSASSA-PKCS1-v1_5" : "Ed25519", privateKey, input));
}

/**
 * The names for `h=`: each field that is signed as often as it is there, and once more where additions must not pass.
 *
 * @returns Lower case.
 */
export function signedNames(header: IndexedHeader): string[] {
  const there = (name: string): string[] => fieldsNamed(header, name).map(() => name);
  return [...OVERSIGNED.flatMap((name) => [...there(name), name]), ...SIGNED.flatMap(there)];
}

/**
 * Writes a field of tags up to its empty `b=`, folded where a line would be longer than 76 characters.
 *
 * @param tags In their order; a list of names is divided by colons, and may be folded there.
 */
export function formatSignatureField(
  name: string,
  tags: readonly (readonly [name: string, value: string | readonly string[]])[],
): string {
  let text = `${name}:`;
  let lineLength = text.length;
  const add = (word: string, gap: string): void => {
    const isTooLong = lineLength + gap.length + word.length > MAX_LINE;
    text += isTooLong ? `\r\n ${word}` : `${gap}${word}`;
    lineLength = isTooLong ? 1 + word.length : lineLength + gap.length + word.length;
  };
  for (const [tag, value] of tags) {
    const words = typeof value === "string" ? [value] : value;
    words.forEach((word, at) => {
      const end = at === words.length - 1 ? ";" : ":";
      add(at === 0 ? `${tag}=${word}${end}` : `${word}${end}`, at === 0 ? " " : "");
    });
  }
  return `${text}\r\n b=`;
}

/** Behind ` b=`, with lines of the same length. */
function foldBase64(base64: string): string {
  const first = base64.slice(0, MAX_LINE - 3);
  const more = base64.slice(MAX_LINE - 3).match(/.{1,75}/g) ?? [];
  return [first, ...more].join("\r\n ");
}
