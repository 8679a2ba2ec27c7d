import { assertEquals, assertMatch, assertRejects } from "@std/assert";
import { queueSubmit } from "../../../lib/reports/submit.ts";
import { FakeClock } from "../../support/fake_clock.ts";
import { MemorySpool } from "../../support/memory_spool.ts";

const CONTENT = new TextEncoder().encode("From: postmaster@example.org\r\n\r\nhello\r\n");
const REPORT = { from: "postmaster@example.org", to: "rua@example.com", content: CONTENT };

Deno.test("A report is queued as mail of ours that nobody hears of when it fails, with a signature in front", async () => {
  const spool = new MemorySpool();
  const queued: string[] = [];
  const submit = queueSubmit({
    spool,
    clock: new FakeClock("2026-03-02T01:00:00Z"),
    hostname: "mail.example.org",
    enqueue: ({ queueId }) => queued.push(queueId),
    sign: (content, domain) => Promise.resolve(`DKIM-Signature: d=${domain}; l=${content.length}\r\n`),
  });
  await submit(REPORT);
  const [message] = spool.messages;
  assertEquals(queued, [message?.queueId]);
  assertEquals(message?.content.inMemory, CONTENT);
  assertEquals(message?.envelope.reversePath, "postmaster@example.org");
  assertEquals(message?.envelope.recipients, [{ address: "rua@example.com", notify: "never" }]);
  assertMatch(
    message?.envelope.trace ?? "",
    /^Received: by mail\.example\.org .*\r\nDKIM-Signature: d=example\.org; l=39\r\n$/,
  );
  assertEquals(spool.openReceptions, 0);
});

Deno.test("A report that says that TLS is optional goes out so", async () => {
  const spool = new MemorySpool();
  const submit = queueSubmit({ spool, clock: new FakeClock(), hostname: "mail.example.org", enqueue: () => {} });
  for (const field of ["", "TLS-Required: No\r\n"]) {
    await submit({ ...REPORT, content: new TextEncoder().encode(`From: a@example.org\r\n${field}\r\nhello\r\n`) });
  }
  assertEquals(spool.messages.map(({ envelope }) => envelope.isTlsOptional), [undefined, true]);
});

Deno.test("A report that cannot be made durable is refused, and nothing is left of it", async () => {
  const spool = new MemorySpool();
  spool.faults.commit = new Error("no room");
  const submit = queueSubmit({ spool, clock: new FakeClock(), hostname: "mail.example.org", enqueue: () => {} });
  await assertRejects(() => submit(REPORT), Error, "no room");
  assertEquals([spool.messages.length, spool.openReceptions], [0, 0]);
});
