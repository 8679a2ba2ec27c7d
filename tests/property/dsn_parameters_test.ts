import { assertEquals, assertInstanceOf } from "@std/assert";
import fc from "fast-check";
import { encodeXtext } from "../../lib/smtp/xtext.ts";
import { parseEnvid, parseNotify, parseOrcpt, parseRet } from "../../lib/smtp/parameters/dsn.ts";
import { SmtpError } from "../../lib/smtp/reply.ts";

const printable = fc.string({ unit: fc.integer({ min: 0x20, max: 0x7e }).map((code) => String.fromCharCode(code)) });

Deno.test("an ENVID comes back from xtext as it was", () => {
  fc.assert(fc.property(printable, (text) => {
    const value = encodeXtext(text);
    if (text !== "" && value.length <= 100) assertEquals(parseEnvid(value), text);
  }));
});

Deno.test("no value makes a DSN parameter throw anything but its reply, or let a control character in", () => {
  fc.assert(fc.property(fc.option(fc.string({ unit: "binary" }), { nil: undefined }), fc.boolean(), (value, utf8) => {
    for (const read of [parseRet, parseEnvid, parseNotify, (text?: string): string => parseOrcpt(text, utf8)]) {
      try {
        assertEquals(/\p{Cc}/u.test(String(read(value))), false);
      } catch (error) {
        assertInstanceOf(error, SmtpError);
        assertEquals(error.reply.code, 501);
      }
    }
  }));
});
