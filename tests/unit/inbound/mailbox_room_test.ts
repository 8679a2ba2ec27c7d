import { assertEquals, assertRejects } from "@std/assert";
import { checkRoom } from "../../../lib/inbound/mailbox_room.ts";
import type { Outcome } from "../../../lib/mail/outcome.ts";
import { SmtpError } from "../../../lib/smtp/reply.ts";

const LATER: Outcome = { action: "delayed", status: "4.2.2", text: "mailbox is full", isRemoteReply: false };
const NEVER: Outcome = { ...LATER, action: "failed", status: "5.2.3" };

type Answer = Outcome | "room" | "none";

/** Asks for mailboxes whose quotas say this; a mailbox without a quota says `none`. */
async function ask(...answers: readonly Answer[]): Promise<void> {
  const answerOf = (account: string): Answer => answers[Number(account)] ?? "none";
  const quotas = {
    applyTo: (account: string): boolean => answerOf(account) !== "none",
    check: (account: string): Promise<Outcome | undefined> => {
      const answer = answerOf(account);
      return Promise.resolve(typeof answer === "string" ? undefined : answer);
    },
  };
  const targets = answers.map((_, at) => String(at));
  await checkRoom(quotas, { accountOf: (target) => target }, { forwardPath: "x", targets, announcedOctets: undefined });
}

async function refusal(...answers: readonly Answer[]): Promise<number> {
  return (await assertRejects(() => ask(...answers), SmtpError)).reply.code;
}

Deno.test("An address is refused where all of its mailboxes are full, and taken where one is not", async () => {
  await ask(LATER, "room");
  await ask(NEVER, "none");
  assertEquals(await refusal(LATER, LATER), 452);
  assertEquals(await refusal(NEVER, NEVER), 552);
});

Deno.test("Where one of several mailboxes may have room later, the client is told to come again", async () => {
  assertEquals([await refusal(NEVER, LATER), await refusal(LATER, NEVER)], [452, 452]);
});
