import { assertEquals } from "@std/assert";
import type { DeliveryRequest } from "../../../../lib/delivery/target.ts";
import { memoryContent } from "../../../../lib/mail/content.ts";
import type { Outcome } from "../../../../lib/mail/outcome.ts";
import { ReportWatch } from "../../../../lib/reports/received/watch.ts";
import { LogLines } from "../../../support/log_lines.ts";

const DELIVERED: Outcome = { action: "delivered", status: "2.0.0", text: "", isRemoteReply: false };
const DELAYED: Outcome = { action: "delayed", status: "4.2.0", text: "", isRemoteReply: false };

async function deliver(
  recipients: readonly { address: string; original?: string }[],
  outcome: Outcome,
): Promise<string[]> {
  const seen: string[] = [];
  const watch = new ReportWatch({
    addresses: new Set(["dmarc@example.org"]),
    takeIn: (octets) => {
      seen.push(new TextDecoder().decode(octets));
      return Promise.resolve({ kept: [], known: 0, problems: [] });
    },
    logger: new LogLines(),
  });
  const request = { queueId: "q1", content: memoryContent(new TextEncoder().encode("hello")), recipients };
  const outcomes = await watch.watching(() => Promise.resolve(recipients.map(() => outcome)))(
    request as unknown as DeliveryRequest,
  );
  assertEquals(outcomes.length, recipients.length);
  await watch[Symbol.asyncDispose]();
  return seen;
}

Deno.test("Mail for an address of reports is delivered, and then read", async () => {
  assertEquals(await deliver([{ address: "DMARC@example.org" }], DELIVERED), ["hello"]);
  assertEquals(await deliver([{ address: "alice@example.org", original: "dmarc@example.org" }], DELIVERED), ["hello"]);
});

Deno.test("Other mail is not read, nor is what has not arrived", async () => {
  assertEquals(await deliver([{ address: "alice@example.org" }], DELIVERED), []);
  assertEquals(await deliver([{ address: "dmarc@example.org" }], DELAYED), []);
});

Deno.test("Mail that waits to be read takes a bounded amount of memory, and what is too much is left to the operator", async () => {
  const log = new LogLines();
  const { promise, resolve } = Promise.withResolvers<void>();
  let seen = 0;
  const watch = new ReportWatch({
    addresses: new Set(["dmarc@example.org"]),
    takeIn: async () => {
      seen++;
      await promise;
      return { kept: [], known: 0, problems: [] };
    },
    logger: log,
  });
  const recipients = [{ address: "dmarc@example.org" }];
  const content = memoryContent(new Uint8Array(20 * 2 ** 20));
  const deliver = watch.watching(() => Promise.resolve([DELIVERED]));
  for (let i = 0; i < 5; i++) await deliver({ queueId: `q${i}`, content, recipients } as unknown as DeliveryRequest);
  resolve();
  await watch[Symbol.asyncDispose]();
  assertEquals(seen, 2);
  assertEquals(log.lines.filter((line) => line.includes("too many wait to be read")).length, 3);
});
