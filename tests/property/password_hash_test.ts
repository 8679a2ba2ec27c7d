/** Whatever stands in an accounts file in place of a hash is read or refused, never shown, and never throws. */

import { assert } from "@std/assert";
import fc from "fast-check";
import { parsePasswordHash } from "../../lib/sasl/hashes/parse_hash.ts";

const HASHES = [
  "$scrypt$ln=5,r=4,p=2$c2FsdHNhbHRzYWx0$e3q4tWxtCH3aEV9zRzzmuAtfSImU+dzm",
  "$argon2id$v=19$m=256,t=2,p=2$c2FsdHNhbHRzYWx0$vg54UmE7grpdEAsn6YpW0JjZZuGKPkN2lleHsbtV68Q",
  "$2b$05$aJnlh3WPEYkD0KwezbwUQeZW8CP8jgqq6u46iks0KaLTlZ7EBlN9.",
  "$6$rounds=1234$ab$jnZj29NS/hK2GaouP6AGMIBwD6owZFRejcn9QRdlwSjZaVr.fR9dH2TXrKL/PaacUXwtGfI.4O9zxvy2k6fbE1",
  "$1$ab$e2KlfqG5YBMTjSz7XF.Eu1",
  "{PBKDF2}$1$HaLoDmcU7m8ech1t$5000$a0cb7230100ad83d1fe009a0e87ec267664c1683",
  "{SSHA}SEcF49OaH3pX7O/t+NjkXH7UVUCRsFo6",
  "{SHA256.HEX}45e64a7533b292937f12934f7731e464705fc6452c1a0c23366c21bf987b15d4",
];
const anything = fc.oneof(
  fc.string({ unit: "binary" }),
  fc.tuple(fc.stringMatching(/^(?:\{[A-Z0-9.-]{0,12}\}|\$[a-z0-9]{0,8}\$)$/), fc.string()).map((parts) =>
    parts.join("")
  ),
  // A hash with a part of it put in place of another.
  fc.tuple(fc.constantFrom(...HASHES), fc.nat(120), fc.nat(20), fc.string({ maxLength: 12 })).map(
    ([text, at, length, instead]) => text.slice(0, at) + instead + text.slice(at + length),
  ),
);

Deno.test("any text is a hash with the octets that it needs, or has a problem of one line", () => {
  fc.assert(
    fc.property(anything, (text) => {
      const parsed = parsePasswordHash(text);
      if ("problem" in parsed) assert(/^[\x20-\x7e]{10,300}$/.test(parsed.problem), parsed.problem);
      else assert(parsed.expected.length >= 12);
    }),
    { numRuns: 2000 },
  );
});

Deno.test("the problem of a text does not tell its parts", () => {
  fc.assert(
    fc.property(
      fc.stringMatching(/^[a-z]{5}[A-Z]{5}$/),
      fc.constantFrom(...HASHES),
      fc.nat(120),
      (secret, text, at) => {
        const parsed = parsePasswordHash(text.slice(0, at) + secret + text.slice(at));
        assert(!("problem" in parsed) || !parsed.problem.includes(secret));
      },
    ),
  );
});
