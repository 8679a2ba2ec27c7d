import { assertEquals } from "@std/assert";
import { Client } from "../../support/conversation.ts";
import { startInbound } from "../../support/inbound_server.ts";

const NO_MAIL = "This server takes no new mail for now; try again later";

for (const service of ["mx", "submission", "lmtp"] as const) {
  Deno.test(`while draining, a new ${service} session is refused with 421 4.3.2, and MAIL in an open one with 451 4.3.2`, async () => {
    let isDraining = false;
    await using server = await startInbound({
      service,
      tls: "off",
      relayFrom: ["127.0.0.1"],
      isDraining: () => isDraining,
    });
    await using open = await Client.connect(server.port);
    await open.line();
    open.send(`${service === "lmtp" ? "LHLO" : "EHLO"} client.test\r\n`);
    await open.reply();
    isDraining = true;
    open.send("MAIL FROM:<bob@client.test>\r\n");
    assertEquals(await open.line(), `451 4.3.2 ${NO_MAIL}`);
    await using late = await Client.connect(server.port);
    assertEquals(await late.line(), `421 4.3.2 ${NO_MAIL}`);
    isDraining = false;
    open.send("MAIL FROM:<bob@client.test>\r\n");
    assertEquals(await open.line(), "250 2.1.0 Sender OK");
  });
}

Deno.test("a transaction that was begun before the draining is finished", async () => {
  let isDraining = false;
  await using server = await startInbound({ isDraining: () => isDraining });
  await using client = await Client.connect(server.port);
  await client.line();
  for (const step of ["HELO client.test", "MAIL FROM:<bob@client.test>", "RCPT TO:<alice@example.org>"]) {
    client.send(`${step}\r\n`);
    await client.line();
  }
  isDraining = true;
  client.send("DATA\r\n");
  await client.line();
  client.send("Subject: x\r\n\r\nx\r\n.\r\n");
  assertEquals((await client.line()).slice(0, 10), "250 2.0.0 ");
  assertEquals(server.spool.messages.length, 1);
});
