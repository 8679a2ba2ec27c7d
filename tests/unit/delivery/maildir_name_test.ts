import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { mailboxFolder, sizedName, uniqueNames } from "../../../lib/delivery/maildir_name.ts";
import { FakeClock } from "../../support/fake_clock.ts";

Deno.test("A plain address is its own folder name", () => {
  for (const local of ["alice", "o'brien", "a.b-c_d+e=f", "jürgen", "用户"]) {
    assertEquals(mailboxFolder("/m", `${local}@example.org`), `/m/example.org/${local}`);
  }
  assertEquals(mailboxFolder("/m", "a@[192.0.2.1]"), "/m/[192.0.2.1]/a");
});

Deno.test("What is not safe in a file name is percent-encoded", () => {
  const folders: [string, string][] = [
    ["a/b", "a%2Fb"],
    ["a%2Fb", "a%252Fb"],
    ['"..' + '"', "%2E."],
    ['".hidden"', "%2Ehidden"],
    ['"../../etc"', "%2E.%2F..%2Fetc"],
    ['"a b"', "a%20b"],
    ['"a\\"b"', "a%22b"],
    ['"a@b"', "a@b"],
    ['""', "%"],
    ["a\u0000b", "a%00b"],
    ["a\r\nb", "a%0D%0Ab"],
    ["a\u202eb", "a%E2%80%AEb"],
  ];
  for (const [local, folder] of folders) {
    assertEquals(mailboxFolder("/m", `${local}@example.org`), `/m/example.org/${folder}`);
  }
  assertEquals(mailboxFolder("/m", "a@[IPv6:::1]"), "/m/[IPv6%3A%3A%3A1]/a");
});

Deno.test("No address leads out of the mail root, and no two share a folder", () => {
  const local = fc.string({ unit: "binary", minLength: 1 }).filter((text) => !text.startsWith('"'));
  fc.assert(fc.property(local, local, (first, second) => {
    const [one, two] = [mailboxFolder("/m", `${first}@d`), mailboxFolder("/m", `${second}@d`)];
    const name = one.slice("/m/d/".length);
    assert(one.startsWith("/m/d/") && !name.includes("/") && !name.startsWith("."));
    assertEquals(one === two, first === second);
  }));
});

Deno.test("Unique names follow the Maildir specification and carry both sizes", () => {
  const clock = new FakeClock(1_795_428_000_123);
  const next = uniqueNames({ clock, hostname: "a/b:c.example", pid: 77, random: "00ff00ff00ff00ff" });
  assertEquals(next(), "1795428000.M123000P77Q0R00ff00ff00ff00ff.a\\057b\\072c.example");
  assertEquals(
    sizedName(next(), 2000, 2048),
    "1795428000.M123000P77Q1R00ff00ff00ff00ff.a\\057b\\072c.example,S=2000,W=2048",
  );
});
