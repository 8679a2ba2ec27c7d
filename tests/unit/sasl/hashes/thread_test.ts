import { assert, assertEquals, assertRejects } from "@std/assert";
import { parsePasswordHash } from "../../../../lib/sasl/hashes/parse_hash.ts";
import type { SlowHash } from "../../../../lib/sasl/hashes/password_hash.ts";
import { HashThreads } from "../../../../lib/sasl/hashes/thread.ts";
import { PasswordHasher } from "../../../../lib/sasl/password.ts";

const BCRYPT = "$2b$04$abcdefghijklmnopqrstuubyCG3zY1GIXMyxfivm.ClDiInHzxjiq";
const ARGON2 = "$argon2id$v=19$m=256,t=2,p=2$c2FsdHNhbHRzYWx0$vg54UmE7grpdEAsn6YpW0JjZZuGKPkN2lleHsbtV68Q";

Deno.test("the event loop turns while a costly hash is computed", async () => {
  let turns = 0;
  const timer = setInterval(() => turns++, 1);
  assertEquals(await new PasswordHasher().verify("secret", BCRYPT.replace("$04$", "$10$")), "mismatch");
  clearInterval(timer);
  assert(turns >= 3, `${turns} turns`);
});

Deno.test("a thread that fails is an error of the check, and later checks go on", async () => {
  const argon2 = slowHash(ARGON2);
  assert(argon2.kind === "argon2id");
  const threads = new HashThreads();
  const job = { password: "secret", hash: { ...argon2, lanes: 0 } };
  const error = await assertRejects(() => threads.derive(job), Error);
  assert(error.message.startsWith("Cannot derive the argon2id hash of a password: "), error.message);
  assertEquals(await threads.derive({ password: "Grüße, Welt", hash: argon2 }), argon2.expected);
  threads.endIdle();
});

Deno.test("checks that wait in line use the threads of those before them", async () => {
  const original = globalThis.Worker;
  let started = 0;
  globalThis.Worker = class extends original {
    constructor(...args: ConstructorParameters<typeof Worker>) {
      super(...args);
      started++;
    }
  };
  try {
    const hasher = new PasswordHasher({ concurrent: 2 });
    const verdicts = await Promise.all(Array.from({ length: 8 }, () => hasher.verify("", BCRYPT)));
    assertEquals(verdicts, Array(8).fill("match"));
    assertEquals(started, 2);
    // Nothing waited any more, so those have ended.
    assertEquals(await hasher.verify("", BCRYPT), "match");
    assertEquals(started, 3);
  } finally {
    globalThis.Worker = original;
  }
});

function slowHash(text: string): SlowHash {
  const hash = parsePasswordHash(text);
  assert("kind" in hash && hash.kind !== "scrypt" && hash.kind !== "pbkdf2" && hash.kind !== "digest");
  return hash;
}
