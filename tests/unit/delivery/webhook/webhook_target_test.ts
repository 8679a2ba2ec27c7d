import { assert, assertEquals, assertFalse, assertMatch, assertNotEquals, assertStringIncludes } from "@std/assert";
import { getLogger } from "@logtape/logtape";
import { Webhook } from "standardwebhooks";
import { type WebhookHop, WebhookTarget } from "../../../../lib/delivery/webhook/webhook_target.ts";
import type { Content } from "../../../../lib/mail/content.ts";
import { memoryContent } from "../../../../lib/mail/content.ts";
import type { Envelope, EnvelopeRecipient } from "../../../../lib/mail/envelope.ts";
import type { Outcome } from "../../../../lib/mail/outcome.ts";
import type { Fetch } from "../../../../lib/sasl/oauth/fetch_json.ts";
import { systemClock } from "../../../../lib/system/clock.ts";
import { FakeClock } from "../../../support/fake_clock.ts";
import { startWebhookReceiver, webhookHop } from "../../../support/webhook_receiver.ts";
import { conformance, type Fault, makeEnvelope, sampleMessage, streamedContent, type Subject } from "../conformance.ts";

const APP = "app@example.org";
const MESSAGE = "Subject: x\r\n\r\nbody\r\n";

function targetOf(fetch: Fetch = globalThis.fetch, clock = systemClock): WebhookTarget {
  return new WebhookTarget({ fetch, clock, logger: getLogger(["test", "webhook"]), idleMs: 5_000 });
}

interface Parts {
  readonly content?: string | Content;
  readonly envelope?: Partial<Envelope>;
  readonly recipients?: readonly EnvelopeRecipient[];
  readonly signal?: AbortSignal;
}

function deliver(target: WebhookTarget, hop: WebhookHop, parts: Parts = {}): Promise<readonly Outcome[]> {
  const { content = MESSAGE, recipients = [{ address: APP }], signal = new AbortController().signal } = parts;
  return target.deliver({
    queueId: "2tb1k9q7x0m2had4",
    envelope: makeEnvelope([APP], { recipients, ...parts.envelope }),
    content: typeof content === "string" ? memoryContent(new TextEncoder().encode(content)) : content,
    hop,
    recipients,
    signal,
  });
}

function summary(outcomes: readonly Outcome[]): string[] {
  return outcomes.map(({ action, status, text, destination = "" }) => `${action} ${status} ${destination}| ${text}`);
}

/** What a response is in words; by default 204. */
async function outcomeOf(answer: () => Response | Promise<Response>): Promise<string | undefined> {
  await using receiver = startWebhookReceiver();
  receiver.answer = answer;
  return summary(await deliver(targetOf(), receiver.hop))[0];
}

async function makeSubject(): Promise<Subject<WebhookHop>> {
  const receiver = startWebhookReceiver();
  const taken: Uint8Array[] = [];
  let fault: Fault = "none";
  let isLosing = false;
  receiver.answer = ({ message }): Response => {
    if (fault === "full") return new Response("No room", { status: 507 });
    taken.push(message);
    return new Response("ok");
  };
  const fetch: Fetch = async (url, init) => {
    if (fault === "broken") throw new TypeError("connection reset");
    const response = await globalThis.fetch(url, init);
    if (!isLosing) return response;
    await response.body?.cancel();
    throw new TypeError("connection closed before message completed");
  };
  return await Promise.resolve({
    target: targetOf(fetch),
    hop: receiver.hop,
    recipients: [APP, "app+lists@example.org"],
    visible: () => Promise.resolve(taken),
    leftovers: () => Promise.resolve([]),
    setFault: (next: Fault): void => void (fault = next),
    loseAnswers: (next: boolean): void => void (isLosing = next),
    [Symbol.asyncDispose]: () => receiver[Symbol.asyncDispose](),
  });
}

conformance("Webhook", makeSubject);

Deno.test("An application gets the envelope as JSON, and trace and content octet for octet", async () => {
  await using receiver = startWebhookReceiver();
  const octets = sampleMessage(50);
  const recipients = [{ address: APP, original: "sales@example.org" }, { address: "app+x@example.org" }];
  const outcomes = await deliver(targetOf(), receiver.hop, { content: memoryContent(octets), recipients });
  assertEquals(outcomes.length, 2);
  assertEquals(outcomes[0], {
    action: "delivered",
    status: "2.0.0",
    text: "The application took it: 204 No Content",
    isRemoteReply: false,
    remoteMta: "localhost",
  });
  const [request] = receiver.requests;
  const trace = makeEnvelope([]).trace;
  assertEquals(request?.message, new Uint8Array([...new TextEncoder().encode(trace), ...octets]));
  assertEquals(request?.envelope, {
    id: request?.headers.get("webhook-id"),
    queueId: "2tb1k9q7x0m2had4",
    reversePath: "sender@example.com",
    recipients: [
      { address: APP, original: "sales@example.org" },
      { address: "app+x@example.org", original: "app+x@example.org" },
    ],
    arrived: "2026-11-23T10:00:00.000Z",
    session: { service: "mx" },
  });
  assertEquals(request?.headers.get("content-length"), `${request?.body.length}`);
});

for (const octets of [1_000, 600_000]) {
  Deno.test(`The library of Standard Webhooks takes the signature of ${octets} octets of text`, async () => {
    const secret = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";
    await using receiver = startWebhookReceiver({ secret });
    const body = `Subject: Grüße\r\n\r\n${"x".repeat(octets)}\r\n`;
    const content = streamedContent(new TextEncoder().encode(body), 64_000);
    const [outcome] = await deliver(targetOf(), webhookHop(receiver.url, secret), { content });
    assertEquals(outcome?.action, "delivered");
    const [request] = receiver.requests;
    assert(request !== undefined);
    const headers = Object.fromEntries(request.headers);
    const text = new TextDecoder().decode(request.body);
    new Webhook(secret).verify(text, headers, { jsonParse: false });
    let refused = false;
    try {
      new Webhook(secret).verify(`${text} `, headers, { jsonParse: false });
    } catch {
      refused = true;
    }
    assert(refused, "a changed body is refused");
  });
}

Deno.test("While a secret is replaced, an application that knows either takes the mail", async () => {
  const [old, next] = ["whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD", "whsec_plJ3nmyCDGBKInavdOK15jsl1YZ5vQbW"];
  for (const known of [old, next]) {
    await using receiver = startWebhookReceiver({ secret: known });
    const [outcome] = await deliver(targetOf(), webhookHop(receiver.url, `${next}\n${old}`));
    assertEquals(outcome?.action, "delivered");
  }
});

Deno.test("An application that does not know the secret delays the mail", async () => {
  await using receiver = startWebhookReceiver();
  const [outcome] = await deliver(targetOf(), webhookHop(receiver.url, "another-secret-of-ours"));
  assertEquals(outcome?.action, "delayed");
  assertEquals(outcome?.text, "The application answered: 401 bad signature");
});

Deno.test("Each attempt has the same id and body, so that the application can drop what it has", async () => {
  await using receiver = startWebhookReceiver();
  const target = targetOf();
  receiver.answer = (_, index) => new Response(null, { status: index === 0 ? 500 : 200 });
  assertEquals((await deliver(target, receiver.hop))[0]?.action, "delayed");
  assertEquals((await deliver(target, receiver.hop))[0]?.action, "delivered");
  const [first, second] = receiver.requests;
  const id = first?.headers.get("webhook-id") ?? "";
  assertMatch(id, /^msg_2tb1k9q7x0m2had4_[0-9a-f]{16}$/);
  assertEquals(first?.headers.get("idempotency-key"), id);
  assertEquals(second?.headers.get("webhook-id"), id);
  assertEquals(second?.body, first?.body);
});

Deno.test("Recipients that are tried apart have ids of their own, whatever their order", async () => {
  await using receiver = startWebhookReceiver();
  const target = targetOf();
  const [a, b] = [{ address: APP }, { address: "b@example.org" }];
  for (const recipients of [[a, b], [b, a], [a], [b]]) await deliver(target, receiver.hop, { recipients });
  const [both, swapped, ...single] = receiver.requests.map(({ headers }) => headers.get("webhook-id"));
  assertEquals(both, swapped);
  assertEquals(new Set([both, ...single]).size, 3);
});

Deno.test("A reverse-path of the recipient is what the application is told", async () => {
  await using receiver = startWebhookReceiver();
  const recipients = [{ address: APP, reversePath: "owner-list@example.org", forwardedBy: "list@example.org" }];
  await deliver(targetOf(), receiver.hop, { recipients });
  const { envelope } = receiver.requests[0] ?? {};
  assertEquals(envelope?.["reversePath"], "owner-list@example.org");
  assertEquals(envelope?.["recipients"], [{ address: APP, original: APP, forwardedBy: "list@example.org" }]);
});

Deno.test("UTF-8 and control characters come as they are, in US-ASCII", async () => {
  await using receiver = startWebhookReceiver();
  const helo = 'tab\t, quote ", del \x7f, Ünïcödé 😀';
  const recipients = [{ address: "grüße@bücher.example" }];
  await deliver(targetOf(), receiver.hop, { recipients, envelope: { session: { service: "mx", helo } } });
  const [request] = receiver.requests;
  assertEquals((request?.envelope["session"] as { helo?: string }).helo, helo);
  assertEquals((request?.envelope["recipients"] as { address: string }[])[0]?.address, "grüße@bücher.example");
  assertFalse(request?.body.some((octet) => octet > 0x7e || (octet < 0x20 && ![9, 10, 13].includes(octet))) ?? true);
});

Deno.test("No content can end the form early: the boundary depends on the secret", async () => {
  await using receiver = startWebhookReceiver();
  await deliver(targetOf(), receiver.hop);
  const boundary = /boundary=(.*)/.exec(receiver.requests[0]?.headers.get("content-type") ?? "")?.[1] ?? "";
  const other = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";
  await using elsewhere = startWebhookReceiver({ secret: other });
  await deliver(targetOf(), webhookHop(elsewhere.url, other));
  assertMatch(boundary, /^posthorn-[0-9a-f]{32}$/);
  assertNotEquals(elsewhere.requests[0]?.headers.get("content-type"), `multipart/form-data; boundary=${boundary}`);
});

for (
  const [status, expected] of [
    [200, "delivered 2.0.0 | The application took it: 200 said"],
    [299, "delivered 2.0.0 | The application took it: 299 said"],
    [302, "delayed 4.3.5 pushback| The application answered: 302 said"],
    [400, "delayed 4.5.0 | The application answered: 400 said"],
    [401, "delayed 4.7.0 pushback| The application answered: 401 said"],
    [403, "delayed 4.7.0 pushback| The application answered: 403 said"],
    [404, "delayed 4.3.5 pushback| The application answered: 404 said"],
    [408, "delayed 4.5.0 | The application answered: 408 said"],
    [410, "failed 5.0.0 | The application refused the message: 410 said"],
    [413, "failed 5.3.4 | The application refused the message: 413 said"],
    [422, "failed 5.6.0 | The application refused the message: 422 said"],
    [425, "delayed 4.5.0 | The application answered: 425 said"],
    [429, "delayed 4.4.5 pushback| The application answered: 429 said"],
    [500, "delayed 4.3.0 | The application answered: 500 said"],
    [503, "delayed 4.3.2 pushback| The application answered: 503 said"],
    [507, "delayed 4.3.1 | The application answered: 507 said"],
    [599, "delayed 4.3.0 | The application answered: 599 said"],
  ] as const
) {
  Deno.test(`An answer of ${status} means: ${expected.split(" |")[0]}`, async () => {
    assertEquals(
      await outcomeOf(() => new Response("said", { status, headers: { location: "/elsewhere" } })),
      expected,
    );
  });
}

Deno.test("A redirection is not followed", async () => {
  await using receiver = startWebhookReceiver();
  receiver.answer = () => new Response(null, { status: 307, headers: { location: receiver.url } });
  assertEquals((await deliver(targetOf(), receiver.hop))[0]?.action, "delayed");
  assertEquals(receiver.requests.length, 1);
});

Deno.test("Of what an application says one line is kept, without control characters", async () => {
  const text = `a\r\nb\t\x1b[31mc\u202e ${"x".repeat(10_000)}`;
  const said = await outcomeOf(() => new Response(text, { status: 422 }));
  assertMatch(said ?? "", /: 422 a b \[31mc x+$/);
  assertEquals(said?.length, "failed 5.6.0 | The application refused the message: 422 ".length + 500);
});

Deno.test("A web page is not quoted to senders", async () => {
  const headers = { "content-type": "text/html; charset=utf-8" };
  const said = await outcomeOf(() => new Response("<h1>secret</h1>", { status: 500, headers }));
  assertEquals(said, "delayed 4.3.0 | The application answered: 500 Internal Server Error");
});

Deno.test("An answer whose text never ends is cut off", async () => {
  const endless = (): Response =>
    new Response(new ReadableStream({ pull: (controller) => controller.enqueue(new Uint8Array(1024).fill(120)) }));
  assertMatch(await outcomeOf(endless) ?? "", /^delivered 2\.0\.0 \| The application took it: 200 x{500}$/);
});

Deno.test("An application that answers nothing is waited for a minute, and gets less at a time", async () => {
  const clock = new FakeClock("2026-11-23T10:00:00Z");
  const isAsked = Promise.withResolvers<void>();
  const fetch: Fetch = (_, { signal }) =>
    new Promise((_, reject) => {
      isAsked.resolve();
      signal?.addEventListener("abort", () => reject(signal.reason));
    });
  const target = new WebhookTarget({ fetch, clock, logger: getLogger(["test", "webhook"]) });
  const delivering = deliver(target, webhookHop("https://app.example/mail"));
  await isAsked.promise;
  await clock.advance(59_999);
  await clock.advance(1);
  assertEquals(summary(await delivering), ["delayed 4.4.2 pushback| No answer of the application within 60 s"]);
});

Deno.test("An application that takes a large message slowly is waited for while it goes on", async () => {
  const clock = new FakeClock("2026-11-23T10:00:00Z");
  const fetch: Fetch = async (_, { body }) => {
    assert(body instanceof ReadableStream);
    for await (const _ of body) await clock.advance(4_000);
    return new Response("ok");
  };
  const content = streamedContent(new Uint8Array(600_000).fill(120), 60_000);
  const [outcome] = await deliver(targetOf(fetch, clock), webhookHop("https://app.example/mail"), { content });
  assertEquals(outcome?.action, "delivered");
});

Deno.test("An application that cannot be reached is down, and its URL is not told to senders", async () => {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr;
  listener.close();
  const [outcome] = await deliver(targetOf(), webhookHop(`http://127.0.0.1:${port}/hidden`));
  assertEquals([outcome?.action, outcome?.status, outcome?.destination], ["delayed", "4.4.1", "down"]);
  assertMatch(outcome?.text ?? "", /^Cannot reach the application: .*refused/);
  assertFalse(outcome?.text.includes("hidden"));
  assertEquals(outcome?.remoteMta, "127.0.0.1");
});

Deno.test("A connection that breaks before the answer delays, and the application is not taken for down", async () => {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const closing = (async (): Promise<void> => {
    const connection = await listener.accept();
    await connection.read(new Uint8Array(100));
    connection.close();
  })();
  const [outcome] = await deliver(targetOf(), webhookHop(`http://127.0.0.1:${listener.addr.port}/hidden`));
  await closing;
  assertEquals([outcome?.action, outcome?.status, outcome?.destination], ["delayed", "4.4.2", undefined]);
  assertMatch(outcome?.text ?? "", /^Lost the connection to the application: /);
  assertFalse(outcome?.text.includes("hidden"));
});

Deno.test("A certificate of nobody we trust delays with 4.7.5; one that we trust is taken", async () => {
  const read = (name: string): string => Deno.readTextFileSync(`${import.meta.dirname}/../../../fixtures/tls/${name}`);
  await using receiver = startWebhookReceiver({ tls: { cert: read("certificate.pem"), key: read("key.pem") } });
  const [refused] = await deliver(targetOf(), receiver.hop);
  assertEquals([refused?.action, refused?.status, refused?.destination], ["delayed", "4.7.5", "down"]);
  assertStringIncludes(refused?.text ?? "", "Cannot make a TLS connection to the application: ");
  assertEquals(receiver.requests.length, 0);
  using client = Deno.createHttpClient({ caCerts: [read("ca.pem")] });
  const [outcome] = await deliver(targetOf((url, init) => fetch(url, { ...init, client })), receiver.hop);
  assertEquals(outcome?.action, "delivered");
});

Deno.test("An application that says yes before it has the whole message is not believed", async () => {
  const fetch: Fetch = async (_, { body }) => {
    assert(body instanceof ReadableStream);
    await body.getReader().read();
    return new Response("ok");
  };
  const content = streamedContent(new Uint8Array(600_000).fill(120), 60_000);
  const outcomes = await deliver(targetOf(fetch), webhookHop("https://app.example/mail"), { content });
  assertEquals(summary(outcomes), ["delayed 4.5.0 | The application answered 200 before it had the whole message"]);
});

Deno.test("A refusal that comes early counts, and the rest is not sent", async () => {
  const fetch: Fetch = async (_, { body }) => {
    assert(body instanceof ReadableStream);
    await body.getReader().read();
    return new Response("50 KB at most", { status: 413 });
  };
  let pieces = 0;
  const content = streamedContent(new Uint8Array(600_000).fill(120), 60_000, () => pieces++);
  const outcomes = await deliver(targetOf(fetch), webhookHop("https://app.example/mail"), { content });
  assertEquals(summary(outcomes), ["failed 5.3.4 | The application refused the message: 413 50 KB at most"]);
  assertEquals(pieces, 10, "only those that were read for the signature");
});

Deno.test("A shutdown gives up a request that waits for its answer", async () => {
  const controller = new AbortController();
  const fetch: Fetch = (_, { signal }) => {
    queueMicrotask(() => controller.abort());
    return new Promise((_, reject) => signal?.addEventListener("abort", () => reject(signal.reason)));
  };
  const outcomes = await deliver(targetOf(fetch), webhookHop("https://app.example/mail"), {
    signal: controller.signal,
  });
  assertEquals(summary(outcomes), ["delayed 4.3.2 | server is shutting down"]);
});

Deno.test("A message of 50 MB goes through a few pieces of memory", async () => {
  let held = 0;
  let most = 0;
  const octets = 50 * 2 ** 20;
  const content: Content = {
    octets,
    async *chunks(): AsyncGenerator<Uint8Array> {
      const piece = new Uint8Array(65_536).fill(120);
      for (let at = 0; at < octets; at += piece.length) {
        most = Math.max(most, ++held);
        yield await Promise.resolve(piece);
      }
    },
  };
  let sent = 0;
  const fetch: Fetch = async (_, { body }) => {
    assert(body instanceof ReadableStream);
    held = 0;
    most = 0;
    for await (const piece of body) {
      sent += piece.length;
      held--;
    }
    return new Response("ok");
  };
  const [outcome] = await deliver(targetOf(fetch), webhookHop("https://app.example/mail"), { content });
  assertEquals(outcome?.action, "delivered");
  assert(sent > octets);
  assert(most <= 2, `${most} pieces at a time`);
});
