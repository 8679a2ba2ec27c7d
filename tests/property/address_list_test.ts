/** The parser of address fields, with random fields and random text. */

import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { parseAddressList } from "../../lib/mail/address_list.ts";
import { formatLocalPart, parseMailbox } from "../../lib/mail/mailbox.ts";

const piece = fc.constantFrom(
  ...'alice bob @ < > , ; : ( ) " \\ [ ] . example.org x.test é =?utf-8?Q?a?= \r\n \t \0 \u0085 [192.0.2.1]'.split(" "),
  " ",
);

Deno.test("no text makes the parser throw, and every mailbox that it finds is one", () => {
  const text = fc.oneof(
    fc.array(piece, { maxLength: 40 }).map((pieces) => pieces.join("")),
    fc.string({ unit: "binary" }),
  );
  fc.assert(
    fc.property(text, (text) => {
      for (const { text: address } of parseAddressList(text) ?? []) {
        assertEquals(parseMailbox(address)?.text, address);
      }
    }),
    { numRuns: 20_000 },
  );
});

Deno.test("what was written as an address list is read as it was meant, whatever the names and comments say", () => {
  const text = fc.stringMatching(/^[ -~é]{0,12}$/);
  const quoted = text.map((text) => `"${text.replace(/["\\]/g, "\\$&")}"`);
  const comment = text.map((text) => `(${text.replace(/[()\\]/g, "\\$&")})`);
  const blank = fc.oneof(fc.constantFrom("", " ", "\r\n\t"), comment);
  const local = fc.stringMatching(/^[ -~]{1,10}$/);
  const name = fc.oneof(quoted, fc.stringMatching(/^[a-z.]{1,5}( [a-z]{1,5})?$/));
  const entry = fc.tuple(local, fc.option(name), blank, blank).map(([local, name, before, after]) => {
    const address = `${formatLocalPart(local)}@example.org`;
    const spec = name === null ? `${before}${address}` : `${name}${before}<${address}>`;
    return { address, field: `${spec}${after}` };
  });
  fc.assert(
    fc.property(fc.array(entry, { minLength: 1, maxLength: 5 }), fc.boolean(), (entries, isGroup) => {
      const list = entries.map(({ field }) => field).join(",");
      const found = parseAddressList(isGroup ? `group:${list};` : list);
      assert(found !== undefined, list);
      assertEquals(found.map(({ text }) => text), entries.map(({ address }) => address));
    }),
    { numRuns: 5_000 },
  );
});
