import { assert, assertEquals, assertRejects } from "@std/assert";
import { getLogger } from "@logtape/logtape";
import { openSuspensions, parsePattern, type SuspensionStore } from "../../../lib/queue/suspensions.ts";
import { FakeClock } from "../../support/fake_clock.ts";
import { diskFull, MemoryFiles } from "../../support/memory_files.ts";
import { catchLog } from "../../support/queue_samples.ts";

const folder = "/data/spool";

async function emptyFiles(): Promise<MemoryFiles> {
  const files = new MemoryFiles();
  await files.makeFolder(folder);
  for (const path of ["/", "/data"]) {
    const opened = await files.open(path, { read: true });
    await opened.sync();
    opened.close();
  }
  return files;
}

function open(files: MemoryFiles, logger = getLogger(["test"])): Promise<SuspensionStore> {
  return openSuspensions({ files, folder, clock: new FakeClock(), logger });
}

Deno.test("a suspension outlives a power loss once add has resolved, and its end does, too", async () => {
  const files = await emptyFiles();
  const store = await open(files);
  assertEquals(await store.add("google", "their wish"), true);
  const expected = [{ pattern: "google", reason: "their wish", sinceMs: Date.parse("2026-01-01T00:00:00Z") }];
  const lost = files.afterCrash(() => false);
  const again = await open(lost);
  assertEquals(again.list(), expected);
  assertEquals(await again.remove("google"), true);
  assertEquals((await open(lost.afterCrash(() => false))).list(), []);
});

Deno.test("what is suspended already keeps its reason, and what is not cannot be resumed", async () => {
  const store = await open(await emptyFiles());
  await store.add("x.example", "first");
  assertEquals(await store.add("x.example", "second"), false);
  assertEquals(store.list().map(({ reason }) => reason), ["first"]);
  assertEquals(await store.remove("y.example"), false);
});

Deno.test("a full disk suspends nothing, says so, and the next try succeeds", async () => {
  const files = await emptyFiles();
  const store = await open(files);
  files.fault = ({ name }) => {
    if (name === "write") throw diskFull();
  };
  await assertRejects(() => store.add("x.example", ""), Error, "No space left");
  assertEquals(store.matches("mx", "x.example"), undefined);
  files.fault = undefined;
  assertEquals(await store.add("x.example", ""), true);
  assert(store.matches("mx", "x.example"));
});

Deno.test("changes at the same time are all kept", async () => {
  const files = await emptyFiles();
  const store = await open(files);
  await Promise.all(["a.example", "b.example", "c.example"].map((pattern) => store.add(pattern, "")));
  assertEquals((await open(files)).list().map(({ pattern }) => pattern), ["a.example", "b.example", "c.example"]);
});

const cases: readonly [patterns: readonly string[], destination: string, domain: string, match: string | undefined][] =
  [
    [["google"], "google", "gmail.example", "google"],
    [["google"], "GOOGLE", "gmail.example", "google"],
    [["gmail.example"], "google", "gmail.example", "gmail.example"],
    [["gmail.example"], "google", "other.example", undefined],
    [["*.example"], "mx", "a.b.example", "*.example"],
    [["*.b.example", "*.example"], "mx", "a.b.example", "*.b.example"],
    [["*.b.example"], "mx", "b.example", undefined],
    [["*"], "mx", "anything.test", "*"],
    [["*", "anything.test"], "mx", "anything.test", "anything.test"],
    [["smtp://smarthost.example:587"], "smtp://smarthost.example:587", "x.test", "smtp://smarthost.example:587"],
    [[], "mx", "x.test", undefined],
  ];
for (const [patterns, destination, domain, match] of cases) {
  Deno.test(`suspended [${patterns}]: ${domain} at ${destination} is kept back by ${match ?? "nothing"}`, async () => {
    const store = await open(await emptyFiles());
    for (const pattern of patterns) await store.add(pattern, "");
    assertEquals(store.matches(destination, domain)?.pattern, match);
  });
}

Deno.test("patterns have one spelling; what is none is refused", () => {
  const spellings = ["Example.ORG", "*.Bücher.example", "*", "smtp://Host:25", "192.0.2.1", "x.example."].map(
    parsePattern,
  );
  assertEquals(spellings, ["example.org", "*.xn--bcher-kva.example", "*", "smtp://host:25", "192.0.2.1", "x.example"]);
  const wrong = ["", "a b", "a.*.example", "**", "*.", "x\n", "x".repeat(301)].map(parsePattern);
  assertEquals(wrong, wrong.map(() => undefined));
});

Deno.test("a line of the file that cannot be understood is passed over with a warning, and the others count", async () => {
  const files = await emptyFiles();
  const good = '{"pattern":"x.example","reason":"","since":"2026-01-01T00:00:00.000Z"}';
  files.overwrite(`${folder}/suspensions`, new TextEncoder().encode(`{"pattern":\n${good}\n{"pattern":"y"}\n`));
  await using log = await catchLog();
  const store = await open(files, log.logger);
  assertEquals(store.list().map(({ pattern }) => pattern), ["x.example"]);
  assertEquals(log.lines.map((line) => line.slice(0, 7)), ["Line 1 ", "Line 3 "]);
});
