import { assertEquals, assertThrows } from "@std/assert";
import { rcpt } from "../../../lib/inbound/verbs/rcpt.ts";
import { mail } from "../../../lib/inbound/verbs/mail.ts";
import { MAX_TARGETS } from "../../../lib/routing/expansion.ts";
import { parseCommand } from "../../../lib/smtp/command.ts";
import { SmtpError } from "../../../lib/smtp/reply.ts";
import { routerOf } from "../../support/routing_site.ts";
import { testServices, testSession } from "../../support/test_session.ts";

function transaction(): { give(line: string): void; readonly session: ReturnType<typeof testSession> } {
  const members = Array.from({ length: MAX_TARGETS / 4 }, (_, at) => `user${at}@example.org`);
  const { limits } = testSession().settings;
  const router = routerOf({ accounts: members, aliases: { "all@example.org": members } });
  const session = testSession({}, { router, limits: { ...limits, recipients: 1_000 } });
  const context = { session, services: testServices() } as Parameters<typeof rcpt>[0];
  const give = (line: string): void => {
    const command = parseCommand(new TextEncoder().encode(line));
    if (command.verb === "RCPT") rcpt(context, command);
    else if (command.verb === "MAIL") mail(context, command);
  };
  give("MAIL FROM:<bob@client.test>");
  return { give, session };
}

const WAYS: Readonly<Record<string, (detail: number) => string>> = {
  "with another detail each time": (detail) => `all+${detail}@example.org`,
  "as it is": () => "all@example.org",
};

for (const [how, addressOf] of Object.entries(WAYS)) {
  Deno.test(`A large alias is not followed again and again for one message: ${how}`, () => {
    const { give, session } = transaction();
    for (let detail = 1; detail <= 4; detail++) give(`RCPT TO:<${addressOf(detail)}>`);
    const error = assertThrows(() => give(`RCPT TO:<${addressOf(5)}>`), SmtpError);
    assertEquals([error.reply.code, error.reply.enhanced], [452, "4.5.3"]);
    assertEquals(session.transaction?.accepted.length, 4);
  });
}
