import { assertEquals } from "@std/assert";
import net from "node:net";
import { makeStsFetch, type StsFetched, type StsFetchOptions } from "../../../../lib/delivery/remote/mta_sts_fetch.ts";
import { systemClock } from "../../../../lib/system/clock.ts";
import { FakeResolver } from "../../../support/fake_resolver.ts";

const FOLDER = `${import.meta.dirname}/../../../fixtures/tls/dane`;
const CA = [Deno.readTextFileSync(`${FOLDER}/root.pem`)];
const PAIR = {
  cert: Deno.readTextFileSync(`${FOLDER}/sts.pem`),
  key: Deno.readTextFileSync(`${FOLDER}/sts.key.pem`),
};
const TEXT = "version: STSv1\nmode: none\nmax_age: 1\n";

/** A server for `mta-sts.example.test` that gives every connection the same answer, or with undefined none at all. */
class PolicyHost implements AsyncDisposable {
  readonly #listener = Deno.listenTls({ hostname: "127.0.0.1", port: 0, ...PAIR });
  readonly #running: Promise<void>;
  readonly #open = new Set<Deno.TlsConn>();
  requests: string[] = [];

  constructor(answer: string | undefined) {
    this.#running = this.#serve(answer);
  }

  get port(): number {
    return this.#listener.addr.port;
  }

  async #serve(answer: string | undefined): Promise<void> {
    for await (const connection of this.#listener) {
      this.#open.add(connection);
      try {
        const octets = new Uint8Array(4096);
        const read = await connection.read(octets) ?? 0;
        this.requests.push(new TextDecoder().decode(octets.subarray(0, read)));
        if (answer !== undefined) await connection.write(new TextEncoder().encode(answer));
      } catch {
        // The client did not like the certificate.
      }
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#listener.close();
    for (const connection of this.#open) connection.close();
    await this.#running;
  }
}

function response(status: string, fields: string, body: string): string {
  return `HTTP/1.1 ${status}\r\n${fields}Content-Length: ${body.length}\r\n\r\n${body}`;
}

async function fetched(
  answer: string | undefined,
  options: Partial<StsFetchOptions> = {},
  domain = "example.test",
): Promise<[StsFetched, string[]]> {
  await using host = new PolicyHost(answer);
  const resolver = new FakeResolver({ [`mta-sts.${domain}`]: { A: ["127.0.0.1"] } });
  const fetch = makeStsFetch({ resolver, clock: systemClock, caCertificates: CA, port: host.port, ...options });
  return [await fetch(domain, new AbortController().signal), host.requests];
}

Deno.test("a policy is fetched from its well-known place, over TLS, by name", async () => {
  const [result, requests] = await fetched(response("200 OK", "Content-Type: text/plain\r\n", TEXT));
  assertEquals(result, { kind: "text", text: TEXT });
  assertEquals(requests, [
    "GET /.well-known/mta-sts.txt HTTP/1.1\r\nHost: mta-sts.example.test\r\nUser-Agent: posthorn\r\nConnection: close\r\n\r\n",
  ]);
});

for (
  const [what, answer, reason] of [
    [
      "a redirect is not followed",
      response("301 Moved", "Location: https://x.test/\r\n", ""),
      /^the answer to GET is 301$/,
    ],
    ["a file that is not there", response("404 Not Found", "Content-Type: text/plain\r\n", TEXT), /is 404$/],
    ["another media type", response("200 OK", "Content-Type: text/html\r\n", TEXT), /"text\/html", not text\/plain$/],
    ["no media type", response("200 OK", "", TEXT), /"", not text\/plain$/],
    [
      "a file of more than 64 KiB",
      response("200 OK", "Content-Type: text/plain\r\n", "x".repeat(65_537)),
      /longer than 65536/,
    ],
    ["no HTTP", "220 hello\r\n\r\n", /no HTTP response/],
  ] as const
) {
  Deno.test(`what is no policy file is told as a failure: ${what}`, async () => {
    const [result] = await fetched(answer);
    assertEquals(result.kind === "failed" && [result.failure, reason.test(result.reason)], [
      "sts-policy-fetch-error",
      true,
    ], JSON.stringify(result));
  });
}

Deno.test("a certificate of an unknown authority, or for another name, is told as such", async () => {
  const good = response("200 OK", "Content-Type: text/plain\r\n", TEXT);
  for (
    const [result, requests] of [await fetched(good, { caCertificates: [] }), await fetched(good, {}, "other.test")]
  ) {
    assertEquals(result.kind === "failed" && result.failure, "sts-webpki-invalid", JSON.stringify(result));
    assertEquals(requests.filter((request) => request !== ""), []);
  }
});

Deno.test("a host without an address, one that refuses, and one that is silent are failures in time", async () => {
  const none = makeStsFetch({ resolver: new FakeResolver(), clock: systemClock, caCertificates: CA });
  assertEquals(await none("example.test", new AbortController().signal), {
    kind: "failed",
    failure: "sts-policy-fetch-error",
    reason: "mta-sts.example.test: it has no address",
  });
  const [silent] = await fetched(undefined, { limitMs: 300 });
  assertEquals(silent, {
    kind: "failed",
    failure: "sts-policy-fetch-error",
    reason: "mta-sts.example.test: time limit exceeded",
  });
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  listener.close();
  const resolver = new FakeResolver({ "mta-sts.example.test": { A: ["127.0.0.1"] } });
  const refused = makeStsFetch({ resolver, clock: systemClock, port: listener.addr.port });
  const result = await refused("example.test", new AbortController().signal);
  assertEquals(result.kind === "failed" && result.reason, "mta-sts.example.test: connection refused");
});

Deno.test({
  name: "an address that gives no answer leaves time for the next one",
  // Deno before 2.8 may not know tcpBacklog.
  ignore: /^2\.[0-7]\./.test(Deno.version.deno),
  fn: async () => {
    await using host = new PolicyHost(response("200 OK", "Content-Type: text/plain\r\n", TEXT));
    const { port } = host;
    // Nobody accepts, and the queue is full after two connections: the kernel says nothing to the others.
    const full = Deno.listen({ hostname: "127.0.0.2", port, tcpBacklog: 1 });
    const waiting = [1, 2, 3].map(() => net.connect({ host: "127.0.0.2", port }).on("error", () => {}));
    await Promise.all(waiting.slice(0, 2).map((socket) => new Promise((resolve) => socket.once("connect", resolve))));
    const resolver = new FakeResolver({ "mta-sts.example.test": { A: ["127.0.0.2", "127.0.0.1"] } });
    const fetch = makeStsFetch({ resolver, clock: systemClock, caCertificates: CA, port, limitMs: 900 });
    assertEquals(await fetch("example.test", new AbortController().signal), { kind: "text", text: TEXT });
    for (const socket of waiting) socket.destroy();
    full.close();
  },
});

Deno.test("a fetch that is given up ends at once", async () => {
  await using host = new PolicyHost(undefined);
  const resolver = new FakeResolver({ "mta-sts.example.test": { A: ["127.0.0.1"] } });
  const fetch = makeStsFetch({ resolver, clock: systemClock, caCertificates: CA, port: host.port });
  const controller = new AbortController();
  const fetching = fetch("example.test", controller.signal);
  controller.abort();
  assertEquals((await fetching).kind, "failed");
});
