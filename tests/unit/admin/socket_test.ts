/** Server and client of the control socket, on a real socket in a folder of the test. */

import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { getLogger } from "@logtape/logtape";
import type { Api } from "../../../lib/admin/api.ts";
import { AdminError, findRunningQueue } from "../../../lib/admin/client.ts";
import { MAX_ITEMS, MAX_REQUEST_OCTETS } from "../../../lib/admin/protocol.ts";
import type { RunningQueue } from "../../../lib/admin/queue_access.ts";
import { AdminServer, TRANSFER_MS } from "../../../lib/admin/server.ts";
import { BindError } from "../../../lib/inbound/bind.ts";
import { type Clock, systemClock } from "../../../lib/system/clock.ts";
import { FakeClock } from "../../support/fake_clock.ts";
import { TemporaryFolder } from "../../support/interop/temporary_folder.ts";

const logger = getLogger(["test"]);
const echo: Api = (request) => Promise.resolve({ status: 200, body: request });

interface Fixture extends AsyncDisposable {
  readonly path: string;
  readonly server: AdminServer;
}

async function start(api: Api = echo, clock: Clock = systemClock): Promise<Fixture> {
  const folder = await TemporaryFolder.create();
  const path = `${folder.path}/admin.sock`;
  const server = await AdminServer.open({ path, api, clock, logger });
  return {
    path,
    server,
    [Symbol.asyncDispose]: async () => {
      await server[Symbol.asyncDispose]();
      await folder[Symbol.asyncDispose]();
    },
  };
}

async function ask(path: string, octets: string): Promise<string> {
  using conn = await Deno.connect({ transport: "unix", path });
  await conn.write(new TextEncoder().encode(octets));
  return await new Response(conn.readable).text();
}

async function found(path: string): Promise<RunningQueue> {
  const queue = await findRunningQueue(path, systemClock);
  assert(queue, "a server answers");
  return queue;
}

Deno.test("the socket is for its user alone, and goes with the server", async () => {
  const fixture = await start();
  assertEquals(((await Deno.stat(fixture.path)).mode ?? 0) & 0o777, 0o600);
  await fixture.server[Symbol.asyncDispose]();
  await assertRejects(() => Deno.lstat(fixture.path), Deno.errors.NotFound);
  await fixture[Symbol.asyncDispose]();
});

Deno.test("a request of curl is answered with JSON", async () => {
  await using fixture = await start();
  const body = '{"ids":["a"]}';
  const response = await ask(
    fixture.path,
    `POST /v1/queue/hold HTTP/1.1\r\nHost: x\r\nContent-Length: ${body.length}\r\nAccept: */*\r\n\r\n${body}`,
  );
  assertMatch(response, /^HTTP\/1\.1 200 OK\r\n/);
  assertMatch(response, /\r\nConnection: close\r\n/);
  assertEquals(JSON.parse(response.slice(response.indexOf("\r\n\r\n"))), {
    method: "POST",
    path: "/v1/queue/hold",
    body: { ids: ["a"] },
  });
});

const refused: readonly [what: string, request: string, status: number][] = [
  ["what is no HTTP", "EHLO client.test\r\n\r\n", 400],
  ["an unfinished head", "GET /v1/queue HTTP/1.1\r\nA: b\r\n", 400],
  ["a body that is no JSON", "POST /x HTTP/1.1\r\nContent-Length: 3\r\n\r\n{{{", 400],
  ["a body that is cut short", "POST /x HTTP/1.1\r\nContent-Length: 9\r\n\r\n{}", 400],
  ["a length that is no number", "POST /x HTTP/1.1\r\nContent-Length: -1\r\n\r\n", 400],
  ["a body with two lengths", "POST /x HTTP/1.1\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{} ", 400],
  ["a field without a name", "GET /x HTTP/1.1\r\n: x\r\n\r\n", 400],
  ["a chunked body", "POST /x HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", 411],
  ["a body that is too long", `POST /x HTTP/1.1\r\nContent-Length: ${MAX_REQUEST_OCTETS + 1}\r\n\r\n`, 413],
  ["a head that is too long", `GET /${"x".repeat(9_000)} HTTP/1.1\r\n\r\n`, 431],
];
for (const [what, request, status] of refused) {
  Deno.test(`${what} is refused with ${status}, and the next request is answered`, async () => {
    await using fixture = await start();
    using conn = await Deno.connect({ transport: "unix", path: fixture.path });
    await conn.write(new TextEncoder().encode(request));
    await conn.closeWrite();
    const response = await new Response(conn.readable).text();
    assertEquals(response.slice(0, 12), `HTTP/1.1 ${status}`);
    assertMatch(response, /\r\n\r\n\{"error":"[^"]+"\}\n$/);
    assertMatch(await ask(fixture.path, "GET /v1/queue HTTP/1.1\r\n\r\n"), /^HTTP\/1\.1 200 /);
  });
}

Deno.test("a field of spaces costs no time", async () => {
  await using fixture = await start();
  const begin = performance.now();
  await ask(fixture.path, `GET /v1/queue HTTP/1.1\r\nA:${" ".repeat(2_000)}\nb\r\n\r\n`);
  assert(performance.now() - begin < 1_000);
});

Deno.test("a client that says nothing is let go when the time is over", async () => {
  const clock = new FakeClock();
  await using fixture = await start(echo, clock);
  using silent = await Deno.connect({ transport: "unix", path: fixture.path });
  await clock.untilSleeping();
  await clock.advance(TRANSFER_MS);
  assertEquals(await silent.read(new Uint8Array(1)), null);
});

Deno.test("more clients than there may be are sent away, and those before stay", async () => {
  await using fixture = await start();
  const silent: Deno.UnixConn[] = [];
  for (let i = 0; i < 32; i++) silent.push(await Deno.connect({ transport: "unix", path: fixture.path }));
  assertMatch(await ask(fixture.path, "GET /v1/queue HTTP/1.1\r\n\r\n"), /^HTTP\/1\.1 503 /);
  await silent[0]?.write(new TextEncoder().encode("GET /v1/queue HTTP/1.1\r\n\r\n"));
  const octets = new Uint8Array(100);
  await silent[0]?.read(octets);
  assertMatch(new TextDecoder().decode(octets), /^HTTP\/1\.1 200 /);
  for (const conn of silent) conn.close();
});

Deno.test("a server stops at once while a client is silent", async () => {
  await using fixture = await start();
  using silent = await Deno.connect({ transport: "unix", path: fixture.path });
  await fixture.server[Symbol.asyncDispose]();
  assertEquals(await silent.read(new Uint8Array(1)), null);
});

Deno.test("a socket that a crash left is replaced; one on which somebody answers is not", async () => {
  await using folder = await TemporaryFolder.create();
  const path = `${folder.path}/admin.sock`;
  const listener = Deno.listen({ transport: "unix", path });
  const open = (): Promise<AdminServer> => AdminServer.open({ path, api: echo, clock: systemClock, logger });
  const accepted = listener.accept();
  await assertRejects(open, BindError, "Cannot open the control socket");
  (await accepted).close();
  // Deno leaves the file where it closes a listener, or not: as kill -9 leaves it, it must be there.
  const kept = `${folder.path}/kept`;
  await Deno.link(path, kept);
  listener.close();
  await Deno.remove(path).catch(() => {});
  await Deno.rename(kept, path);
  assertEquals(await findRunningQueue(path, systemClock), undefined, "nobody answers");
  await using _server = await open();
  assert(await findRunningQueue(path, systemClock));
});

Deno.test("the client reads what the server writes", async () => {
  const answers: Readonly<Record<string, unknown>> = {
    "GET /v1/queue": { isDraining: true, active: 1, scheduled: 2 },
    "GET /v1/queue/suspensions": { suspensions: [{ pattern: "x", reason: "y", since: "1970-01-01T00:00:01.000Z" }] },
    "GET /v1/queue/destinations": {
      destinations: [{ key: "k", state: "limited", running: 1, waiting: 2, concurrency: 3, reason: "421" }],
    },
    "POST /v1/queue/destinations-of": { destinations: { "a@x.example": "k" } },
    "POST /v1/queue/suspend": { isChanged: true },
    "POST /v1/queue/resume": { isChanged: false },
  };
  await using fixture = await start(({ method, path }) =>
    Promise.resolve({ status: 200, body: answers[`${method} ${path}`] })
  );
  using queue = await found(fixture.path);
  assertEquals(await queue.status(), { isDraining: true, active: 1, scheduled: 2 });
  assertEquals(await queue.suspensions(), [{ pattern: "x", reason: "y", sinceMs: 1000 }]);
  assertEquals(await queue.destinations(), [
    { key: "k", state: "limited", running: 1, waiting: 2, concurrency: 3, reason: "421" },
  ]);
  assertEquals(await queue.destinationsOf(["a@x.example", "b@x.example"]), new Map([["a@x.example", "k"]]));
  assertEquals([await queue.suspend("x", ""), await queue.resume("x")], [true, false]);
});

Deno.test("many ids are asked for in several requests, and the results keep their order", async () => {
  let requests = 0;
  await using fixture = await start(({ body }) => {
    requests++;
    const { ids } = body as { readonly ids: readonly string[] };
    return Promise.resolve({ status: 200, body: { results: ids.map((id) => ({ id, result: "done" })) } });
  });
  using queue = await found(fixture.path);
  const ids = Array.from({ length: MAX_ITEMS * 2 + 1 }, (_, i) => `id${i}`);
  assertEquals((await queue.change({ action: "hold" }, ids)).map(({ id }) => id), ids);
  assertEquals(requests, 3);
});

const failing: readonly [what: string, api: Api, message: string][] = [
  ["an error of the server", () => Promise.resolve({ status: 400, body: { error: "not so" } }), "refused: not so"],
  ["an answer that makes no sense", () => Promise.resolve({ status: 200, body: { active: "many" } }), "Cannot ask"],
];
for (const [what, api, message] of failing) {
  Deno.test(`${what} is an error that says so`, async () => {
    await using fixture = await start(api);
    using queue = await found(fixture.path);
    await assertRejects(() => queue.status(), AdminError, message);
  });
}

Deno.test("where there is no socket, or a file that is none, no server runs", async () => {
  await using folder = await TemporaryFolder.create();
  assertEquals(await findRunningQueue(`${folder.path}/none.sock`, systemClock), undefined);
  assertEquals(await findRunningQueue(`${folder.path}/${"x".repeat(120)}`, systemClock), undefined, "too long a path");
  await Deno.writeTextFile(`${folder.path}/file`, "x");
  assertEquals(await findRunningQueue(`${folder.path}/file`, systemClock), undefined);
});
