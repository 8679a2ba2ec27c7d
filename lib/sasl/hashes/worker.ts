/**
 * The other side of `thread.ts`: derives one hash after the other. Libraries are loaded here, and only those that a hash
 * needs.
 */

import { deriveArgon2 } from "./argon2.ts";
import { deriveBcrypt } from "./bcrypt.ts";
import { deriveMd5Crypt } from "./md5_crypt.ts";
import { deriveShaCrypt } from "./sha_crypt.ts";
import type { DeriveAnswer, DeriveJob } from "./thread.ts";

/** What the global scope of a thread has, and the types of a main program have not. */
interface ThreadScope {
  onmessage: ((event: MessageEvent<DeriveJob>) => void) | null;
  postMessage(answer: DeriveAnswer): void;
}

const scope = globalThis as unknown as ThreadScope;
scope.onmessage = async ({ data }): Promise<void> => {
  try {
    scope.postMessage({ octets: await derive(data) });
  } catch (error) {
    scope.postMessage({ reason: error instanceof Error ? error.message : String(error) });
  }
};

async function derive({ password, hash }: DeriveJob): Promise<Uint8Array> {
  switch (hash.kind) {
    case "argon2i":
    case "argon2id":
      return await deriveArgon2(password, hash);
    case "bcrypt":
      return await deriveBcrypt(password, hash);
    case "md5-crypt":
      return deriveMd5Crypt(password, hash);
    case "sha256-crypt":
    case "sha512-crypt":
      return deriveShaCrypt(password, hash);
  }
}
