/** An application keeps the mail of accounts: the real program posts to it. */

import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { Daemon } from "../support/interop/daemon.ts";
import { SmtpDialog } from "../support/interop/dialog.ts";
import { freePort } from "../support/interop/free_port.ts";
import { latin1Octets, traceFieldsBefore } from "../support/interop/maildir.ts";
import { awkwardMessage } from "../support/interop/messages.ts";
import { report } from "../support/interop/peers.ts";
import { mebi, processMemory } from "../support/interop/process_memory.ts";
import { TemporaryFolder } from "../support/interop/temporary_folder.ts";
import { waitUntil } from "../support/interop/wait.ts";
import { PosthornProcess } from "../support/posthorn_process.ts";
import { startWebhookReceiver, WEBHOOK_SECRET } from "../support/webhook_receiver.ts";

const APP = "app@example.org";
const REPORTS = "reports@example.org";

/** Posthorn with APP, whose mail goes to a URL, and REPORTS, whose mail stays. */
async function start(url: string): Promise<PosthornProcess> {
  const posthorn = await PosthornProcess.start({
    listeners: [{ service: "mx" }],
    isStopped: true,
    config: { mailboxes: { secret: WEBHOOK_SECRET }, queue: { retry: ["1s"] } },
  });
  await Deno.writeTextFile(
    `${posthorn.folder}/accounts.yaml`,
    `${APP}: { via: "${url}" }\nold@example.org: { via: "${url}" }\n${REPORTS}:\n`,
  );
  await posthorn.restart();
  return posthorn;
}

async function send(posthorn: PosthornProcess, recipient: string, octets: Uint8Array): Promise<void> {
  using dialog = await SmtpDialog.open(posthorn.port("mx"));
  assertMatch(await dialog.send(REPORTS, [recipient], octets), /^250 /);
}

Deno.test("An application that fails gets the same message with the same id again, until it takes it", async () => {
  await using receiver = startWebhookReceiver();
  receiver.answer = (_, index) => new Response("database is down", { status: [500, 503][index] ?? 201 });
  await using posthorn = await start(receiver.url);
  const message = awkwardMessage({ from: REPORTS, to: APP, subject: "to the application" });
  await send(posthorn, "App@Example.Org", message.octets);
  await posthorn.waitForLog(/: delivered to app@example\.org/);
  assertEquals(receiver.requests.length, 3, posthorn.log);
  const [first, ...others] = receiver.requests;
  for (const { headers, body } of others) {
    assertEquals(headers.get("webhook-id"), first?.headers.get("webhook-id"));
    assertEquals(body, first?.body);
  }
  const [trace] = traceFieldsBefore(message.octets, first?.message ?? new Uint8Array());
  assertMatch(trace ?? "", /^Received: from client\.example .*by mail\.example\.org /);
  assertEquals(first?.envelope["recipients"], [{ address: APP, original: "App@example.org" }]);
  assertMatch(
    posthorn.log,
    /delayed for app@example\.org .*status 4\.3\.0: The application answered: 500 database is down/,
  );
  await posthorn.waitForEmptyQueue();
  assert(!posthorn.log.includes(WEBHOOK_SECRET), "the secret is in the log");
});

Deno.test("An application that is away closes its destination, by its URL, and gets all when it is back", async () => {
  const port = freePort();
  const url = `http://127.0.0.1:${port}/mail`;
  await using posthorn = await start(url);
  for (let count = 0; count < 3; count++) await send(posthorn, APP, latin1Octets("Subject: x\r\n\r\nbody\r\n"));
  assertStringIncludes(await posthorn.waitForLog(/Destination .* takes no mail/), url);
  assertStringIncludes((await posthorn.run(["queue", "destinations"])).stdout, url);
  const ids = new Set<string | null>();
  const server = Deno.serve({ hostname: "127.0.0.1", port, onListen: () => {} }, async (request) => {
    await request.arrayBuffer();
    ids.add(request.headers.get("webhook-id"));
    return new Response(null, { status: 204 });
  });
  await posthorn.waitForEmptyQueue();
  assertEquals(ids.size, 3);
  await server.shutdown();
});

Deno.test("A message of 49 MB goes to an application without being held in memory", async () => {
  await using receiver = startWebhookReceiver();
  await using posthorn = await start(receiver.url);
  const message = new Uint8Array(49 * 2 ** 20).fill(120);
  message.set(latin1Octets("Subject: large\r\n\r\n"));
  for (let at = 100; at < message.length; at += 76) message.set([13, 10], at);
  message.set([13, 10], message.length - 2);
  const before = (await processMemory(posthorn.pid)).own;
  let most = 0;
  const watch = setInterval(async () => {
    most = Math.max(most, (await processMemory(posthorn.pid)).own);
  }, 20);
  using dialog = await SmtpDialog.open(posthorn.port("mx"));
  await dialog.command(`MAIL FROM:<${REPORTS}>`);
  await dialog.command(`RCPT TO:<${APP}>`);
  await dialog.write(latin1Octets(`BDAT ${message.length} LAST\r\n`));
  await dialog.write(message);
  assertMatch(await dialog.reply(), /^250 /);
  await posthorn.waitForLog(/: delivered to app@example\.org/, 60_000);
  clearInterval(watch);
  const [request] = receiver.requests;
  assertEquals(request?.headers.get("content-length"), null, "streamed");
  const octets = request?.message ?? new Uint8Array();
  assert(
    octets.length > message.length && octets.subarray(-message.length).every((octet, at) => octet === message[at]),
  );
  await report(`webhook of 49 MiB: memory grows by ${mebi(most - before)} at most`);
  assert(most - before < 64 * 2 ** 20, `memory grows by ${mebi(most - before)}`);
});

Deno.test("The receiver of docs/handover.md stores what is signed, once, and its refusal reaches the sender", async () => {
  const page = await Deno.readTextFile(`${import.meta.dirname}/../../docs/handover.md`);
  const [, code = ""] = /^```js\n(.*?)^```$/ms.exec(page) ?? [];
  await using folder = await TemporaryFolder.create();
  await Deno.writeTextFile(`${folder.path}/receiver.js`, code);
  await Deno.mkdir(`${folder.path}/mail`);
  const port = freePort();
  const variables = [`HOOK_SECRET=${WEBHOOK_SECRET}`, `PORT=${port}`, `MAIL_FOLDER=${folder.path}/mail`];
  await using application = new Daemon([
    "env",
    ...variables,
    Deno.execPath(),
    "run",
    "--quiet",
    "--no-config",
    "--no-prompt",
    "--allow-all",
    `${folder.path}/receiver.js`,
  ]);
  await waitUntil(() => Deno.connect({ port }).then((connection) => (connection.close(), true), () => undefined), {
    what: "the receiver to listen",
    detail: () => application.log,
  });
  await using posthorn = await start(`http://127.0.0.1:${port}/mail`);
  const message = awkwardMessage({ from: REPORTS, to: APP, subject: "8-bit, and not UTF-8" });
  await send(posthorn, APP, message.octets);
  await posthorn.waitForLog(/: delivered to app@example\.org/);
  const [file] = await Array.fromAsync(Deno.readDir(`${folder.path}/mail`));
  assertMatch(file?.name ?? "", /^msg_[0-9a-z]{16}_[0-9a-f]{16}\.eml$/);
  traceFieldsBefore(message.octets, await Deno.readFile(`${folder.path}/mail/${file?.name}`));
  const stranger = await fetch(`http://127.0.0.1:${port}/mail`, { method: "POST", body: "x" });
  assertEquals([stranger.status, await stranger.text()], [401, "bad signature"]);

  await send(posthorn, "old@example.org", message.octets);
  const [told] = await posthorn.maildir(REPORTS).waitFor(1, { detail: () => posthorn.log });
  assertStringIncludes(
    (told?.text ?? "").replaceAll("\r\n", "\n").replaceAll(/\n +/g, " "),
    "The application refused the message: 410 That mailbox is closed",
  );
});
