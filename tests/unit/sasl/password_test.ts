import { assert, assertEquals, assertMatch, assertNotEquals, assertRejects } from "@std/assert";
import { isUsableHash, PasswordHasher } from "../../../lib/sasl/password.ts";

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

Deno.test("hashes that are malformed or cost too much are unusable and match nothing", async () => {
  const hasher = new PasswordHasher();
  const bad = [
    "",
    "secret",
    "$2b$12$abcdefghijklmnopqrstuv",
    CHEAP.replace("ln=4", "ln=99"),
    CHEAP.replace("ln=4", "ln=20"),
    CHEAP.replace("r=8", "r=0"),
    CHEAP.replace("p=1", "p=999"),
    CHEAP.slice(0, -30),
    `${CHEAP}=`,
    `${CHEAP}\n`,
  ];
  for (const phc of bad) assert(!isUsableHash(phc), phc);
  assert(isUsableHash(CHEAP));
  assertEquals(await hasher.verify("secret", "secret"), "mismatch");
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
