import { assert, assertEquals, assertMatch } from "@std/assert";
import { getLogger, type LogRecord } from "@logtape/logtape";
import { jsonFormatter, textFormatter } from "../../../lib/log/format.ts";
import { startLog } from "../../../lib/log/setup.ts";

const TIME = Date.parse("2026-11-23T15:22:29.123Z");

function record(
  rawMessage: string,
  properties: Record<string, unknown> = {},
  category = ["posthorn", "queue"],
): LogRecord {
  return { category, level: "info", message: [rawMessage], rawMessage, timestamp: TIME, properties };
}

function text(rawMessage: string, properties: Record<string, unknown> = {}): string {
  return textFormatter()(record(rawMessage, properties)).replace("2026-11-23T15:22:29.123Z info queue: ", "");
}

Deno.test("a text line has UTC time, level, category and the message with its fields; the others stand behind", () => {
  const line = textFormatter()(
    record("Delivered {id} to {recipient}", { id: "4f2a", recipient: "tim@example.org", took: "1.2 s", n: 3 }),
  );
  assertEquals(line, '2026-11-23T15:22:29.123Z info queue: Delivered 4f2a to tim@example.org took="1.2 s" n=3');
  assertMatch(textFormatter()(record("Started", {}, ["posthorn"])), /Z info main: Started$/);
  assertMatch(textFormatter()(record("x", {}, ["logtape", "meta"])), /Z info logtape\.meta: x$/);
});

Deno.test("a JSON line has time, level, category, message and fields", () => {
  const line = jsonFormatter()(record("Delivered {id}", { id: "4f2a", octets: 12, detail: { mx: ["a", "b"] } }));
  assertEquals(JSON.parse(line), {
    time: "2026-11-23T15:22:29.123Z",
    level: "info",
    category: "queue",
    message: "Delivered 4f2a",
    fields: { id: "4f2a", octets: 12, detail: { mx: ["a", "b"] } },
  });
});

Deno.test("no field can begin a new line, move the cursor or turn the text", () => {
  const evil = "a\r\n2026-11-23T15:22:29Z info queue: Delivered\x1b[2J\u202e\u2028\x85\0";
  const shown = "a\\r\\n2026-11-23T15:22:29Z info queue: Delivered\\x1b[2J\\u{202e}\\u{2028}\\x85\\x00";
  assertEquals(text("From {peer}", { peer: evil }), `From ${shown}`);
  assert(!/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u.test(text("x", { peer: evil, [evil]: 1 })));
  const json = jsonFormatter()(record("From {peer}", { peer: evil }));
  assert(!json.includes("\n"));
  assertEquals(JSON.parse(json).fields.peer, evil);
});

Deno.test("fields with the name of a secret are hidden at any depth, in text and JSON", () => {
  const fields = {
    password: "tiger",
    userPasswd: "tiger",
    AuthToken: "tiger",
    "client_secret": "tiger",
    privateKey: "tiger",
    smarthost: { host: "mx.example", password: "tiger", more: [{ apiKey: "tiger" }] },
  };
  for (
    const line of [text("Login {password} {AuthToken}", fields), jsonFormatter()(record("Login {password}", fields))]
  ) {
    assert(!line.includes("tiger"), line);
    assert(line.includes("[hidden]") && line.includes("mx.example"));
  }
});

Deno.test("values of any kind are shown, and none makes logging fail", () => {
  const loop: Record<string, unknown> = {};
  loop["self"] = loop;
  const cause = new Error("disk full");
  assertEquals(
    text("{a} {b} {c} {d}", { a: undefined, b: 1n, c: new Uint8Array(3), d: new Date(0) }),
    "- 1 3 octets 1970-01-01T00:00:00.000Z",
  );
  assertEquals(
    text("{e}", { e: new Error("Cannot write", { cause }) }),
    "Error: Cannot write; caused by Error: disk full",
  );
  assertMatch(
    text("{e}", { e: new TypeError("x is undefined") }),
    /^TypeError: x is undefined \(at .*log_test\.ts.*\)$/,
  );
  assertEquals(text("{loop}", { loop }), "[object that cannot be shown]");
  assertEquals(text("{{x}} {missing} 100%"), "{x} - 100%");
  assertEquals(text("{v}", { v: "x".repeat(5000) }).length, 2001);
  const json = JSON.parse(jsonFormatter()(record("x", { loop, n: 1n, e: cause, v: "x".repeat(5000), nan: NaN })));
  assertEquals([json.fields.loop, json.fields.n, json.fields.v.length], ["[object that cannot be shown]", "1", 2001]);
  assertMatch(json.fields.e.stack, /disk full/);
});

/** An output that keeps what is written, and takes it only when `open`. */
function output(): {
  lines(): string[];
  writes: number;
  block(): void;
  open(): void;
  write(octets: Uint8Array): Promise<number>;
} {
  let all = "";
  let gate = Promise.withResolvers<void>();
  gate.resolve();
  return {
    lines: () => all.split("\n").slice(0, -1),
    writes: 0,
    block: () => void (gate = Promise.withResolvers()),
    open: () => gate.resolve(),
    async write(octets): Promise<number> {
      this.writes++;
      await gate.promise;
      all += new TextDecoder().decode(octets);
      return octets.length;
    },
  };
}

// LogTape has one configuration for the program: the steps below follow each other in one test.
Deno.test("lines come out in order, in few writes, through changes of the settings, and the last ones at the end", async () => {
  const out = output();
  const logger = getLogger(["posthorn", "queue"]);
  {
    await using log = startLog({ level: "info", format: "text" }, out);
    for (let i = 0; i < 1000; i++) logger.info("Line {i}", { i });
    logger.debug("not shown");
    await log.flush();
    assertEquals(
      out.lines().map((line) => line.replace(/.*Line /, "")),
      Array.from({ length: 1000 }, (_, i) => String(i)),
    );
    assert(out.writes <= 2, `${out.writes} writes`);

    log.configure({ level: "debug", format: "json" });
    logger.with({ session: "s1" }).debug("now {what}", { what: "shown" });
    await log.flush();
    const shown = JSON.parse(out.lines().at(-1) ?? "");
    assertEquals([shown.message, shown.fields], ["now shown", { session: "s1", what: "shown" }]);

    const before = out.writes;
    logger.info("waits for others");
    assertEquals(out.writes, before);
    logger.error("cannot wait");
    assertEquals(out.writes, before + 1); // In the same turn of the event loop, with the line before it.
    logger.info("the last line");
  }
  assertMatch(out.lines().at(-1) ?? "", /the last line/);
  logger.error("nobody listens");
  assertMatch(out.lines().at(-1) ?? "", /the last line/);
});

Deno.test("while nobody reads the pipe, logging goes on in bounded memory and says afterwards what was lost", async () => {
  const out = output();
  await using log = startLog({ level: "info", format: "text" }, out);
  const logger = getLogger(["posthorn", "queue"]);
  out.block();
  logger.error("first");
  for (let i = 0; i < 100_000; i++) logger.info("Line {i}", { i });
  out.open();
  await log.flush();
  const lines = out.lines();
  const kept = lines.filter((line) => line.includes("Line ")).length;
  assert(kept > 1000 && kept < 30_000, `${kept} lines`);
  assertMatch(lines.at(-1) ?? "", new RegExp(`warning log: ${100_000 - kept} log lines were lost here`));
});

Deno.test("a closed standard error breaks nothing, and a stuck one does not hold up the end", async () => {
  const closed = { write: (): Promise<number> => Promise.reject(new Deno.errors.BrokenPipe("EPIPE")) };
  {
    await using log = startLog({ level: "info", format: "text" }, closed);
    getLogger("posthorn").error("lost");
    await log.flush();
    getLogger("posthorn").info("lost");
  }
  const stuck = output();
  stuck.block();
  const from = performance.now();
  {
    await using _ = startLog({ level: "info", format: "text" }, stuck);
    getLogger("posthorn").info("waits");
  }
  assert(performance.now() - from < 5000);
  stuck.open();
});
