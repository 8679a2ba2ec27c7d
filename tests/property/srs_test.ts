/** Rewritten senders: whatever the sender, it comes back; whatever is changed in the address, it does not. */

import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { formatLocalPart, type Mailbox, parseMailbox } from "../../lib/mail/mailbox.ts";
import { createSrs } from "../../lib/routing/srs/srs.ts";

const srs = createSrs({ secrets: ["a secret of the test"], now: () => Date.UTC(2026, 7, 21), maxAgeMs: 86_400_000 });

const plain = fc.stringMatching(/^[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]{1,20}$/);
const localPart = fc.oneof(
  plain,
  fc.string({ unit: "grapheme", maxLength: 20 }),
  fc.tuple(fc.constantFrom("SRS0", "SRS1", "srs0", "Srs1"), fc.constantFrom("=", "+", "-"), plain).map((parts) =>
    parts.join("")
  ),
  fc.tuple(fc.constantFrom("SRS0=hash=AB=", "SRS1=hash=first.example==hash=AB="), plain).map((parts) =>
    parts.join("a.example=")
  ),
);
const domain = fc.stringMatching(/^[a-z0-9]{1,10}(\.[a-z][a-z0-9-]{0,5}[a-z]){0,3}$/);
const sender = fc.tuple(localPart, domain).map(([local, domain]) => parseMailbox(`${formatLocalPart(local)}@${domain}`))
  .filter((mailbox) => mailbox !== undefined);

function rewritten(mailbox: Mailbox): Mailbox {
  const result = srs.rewrite(mailbox, "ours.example");
  assert(result.kind === "rewritten", JSON.stringify(result));
  const parsed = parseMailbox(result.address);
  assert(parsed !== undefined, `no mailbox: ${result.address}`);
  return parsed;
}

/** What a sender comes back as: that of a chain of forwarders is the first one of them. */
function expected({ localPart, domain, text }: Mailbox): string {
  const [, first, rest] = /^SRS1[-+=][a-z0-9+/]+=([^=]+)=([-+=].*)$/is.exec(localPart) ?? [];
  if (first !== undefined && parseMailbox(`a@${first}`) !== undefined) {
    return parseMailbox(`${formatLocalPart(`SRS0${rest}`)}@${first}`)?.text ?? "";
  }
  return /^SRS0[-+=]/i.test(localPart) ? `${formatLocalPart(`SRS0${localPart.slice(4)}`)}@${domain}` : text;
}

Deno.test("any sender comes back from its rewritten address", () => {
  fc.assert(
    fc.property(sender, (mailbox) => {
      const reading = srs.read(rewritten(mailbox).localPart);
      assert(reading.kind === "valid", JSON.stringify(reading));
      assertEquals(reading.original.text, expected(mailbox));
    }),
    { numRuns: 1_000 },
  );
});

Deno.test("an address with any character changed leads nowhere, but for the case of letters", () => {
  const characters = fc.constantFrom(..."abcxyzABCXYZ0123456789=+-/.@%\u00e9 ");
  fc.assert(
    fc.property(sender, fc.nat(), characters, (mailbox, place, character) => {
      const { localPart } = rewritten(mailbox);
      const at = place % localPart.length;
      const changed = localPart.slice(0, at) + character + localPart.slice(at + 1);
      const lower = (text: string): string => text.replace(/[A-Z]/g, (letter) => letter.toLowerCase());
      // The separator behind the tag is free: other programs write another one.
      if (lower(changed) === lower(localPart) || (at === 4 && "=+-".includes(character))) return;
      const reading = srs.read(changed);
      assert(reading.kind === "forged" || reading.kind === "other", `${localPart} → ${changed}: ${reading.kind}`);
    }),
    { numRuns: 1_500 },
  );
});

Deno.test("no local part makes reading throw, or leads anywhere without a signature", () => {
  const noise = fc.oneof(
    fc.string({ unit: "binary", maxLength: 60 }),
    fc.array(fc.constantFrom("SRS0", "SRS1", "=", "+", "-", "AB", "hash", "first.example", "user", "\u017f", "\0"), {
      maxLength: 14,
    }).map((parts) => parts.join("")),
  );
  fc.assert(
    fc.property(noise, (text) => {
      const { kind } = srs.read(text);
      assert(kind === "other" || kind === "forged", kind);
    }),
    { numRuns: 1_500 },
  );
});

Deno.test("reading takes linear time", () => {
  const time = (octets: number): number => {
    const start = performance.now();
    for (let i = 0; i < 50; i++) {
      srs.read(`SRS0=${"a=".repeat(octets / 2)}`);
      srs.read(`SRS1=aaaa=${"=-".repeat(octets / 2)}\n`);
    }
    return performance.now() - start;
  };
  time(4_000);
  assert(time(40_000) < 40 * Math.max(1, time(4_000)));
});
