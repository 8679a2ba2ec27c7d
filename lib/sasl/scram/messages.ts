/** The messages of a SCRAM client, parsed (RFC 5802 §7). Errors are values: what breaks which rule, without what was sent. */

import { decodeBase64 } from "../base64.ts";

/** What a client says of channel binding (gs2-cbind-flag). */
export type ChannelBindingFlag =
  /** `n`: it cannot. */
  | { readonly kind: "none" }
  /** `y`: it can, and believes that we cannot. */
  | { readonly kind: "unoffered" }
  /** `p=`: it uses this one. */
  | { readonly kind: "used"; readonly name: string };

/** The first message. */
export interface ClientFirst {
  /** What it says of channel binding. */
  readonly binding: ChannelBindingFlag;
  /** Up to and with the second comma; comes again in the final message. */
  readonly gs2Header: string;
  /** Whom it wants to act as; empty: as itself. */
  readonly authorization: string;
  /** Login name, unescaped, not empty. */
  readonly identity: string;
  /** What is behind the GS2 header: part of what is signed. */
  readonly bare: string;
  /** Its part of the nonce. */
  readonly nonce: string;
}

/** The final message. */
export interface ClientFinal {
  /** GS2 header and channel binding data. */
  readonly channelBinding: Uint8Array;
  /** Both parts. */
  readonly nonce: string;
  /** What stands before the proof: part of what is signed. */
  readonly withoutProof: string;
  /** 32 octets. */
  readonly proof: Uint8Array;
}

/** A message that breaks the rules. */
export interface BadMessage {
  /** A server-error-value of RFC 5802 §7, and in words what is wrong. */
  readonly problem: string;
}

/** Longest login name in octets, and longest nonce: the messages are kept until the exchange ends. */
const MAX_NAME_OCTETS = 1024;
const MAX_NONCE_CHARACTERS = 1024;

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/**
 * Parses the first message.
 *
 *     client-first-message = gs2-cbind-flag "," [ authzid ] "," [reserved-mext ","] username "," nonce ["," extensions]
 *     gs2-cbind-flag       = ("p=" cb-name) / "n" / "y"
 */
export function parseClientFirst(octets: Uint8Array): ClientFirst | BadMessage {
  const text = decode(octets);
  if (text === undefined) return bad("invalid-encoding: it is not UTF-8, or holds NUL");
  const [, gs2Header = "", flag = "", authorizationField = "", bare = ""] = /^(([^,]*),([^,]*),)(.*)$/s.exec(text) ??
    [];
  const binding = parseFlag(flag);
  if (binding === undefined) return bad('invalid-encoding: it begins with "n,", "y," or "p=" and the type of binding');
  if (bare.startsWith("m=")) return bad("extensions-not-supported: there is a mandatory extension");
  const [, name, nonce = ""] = /^n=([^,]*),r=([!-+\x2d-~]+)(?:,[A-Za-z]=[^,]+)*$/.exec(bare) ?? [];
  if (name === undefined) return bad("invalid-encoding: it needs n=, the login name, and r=, a nonce, in this order");
  if (nonce.length > MAX_NONCE_CHARACTERS) return bad("invalid-encoding: the nonce is too long");
  const identity = unescapeName(name);
  const authorization = authorizationField === "" ? "" : unescapeName(/^a=(.*)$/s.exec(authorizationField)?.[1] ?? "");
  if (identity === undefined || authorization === undefined) {
    return bad("invalid-username-encoding: a name is empty, too long, or not escaped as it must be");
  }
  return { binding, gs2Header, authorization, identity, bare, nonce };
}

/**
 * Parses the final message.
 *
 *     client-final-message = "c=" base64 "," "r=" nonce ["," extensions] "," "p=" base64
 */
export function parseClientFinal(octets: Uint8Array): ClientFinal | BadMessage {
  const text = decode(octets);
  const [, withoutProof = "", binding, nonce = "", proofText = ""] =
    /^(c=([^,]*),r=([!-+\x2d-~]+)(?:,[A-Za-z]=[^,]+)*),p=([^,]*)$/.exec(text ?? "") ?? [];
  if (binding === undefined) return bad("invalid-encoding: it needs c=, r= and p=, in this order");
  const channelBinding = decodeBase64(binding);
  const proof = decodeBase64(proofText);
  if (channelBinding === undefined || proof === undefined) return bad("invalid-encoding: c= and p= are base64");
  if (proof.length !== 32) return bad("invalid-encoding: the proof has 32 octets");
  return { channelBinding, nonce, withoutProof, proof };
}

function bad(problem: string): BadMessage {
  return { problem };
}

function decode(octets: Uint8Array): string | undefined {
  if (octets.includes(0)) return undefined;
  try {
    return utf8.decode(octets);
  } catch {
    return undefined;
  }
}

/** The name of a binding is `1*(ALPHA / DIGIT / "." / "-")`. */
function parseFlag(flag: string): ChannelBindingFlag | undefined {
  if (flag === "n") return { kind: "none" };
  if (flag === "y") return { kind: "unoffered" };
  const name = /^p=([A-Za-z0-9.-]{1,64})$/.exec(flag)?.[1];
  return name === undefined ? undefined : { kind: "used", name };
}

/** A saslname: `=2C` is a comma and `=3D` an equals sign, and there is no other `=`. Undefined also for an empty one. */
function unescapeName(saslName: string): string | undefined {
  if (saslName === "" || /=(?!2C|3D)/.test(saslName)) return undefined;
  const name = saslName.replaceAll("=2C", ",").replaceAll("=3D", "=");
  return new TextEncoder().encode(name).length > MAX_NAME_OCTETS ? undefined : name;
}
