/**
 * The Sender Rewriting Scheme: a message that goes on to another site leaves with a reverse-path of our domain, so that
 * the check of SPF there is about us (RFC 7208 §2.4 looks at the domain of MAIL FROM), and a report about it comes back
 * here and is sent on.
 * There is no table: the address itself says where it leads, under a signature.
 */

import { createHmac, timingSafeEqual } from "node:crypto";
import type { Mailbox } from "../../mail/mailbox.ts";
import { readSrs, type Sign, TIMESTAMP_CYCLE, writeSrs } from "./codec.ts";

/** What rewriting needs. */
export interface SrsOptions {
  /** The first one signs, all of them verify; at least one. */
  readonly secrets: readonly string[];
  /** Wall clock, milliseconds since 1970. */
  readonly now: () => number;
  /** How long a report may take to come; counted in whole days, below 1,023. */
  readonly maxAgeMs: number;
}

/** What becomes of a reverse-path. */
export type RewrittenSender =
  | { readonly kind: "rewritten"; readonly address: string }
  /** It stays as it is: SPF has nothing to say about it, or the rewritten one would be too long. */
  | { readonly kind: "kept"; readonly reason: "address literal" | "too long" };

/** What an address of one of our domains is. */
export type SrsReading =
  /** It has not the form. */
  | { readonly kind: "other" }
  /** It has the form, and we did not make it. */
  | { readonly kind: "forged" }
  /** We made it, too long ago or on a day to come. */
  | { readonly kind: "expired"; readonly original: Mailbox }
  | { readonly kind: "valid"; readonly original: Mailbox };

/** Rewrites senders, and reads what came of that. */
export interface Srs {
  /** The reverse-path under which mail of this sender is sent on. @param domain Of ours: where reports come to. */
  rewrite(sender: Mailbox, domain: string): RewrittenSender;
  /** Tells whom an address stands for. @param localPart Of a mailbox at a domain of ours, unquoted. */
  read(localPart: string): SrsReading;
}

const DAY_MS = 86_400_000;
/**
 * Characters of base64, compared without regard to case, because relays change it: 5 bits each at the least. The 4
 * characters that others use by default are 20 bits, which a patient sender finds in half a million RCPT commands; 8 are 40 bits.
 * Others verify them as they are: Mail::SRS always, PostSRSd where it is told `SRS_HASHLENGTH=8`.
 */
const HASH_LENGTH = 8;

/** Makes the scheme out of its secrets. */
export function createSrs({ secrets, now, maxAgeMs }: SrsOptions): Srs {
  const signers = secrets.map(signer);
  const [sign] = signers;
  if (sign === undefined) throw new TypeError("Cannot rewrite senders without a secret");
  const maxAgeDays = Math.ceil(maxAgeMs / DAY_MS);
  const today = (): number => Math.floor(now() / DAY_MS);
  return {
    rewrite(sender, domain): RewrittenSender {
      if (sender.domain.startsWith("[")) return { kind: "kept", reason: "address literal" };
      const address = writeSrs(sender, { domain, day: today(), sign, hashLength: HASH_LENGTH });
      return address === undefined ? { kind: "kept", reason: "too long" } : { kind: "rewritten", address };
    },
    read(localPart): SrsReading {
      const read = readSrs(localPart);
      if (read === undefined) return { kind: "other" };
      const { hash, signed, original } = read;
      // All are tried, so that the time does not tell which secret fits.
      if (signers.filter((sign) => isHashOf(hash, sign(signed))).length === 0) return { kind: "forged" };
      const isValid = read.kind === "srs1" || isRecent(today() - read.day, maxAgeDays);
      return { kind: isValid ? "valid" : "expired", original };
    },
  };
}

/** HMAC-SHA1 over the fields, one behind the other in lower case: what makes our addresses readable for other programs. */
function signer(secret: string): Sign {
  return (fields) => createHmac("sha1", secret).update(asciiLower(fields.join(""))).digest("base64");
}

function isHashOf(hash: string, whole: string): boolean {
  // The padding of base64 is no part of a hash.
  if (hash.length < HASH_LENGTH || hash.length >= whole.length) return false;
  const encoder = new TextEncoder();
  return timingSafeEqual(
    encoder.encode(asciiLower(hash)),
    encoder.encode(asciiLower(whole.slice(0, hash.length))),
  );
}

/** A day to come is one of another node, or from before a clock was set back: one is borne with. */
function isRecent(days: number, maxAgeDays: number): boolean {
  const age = ((days % TIMESTAMP_CYCLE) + TIMESTAMP_CYCLE) % TIMESTAMP_CYCLE;
  return age <= maxAgeDays || age === TIMESTAMP_CYCLE - 1;
}

function asciiLower(text: string): string {
  return text.replace(/[A-Z]/g, (letter) => letter.toLowerCase());
}
