/** A site that moves from Dovecot keeps its passwords: posthorn checks what `doveadm pw` writes. */

import { assert, assertEquals } from "@std/assert";
import { parsePasswordHash } from "../../lib/sasl/hashes/parse_hash.ts";
import { PasswordHasher } from "../../lib/sasl/password.ts";
import { mustRun } from "../support/interop/command.ts";
import { peerTest, programPath, report } from "../support/interop/peers.ts";

/** All schemes that Dovecot 2.3 knows and posthorn reads. */
const READ = [
  ...["ARGON2ID", "ARGON2I", "BLF-CRYPT", "SHA512-CRYPT", "SHA256-CRYPT", "MD5-CRYPT", "MD5", "CRYPT", "PBKDF2"],
  ...["SSHA512", "SSHA256", "SSHA", "SMD5", "SHA512", "SHA256", "SHA", "SHA1", "LDAP-MD5", "PLAIN-MD5"],
  ...["SSHA512.HEX", "SSHA256.B64", "SHA.BASE64"],
];
/** And those that it must refuse. */
const REFUSED = [
  ...["PLAIN", "CLEAR", "CLEARTEXT", "PLAIN-TRUNC", "DES-CRYPT", "CRAM-MD5", "HMAC-MD5", "DIGEST-MD5", "PLAIN-MD4"],
  ...["OTP", "SCRAM-SHA-1", "SCRAM-SHA-256"],
];

/** Hashes a password; `-u` is for schemes that mix the name in. */
async function hashOf(scheme: string, password: string, ...more: readonly string[]): Promise<string> {
  return (await mustRun([
    programPath("doveadm"),
    ...["pw", "-u", "alice@example.org", "-s", scheme, "-p", password],
    ...more,
  ])).trim();
}

peerTest("A hash of every scheme of Dovecot is checked, or refused", ["doveadm"], async () => {
  const known = (await mustRun([programPath("doveadm"), "pw", "-l"])).trim().split(/\s+/);
  assertEquals(known.filter((scheme) => ![...READ, ...REFUSED].includes(scheme)), [], "schemes that no list names");
  const hasher = new PasswordHasher();
  const password = "Grüße, Welt: {}'\"\\ 100 %";
  for (const scheme of READ) {
    const text = await hashOf(scheme, password);
    const begin = performance.now();
    assertEquals(await hasher.verify(password, text), "match", text);
    await report(`A login with {${scheme}} of Dovecot is checked in ${Math.round(performance.now() - begin)} ms`);
    assertEquals(await hasher.verify(password.slice(0, -1), text), "mismatch", text);
  }
  for (const scheme of REFUSED) {
    const parsed = parsePasswordHash(await hashOf(scheme, password));
    assert("problem" in parsed, scheme);
    assert(parsed.problem.includes(`{${scheme}}`), parsed.problem);
  }
});

peerTest("Rounds and lengths of passwords do not matter", ["doveadm"], async () => {
  const hasher = new PasswordHasher();
  for (const [scheme, rounds] of [["BLF-CRYPT", "8"], ["SHA512-CRYPT", "20000"], ["SHA256-CRYPT", "1000"]] as const) {
    const password = "ä".repeat(35);
    assertEquals(await hasher.verify(password, await hashOf(scheme, password, "-r", rounds)), "match", scheme);
  }
  for (const scheme of ["SHA512-CRYPT", "SHA256-CRYPT", "MD5-CRYPT", "BLF-CRYPT"]) {
    for (const octets of [1, 15, 16, 17, 31, 32, 33, 63, 64, 65, 128, 300]) {
      const password = "p".repeat(octets);
      assertEquals(
        await hasher.verify(password, await hashOf(scheme, password)),
        "match",
        `${scheme}, ${octets} octets`,
      );
    }
  }
});
