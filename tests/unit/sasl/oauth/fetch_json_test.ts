import { assert, assertEquals } from "@std/assert";
import { type Fetch, fetchJson, type JsonAnswer } from "../../../../lib/sasl/oauth/fetch_json.ts";
import { FakeClock } from "../../../support/fake_clock.ts";
import { freePort } from "../../../support/interop/free_port.ts";
import { startIssuer } from "../../../support/oauth_issuer.ts";

const URL_OF = "https://login.example/x";

function ask(answer: () => Response): Promise<JsonAnswer> {
  return fetchJson(URL_OF, {}, { fetch: () => Promise.resolve().then(answer), clock: new FakeClock() });
}

Deno.test("a JSON object is taken, anything else is a failure that does not repeat it", async () => {
  assertEquals(await ask(() => new Response('{"a":1}')), { kind: "object", object: { a: 1 } });
  const failures: readonly (readonly [() => Response, string])[] = [
    [() => new Response("s3cret"), "gave what is not JSON"],
    [() => new Response(null), "gave what is not JSON"],
    [() => new Response("[]"), "gave no JSON object"],
    [() => new Response("null"), "gave no JSON object"],
    [() => new Response("s3cret", { status: 503 }), "answered with status 503"],
    [() => new Response("{}", { status: 201 }), "answered with status 201"],
    [() => new Response(`"${"x".repeat(256 * 1024)}"`), "gave more than 262144 octets"],
  ];
  for (const [answer, reason] of failures) assertEquals(await ask(answer), { kind: "failed", reason });
});

Deno.test("an answer without end is not read to its end", async () => {
  let sent = 0;
  let isCancelled = false;
  const endless = new ReadableStream<Uint8Array>({
    pull: (controller) => {
      sent += 1000;
      controller.enqueue(new Uint8Array(1000).fill(0x20));
    },
    cancel: () => void (isCancelled = true),
  });
  assertEquals(await ask(() => new Response(endless)), { kind: "failed", reason: "gave more than 262144 octets" });
  assert(isCancelled && sent < 300_000, `${sent} octets`);
});

Deno.test("a server that does not answer is given up after ten seconds", async () => {
  const clock = new FakeClock();
  const fetch: Fetch = (_url, { signal }) =>
    new Promise((_, reject) => signal?.addEventListener("abort", () => reject(signal.reason)));
  const answer = fetchJson(URL_OF, {}, { fetch, clock });
  await clock.untilSleeping();
  await clock.advance(10_000);
  assertEquals(await answer, { kind: "failed", reason: "No answer within 10000 ms" });
  assertEquals(clock.sleeping, 0);
});

Deno.test("a redirection is not followed, and a server that is not there is a failure", async () => {
  await using issuer = startIssuer(({ path }) =>
    path === "/x" ? new Response(null, { status: 307, headers: { Location: "/y" } }) : Response.json({ active: true })
  );
  const http = { fetch, clock: new FakeClock() };
  assertEquals(await fetchJson(`${issuer.url}/x`, { method: "POST", body: "token=x" }, http), {
    kind: "failed",
    reason: "answered with status 307",
  });
  assertEquals(issuer.requests.map(({ path }) => path), ["/x"]);
  const url = `http://127.0.0.1:${freePort("127.0.0.1")}/x`;
  const gone = await fetchJson(url, { method: "POST", body: "token=s3cret" }, http);
  assert(gone.kind === "failed" && /refused/i.test(gone.reason) && !gone.reason.includes("s3cret"));
});
