import { assertEquals } from "@std/assert";
import { Client } from "../../support/conversation.ts";
import { startInbound } from "../../support/inbound_server.ts";

const FULL = "452 4.3.1 Insufficient storage; try again later";

async function replies(
  hasRoomFor: (octets: number) => boolean | Promise<boolean>,
  commands: string[],
): Promise<string[]> {
  await using server = await startInbound({ room: { hasRoomFor } });
  await using client = await Client.connect(server.port);
  await client.line();
  const found: string[] = [];
  for (const command of commands) {
    client.send(`${command}\r\n`);
    let line = await client.line();
    while (line[3] === "-") line = await client.line();
    found.push(line);
  }
  return found;
}

Deno.test("While there is no room MAIL is refused with 452 4.3.1, and the session goes on", async () => {
  let isLow = true;
  const hasRoomFor = (): Promise<boolean> => Promise.resolve(!isLow);
  const told = await replies((octets) => {
    const answer = hasRoomFor();
    isLow = octets !== 0;
    return answer;
  }, ["EHLO client.test", "MAIL FROM:<a@client.test>", "RCPT TO:<alice@example.org>", "MAIL FROM:<a@client.test>"]);
  assertEquals(told.slice(1), [FULL, "503 5.5.1 Send MAIL first", "250 2.1.0 Sender OK"]);
});

Deno.test("A message that announces more than there is room for is refused at MAIL, a smaller one is not", async () => {
  const told = await replies((octets) => octets <= 1000, [
    "EHLO client.test",
    "MAIL FROM:<a@client.test> SIZE=1001",
    "MAIL FROM:<a@client.test> SIZE=1000",
  ]);
  assertEquals(told.slice(1), [FULL, "250 2.1.0 Sender OK"]);
});

Deno.test("A message that is under way when the room gets low is taken to its end", async () => {
  let isLow = false;
  await using server = await startInbound({ room: { hasRoomFor: () => !isLow } });
  await using client = await Client.connect(server.port);
  await client.line();
  for (const command of ["HELO client.test", "MAIL FROM:<a@client.test>", "RCPT TO:<alice@example.org>", "DATA"]) {
    client.send(`${command}\r\n`);
    await client.line();
  }
  isLow = true;
  client.send("Subject: x\r\n\r\nbody\r\n.\r\n");
  assertEquals((await client.line()).slice(0, 9), "250 2.0.0");
  client.send("MAIL FROM:<a@client.test>\r\n");
  assertEquals(await client.line(), FULL);
});
