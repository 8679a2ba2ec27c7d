import { assertEquals, assertMatch } from "@std/assert";
import { rcpt } from "../../../lib/inbound/verbs/rcpt.ts";
import type { Session } from "../../../lib/inbound/session.ts";
import type { EnvelopeRecipient } from "../../../lib/mail/envelope.ts";
import { relayBlocks } from "../../../lib/policy/relay.ts";
import { parseCommand } from "../../../lib/smtp/command.ts";
import type { RecipientResolver } from "../../../lib/inbound/services.ts";
import { testResolver } from "../../support/inbound_server.ts";
import { LogLines } from "../../support/log_lines.ts";
import { testServices, testSession } from "../../support/test_session.ts";

/** The recipients after a RCPT, for a message from this sender. */
function recipientsOf(
  line: string,
  reversePath: string,
  session: Session = testSession(),
): { readonly recipients: readonly EnvelopeRecipient[]; readonly log: readonly string[] } {
  const command = parseCommand(new TextEncoder().encode(line));
  if (command.verb !== "RCPT") throw new TypeError(line);
  const logger = new LogLines();
  const recipients: EnvelopeRecipient[] = [];
  session.transaction = {
    reversePath,
    options: { body: "7BIT", smtpUtf8: false },
    recipients,
    addresses: new Map(),
    accepted: [],
    chunks: undefined,
  };
  rcpt({ session, services: testServices({ logger }) } as Parameters<typeof rcpt>[0], command);
  return { recipients, log: logger.lines };
}

Deno.test("RCPT rewrites the sender for those elsewhere to whom an address of ours forwards, and for nobody else", () => {
  const { recipients: [alice, carol] } = recipientsOf("RCPT TO:<team@example.org>", "bob@sender.test");
  assertEquals(alice?.reversePath, undefined);
  assertEquals(carol?.address, "carol@elsewhere.test");
  assertEquals(carol?.forwardedBy, "team@example.org");
  assertMatch(carol?.reversePath ?? "", /^SRS0=[^=]{8}=GO=sender\.test=bob@example\.org$/);
});

Deno.test("RCPT rewrites no null reverse-path, and no sender of a domain of ours", () => {
  for (const sender of ["", "alice@example.org"]) {
    const { recipients } = recipientsOf("RCPT TO:<team@example.org>", sender);
    assertEquals(recipients.map(({ reversePath }) => reversePath), [undefined, undefined]);
  }
});

Deno.test("RCPT rewrites no sender for those whom the client names itself, because it may relay", () => {
  const session = testSession({}, { relayFrom: relayBlocks(["192.0.2.1"]) });
  const { recipients } = recipientsOf("RCPT TO:<carol@elsewhere.test>", "bob@sender.test", session);
  assertEquals(recipients, [{ address: "carol@elsewhere.test" }]);
});

Deno.test("a sender that cannot be rewritten is kept, and the log says why", () => {
  for (
    const [sender, reason] of [[`${"b".repeat(230)}@sender.test`, "too long"], ["bob@[192.0.2.9]", "address literal"]]
  ) {
    const { recipients, log } = recipientsOf("RCPT TO:<team@example.org>", sender ?? "");
    assertEquals(recipients.map(({ reversePath }) => reversePath), [undefined, undefined]);
    assertEquals(log, [
      `info: team@example.org sends mail from <${sender}> on without rewriting this sender: ${reason}`,
    ]);
  }
});

Deno.test("a list whose owner is elsewhere is sent on with the owner rewritten, and to mailboxes here with the owner as it is", () => {
  const owner = "boss@sender.test";
  const router: RecipientResolver = {
    ...testResolver,
    resolveRecipient: () => ({
      kind: "local",
      targets: [
        { address: "alice@example.org", reversePath: owner },
        { address: "dora@elsewhere.test", forwardedBy: "list@example.org", reversePath: owner },
      ],
    }),
  };
  const { recipients } = recipientsOf("RCPT TO:<list@example.org>", "bob@other.test", testSession({}, { router }));
  const [alice, dora] = recipients.map(({ reversePath }) => reversePath ?? "");
  assertEquals(alice, owner);
  assertMatch(dora ?? "", /^SRS0=[^=]{8}=GO=sender\.test=boss@example\.org$/);
  const { recipients: ofNobody } = recipientsOf("RCPT TO:<list@example.org>", "", testSession({}, { router }));
  assertEquals(ofNobody.map(({ reversePath }) => reversePath), [undefined, undefined]);
});
