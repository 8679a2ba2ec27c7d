import { assertEquals } from "@std/assert";
import type { Session } from "../../../lib/inbound/session.ts";
import { takeMessage } from "../../support/msgauth/authenticated_intake.ts";

const MESSAGE = "From: ann@example.org\r\nTLS-Required: No\r\n\r\nHello\r\n";

function transaction(more: Partial<NonNullable<Session["transaction"]>["options"]>): Partial<Session> {
  return {
    transaction: {
      reversePath: "ann@example.org",
      options: { body: "8BITMIME", smtpUtf8: false, ...more },
      recipients: [{ address: "bob@example.net" }],
      addresses: new Map(),
      accepted: [],
      chunks: undefined,
    },
  };
}

Deno.test("the envelope keeps that TLS is optional for a message, and REQUIRETLS goes before it (RFC 8689 §5)", async () => {
  const optional = async (message: string, session: Partial<Session>): Promise<true | undefined> =>
    (await takeMessage([message], undefined, { session })).envelope.isTlsOptional;
  assertEquals(await optional(MESSAGE, transaction({})), true);
  assertEquals(await optional(MESSAGE, transaction({ requireTls: true })), undefined);
  assertEquals(await optional(MESSAGE.replace("No", "Yes"), transaction({})), undefined);
  assertEquals(await optional(MESSAGE.replace("\r\n\r\nHello", ""), transaction({})), true, "a message without a body");
});
