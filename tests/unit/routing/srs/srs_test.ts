import { assert, assertEquals, assertMatch, assertNotEquals } from "@std/assert";
import { type Mailbox, parseMailbox } from "../../../../lib/mail/mailbox.ts";
import { createSrs, type Srs, type SrsReading } from "../../../../lib/routing/srs/srs.ts";

const DAY = 86_400_000;
const NOW = Date.UTC(2026, 7, 21, 12);
const SECRET = "a secret of the test";

function scheme(options: { secrets?: readonly string[]; nowMs?: number; maxAgeMs?: number } = {}): Srs {
  const { secrets = [SECRET], nowMs = NOW, maxAgeMs = 21 * DAY } = options;
  return createSrs({ secrets, now: () => nowMs, maxAgeMs });
}

function mailbox(text: string): Mailbox {
  const parsed = parseMailbox(text);
  assert(parsed !== undefined, `no mailbox: ${text}`);
  return parsed;
}

function rewritten(text: string, srs = scheme(), domain = "ours.example"): string {
  const sender = srs.rewrite(mailbox(text), domain);
  assert(sender.kind === "rewritten", `${text} is kept: ${JSON.stringify(sender)}`);
  return sender.address;
}

/** What an address means, in words. */
function read(text: string, srs = scheme()): string {
  const reading: SrsReading = srs.read(mailbox(text).localPart);
  return "original" in reading ? `${reading.kind} ${reading.original.text}` : reading.kind;
}

Deno.test("a sender becomes an address of ours that says where it leads, as Mail::SRS writes it", () => {
  assertEquals(rewritten("alice@sender.example"), "SRS0=cb7Hq+rv=GO=sender.example=alice@ours.example");
});

Deno.test("what was rewritten leads back to the sender", () => {
  for (
    const address of [
      "alice@sender.example",
      "Alice.B+tag=x-y@sender.example",
      "a=b=c@sender.example",
      "srs@sender.example",
      '"alice smith"@sender.example',
      '"a@b"@sender.example',
      '""@sender.example',
      "älice@sender.example",
      "用户@例え.test",
    ]
  ) {
    const address1 = rewritten(address);
    assertEquals(read(address1), `valid ${mailbox(address).text}`, address1);
  }
});

Deno.test("a relay may change the case of all letters", () => {
  for (const sender of ["alice@sender.example", "SRS0=hash=AB=sender.example=alice@first.example"]) {
    const address = rewritten(sender);
    for (const other of [address.toLowerCase(), address.toUpperCase()]) {
      assertEquals(read(other).toLowerCase(), `valid ${sender}`.toLowerCase());
    }
  }
});

Deno.test("the address of another forwarder is passed on in short, and a third one does not make it longer", () => {
  const second = rewritten("SRS0+hash=AB=sender.example=alice@first.example", scheme(), "second.example");
  assertMatch(second, /^SRS1=[A-Za-z0-9+/]{8}=first\.example=\+hash=AB=sender\.example=alice@second\.example$/);
  assertEquals(read(second), "valid SRS0+hash=AB=sender.example=alice@first.example");
  const other = scheme({ secrets: ["another secret"] });
  const third = rewritten(second, other, "third.example");
  assertMatch(third, /^SRS1=[A-Za-z0-9+/]{8}=first\.example=\+hash=AB=sender\.example=alice@third\.example$/);
  assertEquals(read(third, other), "valid SRS0+hash=AB=sender.example=alice@first.example");
});

Deno.test("what only begins like an address of another forwarder is rewritten like any sender", () => {
  for (const sender of ["srs1-fan@sender.example", "SRS1=a=b@sender.example", "SRS1=hash=-b.c==x@sender.example"]) {
    const address = rewritten(sender);
    assertMatch(address, /^SRS0=/);
    assertEquals(read(address), `valid ${sender}`);
  }
});

Deno.test("an address that somebody else made is forged, and one without the form is none of ours", () => {
  const address = rewritten("alice@sender.example");
  const foreign = rewritten("alice@sender.example", scheme({ secrets: ["another secret"] }));
  assertEquals(read(foreign), "forged");
  assertEquals(read(rewritten("SRS0=a=AB=b=c@first.example", scheme({ secrets: ["another secret"] }))), "forged");
  assertEquals(read(address.replace("=alice@", "=mallory@")), "forged");
  assertEquals(read(address.replace("sender.example", "victim.example")), "forged");
  for (const shorter of [1, 4, 7]) {
    assertEquals(read(address.replace(/=[^=]{8}=/, (hash) => `${hash.slice(0, 1 + shorter)}=`)), "forged");
  }
  for (
    const other of [
      "srs0@ours.example",
      "srs0-fan@ours.example",
      "SRS0=HASHHASH=ABC=sender.example=alice@ours.example",
      "SRS0=HASHHASH=AB=-sender.example=alice@ours.example",
      "SRS0=HASHHASH=AB==alice@ours.example",
      "SRS0=HASHHASH=alice@ours.example",
      "SRS1=HASHHASH=first.example=no-separator@ours.example",
      "SRS2=HASHHASH=AB=sender.example=alice@ours.example",
      "\u017fRS0=HASHHASH=AB=sender.example=alice@ours.example",
    ]
  ) assertEquals(read(other), "other", other);
});

Deno.test("more of the hash than we write is verified, too, but not its padding", () => {
  const address = "SRS0=cb7Hq+rvB+xDjzFOXvHwAX+CXlo=GO=sender.example=alice@ours.example";
  assertEquals(read(address), "valid alice@sender.example");
  assertEquals(read(address.replace("CXlo", "CXlox")), "forged");
});

Deno.test("an address counts for 21 days, whatever the time of day", () => {
  const address = rewritten("alice@sender.example");
  const after = (days: number): string => read(address, scheme({ nowMs: NOW + days * DAY }));
  assertEquals(after(0), "valid alice@sender.example");
  assertEquals(after(21.49), "valid alice@sender.example");
  assertEquals(after(21.5), "expired alice@sender.example");
  assertEquals(after(500), "expired alice@sender.example");
  assertEquals(after(-1), "valid alice@sender.example");
  assertEquals(after(-2), "expired alice@sender.example");
  assertEquals(read(address, scheme({ nowMs: NOW + 3 * DAY, maxAgeMs: 2.5 * DAY })), "valid alice@sender.example");
  assertEquals(read(address, scheme({ nowMs: NOW + 4 * DAY, maxAgeMs: 2.5 * DAY })), "expired alice@sender.example");
});

Deno.test("the timestamp goes round after 1,024 days and takes a while to be good again", () => {
  // The last day of a cycle and the first of the next one.
  const last = (1024 * 20 - 1) * DAY;
  const address = rewritten("alice@sender.example", scheme({ nowMs: last }));
  assertMatch(address, /^SRS0=[^=]+=77=/);
  assertEquals(read(address, scheme({ nowMs: last + 21 * DAY })), "valid alice@sender.example");
  assertEquals(read(address, scheme({ nowMs: last + 22 * DAY })), "expired alice@sender.example");
});

Deno.test("the first secret signs, and all of them verify", () => {
  const old = rewritten("alice@sender.example");
  const both = scheme({ secrets: ["the new secret", SECRET] });
  const fresh = rewritten("alice@sender.example", both);
  assertNotEquals(fresh, old);
  assertEquals(read(old, both), "valid alice@sender.example");
  assertEquals(read(fresh, both), "valid alice@sender.example");
  assertEquals(read(fresh), "forged");
});

Deno.test("a sender is kept whose address is a literal, or would grow beyond what SMTP takes", () => {
  const srs = scheme();
  assertEquals(srs.rewrite(mailbox("alice@[192.0.2.1]"), "ours.example"), { kind: "kept", reason: "address literal" });
  assertEquals(srs.rewrite(mailbox("alice@[IPv6:2001:db8::1]"), "ours.example").kind, "kept");
  const long = "x".repeat(200);
  assertEquals(srs.rewrite(mailbox(`${long}@sender.example`), "ours.example").kind, "rewritten");
  assertEquals(srs.rewrite(mailbox(`${long}xxxxxxxxxx@sender.example`), "ours.example"), {
    kind: "kept",
    reason: "too long",
  });
});
