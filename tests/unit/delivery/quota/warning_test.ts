import { assertEquals } from "@std/assert";
import { composeWarning } from "../../../../lib/delivery/quota/warning.ts";
import { formatMessages, formatOctets } from "../../../../lib/delivery/quota/words.ts";

const FACTS = {
  account: "alice@example.org",
  hostname: "mail.example.org",
  limits: { octets: 2 * 2 ** 30, messages: 100_000 },
  usage: { octets: 1.75 * 2 ** 30, messages: 20_000 },
  threshold: 80,
  whenFull: "defer",
  nowMs: Date.UTC(2026, 10, 23, 10),
  random: new Uint8Array(8),
} as const;

function textOf(facts: Parameters<typeof composeWarning>[0]): string {
  return new TextDecoder().decode(composeWarning(facts).content.inMemory);
}

Deno.test("The warning tells its owner what is used, what the limit is, and what happens next", () => {
  const { envelope } = composeWarning(FACTS);
  assertEquals(envelope.reversePath, "");
  assertEquals(envelope.recipients, [{ address: "alice@example.org", notify: "never" }]);
  assertEquals(
    textOf(FACTS).replace(/^Message-ID: <[^>]+@mail\.example\.org>$/m, "Message-ID: MASKED").split("\r\n"),
    [
      "From: Mail Delivery System <MAILER-DAEMON@mail.example.org>",
      "To: alice@example.org",
      "Subject: Your mailbox is 87% full",
      "Date: Mon, 23 Nov 2026 10:00:00 +0000",
      "Message-ID: MASKED",
      "Auto-Submitted: auto-generated",
      "MIME-Version: 1.0",
      "Content-Type: text/plain; charset=utf-8",
      "Content-Transfer-Encoding: 7bit",
      "",
      "This is the mail server mail.example.org.",
      "",
      "Your mailbox alice@example.org is 87% full.",
      "",
      "    1.75 GiB of 2 GiB are used.",
      "    It holds 20000 messages of 100000 at most.",
      "",
      "Once it is full, new mail for you waits at the servers of its senders.",
      "They try again for some days; after that it goes back to the senders.",
      "",
      "Please delete mail that you no longer need, or move it elsewhere. Mail in",
      "the folder Trash counts as well until that is emptied.",
      "",
    ],
  );
});

Deno.test("A warning names only what is limited, and says that mail is refused where it is", () => {
  const text = textOf({ ...FACTS, limits: { octets: 2 * 2 ** 30 }, whenFull: "refuse" });
  assertEquals(text.includes("messages"), false);
  assertEquals(text.includes("goes back to its senders at once"), true);
});

Deno.test("The warning to a non-ASCII address is 8-bit and says so", () => {
  const { envelope, content } = composeWarning({ ...FACTS, account: "älice@example.org" });
  const text = new TextDecoder().decode(content.inMemory);
  assertEquals([envelope.body, envelope.smtpUtf8], ["8BITMIME", true]);
  assertEquals(text.includes("Content-Transfer-Encoding: 8bit\r\n"), true);
  assertEquals(content.octets, content.inMemory?.length);
});

Deno.test("Sizes are told in the largest unit that they fill, and never as more than they are", () => {
  assertEquals([0, 1, 1023, 1024, 2 ** 20 - 1, 2 ** 20, 1.999999 * 2 ** 30].map(formatOctets), [
    "0 octets",
    "1 octet",
    "1023 octets",
    "1 KiB",
    "1023.99 KiB",
    "1 MiB",
    "1.99 GiB",
  ]);
  assertEquals([1, 2].map(formatMessages), ["1 message", "2 messages"]);
});
