import { assertEquals, assertMatch } from "@std/assert";
import { type Api, makeApi } from "../../../lib/admin/api.ts";
import { MAX_ITEMS } from "../../../lib/admin/protocol.ts";
import type { ControlResult, QueueControl } from "../../../lib/queue/queue_control.ts";
import { catchLog } from "../../support/queue_samples.ts";

/** A queue that notes what it is asked, and knows three messages: a free one, a busy one, and one on a broken disk. */
function fakeControl(calls: string[] = []): QueueControl {
  const on = (action: string) => (id: string, ...more: string[]): Promise<ControlResult> => {
    calls.push([action, id, ...more].join(" "));
    if (id === "broken") return Promise.reject(new Error("Input/output error (os error 5)"));
    return Promise.resolve(id === "free" ? "done" : id === "busy" ? "busy" : "unknown");
  };
  return {
    retry: on("retry"),
    hold: on("hold"),
    release: on("release"),
    remove: on("remove"),
    fail: on("fail"),
    suspend: (pattern, reason) => Promise.resolve(calls.push(`suspend ${pattern} ${reason}`) > 0),
    resume: (pattern) => Promise.resolve(pattern === "known.example"),
    suspensions: () => [{ pattern: "x.example", reason: "why", sinceMs: 0 }],
    destinations: () => [
      {
        key: "google",
        state: "down",
        running: 0,
        waiting: 3,
        concurrency: 1,
        sinceMs: 0,
        probeMs: 60_000,
        reason: "421",
      },
    ],
    destinationOf: (address) => address.endsWith("@gmail.example") ? "google" : undefined,
  };
}

async function withApi(
  use: (api: Api, parts: { calls: string[]; lines: string[]; drain: { isDraining: boolean } }) => Promise<void>,
): Promise<void> {
  await using log = await catchLog();
  const calls: string[] = [];
  const drain = { isDraining: false };
  const size = (): { active: number; scheduled: number } => ({ active: 1, scheduled: 2 });
  await use(makeApi({ control: fakeControl(calls), size, drain, logger: log.logger }), {
    calls,
    lines: log.lines,
    drain,
  });
}

Deno.test("each message has its own result, and each change that was made its line in the log", async () => {
  await withApi(async (api, { lines }) => {
    const ids = ["free", "busy", "gone", "broken"];
    assertEquals(await api({ method: "POST", path: "/v1/queue/hold", body: { ids } }), {
      status: 200,
      body: {
        results: [
          { id: "free", result: "done" },
          { id: "busy", result: "busy" },
          { id: "gone", result: "unknown" },
          { id: "broken", result: "error", reason: "Input/output error (os error 5)" },
        ],
      },
    });
    assertEquals(lines, [
      "free: held by an operator",
      "broken: cannot hold, as an operator asks: Input/output error (os error 5)",
    ]);
  });
});

Deno.test("every change reaches the queue", async () => {
  await withApi(async (api, { calls }) => {
    for (const action of ["retry", "hold", "release", "remove"]) {
      await api({ method: "POST", path: `/v1/queue/${action}`, body: { ids: ["free"] } });
    }
    await api({ method: "POST", path: "/v1/queue/fail", body: { ids: ["free"], reason: "enough" } });
    await api({ method: "POST", path: "/v1/queue/suspend", body: { pattern: "*.Example.ORG", reason: "" } });
    assertEquals(calls, [
      "retry free",
      "hold free",
      "release free",
      "remove free",
      "fail free enough",
      "suspend *.example.org ",
    ]);
  });
});

Deno.test("times of suspensions and destinations are RFC 3339", async () => {
  await withApi(async (api) => {
    assertEquals((await api({ method: "GET", path: "/v1/queue/suspensions", body: undefined })).body, {
      suspensions: [{ pattern: "x.example", reason: "why", since: "1970-01-01T00:00:00.000Z" }],
    });
    assertEquals((await api({ method: "GET", path: "/v1/queue/destinations", body: undefined })).body, {
      destinations: [{
        key: "google",
        state: "down",
        running: 0,
        waiting: 3,
        concurrency: 1,
        reason: "421",
        since: "1970-01-01T00:00:00.000Z",
        probe: "1970-01-01T00:01:00.000Z",
      }],
    });
  });
});

Deno.test("destinations are told for the addresses of which they are known", async () => {
  await withApi(async (api) => {
    const body = { addresses: ["a@gmail.example", "b@other.example"] };
    assertEquals((await api({ method: "POST", path: "/v1/queue/destinations-of", body })).body, {
      destinations: { "a@gmail.example": "google" },
    });
  });
});

Deno.test("draining is switched on and off, is logged once, and shows in the status", async () => {
  await withApi(async (api, { drain, lines }) => {
    const ask = async (isDraining: boolean): Promise<unknown> =>
      (await api({ method: "POST", path: "/v1/queue/drain", body: { isDraining } })).body;
    assertEquals(await ask(true), { isDraining: true, active: 1, scheduled: 2 });
    assertEquals(drain.isDraining, true);
    await ask(true);
    assertEquals((await api({ method: "GET", path: "/v1/queue", body: undefined })).body, {
      isDraining: true,
      active: 1,
      scheduled: 2,
    });
    await ask(false);
    assertEquals([drain.isDraining, lines.length], [false, 2]);
  });
});

const wrong: readonly [what: string, method: string, path: string, body: unknown, status: number, error: RegExp][] = [
  ["an unknown path", "GET", "/v1/queue/mail", undefined, 404, /no \/v1\/queue\/mail/],
  ["another version", "GET", "/v2/queue", undefined, 404, /begins with \/v1\/queue/],
  ["a path for the other method", "GET", "/v1/queue/hold", undefined, 405, /is for POST/],
  ["no body", "POST", "/v1/queue/hold", undefined, 400, /JSON object/],
  ["a list as body", "POST", "/v1/queue/hold", ["a"], 400, /JSON object/],
  ["ids that are no list", "POST", "/v1/queue/hold", { ids: "a" }, 400, /list in the field "ids"/],
  ["ids that are no text", "POST", "/v1/queue/hold", { ids: [1] }, 400, /list of text/],
  ["too many ids", "POST", "/v1/queue/hold", { ids: Array(MAX_ITEMS + 1).fill("free") }, 400, /at most \d+/],
  ["fail without a reason", "POST", "/v1/queue/fail", { ids: ["free"] }, 400, /field "reason"/],
  ["an empty reason", "POST", "/v1/queue/fail", { ids: ["free"], reason: " " }, 400, /Expected a reason/],
  ["a reason of two lines", "POST", "/v1/queue/fail", { ids: ["free"], reason: "a\r\nBcc: b" }, 400, /one line/],
  ["a pattern that is none", "POST", "/v1/queue/suspend", { pattern: "a b", reason: "" }, 400, /pattern/],
  ["draining that is neither on nor off", "POST", "/v1/queue/drain", { isDraining: "yes" }, 400, /true or false/],
];
for (const [what, method, path, body, status, error] of wrong) {
  Deno.test(`${what} is refused with ${status}, and changes nothing`, async () => {
    await withApi(async (api, { calls, drain }) => {
      const response = await api({ method, path, body });
      assertEquals(response.status, status);
      assertMatch((response.body as { readonly error: string }).error, error);
      assertEquals([calls, drain.isDraining], [[], false]);
    });
  });
}

Deno.test("a queue that throws is answered with 500 and the reason, and logged", async () => {
  await using log = await catchLog();
  const control = { ...fakeControl(), suspend: () => Promise.reject(new Error("No space left")) };
  const size = (): { active: number; scheduled: number } => ({ active: 0, scheduled: 0 });
  const api = makeApi({ control, size, drain: { isDraining: false }, logger: log.logger });
  const body = { pattern: "x.example", reason: "" };
  assertEquals(await api({ method: "POST", path: "/v1/queue/suspend", body }), {
    status: 500,
    body: { error: "No space left" },
  });
  assertMatch(log.lines[0] ?? "", /Cannot carry out POST \/v1\/queue\/suspend .* No space left/);
});

Deno.test("reports that are due are sent as an operator asks, and only where any are sent", async () => {
  await using log = await catchLog();
  const size = (): { active: number; scheduled: number } => ({ active: 0, scheduled: 0 });
  const parts = { control: fakeControl(), size, drain: { isDraining: false }, logger: log.logger };
  const request = { method: "POST", path: "/v1/reports/send", body: undefined } as const;
  const outcome = { kind: "dmarc", day: "2026-03-01", domain: "a.example", isDone: true, text: "sent" } as const;
  const api = makeApi({ ...parts, sendReports: () => Promise.resolve({ isFinished: true, outcomes: [outcome] }) });
  assertEquals(await api(request), { status: 200, body: { isFinished: true, reports: [outcome] } });
  assertMatch(log.lines[0] ?? "", /Sending the reports that are due, as an operator asks/);
  const { status, body } = await makeApi(parts)(request);
  assertEquals(status, 400);
  assertMatch((body as { readonly error: string }).error, /switched off/);
});
