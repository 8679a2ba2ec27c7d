import { assertEquals, assertStringIncludes } from "@std/assert";
import fc from "fast-check";
import { OutgoingSignature } from "../../../lib/policy/outgoing_signature.ts";
import { cut, play } from "../../support/memory_session.ts";
import { testKey } from "../../support/msgauth/dkim_keys.ts";

const encoder = new TextEncoder();

Deno.test("What is signed begins behind the empty line, wherever content is cut, by DATA and by BDAT", async () => {
  const key = await testKey("ed25519-sha256", "s1");
  const sign = (): OutgoingSignature => new OutgoingSignature(() => Promise.resolve([key]));
  const body = "Hello\r\n\r\nWorld\r\n";
  const digest = await crypto.subtle.digest("SHA-256", encoder.encode(body));
  const content = `From: <alice@example.org>\r\nSubject: a\r\n\r\n${body}`;
  const ends = { data: ["DATA\r\n", `${content}.\r\n`], bdat: ["", `BDAT ${content.length} LAST\r\n${content}`] };
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom("data" as const, "bdat" as const),
      fc.array(fc.nat(100), { maxLength: 4 }),
      async (verb, places) => {
        const [start, rest] = ends[verb];
        const begin = `MAIL FROM:<alice@example.org>\r\nRCPT TO:<alice@example.org>\r\n${start}`;
        const groups = [[encoder.encode("EHLO a\r\n")], [encoder.encode(begin)], cut(encoder.encode(rest), places)];
        const { output, traces: [trace = "", ...others] } = await play(groups, {
          service: "mx",
          isTrusted: true,
          authentication: { authservId: "mx.test", check: () => undefined, sign },
        });
        assertEquals(others, [], output);
        assertStringIncludes(trace.replace(/\r\n\s+/g, ""), `bh=${new Uint8Array(digest).toBase64()};`, output);
      },
    ),
    { numRuns: 50 },
  );
});
