/** Signs messages in any way, right or wrong: tags are given by the test. */

import { BodyHasher } from "../../../lib/msgauth/dkim/body_hash.ts";
import type { Canonicalization } from "../../../lib/msgauth/dkim/canonicalize.ts";
import { headerHashInput, indexHeader, selectFields } from "../../../lib/msgauth/dkim/header_hash.ts";
import { type SigningKey, signOctets } from "../../../lib/msgauth/dkim/sign.ts";
import { octetsOf, splitMessage } from "./dkim_check.ts";

/** How {@linkcode signByHand} signs. */
export interface HandSignature {
  /** Signs; its names stand in `d=`, `s=` and `a=`. */
  readonly key: SigningKey;
  /** Tags by name in their order: these take the place of the usual ones, undefined leaves one out. */
  readonly tags?: Readonly<Record<string, string | undefined>>;
  /** Between tags; a fold for example. */
  readonly gap?: string;
}

/** Puts a DKIM-Signature in front of a message. @param message One octet a character. */
export async function signByHand(message: string, { key, tags = {}, gap = " " }: HandSignature): Promise<string> {
  const { header, body } = splitMessage(octetsOf(message));
  const all: Record<string, string | undefined> = {
    v: "1",
    a: key.algorithm,
    c: "relaxed/relaxed",
    d: key.domain,
    s: key.selector,
    h: "from:to:subject:date",
    bh: "",
    ...tags,
  };
  const [headerCanonicalization = "simple", bodyCanonicalization = "simple"] = (all.c ?? "simple").split("/");
  const octets = /^[0-9]{1,9}$/.test(all.l ?? "") ? Number(all.l) : undefined;
  const request = {
    canonicalization: canonicalizationOf(bodyCanonicalization),
    ...octets !== undefined && { octets },
  };
  const hasher = new BodyHasher([request]);
  hasher.push(body);
  const { sha256 = new Uint8Array(32) } = hasher.hash(request);
  if (all.bh === "") all.bh = sha256.toBase64();
  const list = Object.entries(all).filter(([, value]) => value !== undefined).map(([name, value]) =>
    `${name}=${value};`
  );
  const unsigned = `DKIM-Signature:${gap}${list.join(gap)}${gap}b=`;
  const indexed = indexHeader(header);
  const signature = await signOctets(
    key,
    headerHashInput({
      header: indexed,
      fields: selectFields(indexed, (all.h ?? "").split(":").map((name) => name.trim())),
      canonicalization: canonicalizationOf(headerCanonicalization),
      signatureField: octetsOf(`${unsigned}\r\n`),
    }),
  );
  return `${unsigned}${signature.toBase64().replace(/.{60}/g, "$&\r\n ")}\r\n${message}`;
}

function canonicalizationOf(text: string): Canonicalization {
  return text === "relaxed" ? "relaxed" : "simple";
}
