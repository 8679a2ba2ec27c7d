/**
 * Tells the kinds of password hashes apart: `$id$…` of the PHC string format and of crypt(3), and `{SCHEME}…` of Dovecot
 * and LDAP servers. Everything is judged here, when the accounts file is read, so that a login meets no surprise.
 */

import { parseArgon2 } from "./argon2.ts";
import { parseBcrypt } from "./bcrypt.ts";
import { type DigestScheme, parseDigest } from "./digest.ts";
import { parseMd5Crypt } from "./md5_crypt.ts";
import type { HashProblem, PasswordHash } from "./password_hash.ts";
import { parsePbkdf2 } from "./pbkdf2.ts";
import { parseScrypt } from "./scrypt.ts";
import { parseShaCrypt } from "./sha_crypt.ts";

type Parse = (text: string) => PasswordHash | HashProblem;

/** By the first characters of what is written without a scheme, or behind `{CRYPT}`. */
const CRYPT: readonly (readonly [prefix: RegExp, parse: Parse])[] = [
  [/^\$scrypt\$/, parseScrypt],
  [/^\$argon2id?\$/, parseArgon2],
  [/^\$2[aby]\$/, parseBcrypt],
  [/^\$[56]\$/, parseShaCrypt],
  [/^\$1\$/, parseMd5Crypt],
  [/^\$y\$/, unreadable("yescrypt hashes cannot be read: there is no library for them that posthorn could use")],
  [/^\$gy\$/, unreadable("gost-yescrypt hashes cannot be read: there is no library for them that posthorn could use")],
  [/^\$7\$/, unreadable('scrypt hashes in the crypt form "$7$" cannot be read, those that begin with "$scrypt$" can')],
  [/^\$argon2d\$/, unreadable("argon2d hashes cannot be read, argon2i and argon2id can")],
  [/^\$2x?\$/, unreadable("bcrypt hashes with the error of 2011 cannot be read, $2a$, $2b$ and $2y$ can")],
  [/^\$apr1\$/, unreadable("MD5 hashes of Apache cannot be read, those of crypt(3) that begin with $1$ can")],
];

/** Schemes of Dovecot that hold what `CRYPT` reads, and the kinds that each may hold. */
const CRYPT_SCHEMES: Readonly<Record<string, RegExp>> = {
  "CRYPT": /^\$/,
  "BLF-CRYPT": /^\$2/,
  "SHA256-CRYPT": /^\$5\$/,
  "SHA512-CRYPT": /^\$6\$/,
  "MD5-CRYPT": /^\$1\$/,
  "MD5": /^\$1\$/,
  "ARGON2": /^\$argon2/,
  "ARGON2I": /^\$argon2i\$/,
  "ARGON2ID": /^\$argon2id\$/,
};

/** `MD5` without `$1$` is what LDAP servers write. */
const DIGEST_SCHEMES: readonly DigestScheme[] = [
  { name: "SHA", algorithm: "sha1", isSalted: false },
  { name: "SHA1", algorithm: "sha1", isSalted: false },
  { name: "SSHA", algorithm: "sha1", isSalted: true },
  { name: "SHA256", algorithm: "sha256", isSalted: false },
  { name: "SSHA256", algorithm: "sha256", isSalted: true },
  { name: "SHA512", algorithm: "sha512", isSalted: false },
  { name: "SSHA512", algorithm: "sha512", isSalted: true },
  { name: "MD5", algorithm: "md5", isSalted: false },
  { name: "LDAP-MD5", algorithm: "md5", isSalted: false },
  { name: "PLAIN-MD5", algorithm: "md5", isSalted: false },
  { name: "SMD5", algorithm: "md5", isSalted: true },
];

const PLAIN_TEXT = ["PLAIN", "CLEARTEXT", "CLEAR", "PLAIN-TRUNC"];
/** Named in errors; of another word in braces it is not known whether it is the start of a password. */
const UNREADABLE_SCHEMES = [
  ...["DES-CRYPT", "CRAM-MD5", "HMAC-MD5", "DIGEST-MD5", "PLAIN-MD4", "LANMAN", "NTLM", "RPA", "OTP", "SKEY"],
  ...["SCRAM-SHA-1", "SCRAM-SHA-256", "PBKDF2-SHA1", "PBKDF2-SHA256", "PBKDF2-SHA512", "SASL"],
];

const READABLE = [...new Set([...Object.keys(CRYPT_SCHEMES), "PBKDF2", ...DIGEST_SCHEMES.map(({ name }) => name)])];
const NEW_PASSWORD = '; "posthorn user password" gives the account a new password';

/** Reads a hash, or says for people why it cannot be checked. */
export function parsePasswordHash(text: string): PasswordHash | HashProblem {
  const [prefix, name, encoding = ""] = /^\{([\w-]+)(?:\.(hex|b64|base64))?\}/i.exec(text) ?? [];
  return prefix === undefined || name === undefined
    ? parseCrypt(text)
    : parseScheme(name.toUpperCase(), encoding.toLowerCase(), text.slice(prefix.length));
}

function parseScheme(name: string, encoding: string, rest: string): PasswordHash | HashProblem {
  if (PLAIN_TEXT.includes(name)) {
    return { problem: `expected a password hash, found {${name}}, a password in plain text${NEW_PASSWORD}` };
  }
  if (UNREADABLE_SCHEMES.includes(name)) return { problem: `{${name}} cannot be checked here${NEW_PASSWORD}` };
  const digest = DIGEST_SCHEMES.find((scheme) => scheme.name === name);
  const kinds = CRYPT_SCHEMES[name];
  if (kinds !== undefined && encoding === "" && (digest === undefined || kinds.test(rest))) {
    if (kinds.test(rest)) return parseCrypt(rest);
    const isDes = name === "CRYPT" && /^[./A-Za-z0-9]{13}$/.test(rest);
    return {
      problem: isDes
        ? `{CRYPT} with a DES hash cannot be read${NEW_PASSWORD}`
        : `expected a {${name}} hash behind {${name}}`,
    };
  }
  if (digest !== undefined) return parseDigest(rest, digest, encoding === "" || encoding === "hex" ? encoding : "b64");
  if (name === "PBKDF2" && encoding === "") return parsePbkdf2(rest);
  return { problem: `unknown scheme in braces: expected one of ${READABLE.join(", ")}` };
}

function parseCrypt(text: string): PasswordHash | HashProblem {
  const known = CRYPT.find(([prefix]) => prefix.test(text));
  return known?.[1](text) ??
    { problem: 'expected a password hash, as "posthorn user password" writes it, found a value that is not shown' };
}

function unreadable(reason: string): Parse {
  return () => ({ problem: `${reason}${NEW_PASSWORD}` });
}
