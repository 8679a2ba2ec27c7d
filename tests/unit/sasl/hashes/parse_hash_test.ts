import { assert, assertEquals } from "@std/assert";
import { parsePasswordHash } from "../../../../lib/sasl/hashes/parse_hash.ts";

const NEW = '"posthorn user password" gives the account a new password';
const SHA512 = "$6$ab$jnZj29NS/hK2GaouP6AGMIBwD6owZFRejcn9QRdlwSjZaVr.fR9dH2TXrKL/PaacUXwtGfI.4O9zxvy2k6fbE1";
const BCRYPT = "$2b$04$abcdefghijklmnopqrstuubyCG3zY1GIXMyxfivm.ClDiInHzxjiq";
const ARGON2 = "$argon2id$v=19$m=256,t=2,p=2$c2FsdHNhbHRzYWx0$vg54UmE7grpdEAsn6YpW0JjZZuGKPkN2lleHsbtV68Q";
const SCRYPT = "$scrypt$ln=5,r=4,p=2$c2FsdHNhbHRzYWx0$e3q4tWxtCH3aEV9zRzzmuAtfSImU+dzm";
const MD5 = "$1$ab$e2KlfqG5YBMTjSz7XF.Eu1";
const PBKDF2 = "{PBKDF2}$1$HaLoDmcU7m8ech1t$5000$a0cb7230100ad83d1fe009a0e87ec267664c1683";
const SSHA = "{SSHA}SEcF49OaH3pX7O/t+NjkXH7UVUCRsFo6";

const problemOf = (text: string): string | undefined => {
  const parsed = parsePasswordHash(text);
  return "problem" in parsed ? parsed.problem : undefined;
};

Deno.test("a hash up to the bounds is taken, one over a bound is refused with the bound", () => {
  const bounds: readonly (readonly [most: string, tooMuch: string, problem: string])[] = [
    [
      SCRYPT.replace("ln=5,r=4", "ln=18,r=8"),
      SCRYPT.replace("ln=5,r=4", "ln=19,r=8"),
      "scrypt hash …: MiB of memory 513, at most 256",
    ],
    [SCRYPT.replace("p=2", "p=16"), SCRYPT.replace("p=2", "p=17"), "scrypt hash …: p 17, at most 16"],
    [
      ARGON2.replace("m=256", "m=262144"),
      ARGON2.replace("m=256", "m=262145"),
      "argon2 hash …: MiB of memory 257, at most 256",
    ],
    [
      ARGON2.replace("m=256,t=2", "m=65536,t=16"),
      ARGON2.replace("m=256,t=2", "m=65536,t=17"),
      "argon2 hash …: MiB to fill in all passes 1088, at most 1024",
    ],
    [
      ARGON2.replace("m=256,t=2,p=2", "m=1024,t=2,p=64"),
      ARGON2.replace("m=256,t=2,p=2", "m=1024,t=2,p=65"),
      "argon2 hash …: lanes 65, at most 64",
    ],
    [BCRYPT.replace("04", "16"), BCRYPT.replace("04", "17"), "bcrypt hash …: cost 17, at most 16"],
    [
      SHA512.replace("$6$", "$6$rounds=1000000$"),
      SHA512.replace("$6$", "$6$rounds=1000001$"),
      "SHA-crypt hash …: rounds 1000001, at most 1000000",
    ],
    [
      PBKDF2.replace("$5000$", "$2000000$"),
      PBKDF2.replace("$5000$", "$2000001$"),
      "{PBKDF2} hash …: rounds 2000001, at most 2000000",
    ],
  ];
  for (const [most, tooMuch, problem] of bounds) {
    assertEquals(problemOf(most), undefined, most);
    assertEquals(problemOf(tooMuch), `this ${problem.replace("…", "costs too much to check")}`);
  }
});

Deno.test("a hash that cannot be read is refused with what it is, and what to do", () => {
  const problems: Readonly<Record<string, string>> = {
    "$y$j9T$84L2WaXcU4DN85my1oFan0$nt3wFYaZ3iB71nCmusyn7DmpmJ00rUl4lmmbXvlYuB3":
      `yescrypt hashes cannot be read: there is no library for them that posthorn could use; ${NEW}`,
    "{CRYPT}$y$j9T$84L2WaXcU4DN85my1oFan0$nt3wFYaZ3iB71nCmusyn7DmpmJ00rUl4lmmbXvlYuB3":
      `yescrypt hashes cannot be read: there is no library for them that posthorn could use; ${NEW}`,
    "$gy$j9T$1VtE/ofY7gPpvrZqYMJKa/$qdEuUUT/lr.2mnGGCZ7ogBwux9dW6GCi4K1sCVVNWK/":
      `gost-yescrypt hashes cannot be read: there is no library for them that posthorn could use; ${NEW}`,
    "$7$CU..../....JRoFQ1KrlY9mJ0uFJ0R6U.$N3dqVWWE":
      `scrypt hashes in the crypt form "$7$" cannot be read, those that begin with "$scrypt$" can; ${NEW}`,
    "$argon2d$v=19$m=256,t=1,p=1$c2FsdHNhbHRzYWx0$FsjUdpYOGKR5eUvVz9OVPAyW6LmXvG2xuWJdTAd4C1o":
      `argon2d hashes cannot be read, argon2i and argon2id can; ${NEW}`,
    "$2x$04$abcdefghijklmnopqrstuubyCG3zY1GIXMyxfivm.ClDiInHzxjiq":
      `bcrypt hashes with the error of 2011 cannot be read, $2a$, $2b$ and $2y$ can; ${NEW}`,
    "$apr1$xxxxxxxx$dxHfLAsjHkDRmG83UXe8K0":
      `MD5 hashes of Apache cannot be read, those of crypt(3) that begin with $1$ can; ${NEW}`,
    "{PLAIN}hunter2": `expected a password hash, found {PLAIN}, a password in plain text; ${NEW}`,
    "{cleartext}hunter2": `expected a password hash, found {CLEARTEXT}, a password in plain text; ${NEW}`,
    "{CRAM-MD5}e02d374fde0dc75a17a557039a3a5338": `{CRAM-MD5} cannot be checked here; ${NEW}`,
    "{DES-CRYPT}ZqWusKyzSKSt.": `{DES-CRYPT} cannot be checked here; ${NEW}`,
    "{CRYPT}ZqWusKyzSKSt.": `{CRYPT} with a DES hash cannot be read; ${NEW}`,
    "hunter2": 'expected a password hash, as "posthorn user password" writes it, found a value that is not shown',
    "": 'expected a password hash, as "posthorn user password" writes it, found a value that is not shown',
    "$9$hunter2": 'expected a password hash, as "posthorn user password" writes it, found a value that is not shown',
    "{hunter}2": "unknown scheme in braces: expected one of CRYPT, BLF-CRYPT, SHA256-CRYPT, SHA512-CRYPT, MD5-CRYPT, " +
      "MD5, ARGON2, ARGON2I, ARGON2ID, PBKDF2, SHA, SHA1, SSHA, SHA256, SSHA256, SHA512, SSHA512, LDAP-MD5, PLAIN-MD5, SMD5",
  };
  for (const [text, problem] of Object.entries(problems)) assertEquals(problemOf(text), problem);
});

Deno.test("a scheme with a hash of another kind is refused", () => {
  for (
    const text of [
      `{BLF-CRYPT}${SHA512}`,
      `{SHA512-CRYPT}${BCRYPT}`,
      `{ARGON2I}${ARGON2}`,
      `{CRYPT}hunter2`,
      "{BLF-CRYPT}",
    ]
  ) {
    assertEquals(problemOf(text)?.replace(/\{[A-Z0-9-]+\}/g, "{X}"), "expected a {X} hash behind {X}", text);
  }
});

Deno.test("a malformed hash is refused with the form of its kind, and never shown", () => {
  // The hash at the end of the first two has no fixed length, and neither has the salt at the end of the last.
  const cutOff = [
    ...[SCRYPT, ARGON2].map((text) => text.slice(0, -33)),
    ...[BCRYPT, SHA512, MD5, PBKDF2].flatMap((text) => [text.slice(0, -1), text.slice(0, -20)]),
    SSHA.slice(0, -20),
  ];
  const whole = [SCRYPT, ARGON2, BCRYPT, SHA512, MD5, PBKDF2];
  const prolonged = whole.flatMap((text) => ["\n", " ", ":"].map((end) => text + end));
  const others = [
    SCRYPT.replace("r=4", "r=0"),
    SCRYPT.replace("c2FsdHNhbHRzYWx0", "c2FsdA"),
    ARGON2.replace("t=2", "t=0"),
    ARGON2.replace("p=2", "p=0"),
    ARGON2.replace("m=256,t=2,p=2", "m=8,t=2,p=2"),
    ARGON2.replace("v=19", "v=18"),
    ARGON2.replace("p=2", "p=2,keyid=YQ"),
    BCRYPT.replace("$04$", "$03$"),
    BCRYPT.replace("$04$", "$4$"),
    BCRYPT.replace("tuub", "tuvb"),
    SHA512.replace("$6$", "$5$"),
    SHA512.replace("$6$", "$6$rounds=999$"),
    SHA512.replace("$6$", "$6$rounds=01000$"),
    SHA512.replace("$ab$", "$12345678901234567$"),
    MD5.replace("$ab$", "$123456789$"),
    PBKDF2.replace("$5000$", "$0$"),
    PBKDF2.replace("a0cb", "xxxx"),
    "{SHA}SEcF49OaH3pX7O/t+NjkXH7UVUCRsFo6",
    "{SSHA}S8i5+znM1A6RcclEscpASQvbqBQ=",
    "{SSHA}*",
    "{SSHA.HEX}SEcF49OaH3pX7O/t+NjkXH7UVUCRsFo6",
    `{SSHA}${btoa("x".repeat(100))}`,
  ];
  for (const text of [...cutOff, ...prolonged, ...others]) {
    const problem = problemOf(text) ?? "none";
    assert(/^this .* hash is malformed or cut off: expected /.test(problem), `${text}: ${problem}`);
    for (const secret of text.split("$").filter((part) => part.length > 9)) assert(!problem.includes(secret), problem);
  }
});
