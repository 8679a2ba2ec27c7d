import { assertEquals } from "@std/assert";
import { parseAddressList } from "../../../lib/mail/address_list.ts";

/** The addresses with blanks between them, or `none`. */
function addresses(value: string): string {
  return parseAddressList(value)?.map(({ text }) => text).join(" ") ?? "none";
}

function check(cases: Readonly<Record<string, string>>): void {
  for (const [value, expected] of Object.entries(cases)) assertEquals(addresses(value), expected, value);
}

Deno.test("A mailbox is found with and without a name, whatever stands around it", () => {
  check({
    "alice@example.org": "alice@example.org",
    "  <Alice@EXAMPLE.org> ": "Alice@example.org",
    "Alice Liddell <alice@example.org>": "alice@example.org",
    '"Liddell, Alice <bob@elsewhere.test>" <alice@example.org>': "alice@example.org",
    '"say \\"hi\\" \\\\" <alice@example.org>': "alice@example.org",
    "=?utf-8?Q?Al=C3=AFce?= <alice@example.org>": "alice@example.org",
    "Alïce <alice@example.org>": "alice@example.org",
    "Alice P. Liddell <alice@example.org>": "alice@example.org",
    "alice@example.org (Alice (of Wonderland), <bob@elsewhere.test>)": "alice@example.org",
    "(a \\) comment) alice (at) @ (home) example.org": "alice@example.org",
    "Alice\r\n <alice@example.org>": "alice@example.org",
    '"a b"@example.org': '"a b"@example.org',
    '"alice"@example.org': "alice@example.org",
    "zoë@bücher.example": "zoë@xn--bcher-kva.example",
    "alice@[192.0.2.1]": "alice@[192.0.2.1]",
    "Alice <alice@[IPv6:2001:DB8::1]>": "alice@[IPv6:2001:db8::1]",
  });
});

Deno.test("Every mailbox of a list and of its groups is found (RFC 5322 §3.4)", () => {
  check({
    "a@x.test, B <b@x.test>": "a@x.test b@x.test",
    ",a@x.test,, b@x.test,": "a@x.test b@x.test",
    "The team: a@x.test, B <b@x.test>;, c@x.test": "a@x.test b@x.test c@x.test",
    "undisclosed-recipients:;": "",
    "nobody: ,, ;": "",
  });
});

Deno.test("What two programs could read in two ways is no address list", () => {
  const values = [
    "",
    " ",
    ",",
    "(only a comment)",
    "alice",
    "Alice Liddell",
    "@example.org",
    "alice@",
    "alice@example.org bob@elsewhere.test",
    "alice@example.org <bob@elsewhere.test>",
    "<alice@example.org> <bob@elsewhere.test>",
    "<alice@example.org> Bob",
    "<<alice@example.org>>",
    "<alice@example.org",
    "alice@example.org>",
    "<>",
    "Alice <>",
    "<@relay.test:alice@example.org>",
    "alice@bob@example.org",
    "alice . liddell@example.org",
    ".alice@example.org",
    "alice@example..org",
    'alice"x"@example.org',
    '"alice@example.org',
    "(alice@example.org",
    "alice@example.org)",
    "alice@example.org; bob@elsewhere.test",
    ": alice@example.org;",
    "team: alice@example.org",
    "team: other: alice@example.org;;",
    "team: alice@example.org; bob@elsewhere.test",
    "[list] Alice <alice@example.org>",
    "alice@[192.0.2.1",
    "alice\\@example.org",
    "alice\u0000@example.org",
    "alice@example.org\u0000",
    "alice\u0085 <alice@example.org>",
  ];
  for (const value of values) assertEquals(addresses(value), "none", JSON.stringify(value));
});

Deno.test("A value of megabytes is refused at once, and one under the bound is read in linear time", () => {
  assertEquals(addresses("a@x.test,".repeat(100_000)), "none");
  assertEquals(parseAddressList("a@x.test,".repeat(7_000))?.length, 7_000);
  for (const noise of ["(", '"', "<", "a ", "a:", ",", "\\", "(a)", '"a" ']) {
    addresses(noise.repeat(60_000 / noise.length));
  }
});
