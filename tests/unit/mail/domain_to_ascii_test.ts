import { assertEquals } from "@std/assert";
import { domainToAscii } from "../../../lib/mail/domain_to_ascii.ts";

Deno.test("U-labels become A-labels, and what is no domain becomes nothing", () => {
  assertEquals(domainToAscii("BÜCHER.example"), "xn--bcher-kva.example");
  // Such a text made domainToASCII of Deno 2.5 throw.
  for (const text of ["\u{323b0}", "xn--é", "\ud800"]) {
    assertEquals(domainToAscii(text), "", JSON.stringify(text));
  }
});
