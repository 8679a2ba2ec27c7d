import { assert, assertEquals, assertMatch, assertNotEquals, assertRejects } from "@std/assert";
import { PasswordHasher } from "../../../lib/sasl/password.ts";

/** A cheap hash of "secret": ln=4, made with Python's hashlib.scrypt. */
const CHEAP = "$scrypt$ln=4,r=8,p=1$MDEyMzQ1Njc4OWFiY2RlZg$gEeb/KeWbm5g+kBQOFr1yJbkjBxxxDOkhSmrSXFFwOg";

Deno.test("a hash is a PHC string with its own salt that verifies its password and no other", async () => {
  const hasher = new PasswordHasher();
  const [one, two] = await Promise.all([hasher.hash("pä ss"), hasher.hash("pä ss")]);
  assertMatch(one, /^\$scrypt\$ln=15,r=8,p=1\$[A-Za-z0-9+/]{22}\$[A-Za-z0-9+/]{43}$/);
  assertNotEquals(one, two);
  assertEquals(await hasher.verify("pä ss", one), "match");
  assertEquals(await hasher.verify("pä sS", one), "mismatch");
  // The same letters typed in decomposed form and with a no-break space (RFC 8265 §4.2.2).
  assertEquals(await hasher.verify("pa\u0308\u00a0ss", one), "match");
  await assertRejects(() => hasher.hash(""), RangeError);
});

Deno.test("a hash made by another program is verified", async () => {
  assertEquals(await new PasswordHasher().verify("secret", CHEAP), "match");
});

Deno.test("a hash that cannot be used matches nothing, not even itself", async () => {
  const hasher = new PasswordHasher();
  for (const text of ["", "secret", "{PLAIN}secret", CHEAP.replace("ln=4", "ln=20")]) {
    for (const password of ["secret", text]) assertEquals(await hasher.verify(password, text), "mismatch");
  }
});

Deno.test("an unknown name costs what the hash of an account costs, the same one each time", async () => {
  const kinds = [CHEAP, ...Array.from({ length: 7 }, (_, at) => CHEAP.replace("ln=4", `ln=${at + 5}`))];
  const taken: string[] = [];
  // The list notes which of its entries is read.
  const list = new Proxy(kinds, {
    get: (target, key): unknown => {
      if (typeof key === "string" && /^\d+$/.test(key)) taken.push(key);
      return Reflect.get(target, key);
    },
  });
  const hasher = new PasswordHasher({ decoys: () => list });
  const takenFor = async (name: string): Promise<string> => {
    taken.length = 0;
    assertEquals(await hasher.verify("secret", undefined, name), "mismatch");
    return taken.join();
  };
  const names = Array.from({ length: 40 }, (_, at) => `user${at}@example.org`);
  const first: string[] = [];
  for (const name of names) first.push(await takenFor(name));
  assert(new Set(first).size > 3, first.join(" "));
  for (const [at, name] of names.entries()) assertEquals(await takenFor(name), first[at]);
});

Deno.test("an unknown account takes a real check, with the default cost", async () => {
  const hasher = new PasswordHasher({ concurrent: 1 });
  const real = await hasher.hash("pw");
  const time = async (phc: string | undefined): Promise<number> => {
    const from = performance.now();
    assertEquals(await hasher.verify("other", phc), "mismatch");
    return performance.now() - from;
  };
  const fastest = async (phc: string | undefined): Promise<number> =>
    Math.min(await time(phc), await time(phc), await time(phc));
  const [known, unknown, broken] = [await fastest(real), await fastest(undefined), await fastest("$broken")];
  for (const other of [unknown, broken]) assert(other > known / 5, `${known} ${other}`);
});

Deno.test("only so many hashes run and wait: the next one is told busy, and later ones work again", async () => {
  const hasher = new PasswordHasher({ concurrent: 2, waiting: 3 });
  const verdicts = await Promise.all(Array.from({ length: 8 }, () => hasher.verify("secret", CHEAP)));
  assertEquals(verdicts, ["match", "match", "match", "match", "match", "busy", "busy", "busy"]);
  const again = await Promise.all(Array.from({ length: 5 }, () => hasher.verify("secret", CHEAP)));
  assertEquals(again, ["match", "match", "match", "match", "match"]);
});
