/** The actions of `queue` that show things or change more than messages: show, why, suspend, destinations, drain. */

import { assertEquals, assertMatch, assertRejects } from "@std/assert";
import { AdminError } from "../../../../lib/admin/client.ts";
import { CommandError } from "../../../../lib/cli/command_error.ts";
import { UsageError } from "../../../../lib/cli/command_line.ts";
import { destinations } from "../../../../lib/cli/queue/destinations.ts";
import { drain } from "../../../../lib/cli/queue/drain.ts";
import { show } from "../../../../lib/cli/queue/show.ts";
import { resume, suspend, suspensions } from "../../../../lib/cli/queue/suspend.ts";
import { why } from "../../../../lib/cli/queue/why.ts";
import type { SpoolEvent } from "../../../../lib/queue/spool.ts";
import { MemoryFiles } from "../../../support/memory_files.ts";
import { destination, fakeContext, flags } from "../../../support/queue_command.ts";
import { delayedEvent, openSpool, put, sampleEnvelope } from "../../../support/queue_samples.ts";

const CONTENT = "Subject: =?utf-8?q?x?=\r\n\tfolded\r\nX-Evil: \x1b[2J\r\n\r\nbody\r\n";

async function sample(
  events: readonly SpoolEvent[] = [],
  recipients: readonly string[] = ["bob@x.example", "eve@y.example"],
): Promise<{ files: MemoryFiles; id: string }> {
  const files = new MemoryFiles();
  await using spool = await openSpool(files);
  const envelope = sampleEnvelope(recipients, { ret: "HDRS", envid: "abc" });
  const { queueId } = await put(spool, envelope, new TextEncoder().encode(CONTENT));
  if (events.length > 0) await spool.append(queueId, events);
  return { files, id: queueId };
}

const HELD: SpoolEvent = { event: "held", at: "2026-01-01T01:00:00.000Z" };

Deno.test("show tells envelope, recipients, every event, and the header without its control characters", async () => {
  const { files, id } = await sample([delayedEvent("450 4.2.0 later", [0, 1]), HELD]);
  const context = fakeContext({ files });
  assertEquals(await show(context, [id], flags()), 0);
  assertEquals(context.terminal.results, [
    `Message ${id}, held by an operator`,
    "  Sender   <alice@example.net>",
    "  Arrived  2026-01-01T00:00:00.000Z, 4 h ago",
    `  Size     ${CONTENT.length} octets`,
    "  Session  by ESMTP, from client.example [192.0.2.1]",
    "  Options  8BITMIME, RET=HDRS, ENVID=abc",
    "Recipients",
    "    <bob@x.example> held after 1 attempt: 450 4.2.0 later",
    "    <eve@y.example> held after 1 attempt: 450 4.2.0 later",
    "History",
    "  2026-01-01T00:00:00.000Z accepted",
    "  2026-01-01T00:00:01.000Z delayed for <bob@x.example>, <eve@y.example> by mx.example.org: 450 4.2.0 later (4.2.0); " +
    "next attempt 2026-01-01T00:05:01.000Z",
    "  2026-01-01T01:00:00.000Z held by an operator",
    "Header",
    "  Received: from client.example by mail.example.org; Thu, 1 Jan 2026 00:00:00 +0000",
    "  Subject: =?utf-8?q?x?=",
    "  \tfolded",
    "  X-Evil: \\x1b[2J",
  ]);
});

Deno.test("show --json has envelope, history with addresses, and header", async () => {
  const { files, id } = await sample([delayedEvent("450 4.2.0 later", [1])]);
  const context = fakeContext({ files, isJson: true });
  await show(context, [id], flags());
  const shown = context.json() as Readonly<Record<string, unknown>>;
  assertEquals([shown["id"], (shown["envelope"] as { envid: string }).envid], [id, "abc"]);
  assertEquals((shown["history"] as { recipients: string[] }[])[0]?.recipients, ["eve@y.example"]);
  assertMatch(String(shown["header"]), /^Received: .*\r\nSubject: .*\r\n\tfolded\r\nX-Evil: \x1b\[2J\r\n$/);
});

Deno.test("show --content gives the octets as they came, --raw with the trace in front", async () => {
  const { files, id } = await sample();
  const text = async (flag: string): Promise<string> => {
    const context = fakeContext({ files });
    await show(context, [id], flags({ [flag]: true }));
    return String.fromCharCode(...context.terminal.octets);
  };
  assertEquals(await text("content"), CONTENT);
  assertEquals(await text("raw"), sampleEnvelope().trace + CONTENT);
});

Deno.test("a message that is not there, and what is no id, end with 65", async () => {
  const context = fakeContext();
  const errors = await Promise.all(
    ["2tb1k9q7x0m2had4", "x"].map((id) => assertRejects(() => show(context, [id], flags()), CommandError)),
  );
  assertEquals(errors.map(({ exitCode }) => exitCode), [65, 65]);
  await assertRejects(() => show(context, [], flags()), UsageError);
});

Deno.test("why says a sentence for each recipient, or for one", async () => {
  const { files, id } = await sample([delayedEvent("450 4.2.0 later", [0]), HELD]);
  const all = fakeContext({ files });
  await why(all, [id], flags());
  assertEquals(all.terminal.results, [
    "bob@x.example: held by an operator since 01:00 UTC, until it is released.",
    "eve@y.example: held by an operator since 01:00 UTC, until it is released.",
  ]);
  const one = fakeContext({ files, isJson: true });
  await why(one, [id], flags({ recipient: "EVE@y.example" }));
  assertEquals(one.json(), {
    id,
    recipients: [{
      address: "eve@y.example",
      state: "waiting",
      why: "held by an operator since 01:00 UTC, until it is released.",
    }],
  });
  await assertRejects(() => why(one, [id], flags({ recipient: "dan@x.example" })), CommandError, "has no recipient");
});

Deno.test("why uses what the running server knows of destinations, and local mail is not suspended by *", async () => {
  const { files, id } = await sample([], ["bob@x.example", "eve@y.example"]);
  const context = fakeContext({
    files,
    now: "2026-01-01T00:10:00Z",
    localAddresses: ["eve@y.example"],
    server: {
      suspensions: () => Promise.resolve([{ pattern: "*", reason: "", sinceMs: Date.parse("2026-01-01T00:05:00Z") }]),
      destinationsOf: () => Promise.resolve(new Map([["bob@x.example", "google"]])),
      destinations: () => Promise.resolve([destination("google", { state: "down" })]),
    },
  });
  await why(context, [id], flags());
  assertEquals(context.terminal.results, [
    "bob@x.example: all remote mail is suspended by an operator since 00:05 UTC, until it is resumed; " +
    "given up on 6 Jan 00:00 UTC.",
    "eve@y.example: is being delivered just now (attempt 1); given up on 6 Jan 00:00 UTC.",
  ]);
});

Deno.test("suspend, suspensions and resume work on a stopped server's files", async () => {
  const { files } = await sample();
  const context = fakeContext({ files });
  await suspend(context, ["X.example"], flags({ reason: "maintenance" }));
  await suspend(context, ["x.example"], flags());
  await suspensions(context, [], flags());
  await resume(context, ["x.example"], flags());
  await resume(context, ["x.example"], flags());
  assertEquals(context.terminal.results, [
    "x.example: suspended",
    "x.example: suspended already; nothing was changed",
    "x.example since 04:00 UTC: maintenance",
    "x.example: resumed",
    "x.example: was not suspended; nothing was changed",
  ]);
  await suspensions(context, [], flags());
  assertEquals(context.terminal.told, ["Nothing is suspended"]);
});

Deno.test("destinations are a table, what is wrong first, or JSON; without a server an error", async () => {
  const server = {
    destinations: () =>
      Promise.resolve([
        destination("smtp:127.0.0.1:25", { running: 2 }),
        destination("google", {
          state: "down",
          waiting: 7,
          concurrency: 1,
          sinceMs: Date.parse("2026-01-01T03:00:00Z"),
          probeMs: Date.parse("2026-01-01T04:05:00Z"),
          reason: "421 4.7.0 Try again\x07",
        }),
      ]),
  };
  const context = fakeContext({ server });
  await destinations(context, [], flags());
  assertEquals(context.terminal.results, [
    "DESTINATION       STATE      RUNNING  LIMIT  WAITING  DETAIL",
    "google            down             0      1        7  since 03:00 UTC, probed at 04:05 UTC, 421 4.7.0 Try again\\x07",
    "smtp:127.0.0.1:25 open             2     20        0",
    "2 destinations",
  ]);
  const script = fakeContext({ server, isJson: true });
  await destinations(script, [], flags());
  assertEquals((script.json() as { since?: string }[])[0]?.since, "2026-01-01T03:00:00.000Z");
  await assertRejects(() => destinations(fakeContext(), [], flags()), AdminError, "needs a running server");
});

Deno.test("drain refuses new mail, tries what waits but is not held, and watches until the queue is empty", async () => {
  const { files, id } = await sample();
  const held = await (async (): Promise<string> => {
    await using spool = await openSpool(files);
    const { queueId } = await put(spool, sampleEnvelope(["kim@z.example"]));
    await spool.append(queueId, [HELD]);
    return queueId;
  })();
  const asked: string[] = [];
  let [looks, isDraining] = [0, false];
  const context = fakeContext({
    files,
    server: {
      drain: (wanted) => {
        isDraining = wanted;
        return Promise.resolve({ isDraining, active: 0, scheduled: 2 });
      },
      change: (change, ids) => {
        asked.push(...ids.map((each) => `${change.action} ${each}`));
        return Promise.resolve(ids.map((each) => ({ id: each, result: "done" })));
      },
      status: async () => {
        looks++;
        if (looks === 3) await files.remove(`/data/spool/queue/${id.slice(-2)}/${id}`);
        return { isDraining, active: looks < 3 ? 1 : 0, scheduled: 1 };
      },
    },
  });
  const draining = drain(context, [], flags());
  for (let i = 0; i < 2; i++) {
    await context.clock.untilSleeping();
    await context.clock.advance(1_000);
  }
  assertEquals(await draining, 0);
  assertEquals([asked, isDraining, held === id], [[`retry ${id}`], true, false]);
  assertEquals(context.terminal.told.slice(1), [
    "Trying 1 message now; 1 held stay",
    "2 messages left: 1 being delivered, 1 wait",
    "1 message left: 0 being delivered, 1 wait",
    "What is left is held, and stays",
  ]);
  await drain(context, [], flags({ off: true }));
  assertEquals(isDraining, false);
});

Deno.test("drain needs a running server", async () => {
  await assertRejects(() => drain(fakeContext(), [], flags()), AdminError, "queue drain needs a running server");
});
