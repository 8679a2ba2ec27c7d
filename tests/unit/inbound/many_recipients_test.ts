import { assertEquals, assertThrows } from "@std/assert";
import { rcpt } from "../../../lib/inbound/verbs/rcpt.ts";
import { mail } from "../../../lib/inbound/verbs/mail.ts";
import { MAX_TARGETS } from "../../../lib/routing/expansion.ts";
import { parseCommand } from "../../../lib/smtp/command.ts";
import { SmtpError } from "../../../lib/smtp/reply.ts";
import { routerOf } from "../../support/routing_site.ts";
import { testServices, testSession } from "../../support/test_session.ts";

Deno.test("What stands behind the addresses of one message has a bound, too, however often an alias is named", () => {
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
  for (const detail of ["1", "2", "3", "4"]) give(`RCPT TO:<all+${detail}@example.org>`);
  assertEquals(session.transaction?.recipients.length, MAX_TARGETS);
  const error = assertThrows(() => give("RCPT TO:<all+5@example.org>"), SmtpError);
  assertEquals([error.reply.code, error.reply.enhanced], [452, "4.5.3"]);
  assertEquals(session.transaction?.accepted.length, 4);
});
