import { assert, assertEquals } from "@std/assert";
import { generateKeyPairSync, type KeyObject, sign } from "node:crypto";
import { parseRsaPublicKey, type RsaPublicKey, verifyRsaSha256 } from "../../../../lib/msgauth/dkim/rsa.ts";

const MESSAGE = new TextEncoder().encode("mail");

function der(key: KeyObject, type: "spki" | "pkcs1"): Uint8Array {
  return new Uint8Array(key.export({ type, format: "der" }) as Uint8Array);
}

function keyOf(octets: Uint8Array): RsaPublicKey {
  const parsed = parseRsaPublicKey(octets);
  assert(parsed.kind === "key", parsed.kind);
  return parsed.key;
}

/** An RSAPublicKey of any modulus. */
function madeKey(modulus: Uint8Array, exponent = Uint8Array.of(1, 0, 1)): Uint8Array {
  const element = (tag: number, content: Uint8Array): Uint8Array =>
    Uint8Array.from([tag, 0x82, content.length >> 8, content.length & 255, ...content]);
  const number = (octets: Uint8Array): Uint8Array => element(2, Uint8Array.from([0, ...octets]));
  return element(0x30, Uint8Array.from([...number(modulus), ...number(exponent)]));
}

Deno.test("signatures of the runtime verify, with both encodings of the key, and changed ones do not", () => {
  for (const modulusLength of [1024, 1032, 1536, 2048]) {
    const { privateKey, publicKey } = generateKeyPairSync("rsa", { modulusLength });
    const signature = new Uint8Array(sign("sha256", MESSAGE, privateKey));
    for (const type of ["spki", "pkcs1"] as const) {
      const key = keyOf(der(publicKey, type));
      assertEquals(key.bits, modulusLength);
      assert(verifyRsaSha256(key, MESSAGE, signature));
    }
    const key = keyOf(der(publicKey, "spki"));
    assert(!verifyRsaSha256(key, new TextEncoder().encode("male"), signature));
    for (const at of [0, 17, signature.length - 1]) {
      const changed = signature.slice();
      changed[at] = (changed[at] ?? 0) ^ 1;
      assert(!verifyRsaSha256(key, MESSAGE, changed));
    }
    assert(!verifyRsaSha256(key, MESSAGE, signature.subarray(1)));
    assert(!verifyRsaSha256(key, MESSAGE, Uint8Array.from([0, ...signature])));
    assert(!verifyRsaSha256(key, MESSAGE, new Uint8Array(0)));
    assert(!verifyRsaSha256(key, MESSAGE, new Uint8Array(signature.length).fill(255)));
    const sha1 = new Uint8Array(sign("sha1", MESSAGE, privateKey));
    assert(!verifyRsaSha256(key, MESSAGE, sha1));
  }
});

Deno.test("with the exponent 3 nothing can hide behind the digest", () => {
  // A forger without the key makes a cube whose beginning is right; what follows it must not be ignored.
  const modulus = new Uint8Array(256).fill(0xff);
  const key = keyOf(madeKey(modulus, Uint8Array.of(3)));
  const wanted = `0001ff003031300d060960864801650304020105000420${"00".repeat(32)}`.padEnd(512, "f");
  let root = 1n;
  for (let step = 1n << 700n; step > 0n; step >>= 1n) {
    if ((root + step) ** 3n <= BigInt(`0x${wanted}`)) root += step;
  }
  assertEquals((root ** 3n).toString(16).slice(0, 20), wanted.slice(3, 23));
  assert(!verifyRsaSha256(key, MESSAGE, Uint8Array.fromHex(root.toString(16).padStart(512, "0"))));
});

Deno.test("keys of 8 or 16384 bits are told, and nothing is computed with them", () => {
  const ones = (octets: number): Uint8Array => new Uint8Array(octets).fill(255);
  for (const [modulus, bits] of [[ones(1), 8], [ones(2048), 16384], [ones(127), 1016], [ones(513), 4104]] as const) {
    assertEquals(parseRsaPublicKey(madeKey(modulus)), { kind: "badSize", bits });
  }
  assertEquals(parseRsaPublicKey(madeKey(Uint8Array.of(0))), { kind: "badSize", bits: 0 });
});

Deno.test("what is no RSA key is malformed", () => {
  const { publicKey } = generateKeyPairSync("ed25519");
  const good = madeKey(new Uint8Array(256).fill(255));
  const even = madeKey(new Uint8Array(256).fill(254));
  const wrong = [
    der(publicKey, "spki"),
    even,
    madeKey(new Uint8Array(256).fill(255), Uint8Array.of(1)),
    madeKey(new Uint8Array(256).fill(255), Uint8Array.of(2)),
    madeKey(new Uint8Array(256).fill(255), new Uint8Array(256).fill(255)),
    Uint8Array.from([...good, 0]),
    good.subarray(0, 100),
    new Uint8Array(0),
    new Uint8Array(300),
    new TextEncoder().encode("not a key"),
    Uint8Array.of(0x30, 0x84, 255, 255, 255, 255),
  ];
  for (const octets of wrong) assertEquals(parseRsaPublicKey(octets), { kind: "malformed" });
});
