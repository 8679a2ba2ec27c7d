import { assert, assertEquals, assertThrows } from "@std/assert";
import { rcpt } from "../../../lib/inbound/verbs/rcpt.ts";
import type { Session, Transaction } from "../../../lib/inbound/session.ts";
import { parseCommand } from "../../../lib/smtp/command.ts";
import { SmtpError } from "../../../lib/smtp/reply.ts";
import { testResolver } from "../../support/inbound_server.ts";
import { testServices, testSession } from "../../support/test_session.ts";

const MEMBERS = 10_000;

/** Each address of example.org stands for 10,000 mailboxes, others for each detail; `few` for two. */
function sessionWithAliases(): Session {
  const { settings } = testSession();
  const session = testSession({}, {
    limits: { ...settings.limits, recipients: 1000 },
    router: {
      ...testResolver,
      resolveRecipient: (path) => {
        if (typeof path === "string") return { kind: "unknown" };
        const [, detail = ""] = path.localPart.split("+");
        const count = path.localPart.startsWith("few") ? 2 : MEMBERS;
        const targets = Array.from({ length: count }, (_, index) => ({ address: `m${index}${detail}@example.org` }));
        return { kind: "local", targets };
      },
    },
  });
  session.transaction = {
    reversePath: "bob@sender.test",
    options: { body: "7BIT", smtpUtf8: false },
    recipients: [],
    addresses: new Map(),
    accepted: [],
    chunks: undefined,
  };
  return session;
}

function rcptTo(session: Session, localPart: string): void {
  const command = parseCommand(new TextEncoder().encode(`RCPT TO:<${localPart}@example.org>`));
  if (command.verb !== "RCPT") throw new TypeError(localPart);
  rcpt({ session, services: testServices() } as Parameters<typeof rcpt>[0], command);
}

function recipientsOf({ transaction }: Session): Transaction["recipients"] {
  assert(transaction !== undefined);
  return transaction.recipients;
}

Deno.test("an alias of 10,000 that is named again costs one look at each of them, and adds nobody", () => {
  const session = sessionWithAliases();
  rcptTo(session, "all");
  let reads = 0;
  const recipients = recipientsOf(session);
  Object.assign(session, {
    transaction: {
      ...session.transaction,
      recipients: new Proxy(recipients, {
        get: (target, key) => (reads++, Reflect.get(target, key)),
      }),
    },
  });
  rcptTo(session, "ALL");
  assertEquals(recipients.length, MEMBERS);
  assert(reads < 3 * MEMBERS, `${reads} reads`);
});

Deno.test("a message has no more than 10,000 recipients, however many details of an alias a client thinks of", () => {
  const session = sessionWithAliases();
  rcptTo(session, "few");
  const error = assertThrows(() => rcptTo(session, "all+1"), SmtpError);
  assertEquals(error.message, "452 4.5.3 Too many recipients; send to the others in another transaction");
  rcptTo(session, "few+1");
  assertEquals(recipientsOf(session).length, 4);
  const other = sessionWithAliases();
  rcptTo(other, "all");
  assertThrows(() => rcptTo(other, "few+1"), SmtpError);
  rcptTo(other, "few");
  assertEquals(recipientsOf(other).length, MEMBERS);
});
