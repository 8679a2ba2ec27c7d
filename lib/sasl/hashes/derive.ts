/** Derives what a password gives under the setting of a hash, where each kind of hash belongs. */

import { deriveDigest } from "./digest.ts";
import type { PasswordHash } from "./password_hash.ts";
import { derivePbkdf2 } from "./pbkdf2.ts";
import { deriveScrypt } from "./scrypt.ts";
import type { HashThreads } from "./thread.ts";

/**
 * Derives, without keeping the event loop busy: on the thread pool of the runtime, or on one of `threads`.
 *
 * @throws {Error} Where a thread cannot start or runs out of memory.
 */
export async function derive(password: string, hash: PasswordHash, threads: HashThreads): Promise<Uint8Array> {
  switch (hash.kind) {
    case "scrypt":
      return await deriveScrypt(password, hash);
    case "pbkdf2":
      return await derivePbkdf2(password, hash);
    case "digest":
      return deriveDigest(password, hash);
    default:
      return await threads.derive({ password, hash });
  }
}
