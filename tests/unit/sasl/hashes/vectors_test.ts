/** Hashes that other programs made, through the front door: `PasswordHasher`. */

import { assertEquals } from "@std/assert";
import { PasswordHasher } from "../../../../lib/sasl/password.ts";

const PASSWORD = "Grüße, Welt";
const DIGITS = "0123456789".repeat(10);

/** A hash, and the password of which it was made where that is not `PASSWORD`. */
type Vector = readonly [text: string, password?: string];

const VECTORS: Readonly<Record<string, readonly Vector[]>> = {
  "scrypt of Python's hashlib": [["$scrypt$ln=5,r=4,p=2$c2FsdHNhbHRzYWx0$e3q4tWxtCH3aEV9zRzzmuAtfSImU+dzm"]],
  "argon2 of the reference implementation's program": [
    ["$argon2id$v=19$m=256,t=2,p=2$c2FsdHNhbHRzYWx0$vg54UmE7grpdEAsn6YpW0JjZZuGKPkN2lleHsbtV68Q"],
    ["$argon2i$v=19$m=256,t=3,p=1$c2FsdHNhbHRzYWx0$8ryEVG0Ap2SjU9TjmIXnw1V5psP06H+Y4SNDRiDYtpE"],
    ["$argon2id$v=16$m=256,t=1,p=1$c2FsdHNhbHRzYWx0$gsywRmul/AqPZJy1RYgdfDMndNVRM/mwXxxT9Rnfu30"],
    ["$argon2id$m=256,t=1,p=1$c2FsdHNhbHRzYWx0$gsywRmul/AqPZJy1RYgdfDMndNVRM/mwXxxT9Rnfu30"],
    [
      "{ARGON2I}$argon2i$v=19$m=1024,t=3,p=4$c2FsdHNhbHRzYWx0$" +
      "yoWPRJjmlIRPUORx4n21P+1648coJv13CSnK7cg7t81hEeS0krwcfblBiciQB3XHKDrpK5DFusjVuHGgJDEmQA",
    ],
    ["{ARGON2}$argon2id$v=19$m=256,t=2,p=2$c2FsdHNhbHRzYWx0$vg54UmE7grpdEAsn6YpW0JjZZuGKPkN2lleHsbtV68Q"],
  ],
  "bcrypt of Dovecot, mkpasswd and libxcrypt": [
    ["{BLF-CRYPT}$2y$05$gMJwKZy6bv10A/8euFlc9esXhBCwqei4OykbuQruqE1tmgR.NTRzy"],
    ["{CRYPT}$2y$05$0sInzqzN.9tsCGiD7rBxYe2ydOZ42iJGQTG70KkqD5C2eGrTpNobm"],
    ["$2b$05$aJnlh3WPEYkD0KwezbwUQeZW8CP8jgqq6u46iks0KaLTlZ7EBlN9."],
    ["$2a$05$TUHIzE7H1MkNCGIQNr.GFOJqmu6mzQnB2e1vZIaSm7rIVtBEiQWCS"],
    ["$2b$04$abcdefghijklmnopqrstuubyCG3zY1GIXMyxfivm.ClDiInHzxjiq", ""],
    ["$2b$04$abcdefghijklmnopqrstuum2G75IXDN/xsgbNa/hCiPSKyIHQd70S", DIGITS],
    ["$2y$04$abcdefghijklmnopqrstuum2G75IXDN/xsgbNa/hCiPSKyIHQd70S", DIGITS.slice(0, 72)],
  ],
  "SHA-512-crypt of Dovecot, mkpasswd, openssl and libxcrypt": [
    [
      "{SHA512-CRYPT}$6$t8wAr4Wiif6.gVqX$Xf4qNP7ccyJHzs9U/Ld03htY63RCtTDF0sY4odVCX4FybFLv9CYk5VxF3gzxKly.8BaQgC2LgOuSj4fDCvoN00",
    ],
    [
      "$6$rounds=1234$5LoyPrduJOTSl4t9$rfQjT3t5D3OJCyTGLpFlY1KvEaAsyRGRqhe/4KZiggptpln2fqO6Zt.XrONCY1HNXjJdCiGfVY1B5aZeIbGDs0",
    ],
    [
      "$6$XpnZ2vE2myD1qLPY$m6duB0RHsTcId.Z.t8xoCqKtg97vOeWdnaqepmv0m1rlRTNNnLuTY2o1.4sDrnlKx7M54/FHgXujh.nYJsJoj1",
    ],
    ["$6$ab$jnZj29NS/hK2GaouP6AGMIBwD6owZFRejcn9QRdlwSjZaVr.fR9dH2TXrKL/PaacUXwtGfI.4O9zxvy2k6fbE1", "x"],
    [
      "$6$rounds=1000$saltstringsaltst$jBkCVByZrR/nDJKZC9541..L82H9z7JMBxQuBRvIOakm.uBQv26jOajPvVqT4yjfcpRZv19NWyGkFXbX/wkkB1",
      DIGITS,
    ],
    [
      "$6$rounds=1000$saltstringsaltst$r68mz6eryxuQT4z1ld2OHYyPeKn8ROVF/9hoMZpBfynBnb3hu/2RTlBdgaS3tevA6Matb95pbeRXAjhtEA/pC1",
      "",
    ],
    [
      "$6$rounds=1000$s$0.zFMbSNcp0FFOfynrtVNDRbiMzXfmldPQWu2XeL1eF5OsVeK8FU2/7C7BF6EfwbUHDjkti7otU5Hd3Uddjig0",
      "x".repeat(511),
    ],
  ],
  "SHA-256-crypt of Dovecot, mkpasswd, openssl and libxcrypt": [
    ["{SHA256-CRYPT}$5$P5GVzqRLj6CCG7sK$WYLa.FKlaFaPvkAapx6fHCiG3DODWSfbxKaCPsTtOY8"],
    ["$5$rounds=10000$jicdM6XgQHMSVioo$mS3rl8nUP3MHz5fE6TL4PY6j7FUHf2FjgVv7DT.x6/A"],
    ["$5$MWH6hiLsgSTFyY4t$pqwy.Rdps.J5g1OHYKbaL/2A497OVXi2QFep0HA6cL8"],
    ["$5$ab$5ydlOaPxAq0VpamGFK.BZgHF7HlR0erJsH.F7VB19f0", "x"],
    ["$5$saltstring$fdpv92RLZ1/KmJ5ctyOozTKyZ.yw9.tBx1eCM5e3hYA", DIGITS],
    ["$5$saltstring$FdNfA4gXqvCeO6iZs7G/.wwwoywYZqo0l1pwmfWaBA7", ""],
  ],
  "MD5-crypt of Dovecot, openssl and libxcrypt": [
    ["{MD5-CRYPT}$1$8mWgRZvf$ZGgG5SiStGqiqYrtQttxd0"],
    ["{MD5}$1$erTXhhg6$U1hmtunQGzrMbAGrFN9yI."],
    ["$1$Gf8xqFTa$ANyRz/XN3nXfO.ua7YJwu."],
    ["$1$ab$e2KlfqG5YBMTjSz7XF.Eu1", "x"],
    ["$1$abcdefgh$Bg/lr0oDThOPjNAIg9jHD1", DIGITS],
    ["$1$abcdefgh$M55TzYaaccxVGbptZWaxX/", ""],
  ],
  "digests of Dovecot": [
    ["{SHA}S8i5+znM1A6RcclEscpASQvbqBQ="],
    ["{SHA1}S8i5+znM1A6RcclEscpASQvbqBQ="],
    ["{SSHA}SEcF49OaH3pX7O/t+NjkXH7UVUCRsFo6"],
    ["{ssha}SEcF49OaH3pX7O/t+NjkXH7UVUCRsFo6"],
    ["{SSHA.B64}8B/gWw5bfJJJt47llj2gcn2yfNApMfDh"],
    ["{SHA256}ReZKdTOykpN/EpNPdzHkZHBfxkUsGgwjNmwhv5h7FdQ="],
    ["{SHA256.HEX}45e64a7533b292937f12934f7731e464705fc6452c1a0c23366c21bf987b15d4"],
    ["{SHA256}45e64a7533b292937f12934f7731e464705fc6452c1a0c23366c21bf987b15d4"],
    ["{SSHA256}eHHl7tRQmqOX5efJt99bFzKuvXYGhZAsDuC/ECj6kOPenYd3"],
    ["{SHA512}qlkAkecyu9kcxCBzhNhDy3hiVBiKPh22hP/XS8VV694tSCee6rys/tJ/oIawvIaE5Tva6eR5EPDdrLmQFPgkAg=="],
    ["{SSHA512}pmkpjvH3nlAt9pYIKI7YhX4V/Qk+OpzBe1PcptOUvatPpfxE3NHvRGufseT+Y8YAA2q0jjptxtUrmxRjpV4lGfMs4c8="],
    [
      "{SSHA512.HEX}ba7053057b67331e68d0c1697f03c710150525ed02575f559af92319d87c5b9132be97f0df7f53e9f92e79223a833400" +
      "fd784952b1961cbfe1f083847cdfcdc88a47ec59",
    ],
    ["{SMD5}XZzHpA7lh64rawFQ6xOIK25eW7w="],
    ["{LDAP-MD5}gYRAS/4vomU7Pf3s5BnDKg=="],
    ["{MD5}gYRAS/4vomU7Pf3s5BnDKg=="],
    ["{PLAIN-MD5}8184404bfe2fa2653b3dfdece419c32a"],
  ],
  "PBKDF2 of Dovecot": [["{PBKDF2}$1$HaLoDmcU7m8ech1t$5000$a0cb7230100ad83d1fe009a0e87ec267664c1683"]],
};

for (const [title, vectors] of Object.entries(VECTORS)) {
  Deno.test(`${title}: the password matches, another one does not`, async () => {
    const hasher = new PasswordHasher();
    for (const [text, password = PASSWORD] of vectors) {
      assertEquals(await hasher.verify(password, text), "match", text);
      assertEquals(await hasher.verify(`_${password}`, text), "mismatch", text);
    }
  });
}

Deno.test("a password that crypt(3) would have cut off matches nothing", async () => {
  const hasher = new PasswordHasher();
  const verdict = (text: string, password: string): Promise<string> => hasher.verify(password, text);
  const ofX = "$5$ab$5ydlOaPxAq0VpamGFK.BZgHF7HlR0erJsH.F7VB19f0";
  assertEquals(await verdict(ofX, "x"), "match");
  assertEquals(await verdict(ofX, "x\0"), "mismatch");
  assertEquals(await verdict(ofX, "x\0y"), "mismatch");
  const ofNothing = "$2b$04$abcdefghijklmnopqrstuubyCG3zY1GIXMyxfivm.ClDiInHzxjiq";
  for (const password of ["\0", "\0x", "x".repeat(512)]) assertEquals(await verdict(ofNothing, password), "mismatch");
  const of511 =
    "$6$rounds=1000$s$0.zFMbSNcp0FFOfynrtVNDRbiMzXfmldPQWu2XeL1eF5OsVeK8FU2/7C7BF6EfwbUHDjkti7otU5Hd3Uddjig0";
  assertEquals(await verdict(of511, "x".repeat(512)), "mismatch");
});

Deno.test("bcrypt ends at 72 octets, also within a character", async () => {
  const hasher = new PasswordHasher();
  // 71 digits and the first octet of "ü", as libxcrypt cut it.
  const text = "{BLF-CRYPT}$2y$04$abcdefghijklmnopqrstuuWjuIRVGtiuF//HGLEw0ffXZXh3Ia/P6";
  assertEquals(await hasher.verify(`${DIGITS.slice(0, 71)}ü`, text), "match");
  assertEquals(await hasher.verify(`${DIGITS.slice(0, 71)}ü and more`, text), "match");
  assertEquals(await hasher.verify(`${DIGITS.slice(0, 71)}u`, text), "mismatch");
});

Deno.test("a foreign hash was made of the password as typed, and is found by its composed form too", async () => {
  const hasher = new PasswordHasher();
  const composed = "{SHA256}ReZKdTOykpN/EpNPdzHkZHBfxkUsGgwjNmwhv5h7FdQ=";
  assertEquals(await hasher.verify(PASSWORD.normalize("NFD"), composed), "match");
  const decomposed = "{SHA256}5Og2KBf9B53sc7foabCEmkKCuQpYknV6DTW2sxomV0A=";
  assertEquals(await hasher.verify(PASSWORD.normalize("NFD"), decomposed), "match");
  assertEquals(await hasher.verify(PASSWORD, decomposed), "mismatch");
});
