import { assertEquals, assertRejects } from "@std/assert";
import { AdminError } from "../../../../lib/admin/client.ts";
import { list } from "../../../../lib/cli/queue/list.ts";
import { UsageError } from "../../../../lib/cli/command_line.ts";
import { MemoryFiles } from "../../../support/memory_files.ts";
import { FakeClock } from "../../../support/fake_clock.ts";
import { type FakeContext, fakeContext, type FakeContextOptions, flags } from "../../../support/queue_command.ts";
import { delayedEvent, openSpool, put, sampleContent, sampleEnvelope } from "../../../support/queue_samples.ts";

/** Three messages, a second apart; the second is delayed, the third held. */
async function sample(): Promise<{ files: MemoryFiles; ids: readonly string[] }> {
  const files = new MemoryFiles();
  const clock = new FakeClock();
  await using spool = await openSpool(files, { clock });
  const ids: string[] = [];
  const mails = [
    { to: ["bob@x.example"], from: "zoe@example.net", octets: 100 },
    { to: ["eve@y.example", "dan@x.example"], from: "amy@example.net", octets: 5000 },
    { to: ["kim@z.example"], from: "", octets: 700 },
  ];
  for (const { to, from, octets } of mails) {
    const arrived = new Date(clock.now()).toISOString();
    const message = await put(spool, sampleEnvelope(to, { reversePath: from, arrived }), sampleContent(octets));
    ids.push(message.queueId);
    await clock.advance(1000);
  }
  await spool.append(ids[1] ?? "", [delayedEvent("450 4.2.0 later", [0, 1])]);
  await spool.append(ids[2] ?? "", [{ event: "held", at: "2026-01-01T01:00:00.000Z" }]);
  return { files, ids };
}

async function run(
  given: Readonly<Record<string, string | true>> = {},
  options: FakeContextOptions = {},
): Promise<{ context: FakeContext; ids: readonly string[] }> {
  const { files, ids } = await sample();
  const context = fakeContext({ files, now: "2026-01-01T00:02:00Z", ...options });
  assertEquals(await list(context, [], flags(given)), 0);
  return { context, ids };
}

/** The numbers of the messages in the order they were shown. */
async function order(given: Readonly<Record<string, string | true>>): Promise<number[]> {
  const { context, ids } = await run(given, { isJson: true });
  return (context.json() as { readonly id: string }[]).map(({ id }) => ids.indexOf(id));
}

Deno.test("people see a line for each message, its recipients, and a sum", async () => {
  const { context: { terminal }, ids } = await run();
  assertEquals(terminal.results, [
    "ID                   AGE     SIZE  SENDER, RECIPIENTS",
    `${ids[0]}   2 min    100 B  <zoe@example.net>`,
    "    <bob@x.example> attempt 1 now",
    `${ids[1]}   119 s  4.9 KiB  <amy@example.net>`,
    "    <eve@y.example> attempt 2 at 00:05 UTC: 450 4.2.0 later",
    "    <dan@x.example> attempt 2 at 00:05 UTC: 450 4.2.0 later",
    `${ids[2]}   118 s    700 B  <> held`,
    "    <kim@z.example> held after 0 attempts",
    "3 messages, 5.7 KiB, the oldest came 2 min ago",
  ]);
});

Deno.test("scripts see the array of the contract", async () => {
  const { context, ids } = await run({ domain: "y.example" }, { isJson: true });
  const recipient = {
    state: "waiting",
    attempts: 1,
    nextAttempt: "2026-01-01T00:05:01.000Z",
    lastReply: "450 4.2.0 later",
    status: "4.2.0",
    replyClass: null,
    host: "mx.example.org",
  };
  assertEquals(context.json(), [{
    id: ids[1],
    reversePath: "amy@example.net",
    arrived: "2026-01-01T00:00:01.000Z",
    octets: 5000,
    recipients: [{ address: "eve@y.example", ...recipient }, { address: "dan@x.example", ...recipient }],
    held: false,
  }]);
});

for (
  const [given, expected] of [
    [{}, [0, 1, 2]],
    [{ reverse: true }, [2, 1, 0]],
    [{ limit: "2" }, [0, 1]],
    [{ limit: "1", reverse: true }, [2]],
    [{ sort: "size" }, [0, 2, 1]],
    [{ sort: "size", reverse: true, limit: "1" }, [1]],
    [{ sort: "sender" }, [2, 1, 0]],
    [{ sort: "attempts", reverse: true }, [1, 0, 2]],
    [{ sort: "next" }, [0, 2, 1]],
    [{ sort: "domain" }, [0, 1, 2]],
    [{ state: "held" }, [2]],
    [{ sender: "<>" }, [2]],
    [{ domain: "nowhere.example" }, []],
  ] as const
) {
  Deno.test(`queue list ${JSON.stringify(given)} shows ${expected.join(", ") || "nothing"}`, async () => {
    assertEquals(await order(given), [...expected]);
  });
}

Deno.test("with a limit, messages behind it are not read, but for a few that are read ahead", async () => {
  const files = new MemoryFiles();
  {
    const clock = new FakeClock();
    await using spool = await openSpool(files, { clock });
    for (let i = 0; i < 100; i++) {
      await put(spool);
      clock.setWall(clock.now() + 1000);
    }
  }
  const context = fakeContext({ files });
  let opened = 0;
  files.fault = ({ name }) => {
    if (name === "open") opened++;
  };
  await list(context, [], flags({ limit: "5" }));
  assertEquals([context.terminal.results.length, opened], [12, 21]);
});

Deno.test("messages of one second come in the order of their arrival, too", async () => {
  const files = new MemoryFiles();
  const ids: string[] = [];
  {
    await using spool = await openSpool(files);
    for (let i = 0; i < 20; i++) {
      const arrived = `2026-01-01T00:00:00.${String(100 + i)}Z`;
      ids.push((await put(spool, sampleEnvelope(["bob@x.example"], { arrived }))).queueId);
    }
  }
  for (const [isReverse, expected] of [[false, ids], [true, [...ids].reverse()]] as const) {
    const context = fakeContext({ files, isJson: true });
    await list(context, [], flags(isReverse ? { reverse: true } : {}));
    assertEquals((context.json() as { readonly id: string }[]).map(({ id }) => id), expected);
  }
});

Deno.test("an empty queue is told to people, and is an empty list for scripts", async () => {
  const people = fakeContext();
  await list(people, [], flags());
  assertEquals([people.terminal.results, people.terminal.told], [[], ["There is no such message in the queue"]]);
  const script = fakeContext({ isJson: true });
  await list(script, [], flags());
  assertEquals(script.terminal.results, ["[]"]);
});

Deno.test("totals are by the destinations of a running server, else by domain", async () => {
  const stopped = (await run({ totals: true }, { isJson: true })).context.json() as {
    destination: string;
    messages: number;
  }[];
  assertEquals(stopped.map(({ destination, messages }) => [destination, messages]), [
    ["x.example", 2],
    ["y.example", 1],
    ["z.example", 1],
  ]);
  const asked: string[] = [];
  const { context } = await run({ totals: true }, {
    isJson: true,
    server: {
      destinationsOf: (addresses) => {
        asked.push(...addresses);
        return Promise.resolve(new Map(addresses.filter((a) => !a.includes("z.")).map((a) => [a, "google"])));
      },
    },
  });
  assertEquals(context.json(), [
    {
      destination: "google",
      messages: 2,
      recipients: 3,
      octets: 5100,
      held: 0,
      oldest: "2026-01-01T00:00:00.000Z",
      nextAttempt: "2026-01-01T00:00:00.000Z",
      lastReply: "450 4.2.0 later",
    },
    {
      destination: "z.example",
      messages: 1,
      recipients: 1,
      octets: 700,
      held: 1,
      oldest: "2026-01-01T00:00:02.000Z",
      nextAttempt: null,
      lastReply: null,
    },
  ]);
  assertEquals(asked.length, 3, "one address of each domain");
});

Deno.test("totals for people have a line for each destination", async () => {
  const { context: { terminal } } = await run({ totals: true });
  assertEquals(terminal.results, [
    "DESTINATION MESSAGES RECIPIENTS  OLDEST  NEXT ATTEMPT         LAST REPLY",
    "x.example          2          2   2 min  now                  450 4.2.0 later",
    "y.example          1          1   119 s  00:05 UTC            450 4.2.0 later",
    "z.example          1          1   118 s  held",
    "3 destinations, 4 recipients",
  ]);
});

Deno.test("--destination asks the running server, and is an error without one", async () => {
  await assertRejects(() => run({ destination: "google" }), AdminError, "needs a running server");
  const server = {
    destinationsOf: (addresses: readonly string[]): Promise<Map<string, string>> =>
      Promise.resolve(new Map(addresses.filter((address) => address.endsWith("@z.example")).map((a) => [a, "google"]))),
  };
  const { context, ids } = await run({ destination: "google" }, { isJson: true, server });
  assertEquals((context.json() as { readonly id: string }[]).map(({ id }) => id), [ids[2]]);
});

Deno.test("list takes no ids", async () => {
  await assertRejects(() => list(fakeContext(), ["2tb1k9q7x0m2had4"], flags()), UsageError, "queue show ID");
});
