/** Message authentication in whole sessions: what a client is told, and what comes into the spool or a mailbox. */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { getLogger } from "@logtape/logtape";
import type { RouteDecision } from "../../../lib/delivery/next_hop.ts";
import { MaildirTarget } from "../../../lib/delivery/maildir.ts";
import { mailboxFolder } from "../../../lib/delivery/maildir_name.ts";
import { inboxFiling, quarantineFiling } from "../../../lib/delivery/mailbox/filing.ts";
import type { Logger } from "../../../lib/log/logger.ts";
import { type DirectDelivery, directDelivery } from "../../../lib/queue/direct_delivery.ts";
import { systemClock } from "../../../lib/system/clock.ts";
import { systemFiles } from "../../../lib/system/files.ts";
import { FolderSync } from "../../../lib/system/folder_sync.ts";
import { Client } from "../../support/conversation.ts";
import { FakeResolver } from "../../support/fake_resolver.ts";
import { type InboundFixture, type InboundFixtureOptions, startInbound } from "../../support/inbound_server.ts";
import { TemporaryFolder } from "../../support/interop/temporary_folder.ts";
import { LogLines } from "../../support/log_lines.ts";
import { testAuthentication } from "../../support/msgauth/authenticated_intake.ts";
import { allChecks, senderZone } from "../../support/msgauth/check_lab.ts";
import { verifyMessage } from "../../support/msgauth/dkim_check.ts";
import { testKey } from "../../support/msgauth/dkim_keys.ts";
import { signByHand } from "../../support/msgauth/signed_by_hand.ts";

const key = await testKey("rsa-sha256", "s1");
const MESSAGE = "From: ann@example.org\r\nTo: alice@example.org\r\nSubject: Hi\r\nDate: today\r\n\r\nHello\r\n.dot\r\n";
const FORGED = "Authentication-Results: mx.test; dmarc=pass\r\n";

function authenticated(policy: string, onTemporaryError: "accept" | "defer" = "accept"): InboundFixtureOptions {
  const zone = senderZone(policy, key);
  if (policy === "") zone["_dmarc.example.org"] = { failing: ["TXT"] };
  const settings = allChecks({ onTemporaryError });
  return { authentication: testAuthentication({ resolver: new FakeResolver(zone), keys: [key], settings }) };
}

async function begin(server: InboundFixture, hello = "EHLO"): Promise<Client> {
  const client = await Client.connect(server.port);
  await client.line();
  client.send(`${hello} mail.example.org\r\n`);
  await client.reply();
  return client;
}

/** Sends a message by DATA or BDAT in pieces, and gives the final reply. */
async function send(client: Client, message: string, verb: "DATA" | "BDAT", pieces: number): Promise<string> {
  client.send("MAIL FROM:<ann@example.org>\r\nRCPT TO:<alice@example.org>\r\n");
  await client.line();
  await client.line();
  if (verb === "DATA") {
    client.send("DATA\r\n");
    await client.line();
  }
  const size = Math.ceil(message.length / pieces);
  const stuffed = message.replace(/^\./gm, "..");
  if (verb === "DATA") {
    for (let at = 0; at < stuffed.length; at += size) {
      client.send(stuffed.slice(at, at + size));
      await new Promise((done) => setTimeout(done, 0));
    }
    client.send(".\r\n");
    return await client.line();
  }
  let reply = "";
  for (let at = 0; at < message.length; at += size) {
    const chunk = message.slice(at, at + size);
    client.send(`BDAT ${chunk.length}${at + size >= message.length ? " LAST" : ""}\r\n${chunk}`);
    reply = await client.line();
  }
  return reply;
}

function lastOf({ spool }: InboundFixture): { readonly trace: string; readonly content: string } {
  const message = spool.messages.at(-1);
  assert(message !== undefined);
  const trace = message.envelope.trace.replace(/\r\n[ \t]+/g, " ");
  return { trace, content: new TextDecoder().decode(message.content.inMemory) };
}

Deno.test("DATA and BDAT give the same results and the same content, wherever it is cut", async () => {
  const log = new LogLines();
  await using server = await startInbound({ ...authenticated("p=reject"), logger: log });
  await using client = await begin(server);
  const signed = await signByHand(MESSAGE, { key });
  for (const verb of ["DATA", "BDAT"] as const) {
    for (const pieces of [1, 2, 5, 40]) {
      assertMatch(await send(client, FORGED + signed, verb, pieces), /^250 2\.0\.0 Queued as /);
      const { trace, content } = lastOf(server);
      assertEquals(content, signed);
      assertMatch(trace, /^Authentication-Results: mx\.test; .*dkim=pass .*dmarc=pass .*\r\nReceived: /);
    }
  }
  assertEquals(server.spool.openReceptions, 0);
});

Deno.test("a client reads why its message is refused or put off, and the session goes on", async () => {
  await using server = await startInbound(authenticated("p=reject"));
  await using client = await begin(server);
  for (const verb of ["DATA", "BDAT"] as const) {
    assertEquals(
      await send(client, MESSAGE, verb, 3),
      "550 5.7.1 This message is refused under the DMARC policy of example.org: neither SPF nor DKIM shows that it is " +
        "from there",
    );
  }
  assertMatch(await send(client, MESSAGE.replace("ann@example.org", "a@b.test, c@d.test"), "DATA", 1), /^(250|550) /);
  assertMatch(await send(client, await signByHand(MESSAGE, { key }), "DATA", 1), /^250 /);
  assertEquals(server.spool.openReceptions, 0);
  await using deferring = await startInbound(authenticated("", "defer"));
  await using other = await begin(deferring);
  assertEquals(
    await send(other, MESSAGE, "DATA", 1),
    "451 4.7.1 Cannot check now whether this message is from example.org, try again later",
  );
  assertEquals([deferring.spool.messages.length, deferring.spool.openReceptions], [0, 0]);
});

Deno.test("the log tells what was found out about a message, taken or refused", async () => {
  const told: unknown[] = [];
  const info: Logger["info"] = (message, fields) => void (/message|recipient/.test(message) && told.push(fields?.auth));
  const logger: Logger = { debug: () => {}, info, warning: () => {}, error: () => {} };
  await using server = await startInbound({ ...authenticated("p=reject"), logger });
  await using client = await begin(server);
  assertMatch(await send(client, await signByHand(MESSAGE, { key }), "DATA", 1), /^250 /);
  assertMatch(await send(client, MESSAGE, "DATA", 1), /^550 5\.7\.1 /);
  assertMatch(await send(client, MESSAGE.replace("Hello", "He\0llo"), "DATA", 1), /^554 5\.6\.0 /);
  await using deferring = await startInbound({ ...authenticated("", "defer"), logger });
  await using other = await begin(deferring);
  assertMatch(await send(other, MESSAGE, "DATA", 1), /^451 4\.7\.1 /);
  assertEquals(told, [
    "spf=fail dkim=pass(example.org) dmarc=pass(example.org)",
    "spf=fail dkim=none dmarc=fail(example.org)",
    undefined,
    "spf=fail dkim=none dmarc=temperror(example.org)",
  ]);
});

Deno.test("what a client of relay_from sends is signed", async () => {
  const options = authenticated("p=reject");
  await using server = await startInbound({ ...options, relayFrom: ["127.0.0.1"] });
  await using client = await begin(server);
  assertMatch(await send(client, MESSAGE, "DATA", 4), /^250 /);
  const message = server.spool.messages[0];
  const { content } = lastOf(server);
  assertEquals(content, MESSAGE);
  const resolver = new FakeResolver(senderZone("p=none", key));
  const found = await verifyMessage(message?.envelope.trace + content, resolver, Date.now());
  assertEquals(found.map(({ result }) => result), ["pass"]);
});

/** The mailbox of alice on a disk. */
interface Mailbox extends AsyncDisposable {
  readonly direct: DirectDelivery;
  readonly folder: string;
  /** How often a long message was begun before it was complete. */
  readonly streams: () => number;
}

async function mailbox(): Promise<Mailbox> {
  const root = await TemporaryFolder.create();
  const sync = new FolderSync(systemFiles);
  const target = new MaildirTarget({
    mailRoot: `${root.path}/mail`,
    files: systemFiles,
    clock: systemClock,
    hostname: "mx.test",
    pid: 1,
    folderSync: sync,
    logger: getLogger(["test"]),
    lineEndings: () => "crlf",
    filing: quarantineFiling(inboxFiling),
  });
  let streams = 0;
  const route = (account: string): RouteDecision => ({
    kind: "hop",
    hop: { kind: "maildir", account, key: `maildir:${account}` },
  });
  const direct = directDelivery({
    route,
    deliver: async (request) => {
      const { hop } = request;
      return hop.kind === "maildir" ? await target.deliver({ ...request, hop }) : [];
    },
    openMailbox: async (request) => {
      const { hop } = request;
      streams++;
      return hop.kind === "maildir" ? await target.open({ ...request, hop }) : undefined;
    },
    clock: systemClock,
    logger: getLogger(["test"]),
    signal: new AbortController().signal,
  });
  return {
    direct,
    folder: mailboxFolder(`${root.path}/mail`, "alice@example.org"),
    streams: () => streams,
    [Symbol.asyncDispose]: async (): Promise<void> => {
      await target[Symbol.asyncDispose]();
      await sync[Symbol.asyncDispose]();
      await root[Symbol.asyncDispose]();
    },
  };
}

async function onlyFileIn(folder: string): Promise<string> {
  const names = await Array.fromAsync(Deno.readDir(folder), ({ name }) => name);
  assertEquals(names.length, 1, folder);
  return await Deno.readTextFile(`${folder}/${names[0]}`);
}

Deno.test("what is in quarantine comes into the folder Junk, with the reason in its header section", async () => {
  await using box = await mailbox();
  await using server = await startInbound({ ...authenticated("p=quarantine"), direct: box.direct });
  await using client = await begin(server);
  assertMatch(await send(client, MESSAGE, "DATA", 2), /^250 /);
  const text = (await onlyFileIn(`${box.folder}/.Junk/new`)).replace(/\r\n[ \t]+/g, " ");
  assertMatch(text, /\r\nAuthentication-Results: mx\.test; .*dmarc=fail \(dis=quarantine\) .*policy\.dmarc=quarantine/);
  assertEquals(await Array.fromAsync(Deno.readDir(`${box.folder}/new`)), []);
  assertEquals(server.spool.messages, []);
});

Deno.test("a long message that is checked goes through the spool, with its results in front; one that is not streams into its mailbox", async () => {
  const long = `${MESSAGE}${"0123456789abcdef\r\n".repeat(10_000)}`;
  const signed = await signByHand(long, { key });
  for (const [service, greeting, streams] of [["mx", "EHLO", 0], ["lmtp", "LHLO", 1]] as const) {
    await using box = await mailbox();
    await using server = await startInbound({ ...authenticated("p=reject"), service, direct: box.direct });
    await using client = await begin(server, greeting);
    assertMatch(await send(client, signed, "DATA", 7), /^250 /);
    assertEquals(box.streams(), streams);
    if (service === "lmtp") {
      const text = await onlyFileIn(`${box.folder}/new`);
      assert(text.endsWith(signed) && !/\r\nAuthentication-Results: /.test(text));
      continue;
    }
    const { trace, content } = lastOf(server);
    assert(content === signed);
    assertMatch(trace, /^Authentication-Results: .*dkim=pass/);
  }
});
