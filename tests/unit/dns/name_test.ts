import { assertEquals, assertThrows } from "@std/assert";
import { DnsNameError, encodeName, normaliseName, quoteName } from "../../../lib/dns/name.ts";

Deno.test("A name becomes labels with their lengths", () => {
  assertEquals(encodeName("mx.Example.").toHex(), "026d78" + "074578616d706c65" + "00");
  assertEquals(encodeName("a\\.b\\032\\\\.c").toHex(), "05612e62205c" + "0163" + "00");
});

Deno.test("Names are compared in one spelling", () => {
  assertEquals(normaliseName("MX.Example.TEST."), "mx.example.test");
  assertEquals(normaliseName("\\065\\.b"), "a\\.b");
  assertEquals(normaliseName("_25._tcp.Mx"), "_25._tcp.mx");
});

Deno.test("What is wrong with a name is said", () => {
  const wrong: Record<string, string> = {
    "": "empty label",
    ".": "empty label",
    "a..b": "empty label",
    ["x".repeat(64)]: "label longer than 63",
    ["x.".repeat(128)]: "longer than 255",
    "a b": "not printable",
    "ä": "not printable",
    "a\\": "broken escape",
    "a\\256": "broken escape",
  };
  for (const [name, problem] of Object.entries(wrong)) assertThrows(() => encodeName(name), DnsNameError, problem);
  assertEquals(encodeName("x.".repeat(127)).length, 255);
});

Deno.test("A quoted name is short and holds no control character", () => {
  assertEquals(quoteName("a\r\nb\x1b"), '"a\\r\\nb\\u001b"');
  assertEquals(quoteName("x".repeat(1000)).length, 103);
});
