import { assert, assertEquals } from "@std/assert";
import { planMail } from "../../../../lib/delivery/remote/mail_parameters.ts";
import type { Envelope, EnvelopeRecipient } from "../../../../lib/mail/envelope.ts";
import { memoryContent } from "../../../../lib/mail/content.ts";
import { NO_EXTENSIONS, type PeerExtensions } from "../../../../lib/smtp/client/extensions.ts";
import { mxHop, testRequest } from "../../../support/remote_delivery.ts";
import { parseOrcpt } from "../../../../lib/smtp/parameters/dsn.ts";

const ALL: PeerExtensions = { ...NO_EXTENSIONS, size: true, eightBitMime: true, smtpUtf8: true, dsn: true };

const NOW_MS = Date.UTC(2026, 10, 23, 12);

/** MAIL and RCPT arguments, or the action and status where there is none. */
async function plan(
  extensions: PeerExtensions,
  envelope: Partial<Envelope>,
  recipients: readonly (string | EnvelopeRecipient)[] = ["a@example.test"],
  content = "x\r\n",
): Promise<string[]> {
  const request = testRequest({ hop: mxHop("example.test"), recipients, envelope });
  const outgoing = {
    ...request,
    head: new Uint8Array(10),
    content: memoryContent(new TextEncoder().encode(content)),
    isLastHop: false,
    nowMs: NOW_MS,
  };
  const host = { name: "mx.test", address: { host: "192.0.2.1", port: 25 } };
  const result = await planMail(outgoing, extensions, { host });
  if (result.kind === "refused") return [`${result.outcome.action} ${result.outcome.status}`];
  const rest = result.recipients.map((item) => typeof item === "string" ? item : `${item.action} ${item.status}`);
  return [result.mail, ...rest];
}

Deno.test("a peer without extensions gets bare paths", async () => {
  assertEquals(await plan(NO_EXTENSIONS, { ret: "HDRS", envid: "x" }), ["<sender@client.test>", "<a@example.test>"]);
});

Deno.test("the null reverse-path is <>", async () => {
  assertEquals((await plan(NO_EXTENSIONS, { reversePath: "" }))[0], "<>");
});

Deno.test("SIZE counts trace fields and content", async () => {
  assertEquals((await plan(ALL, {}))[0], "<sender@client.test> SIZE=13");
  assertEquals(await plan({ ...ALL, maxMessageOctets: 12 }, {}), ["failed 5.3.4"]);
  assertEquals((await plan({ ...ALL, maxMessageOctets: 13 }, {})).length, 2);
});

Deno.test("DSN parameters are passed on, encoded as xtext", async () => {
  const recipient: EnvelopeRecipient = {
    address: "a@example.test",
    notify: ["success", "failure"],
    orcpt: "rfc822;a+b=c@example.test",
  };
  const never: EnvelopeRecipient = { address: "b@example.test", notify: "never" };
  assertEquals(await plan({ ...NO_EXTENSIONS, dsn: true }, { ret: "FULL", envid: "id 1+2" }, [recipient, never]), [
    "<sender@client.test> RET=FULL ENVID=id+201+2B2",
    "<a@example.test> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;a+2Bb+3Dc@example.test",
    "<b@example.test> NOTIFY=NEVER",
  ]);
});

Deno.test("ORCPT beyond US-ASCII is written in US-ASCII, for every peer with DSN", async () => {
  const recipient = { address: "a@example.test", orcpt: "utf-8;\u00fc+\\@example.test" };
  const argument = "<a@example.test> ORCPT=utf-8;\\x{FC}\\x{2B}\\x{5C}@example.test";
  assertEquals((await plan({ ...NO_EXTENSIONS, dsn: true }, {}, [recipient]))[1], argument);
  assertEquals((await plan(ALL, {}, [recipient]))[1], argument);
  assertEquals(parseOrcpt(argument.replace(/.*=/, ""), false), recipient.orcpt);
});

Deno.test("the time that is left is passed on, and a message that must be in time only to a peer that takes it", async () => {
  const until = new Date(NOW_MS + 90_500).toISOString();
  const inTime: Partial<Envelope> = { deliverBy: { until, mode: "return", isTraced: false } };
  const warned: Partial<Envelope> = { deliverBy: { until, mode: "notify", isTraced: true } };
  const peer = { ...NO_EXTENSIONS, minDeliverBySeconds: 60 };
  assertEquals((await plan(peer, inTime))[0], "<sender@client.test> BY=90;R");
  assertEquals((await plan(peer, warned))[0], "<sender@client.test> BY=90;NT");
  assertEquals(await plan({ ...peer, minDeliverBySeconds: 120 }, inTime), ["failed 5.3.3"]);
  assertEquals((await plan({ ...peer, minDeliverBySeconds: 120 }, warned))[0], "<sender@client.test> BY=90;NT");
  assertEquals(await plan(NO_EXTENSIONS, inTime), ["failed 5.3.3"]);
  assertEquals((await plan(NO_EXTENSIONS, warned))[0], "<sender@client.test>");
});

Deno.test("the priority is passed on to a peer with MT-PRIORITY", async () => {
  assertEquals(
    (await plan({ ...NO_EXTENSIONS, mtPriority: true }, { priority: -3 }))[0],
    "<sender@client.test> MT-PRIORITY=-3",
  );
  assertEquals((await plan({ ...NO_EXTENSIONS, mtPriority: true }, {}))[0], "<sender@client.test>");
  assertEquals((await plan(NO_EXTENSIONS, { priority: 3 }))[0], "<sender@client.test>");
});

Deno.test("8-bit content is declared, or sent where it is 7-bit in truth, or fails unchanged", async () => {
  assertEquals((await plan(ALL, { body: "8BITMIME" }))[0], "<sender@client.test> SIZE=13 BODY=8BITMIME");
  assertEquals((await plan(NO_EXTENSIONS, { body: "8BITMIME" }))[0], "<sender@client.test>");
  assertEquals(await plan(NO_EXTENSIONS, { body: "8BITMIME" }, ["a@example.test"], "\u00fc\r\n"), ["failed 5.6.3"]);
});

Deno.test("binary content goes in chunks, or is sent where it is none in truth, or fails unchanged", async () => {
  const binary: Partial<Envelope> = { body: "BINARYMIME" };
  const peer = { ...NO_EXTENSIONS, chunking: true, binaryMime: true };
  assertEquals((await plan(peer, binary))[0], "<sender@client.test> BODY=BINARYMIME");
  assertEquals((await plan({ ...NO_EXTENSIONS, binaryMime: true }, binary))[0], "<sender@client.test>");
  assertEquals(
    (await plan(ALL, binary, ["a@example.test"], "\u00fc\r\n"))[0],
    "<sender@client.test> SIZE=14 BODY=8BITMIME",
  );
  for (const content of ["a\nb\r\n", "a\rb\r\n", "a\0b\r\n", "no line end", "a\r", `${"x".repeat(999)}\r\n`]) {
    assertEquals(await plan(ALL, binary, ["a@example.test"], content), ["failed 5.6.3"], JSON.stringify(content));
  }
  assertEquals(await plan(NO_EXTENSIONS, binary, ["a@example.test"], "\u00fc\r\n"), ["failed 5.6.3"]);
});

Deno.test("REQUIRETLS is passed on", async () => {
  const envelope: Partial<Envelope> = { requireTls: true };
  assertEquals((await plan({ ...NO_EXTENSIONS, requireTls: true }, envelope))[0], "<sender@client.test> REQUIRETLS");
  assertEquals((await plan({ ...NO_EXTENSIONS, requireTls: true }, {}))[0], "<sender@client.test>");
});

Deno.test("addresses beyond US-ASCII need SMTPUTF8; without it only those recipients fail", async () => {
  const recipients = ["j\u00fcrgen@example.test", "a@example.test", "b@b\u00fccher.test"];
  assertEquals((await plan(ALL, {}, recipients))[0], "<sender@client.test> SIZE=13 SMTPUTF8");
  assertEquals(await plan(NO_EXTENSIONS, {}, recipients), [
    "<sender@client.test>",
    "failed 5.6.7",
    "<a@example.test>",
    "<b@xn--bcher-kva.test>",
  ]);
  assertEquals(await plan(NO_EXTENSIONS, { reversePath: "\u00fc@client.test" }), ["failed 5.6.7"]);
});

Deno.test("an SMTPUTF8 message goes to a peer without SMTPUTF8 only where envelope and header section are US-ASCII", async () => {
  const sent = ["<sender@client.test>", "<a@example.test>"];
  const to = (content: string): Promise<string[]> =>
    plan({ ...NO_EXTENSIONS, eightBitMime: true }, { smtpUtf8: true }, undefined, content);
  assertEquals(await to("Subject: hi\r\n\r\nb\u00f6dy\r\n"), sent);
  assertEquals(await to("Subject: h\u00ef\r\n\r\nbody\r\n"), ["failed 5.6.7"]);
});

Deno.test("an address that would end the command early is never sent", async () => {
  const result = await plan(NO_EXTENSIONS, {}, ["a@example.test>\r\nDATA"]);
  assertEquals(result[1], "failed 5.1.3");
  assertEquals(await plan(NO_EXTENSIONS, { reversePath: "a\r\nb@client.test" }), ["failed 5.1.7"]);
  assert(result.length === 2);
});
