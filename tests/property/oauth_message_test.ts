import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { parseOauthBearer, parseXoauth2 } from "../../lib/sasl/oauth/client_message.ts";

const encode = (text: string): Uint8Array => new TextEncoder().encode(text);
const token = fc.stringMatching(/^[A-Za-z0-9._~+/-]{1,200}={0,2}$/);
// Whatever a name may be in the message: no control characters.
const identity = fc.string({ minLength: 1, maxLength: 100, unit: "grapheme" }).filter((name) =>
  !/[\x00\x01]/.test(name) && name.isWellFormed()
);
const header = fc.record({ host: fc.stringMatching(/^[ -~]{0,50}$/), port: fc.integer({ min: 1, max: 65_535 }) });

Deno.test("what a client writes into OAUTHBEARER and XOAUTH2 is what is read", () => {
  fc.assert(fc.property(fc.option(identity, { nil: undefined }), token, header, (name, token, { host, port }) => {
    const authzid = name === undefined ? "" : `a=${name.replaceAll("=", "=3D").replaceAll(",", "=2C")}`;
    const message = encode(`n,${authzid},\x01host=${host}\x01port=${port}\x01auth=Bearer ${token}\x01\x01`);
    assertEquals(parseOauthBearer(message), { kind: "message", message: { identity: name, token } });
    if (name === undefined) return;
    const xoauth2 = parseXoauth2(encode(`user=${name}\x01auth=Bearer ${token}\x01\x01`));
    assertEquals(xoauth2, { kind: "message", message: { identity: name, token } });
  }));
});

Deno.test("no octets make the parsers throw, and what they take is a token", () => {
  const pieces = fc.constantFrom("n,", "a=", ",", "\x01", "auth=", "Bearer ", "user=", "port=1", "=2C", "x", "\0", "ü");
  const message = fc.oneof(
    fc.uint8Array({ maxLength: 200 }),
    fc.array(pieces, { maxLength: 20 }).map((parts) => encode(parts.join(""))),
  );
  fc.assert(
    fc.property(message, (octets) => {
      for (const parsed of [parseOauthBearer(octets), parseXoauth2(octets)]) {
        if (parsed.kind === "invalid") continue;
        assert(parsed.message.identity !== "");
        assert(/^[\w.~+/-]+=*$/.test(parsed.message.token ?? "x"));
      }
    }),
    { numRuns: 2000 },
  );
});
