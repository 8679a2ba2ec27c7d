import { assertEquals, assertMatch } from "@std/assert";
import { Client } from "../../support/conversation.ts";
import { startInbound } from "../../support/inbound_server.ts";
import { catchLog } from "../../support/queue_samples.ts";

const FULL = "452 4.3.1 Insufficient storage; try again later";
const LOCAL = "451 4.3.0 Local problem; try again later";

/** Error of the system, what the client is told, and what the log says instead of it. */
const FAULTS: readonly (readonly [code: string, words: string, number: number, reply: string, log: RegExp])[] = [
  ["ENOSPC", "No space left on device", 28, FULL, /the disk of the spool is full, make room;/],
  ["EDQUOT", "Disk quota exceeded", 122, FULL, /the disk of the spool is full, make room;/],
  ["EIO", "Input/output error", 5, LOCAL, /Cannot write "\/spool\/incoming\/x": Input\/output error/],
  ["EROFS", "Read-only file system", 30, LOCAL, /Read-only file system/],
  ["EMFILE", "Too many open files", 24, LOCAL, /Too many open files/],
  ["EACCES", "Permission denied", 13, LOCAL, /Permission denied/],
];

for (const [code, words, number, reply, line] of FAULTS) {
  Deno.test(`${code} of the spool is ${reply.slice(0, 9)} for the client, with the reason in the log only`, async () => {
    await using log = await catchLog();
    await using server = await startInbound({ logger: log.logger });
    await using client = await Client.connect(server.port);
    await client.line();
    const message = 'Cannot write "/spool/incoming/x": ' + `${words} (os error ${number})`;
    server.spool.faults.commit = Object.assign(new Error(message), { code });
    for (const command of ["HELO client.test", "MAIL FROM:<bob@client.test>", "RCPT TO:<alice@example.org>", "DATA"]) {
      client.send(`${command}\r\n`);
      await client.line();
    }
    client.send("lost?\r\n.\r\n");
    assertEquals(await client.line(), reply);
    const [told = ""] = log.lines.filter((each) => each.startsWith("Cannot store message q1 from <bob@client.test>"));
    assertMatch(told, line);
    assertMatch(told, /; the client was told to try later$/);
    assertEquals(server.spool.openReceptions, 0);
  });
}
