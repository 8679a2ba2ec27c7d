/** What clients of a web listener get, on a real socket. */

import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import fc from "fast-check";
import { getLogger } from "@logtape/logtape";
import { bindListener } from "../../../lib/inbound/bind.ts";
import { type Clock, systemClock } from "../../../lib/system/clock.ts";
import { canUpgradeServer } from "../../../lib/tls/server_tls.ts";
import { HttpError, readHead } from "../../../lib/web/http_head.ts";
import { parseRequest } from "../../../lib/web/request.ts";
import { WEB_STEP_MS, WebServer } from "../../../lib/web/server.ts";
import { FakeClock } from "../../support/fake_clock.ts";
import { testCertificates } from "../../support/inbound_server.ts";

const POLICY = "version: STSv1\r\nmode: testing\r\nmx: mail.example.org\r\nmax_age: 86400\r\n";
const FILE = "/.well-known/mta-sts.txt";
const GOOD = `GET ${FILE} HTTP/1.1\r\nHost: mta-sts.example.org\r\n\r\n`;

interface Fixture extends AsyncDisposable {
  readonly port: number;
  readonly server: WebServer;
}

interface Wanted {
  readonly clock?: Clock;
  readonly tls?: "implicit" | "off";
  readonly connectionsPerIp?: number;
  readonly connections?: number;
}

async function start({ clock = systemClock, tls = "off", ...limits }: Wanted = {}): Promise<Fixture> {
  const certificates = await testCertificates();
  const server = new WebServer({
    clock,
    logger: getLogger(["test"]),
    policyOf: (host) => host === "mta-sts.example.org" ? POLICY : undefined,
    limits: () => ({ connections: 1000, connectionsPerIp: 1000, ...limits }),
  });
  const listener = await bindListener(
    { bind: { kind: "tcp", host: "127.0.0.1", port: 0 }, service: "web", tls },
    () => certificates,
  );
  server.serve(listener);
  return {
    port: (listener.addr as Deno.NetAddr).port,
    server,
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
}

async function ask(port: number, octets: string): Promise<string> {
  using conn = await Deno.connect({ hostname: "127.0.0.1", port });
  await conn.write(new TextEncoder().encode(octets));
  return await new Response(conn.readable).text();
}

function statusOf(response: string): number {
  return Number(/^HTTP\/1\.1 (\d{3}) /.exec(response)?.[1]);
}

Deno.test("GET of a policy gives the text of its host, and the connection ends", async () => {
  await using fixture = await start();
  const response = await ask(fixture.port, GOOD);
  const [head = "", body] = response.split("\r\n\r\n");
  assertEquals(body, POLICY);
  assertMatch(head, /^HTTP\/1\.1 200 OK\r\nDate: \w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT\r\n/);
  assertStringIncludes(head, `\r\nContent-Type: text/plain\r\nContent-Length: ${POLICY.length}\r\nConnection: close`);
});

Deno.test("HEAD gives the same without the body", async () => {
  await using fixture = await start();
  const response = await ask(fixture.port, GOOD.replace("GET", "HEAD"));
  assertEquals(statusOf(response), 200);
  assertStringIncludes(response, `Content-Length: ${POLICY.length}\r\n`);
  assert(response.endsWith("\r\n\r\n"), response);
});

const ANSWERS: readonly (readonly [what: string, request: string, status: number])[] = [
  ["the host in other case and with a port", GOOD.replace("mta-sts.example.org", "MTA-STS.Example.ORG:443"), 200],
  ["the absolute form, whose host counts", `GET https://mta-sts.example.org${FILE} HTTP/1.1\r\nHost: x\r\n\r\n`, 200],
  ["HTTP/1.0", GOOD.replace("/1.1", "/1.0"), 200],
  ["another host", GOOD.replace("example.org", "example.net"), 404],
  ["another file", GOOD.replace(FILE, "/"), 404],
  ["a query", GOOD.replace(FILE, `${FILE}?a=b`), 404],
  ["a way out of the folder", GOOD.replace(FILE, "/.well-known/../../etc/passwd"), 404],
  ["an address as host", GOOD.replace("mta-sts.example.org", "[2001:db8::1]:443"), 404],
  ["HTTP/1.0 without a host", `GET ${FILE} HTTP/1.0\r\n\r\n`, 404],
  ["POST", GOOD.replace("GET", "POST"), 405],
  ["a method that is none", GOOD.replace("GET", "PROPFIND"), 405],
  ["CONNECT", "CONNECT mail.example.org:25 HTTP/1.1\r\nHost: mail.example.org:25\r\n\r\n", 405],
  ["OPTIONS *", "OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n", 405],
  ["no Host", `GET ${FILE} HTTP/1.1\r\n\r\n`, 400],
  ["two Hosts", GOOD.replace("\r\n\r\n", "\r\nHost: mta-sts.example.org\r\n\r\n"), 400],
  ["a Host that is no name", GOOD.replace("mta-sts.example.org", "a b"), 400],
  ["white space in front of the colon", GOOD.replace("Host:", "Host :"), 400],
  ["a folded line", GOOD.replace("\r\n\r\n", "\r\n x\r\n\r\n"), 400],
  ["a bare LF", GOOD.replace("\r\n\r\n", "\r\nA: b\nHost: c\r\n\r\n"), 400],
  ["a NUL", GOOD.replace("\r\n\r\n", "\r\nA: \0\r\n\r\n"), 400],
  ["two spaces", GOOD.replace("GET ", "GET  "), 400],
  ["no path", "GET mta-sts.example.org HTTP/1.1\r\nHost: x\r\n\r\n", 400],
  ["a path that is not ASCII", GOOD.replace(FILE, "/ü"), 400],
  ["an empty line first", `\r\n\r\n${GOOD}`, 400],
  ["mail", "EHLO spammer.example\r\nMAIL FROM:<>\r\n\r\n", 400],
  ["HTTP/2 without asking", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505],
  ["a head of 9 KiB", GOOD.replace("\r\n\r\n", `\r\nA: ${"x".repeat(9_000)}\r\n\r\n`), 431],
];

Deno.test("each request that is not for a policy gets the status that says why", async () => {
  await using fixture = await start();
  for (const [what, request, status] of ANSWERS) assertEquals(statusOf(await ask(fixture.port, request)), status, what);
});

Deno.test("a second request, or a body, on one connection is not answered, and takes nothing from the first", async () => {
  await using fixture = await start();
  const response = await ask(fixture.port, GOOD.replace("\r\n\r\n", "\r\nContent-Length: 5\r\n\r\n") + "hello" + GOOD);
  assertEquals(response.split("HTTP/1.1 200 OK").length, 2);
  assert(response.endsWith(POLICY), response);
});

Deno.test("a request may come octet by octet", async () => {
  await using fixture = await start();
  using conn = await Deno.connect({ hostname: "127.0.0.1", port: fixture.port });
  for (const octet of new TextEncoder().encode(GOOD)) await conn.write(Uint8Array.of(octet));
  assertEquals(statusOf(await new Response(conn.readable).text()), 200);
});

Deno.test("who sends nothing is cut off when the time is over", async () => {
  const clock = new FakeClock();
  await using fixture = await start({ clock });
  using conn = await Deno.connect({ hostname: "127.0.0.1", port: fixture.port });
  await conn.write(new TextEncoder().encode("GET / HTT"));
  await clock.untilSleeping(1);
  await clock.advance(WEB_STEP_MS);
  assertEquals(await conn.read(new Uint8Array(1)).catch(() => null), null);
  while (fixture.server.connectionCount > 0) await new Promise((resolve) => setTimeout(resolve, 1));
});

Deno.test("under TLS more connections of one address than it may have are closed", {
  ignore: !canUpgradeServer,
}, async () => {
  await using fixture = await start({ tls: "implicit", connectionsPerIp: 1 });
  using _first = await Deno.connect({ hostname: "127.0.0.1", port: fixture.port });
  while (fixture.server.connectionCount === 0) await new Promise((resolve) => setTimeout(resolve, 1));
  using second = await Deno.connect({ hostname: "127.0.0.1", port: fixture.port });
  assertEquals(await second.read(new Uint8Array(1)).catch(() => null), null);
});

Deno.test("behind a proxy only the total counts", async () => {
  await using fixture = await start({ connectionsPerIp: 1, connections: 2 });
  const options = { hostname: "127.0.0.1", port: fixture.port };
  using _first = await Deno.connect(options);
  using _second = await Deno.connect(options);
  while (fixture.server.connectionCount < 2) await new Promise((resolve) => setTimeout(resolve, 1));
  using third = await Deno.connect(options);
  assertEquals(await third.read(new Uint8Array(1)).catch(() => null), null);
});

Deno.test("no head of a request makes anything but an HttpError", async () => {
  const line = fc.oneof(
    fc.constantFrom("GET / HTTP/1.1", "HEAD http://a/ HTTP/1.0", "Host: a", "Host:", ": b", " folded", ""),
    fc.string({ unit: "binary" }),
  );
  await fc.assert(
    fc.asyncProperty(fc.array(line), async (lines) => {
      const octets = new TextEncoder().encode(`${lines.join("\r\n")}\r\n\r\n`);
      let at = 0;
      const read = (into: Uint8Array): Promise<number | null> => {
        const piece = octets.subarray(at, at + Math.min(into.length, 7));
        into.set(piece);
        at += piece.length;
        return Promise.resolve(piece.length === 0 ? null : piece.length);
      };
      try {
        const head = await readHead({ read, write: () => Promise.resolve(0) });
        if (head !== undefined) assertMatch(parseRequest(head).path, /^\//);
      } catch (error) {
        assert(error instanceof HttpError, String(error));
      }
    }),
    { numRuns: 40 },
  );
});
