import { assertEquals } from "@std/assert";
import { countCommand, freshPatience, patienceEnd, type Spent } from "../../../lib/inbound/patience.ts";
import type { Command } from "../../../lib/smtp/command.ts";
import { formatReply } from "../../../lib/smtp/reply.ts";

const NOOP: Command = { verb: "NOOP" };
const RCPT = { verb: "RCPT" } as Command;
const AUTH: Command = { verb: "AUTH", mechanism: "PLAIN" };

/** How many times a command may come before the session ends, and with which reply. */
function limitOf(command: Command | undefined, code: number, tries = 20_000): string {
  const spent: Spent = freshPatience(0);
  for (let count = 1; count <= tries; count++) {
    countCommand(spent, command, code);
    const end = patienceEnd(spent);
    if (end !== undefined) return `${count} ${formatReply(end).trim()}`;
  }
  return "none";
}

Deno.test("Each way to waste the time of a session has its bound", () => {
  const idle = "421 4.7.0 Too many commands without a message; closing connection";
  const errors = "421 4.7.0 Too many errors; closing connection";
  assertEquals(limitOf(NOOP, 250), `101 ${idle}`);
  assertEquals(limitOf({ verb: "RSET" }, 250), `101 ${idle}`);
  assertEquals(limitOf({ verb: "VRFY", argument: "alice" }, 252), `101 ${idle}`);
  assertEquals(limitOf({ verb: "BDAT", octets: 511, isLast: false }, 250), `101 ${idle}`);
  assertEquals(limitOf(RCPT, 452), `10001 ${idle}`);
  assertEquals(limitOf(undefined, 500), `21 ${errors}`);
  assertEquals(limitOf({ verb: "DATA" }, 554), `21 ${errors}`);
  assertEquals(limitOf(RCPT, 550), `101 ${errors}`);
  assertEquals(limitOf(AUTH, 535), "5 421 4.7.0 Too many failed logins; closing connection");
  assertEquals(limitOf(AUTH, 454), "5 421 4.7.0 Too many failed logins; closing connection");
});

Deno.test("What brings a message nearer has no bound of its own", () => {
  assertEquals(limitOf(RCPT, 250), "none");
  assertEquals(limitOf({ verb: "BDAT", octets: 512, isLast: false }, 250), "none");
  assertEquals(limitOf({ verb: "BDAT", octets: 0, isLast: true }, 250), "none");
  assertEquals(limitOf({ verb: "DATA" }, 451), "none");
});
