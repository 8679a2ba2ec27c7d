/** Verifies and signs whole messages, as the mail path does with messages that stream in. */

import { Buffer } from "node:buffer";
import type { Resolver } from "../../../lib/dns/resolver.ts";
import { headerSectionEnd } from "../../../lib/mail/header.ts";
import { BodyHasher } from "../../../lib/msgauth/dkim/body_hash.ts";
import { indexHeader } from "../../../lib/msgauth/dkim/header_hash.ts";
import { SIGNED_BODY, type SigningKey, signMessage } from "../../../lib/msgauth/dkim/sign.ts";
import { DkimVerifier } from "../../../lib/msgauth/dkim/verify.ts";
import type { DkimFinding } from "../../../lib/msgauth/findings.ts";

/** 2026-11-27, after the signatures of all vectors. */
export const NOW_MS = Date.UTC(2026, 10, 27);

/** A message cut at its empty line. */
export function splitMessage(message: Uint8Array): { readonly header: Uint8Array; readonly body: Uint8Array } {
  const end = headerSectionEnd(message) ?? message.length;
  return { header: message.subarray(0, end), body: message.subarray(Math.min(message.length, end + 2)) };
}

/** Octets of text, each character one octet. */
export function octetsOf(text: string): Uint8Array<ArrayBuffer> {
  return new Uint8Array(Buffer.from(text, "latin1"));
}

/** Verifies a message. @param message Octets, or text of one octet a character. */
export async function verifyMessage(
  message: Uint8Array | string,
  resolver: Resolver,
  nowMs = NOW_MS,
): Promise<DkimFinding[]> {
  const { header, body } = splitMessage(typeof message === "string" ? octetsOf(message) : message);
  const verifier = new DkimVerifier(indexHeader(header), { resolver, nowMs });
  const hasher = new BodyHasher(verifier.bodyHashes);
  hasher.push(body);
  return await verifier.finish(hasher);
}

/** Signs a message and puts the signatures in front of it. */
export async function signWhole(
  message: Uint8Array,
  keys: readonly SigningKey[],
  nowMs = NOW_MS,
): Promise<Uint8Array<ArrayBuffer>> {
  const { header, body } = splitMessage(message);
  const hasher = new BodyHasher([SIGNED_BODY]);
  hasher.push(body);
  const bodyHash = hasher.hash(SIGNED_BODY).sha256 ?? new Uint8Array(0);
  const fields = octetsOf(await signMessage({ headerSection: header, trace: "", bodyHash, keys, nowMs }));
  const signed = new Uint8Array(fields.length + message.length);
  signed.set(fields);
  signed.set(message, fields.length);
  return signed;
}
