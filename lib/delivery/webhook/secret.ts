/** The secrets of a webhook, in the notation of the Standard Webhooks specification. */

import { createHmac, type Hmac } from "node:crypto";
import { decodeBase64 } from "../../sasl/base64.ts";

/** A shorter one could be guessed; the specification asks for 24 octets at least where they are random. */
const MIN_OCTETS = 16;
const PREFIX = "whsec_";

/**
 * Reads one or more secrets with white space between them; several, while one takes the place of another.
 *
 * @param text Each `whsec_` and base64, or any other text, which counts as its octets in UTF-8.
 * @returns The keys in the order given; undefined where there is none, or one is shorter than 16 octets or broken base64.
 */
export function parseWebhookSecrets(text: string): readonly Uint8Array[] | undefined {
  const keys: Uint8Array[] = [];
  for (const word of text.split(/\s+/).filter((word) => word !== "")) {
    const key = keyOf(word);
    if (key === undefined || key.length < MIN_OCTETS) return undefined;
    keys.push(key);
  }
  return keys.length > 0 ? keys : undefined;
}

/** A signature that is computed while the content goes by: the header is sent before the body. */
export class WebhookSigner {
  readonly #hmacs: readonly Hmac[];

  /** Begins with what stands in front of the body: `id.timestamp.`. @throws {TypeError} For a text without a secret. */
  constructor(secrets: string, id: string, timestampSeconds: number) {
    this.#hmacs = keysOf(secrets).map((key) => createHmac("sha256", key).update(`${id}.${timestampSeconds}.`));
  }

  /** Takes the next octets of the body. */
  update(octets: Uint8Array): void {
    for (const hmac of this.#hmacs) hmac.update(octets);
  }

  /** The value of `webhook-signature`: one signature of version 1 for each secret. Ends the signer. */
  signature(): string {
    return this.#hmacs.map((hmac) => `v1,${hmac.digest("base64")}`).join(" ");
  }
}

/** What nobody can compute who does not know the first secret, and always the same: 32 hexadecimal digits. */
export function secretDigest(secrets: string, text: string): string {
  const [key = new Uint8Array()] = keysOf(secrets);
  return createHmac("sha256", key).update(text).digest("hex").slice(0, 32);
}

function keysOf(secrets: string): readonly Uint8Array[] {
  const keys = parseWebhookSecrets(secrets);
  if (keys === undefined) throw new TypeError("Cannot sign for a webhook: its secret is none");
  return keys;
}

function keyOf(word: string): Uint8Array | undefined {
  return word.startsWith(PREFIX) ? decodeBase64(word.slice(PREFIX.length)) : new TextEncoder().encode(word);
}
