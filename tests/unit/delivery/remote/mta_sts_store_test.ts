import { assertEquals, assertMatch } from "@std/assert";
import { parseStsPolicy, type StsPolicy } from "../../../../lib/delivery/remote/mta_sts_policy.ts";
import { StsStore } from "../../../../lib/delivery/remote/mta_sts_store.ts";
import { LogLines } from "../../../support/log_lines.ts";
import { diskFull, MemoryFiles } from "../../../support/memory_files.ts";

const FOLDER = "/data/mta-sts";

function policy(): StsPolicy {
  const reading = parseStsPolicy("version: STSv1\nmode: enforce\nmx: mx.test\nmax_age: 60");
  if (reading.kind === "invalid") throw new TypeError(reading.reason);
  return reading.policy;
}

const KEPT = { id: "1", fetchedMs: Date.parse("2026-01-01T00:00:00Z"), policy: policy() };

Deno.test("a policy is a small file that a person can read", async () => {
  const files = new MemoryFiles();
  const store = new StsStore({ files, folder: FOLDER, logger: new LogLines() });
  await store.save("a.test", KEPT);
  const text = new TextDecoder().decode(files.tree(FOLDER).get(`${FOLDER}/a.test.json`));
  assertEquals(
    text,
    '{"id":"1","fetched":"2026-01-01T00:00:00.000Z","policy":"version: STSv1\\nmode: enforce\\nmx: mx.test\\nmax_age: 60"}\n',
  );
  assertEquals(await new StsStore({ files, folder: FOLDER, logger: new LogLines() }).load("a.test"), KEPT);
});

Deno.test("an empty folder, and one that is not there, hold nothing and are no news", async () => {
  const log = new LogLines();
  assertEquals(await new StsStore({ files: new MemoryFiles(), folder: FOLDER, logger: log }).load("a.test"), undefined);
  assertEquals(log.lines, []);
});

Deno.test("a name that could lead out of the folder is not kept", async () => {
  const files = new MemoryFiles();
  const store = new StsStore({ files, folder: FOLDER, logger: new LogLines() });
  for (const domain of ["../spool/x", "..", "a/b.test", "", "[192.0.2.1]", "A.test", "a".repeat(252)]) {
    await store.save(domain, KEPT);
    assertEquals(await store.load(domain), undefined);
  }
});

Deno.test("beyond the bound the file that was written longest ago goes", async () => {
  const files = new MemoryFiles();
  const store = new StsStore({ files, folder: FOLDER, logger: new LogLines(), maxPolicies: 2 });
  for (const domain of ["a.test", "b.test", "a.test", "c.test"]) await store.save(domain, KEPT);
  assertEquals([...files.tree(FOLDER).keys()].sort(), ["a", "c"].map((name) => `${FOLDER}/${name}.test.json`));
});

Deno.test("a full disk is a warning, and nothing is thrown", async () => {
  const files = new MemoryFiles();
  const log = new LogLines();
  const store = new StsStore({
    files: { ...files, makeFolder: () => Promise.reject(diskFull()) } as unknown as MemoryFiles,
    folder: FOLDER,
    logger: log,
  });
  await store.save("a.test", KEPT);
  assertMatch(log.lines.at(-1) ?? "", /^warning: Cannot keep the MTA-STS policy of a\.test: /);
});
