import { assertEquals, assertMatch, assertRejects } from "@std/assert";
import type { ChangeResult, QueueChange } from "../../../../lib/admin/protocol.ts";
import type { RunningQueue } from "../../../../lib/admin/queue_access.ts";
import { change } from "../../../../lib/cli/queue/change.ts";
import { CommandError } from "../../../../lib/cli/command_error.ts";
import { UsageError } from "../../../../lib/cli/command_line.ts";
import { listQueueIds, readMessage } from "../../../../lib/queue/list_spool.ts";
import { MemoryFiles } from "../../../support/memory_files.ts";
import { FakeClock } from "../../../support/fake_clock.ts";
import { type FakeContext, fakeContext, type FakeContextOptions, flags } from "../../../support/queue_command.ts";
import { openSpool, put, sampleContent, sampleEnvelope } from "../../../support/queue_samples.ts";

interface Sample {
  readonly files: MemoryFiles;
  readonly ids: readonly string[];
}

async function sample(): Promise<Sample> {
  const files = new MemoryFiles();
  const clock = new FakeClock();
  await using spool = await openSpool(files, { clock });
  const ids: string[] = [];
  for (const domain of ["x.example", "x.example", "y.example"]) {
    ids.push((await put(spool, sampleEnvelope([`bob@${domain}`]), sampleContent(500))).queueId);
    await clock.advance(1000);
  }
  return { files, ids };
}

async function heldIds({ files, ids }: Sample): Promise<string[]> {
  const held = await Promise.all(ids.map(async (id) => (await readMessage(files, "/data/spool", id))?.message.isHeld));
  return ids.filter((_, at) => held[at]);
}

async function run(
  given: Readonly<Record<string, string | true>>,
  words: readonly string[] = [],
  { answer, action = "hold", made, ...options }: FakeContextOptions & {
    readonly answer?: boolean;
    readonly action?: QueueChange["action"];
    readonly made?: Sample;
  } = {},
): Promise<{ context: FakeContext; code: number; made: Sample }> {
  const found = made ?? await sample();
  const context = fakeContext({ files: found.files, ...options });
  context.terminal.answer = answer;
  return { context, code: await change(context, action, words, flags(given)), made: found };
}

Deno.test("one message is changed without a question", async () => {
  const made = await sample();
  const [id = ""] = made.ids;
  const { context, code } = await run({}, [id], { made });
  assertEquals([code, context.terminal.results, context.terminal.told], [0, [`${id}: held`], ["1 message held"]]);
  assertEquals(await heldIds(made), [id]);
});

Deno.test("several are changed after a yes; the question says how many, how large, how old", async () => {
  const { context, made, code } = await run({ domain: "x.example" }, [], { answer: true });
  assertEquals(context.terminal.questions, ["Hold 2 messages (1000 B, the oldest came 4 h ago)?"]);
  assertEquals([code, await heldIds(made)], [0, made.ids.slice(0, 2)]);
});

Deno.test("a no changes nothing", async () => {
  const { context, made, code } = await run({ all: true }, [], { answer: false });
  assertEquals([code, context.terminal.told, await heldIds(made)], [0, ["Nothing was changed"], []]);
});

Deno.test("without a terminal, several need --yes: 64, and nothing is changed", async () => {
  const made = await sample();
  const error = await assertRejects(() => run({ all: true }, [], { made }), CommandError);
  assertEquals(error.exitCode, 64);
  assertMatch(error.message, /^queue hold would change 3 messages .*: add --yes, or --dry-run/);
  assertEquals(await heldIds(made), []);
  await run({ all: true, yes: true }, [], { made });
  assertEquals(await heldIds(made), made.ids);
});

Deno.test("several ids are asked about, too", async () => {
  const made = await sample();
  const error = await assertRejects(() => run({}, made.ids.slice(0, 2), { made }), CommandError);
  assertEquals(error.exitCode, 64);
  const { context } = await run({ yes: true }, [...made.ids, ...made.ids], { made });
  assertEquals(context.terminal.told, ["3 messages held"], "each id once");
});

Deno.test("--dry-run shows what would be changed, and changes nothing", async () => {
  const { context, made, code } = await run({ all: true, "dry-run": true });
  assertEquals([code, context.terminal.results, await heldIds(made)], [0, made.ids, []]);
  assertMatch(context.terminal.told[0] ?? "", /^hold would change 3 messages .*; nothing was changed$/);
});

Deno.test("an id that is not there is told, and ends with 65; the others are changed", async () => {
  const made = await sample();
  const [id = ""] = made.ids;
  const { context, code } = await run({ yes: true }, [id, "2tb1k9q7x0m2had4"], { made });
  assertEquals(context.terminal.results, [
    `${id}: held`,
    "2tb1k9q7x0m2had4: unknown: there is no such message in the queue",
  ]);
  assertEquals([code, context.terminal.told], [65, ["1 message held, 1 unknown"]]);
});

Deno.test("what is no id is refused before anything happens", async () => {
  const error = await assertRejects(() => run({}, ["../lock"]), CommandError, '"../lock" is no queue id');
  assertEquals(error.exitCode, 65);
});

/** A server that answers each id in turn. */
function answering(...results: readonly ChangeResult["result"][]): Partial<RunningQueue> {
  return {
    change: (_, ids) =>
      Promise.resolve(
        ids.map((id, at) => ({
          id,
          result: results[at] ?? "done",
          ...(results[at] === "error" && { reason: "disk" }),
        })),
      ),
  };
}

Deno.test("a running server is asked, not the files; what is busy ends with 75", async () => {
  const { context, made, code } = await run({ all: true, yes: true }, [], {
    server: answering("done", "busy", "done"),
  });
  assertEquals([code, context.terminal.told, await heldIds(made)], [75, ["2 messages held, 1 busy, try again"], []]);
  assertEquals(context.terminal.results[1], `${made.ids[1]}: busy: it is being delivered just now`);
});

Deno.test("what was found by a filter and has gone meanwhile is no mistake", async () => {
  const { context, code } = await run({ all: true, yes: true }, [], { server: answering("unknown") });
  assertEquals([code, context.terminal.told], [0, ["2 messages held, 1 gone meanwhile"]]);
});

Deno.test("an error of one message is told, and ends with 69", async () => {
  const { context, code } = await run({ all: true, yes: true }, [], { server: answering("done", "error") });
  assertEquals([code, context.terminal.told], [69, ["2 messages held, 1 with errors"]]);
  assertMatch(context.terminal.results[1] ?? "", /: error: disk$/);
});

Deno.test("scripts get the results as JSON", async () => {
  const { context, made } = await run({ all: true, yes: true }, [], {
    isJson: true,
    server: answering("done", "busy"),
  });
  assertEquals(context.json(), {
    action: "hold",
    done: 2,
    busy: 1,
    unknown: 0,
    error: 0,
    results: made.ids.map((id, at) => ({ id, result: at === 1 ? "busy" : "done" })),
  });
});

Deno.test("fail gives the reason to the queue, and remove removes", async () => {
  const changes: QueueChange[] = [];
  const server: Partial<RunningQueue> = {
    change: (change, ids) => {
      changes.push(change);
      return Promise.resolve(ids.map((id) => ({ id, result: "done" })));
    },
  };
  const made = await sample();
  await run({ reason: "moved away" }, made.ids.slice(0, 1), { action: "fail", server, made });
  assertEquals(changes, [{ action: "fail", reason: "moved away" }]);
  await run({ domain: "x.example", yes: true }, [], { action: "remove", made });
  assertEquals(await listQueueIds(made.files, "/data/spool"), made.ids.slice(2));
});

for (
  const [what, given, words] of [
    ["neither ids nor filters nor --all", {}, []],
    ["ids and filters", { domain: "x.example" }, ["2tb1k9q7x0m2had4"]],
    ["ids and --all", { all: true }, ["2tb1k9q7x0m2had4"]],
    ["filters and --all", { all: true, domain: "x.example" }, []],
    ["a reason for hold", { all: true, reason: "x" }, []],
  ] as const
) {
  Deno.test(`${what}: refused as a wrong command line`, async () => {
    await assertRejects(() => run(given, words), UsageError);
  });
}
