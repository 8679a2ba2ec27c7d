import { assertEquals } from "@std/assert";
import { foldAddress } from "../../../lib/mail/fold.ts";
import { normalizeDomain, parseMailbox } from "../../../lib/mail/mailbox.ts";

const text = (address: string): string | undefined => parseMailbox(address)?.text;

Deno.test("a mailbox has one spelling", () => {
  assertEquals(text("Bob.Smith@Example.ORG"), "Bob.Smith@example.org");
  assertEquals(text('"bob"@example.org'), "bob@example.org");
  assertEquals(text('"b\\ob"@example.org'), "bob@example.org");
  assertEquals(text('"bob smith"@example.org'), '"bob smith"@example.org');
  assertEquals(text('"a\\"b\\\\c"@example.org'), '"a\\"b\\\\c"@example.org');
  assertEquals(text("bob@münchen.example"), "bob@xn--mnchen-3ya.example");
  assertEquals(text("用户@例え.test"), "用户@xn--r8jz45g.test");
  assertEquals(text("bob@[192.0.2.1]"), "bob@[192.0.2.1]");
  assertEquals(text("bob@[ipv6:2001:DB8::1]"), "bob@[IPv6:2001:db8::1]");
  assertEquals(text("bob@host_name.example"), "bob@host_name.example");
});

Deno.test("a quoted local part may contain @, and the domain begins behind the last one", () => {
  assertEquals(parseMailbox('"alice@example.org"@evil.test'), {
    localPart: "alice@example.org",
    domain: "evil.test",
    text: '"alice@example.org"@evil.test',
  });
});

Deno.test("what is no mailbox is not taken for one", () => {
  const wrong = [
    "",
    "bob",
    "@example.org",
    "bob@",
    "bob@example.org.",
    "bob@.example.org",
    "bob@example..org",
    "bob@-example.org",
    "bob@example-.org",
    "bo b@example.org",
    "bob@exam ple.org",
    ".bob@example.org",
    "bob.@example.org",
    "bo..b@example.org",
    "bob@example.org@other.test",
    '"bob@example.org',
    '"bo"b"@example.org',
    '"bob\\"@example.org',
    "bob@[192.0.2.300]",
    "bob@[192.0.2.1",
    "bob@[IPv6:::g]",
    "bob@[IPv6:fe80::1%eth0]",
    "bob@[tag:content]",
    "bo\u0000b@example.org",
    '"bo\r\nb"@example.org',
    "bo\u0085b@example.org",
    `${"a".repeat(243)}@example.org`,
    `${"ä".repeat(122)}@example.org`,
    `bob@${"a".repeat(64)}.org`,
    `bob@${"a.".repeat(128)}org`,
  ];
  for (const address of wrong) assertEquals(text(address), undefined, JSON.stringify(address));
});

Deno.test("an address of usual or great length is a mailbox: 64 octets in front of any domain, 254 in all", () => {
  const long = "x".repeat(60) + `.${"y".repeat(60)}`.repeat(3);
  for (const local of ["a".repeat(65), "a".repeat(242), "ä".repeat(121)]) {
    assertEquals(text(`${local}@example.org`), `${local}@example.org`);
  }
  assertEquals(text(`${"a".repeat(64)}@${long}`), `${"a".repeat(64)}@${long}`);
  assertEquals(text(`${"a".repeat(65)}@${long}`), undefined);
});

Deno.test("a domain is brought into A-labels and lower case", () => {
  assertEquals(normalizeDomain("EXAMPLE.org"), "example.org");
  assertEquals(normalizeDomain("bücher.EXAMPLE"), "xn--bcher-kva.example");
  assertEquals(normalizeDomain("xn--bcher-kva.example"), "xn--bcher-kva.example");
  assertEquals(normalizeDomain("a".repeat(256)), undefined);
});

Deno.test("an address that is folded stays as it is when it is folded again", () => {
  // J with caron has one character for the small letter only.
  for (const address of ["J\u030coe@example.org", "\u01f0oe@example.org"]) {
    assertEquals(foldAddress(address), "\u01f0oe@example.org");
    assertEquals(foldAddress(foldAddress(address)), foldAddress(address));
  }
});
