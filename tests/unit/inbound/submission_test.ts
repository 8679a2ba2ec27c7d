import { assertEquals, assertThrows } from "@std/assert";
import { HeaderWindow, SharedMemory } from "../../../lib/inbound/header_window.ts";
import type { Session } from "../../../lib/inbound/session.ts";
import { checkAuthors, missingFields } from "../../../lib/inbound/submission.ts";
import { SmtpError } from "../../../lib/smtp/reply.ts";
import { testResolver } from "../../support/inbound_server.ts";

const encoder = new TextEncoder();
const FACTS = { queueId: "0abc", nowMs: Date.UTC(2026, 10, 23, 10) };

/** A session of alice. */
function sessionOf(
  { service = "submission", senders = "own" }: Partial<Pick<Session, "service"> & Session["settings"]["submission"]>,
): Session {
  return {
    service,
    settings: { hostname: "mx.test", router: testResolver, submission: { senders } },
    login: "alice@example.org",
  } as Session;
}

/** A window that saw this content, in pieces of some octets. */
function windowOf(content: string, step = 7): HeaderWindow {
  const window = new HeaderWindow(new SharedMemory(0), 1_000_000);
  const octets = encoder.encode(content);
  for (let at = 0; at < octets.length; at += step) window.push(octets.subarray(at, at + step));
  return window;
}

Deno.test("The fields that a submission lacks tell when it came in, and its queue id", () => {
  assertEquals(
    missingFields(sessionOf({}), windowOf("Subject: x\r\n\r\nDate: x\r\n"), FACTS),
    `Date: Mon, 23 Nov 2026 10:00:00 +0000\r\nMessage-ID: <${FACTS.nowMs.toString(36)}.0abc@mx.test>\r\n`,
  );
  assertEquals(missingFields(sessionOf({}), windowOf("date:\r\nMessage-id: x\r\n\r\n"), FACTS), "");
});

Deno.test("Only a submission gets fields", () => {
  assertEquals(missingFields(sessionOf({ service: "mx" }), windowOf(""), FACTS), "");
  assertEquals(missingFields(sessionOf({ service: "lmtp" }), windowOf(""), FACTS), "");
});

Deno.test("A header section that is too long to be seen as a whole gets no fields, and no login may send it", () => {
  const long = windowOf(`From: alice@example.org\r\n${"X: y\r\n".repeat(11_000)}From: bob@example.org\r\n\r\n`, 4096);
  assertEquals(missingFields(sessionOf({}), long, FACTS), "");
  const error = assertThrows(() => checkAuthors(sessionOf({}), long), SmtpError);
  assertEquals(
    error.message,
    "554 5.6.0 The header section is longer than 65536 octets: its From field cannot be checked",
  );
  checkAuthors(sessionOf({ senders: "any" }), long);
  const longest = windowOf(
    `From: bob@example.org\r\n${"X: y\r\n".repeat(10_000)}\r\n${"text\r\n".repeat(10_000)}`,
    4096,
  );
  assertThrows(() => checkAuthors(sessionOf({}), longest), SmtpError, "bob@example.org");
});
