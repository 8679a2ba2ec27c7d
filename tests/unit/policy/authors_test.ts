import { assertEquals } from "@std/assert";
import { findForeignAuthor } from "../../../lib/policy/authors.ts";

const encoder = new TextEncoder();

/** `own`, or the field and what is wrong with it. Own is what begins with `alice@`. */
function verdict(...lines: string[]): string {
  const header = encoder.encode(lines.map((line) => `${line}\r\n`).join(""));
  const problem = findForeignAuthor(header, ({ text }) => text.startsWith("alice@"));
  if (problem === undefined) return "own";
  return `${problem.field} ${problem.kind === "foreign" ? problem.mailbox.text : "unreadable"}`;
}

Deno.test("A message from the sender, or from nobody, is the sender's own", () => {
  assertEquals(verdict("From: alice@x.test"), "own");
  assertEquals(verdict("From: alice@x.test", "Sender: Alice <alice@y.test>"), "own");
  assertEquals(verdict("From: Us: alice@x.test, alice@y.test;"), "own");
  assertEquals(verdict("Subject: from bob@x.test", "X-From: bob@x.test", "Reply-To: bob@x.test"), "own");
  assertEquals(verdict(), "own");
});

Deno.test("Every mailbox of every From and Sender field counts, in whatever order and spelling", () => {
  assertEquals(verdict("From: alice@x.test, bob@x.test", "Sender: alice@x.test"), "From bob@x.test");
  assertEquals(verdict("From: Us: bob@x.test; , alice@x.test"), "From bob@x.test");
  assertEquals(verdict("From: alice@x.test", "fROM :", " bob@x.test"), "From bob@x.test");
  assertEquals(verdict("Sender: bob@x.test", "From: alice@x.test"), "Sender bob@x.test");
  assertEquals(verdict("From alice@x.test Mon Nov 23", "no field", "From: bob@x.test"), "From bob@x.test");
  assertEquals(verdict("From: alice@x.test (bob@x.test)", "Subject: x", "From: bob@x.test"), "From bob@x.test");
});

Deno.test("A field without an address that can be read is not the sender's own", () => {
  for (const value of ["", "alice", "undisclosed:;", "bob@x.test <alice@x.test>", "alice@x.test\xff\0"]) {
    assertEquals(verdict(`From: ${value}`), "From unreadable", value);
    assertEquals(verdict("From: alice@x.test", `Sender: ${value}`), "Sender unreadable", value);
  }
});
