import { assertEquals, assertMatch } from "@std/assert";
import { createHash } from "node:crypto";
import fc from "fast-check";
import { BodyHasher, type BodyHashRequest } from "../../lib/msgauth/dkim/body_hash.ts";
import { canonicalizeBody, canonicalizeField } from "../../lib/msgauth/dkim/canonicalize.ts";
import { parseTagList } from "../../lib/msgauth/dkim/tag_list.ts";
import { plainCanonicalBody } from "../support/msgauth/plain_canonical.ts";

const KINDS = ["simple", "relaxed"] as const;

/** Bodies made of what matters: line ends, halves of them, white space, text, octets of any kind. */
const body = fc.array(
  fc.constantFrom("\r\n", "\r\n\r\n", "\r", "\n", " ", "\t", " \t ", "a", "bc", ".", "\0", "\xe9", "=20"),
  {
    maxLength: 40,
  },
).map((parts) => parts.join(""));
const cuts = fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 20 });

function octetsOf(text: string): Uint8Array {
  return Uint8Array.from(text, (character) => character.charCodeAt(0));
}

function textOf(octets: Uint8Array): string {
  return [...octets].map((octet) => String.fromCharCode(octet)).join("");
}

/** Cuts octets into pieces of the given sizes, again and again. */
function* pieces(octets: Uint8Array, sizes: readonly number[]): Generator<Uint8Array> {
  let at = 0;
  for (let turn = 0; at < octets.length; turn++) {
    const size = sizes[turn % sizes.length] ?? 1;
    yield octets.slice(at, at + size);
    at += size;
  }
}

Deno.test("a body has the same canonical form however it is cut", () => {
  fc.assert(
    fc.property(body, cuts, fc.constantFrom(...KINDS), (text, sizes, kind) => {
      let canonical = "";
      const canonicalizer = canonicalizeBody(kind, (piece) => canonical += textOf(piece));
      for (const piece of pieces(octetsOf(text), sizes)) canonicalizer.push(piece);
      canonicalizer.end();
      assertEquals(canonical, plainCanonicalBody(text, kind));
    }),
    { numRuns: 2000 },
  );
});

Deno.test("a hash up to any length is the hash of the beginning of the canonical body", () => {
  const lengths = fc.array(fc.nat(60), { maxLength: 5 });
  fc.assert(
    fc.property(body, cuts, lengths, (text, sizes, wanted) => {
      const requests: BodyHashRequest[] = KINDS.flatMap((canonicalization) => [
        { canonicalization },
        ...wanted.map((octets) => ({ canonicalization, octets })),
      ]);
      const hasher = new BodyHasher(requests);
      for (const piece of pieces(octetsOf(text), sizes)) hasher.push(piece);
      for (const request of requests) {
        const canonical = octetsOf(plainCanonicalBody(text, request.canonicalization));
        const { sha256, octets } = hasher.hash(request);
        assertEquals(octets, canonical.length);
        if ((request.octets ?? 0) > canonical.length) assertEquals(sha256, undefined);
        else assertEquals(sha256, sha256Of(canonical.subarray(0, request.octets)));
      }
    }),
    { numRuns: 500 },
  );
});

function sha256Of(octets: Uint8Array): Uint8Array {
  return new Uint8Array(createHash("sha256").update(octets).digest());
}

Deno.test("canonical fields stay as they are when they are canonicalized again", () => {
  const value = fc.array(fc.constantFrom(" ", "\t", "\r\n ", "\r\n\t", "a", ":", "\xfc", "B"), { maxLength: 30 });
  fc.assert(fc.property(value, fc.constantFrom("Subject:", "SUBJECT \t:", "x:"), (parts, name) => {
    const once = canonicalizeField(octetsOf(`${name}${parts.join("")}\r\n`), "relaxed");
    assertEquals(textOf(canonicalizeField(once, "relaxed")), textOf(once));
    assertMatch(textOf(once), /^[a-z]+:(?! )(?:(?! {2})[^\t\r\n])*(?<! )\r\n$/);
  }));
});

Deno.test("no text makes the reader of tag lists throw, and what it reads is in the text", () => {
  const part = fc.oneof(fc.constantFrom("a", "b=", ";", "=", " ", "\r\n ", "\r\n", "\0", "\xff", "v=1; "), fc.string());
  fc.assert(
    fc.property(fc.array(part, { maxLength: 20 }), (parts) => {
      const text = parts.join("").replace(/[^\0-\xff]/g, "?");
      const list = parseTagList(text);
      if (list.kind === "malformed") return;
      for (const [name, { value, start, end }] of list.tags) {
        assertEquals(text.slice(start, end).replace(/^[ \t\r\n]+|[ \t\r\n]+$/g, ""), value);
        assertEquals(text.slice(0, start).replace(/[ \t\r\n]*=$/, "").endsWith(name), true);
      }
    }),
    { numRuns: 1000 },
  );
});
