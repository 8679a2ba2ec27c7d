import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { formatLocalPart, parseMailbox } from "../../lib/mail/mailbox.ts";
import { parseCommand } from "../../lib/smtp/command.ts";
import { SmtpError } from "../../lib/smtp/reply.ts";

const encoder = new TextEncoder();

/** Parses and returns what the client would see: a command, or an error reply. */
function outcome(line: Uint8Array): unknown {
  try {
    return parseCommand(line);
  } catch (error) {
    assert(error instanceof SmtpError, `threw ${error}`);
    assert(error.reply.code >= 500 && error.reply.code <= 599);
    assertEquals(error.reply.enhanced?.[0], "5");
    return error.reply;
  }
}

Deno.test("no octets make the command parser throw anything but a 5yz reply", () => {
  const verbs = ["MAIL FROM:<", "RCPT TO:<", "EHLO ", "AUTH PLAIN ", "mail from: <a@b> ", 'RCPT TO:<"', "NOOP "];
  const line = fc.tuple(
    fc.constantFrom(...verbs, ""),
    fc.uint8Array({ maxLength: 80 }),
    fc.constantFrom("", ">", "@b>"),
  )
    .map(([verb, noise, end]) => Uint8Array.from([...encoder.encode(verb), ...noise, ...encoder.encode(end)]));
  fc.assert(fc.property(line, (line) => void outcome(line)), { numRuns: 20_000 });
});

Deno.test("a mailbox that was parsed is written and parsed again as the same", () => {
  const localPart = fc.string({ unit: "grapheme", minLength: 1, maxLength: 20 });
  const domain = fc.stringMatching(/^[a-z0-9]{1,10}(\.[a-z]{1,5}){0,3}$/);
  fc.assert(
    fc.property(localPart, domain, (localPart, domain) => {
      const first = parseMailbox(`${formatLocalPart(localPart)}@${domain}`);
      if (first === undefined) return;
      assertEquals(first.localPart, localPart);
      assertEquals(parseMailbox(first.text), first);
      const command = parseCommand(encoder.encode(`RCPT TO:<${first.text}>`));
      assert(command.verb === "RCPT");
      assertEquals(command.forwardPath, first);
    }),
    { numRuns: 10_000 },
  );
});

Deno.test("parsing takes linear time", () => {
  const time = (octets: number): number => {
    const line = encoder.encode(`RCPT TO:<"${'\\"a.'.repeat(octets / 4)}"@b>`);
    const start = performance.now();
    for (let i = 0; i < 50; i++) outcome(line);
    return performance.now() - start;
  };
  time(4_000);
  // Ten times the input may take a hundred times as long in a quadratic parser; forty leaves room for noise.
  assert(time(40_000) < 40 * Math.max(1, time(4_000)));
});
