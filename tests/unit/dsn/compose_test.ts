import { assert, assertEquals, assertMatch, assertNotMatch, assertRejects, assertStringIncludes } from "@std/assert";
import { composeDsn } from "../../../lib/dsn/compose.ts";
import { memoryContent } from "../../../lib/mail/content.ts";
import { parseDsn, valueOf } from "./mime.ts";
import { MESSAGE, NOW_MS, sampleReport } from "./sample.ts";

Deno.test("A failure report goes from the null reverse-path to the sender", async () => {
  const { envelope } = await composeDsn(sampleReport());
  assertEquals(envelope, {
    reversePath: "",
    arrived: "2026-11-23T12:00:00.000Z",
    body: "7BIT",
    smtpUtf8: false,
    trace: "Received: by mail.example.org (posthorn, report on q1abc); Mon, 23 Nov 2026 12:00:00 +0000\r\n",
    session: { service: "local" },
    recipients: [{ address: "alice@example.org", notify: "never" }],
  });
});

Deno.test("A failure report has the fields of RFC 3464 and RFC 3834", async () => {
  const { header, groups } = parseDsn(await composeDsn(sampleReport({ envelope: { envid: "id+1" } })));
  assertEquals(header.slice(0, 9), [
    ["from", "Mail Delivery System <MAILER-DAEMON@mail.example.org>"],
    ["to", "alice@example.org"],
    ["subject", "Undelivered mail: bob@example.net"],
    ["date", "Mon, 23 Nov 2026 12:00:00 +0000"],
    ["message-id", `<${NOW_MS.toString(36)}.0001020304050607@mail.example.org>`],
    ["in-reply-to", "<m1@example.org>"],
    ["references", "<m1@example.org>"],
    ["auto-submitted", "auto-replied"],
    ["mime-version", "1.0"],
  ]);
  assertEquals(groups, [
    [
      ["reporting-mta", "dns; mail.example.org"],
      ["x-posthorn-queue-id", "q1abc"],
      ["original-envelope-id", "id+1"],
      ["arrival-date", "Mon, 23 Nov 2026 08:00:00 +0000"],
    ],
    [
      ["final-recipient", "rfc822; bob@example.net"],
      ["action", "failed"],
      ["status", "5.1.1"],
      ["remote-mta", "dns; mx1.example.net"],
      ["diagnostic-code", "smtp; 550 5.1.1 No such user"],
      ["last-attempt-date", "Mon, 23 Nov 2026 11:59:59 +0000"],
    ],
  ]);
});

Deno.test("A failure report says in words what happened, what it means and what to do", async () => {
  const { words } = parseDsn(await composeDsn(sampleReport()));
  assertStringIncludes(words.text, "could not be delivered to the recipient below");
  assertStringIncludes(words.text, "<bob@example.net>\r\n    mx1.example.net said: 550 5.1.1 No such user\r\n");
  assertStringIncludes(words.text, "There is no mailbox of this name");
  assertStringIncludes(words.text, "What to do: Check the address");
  assertStringIncludes(words.text, "    Subject: Lunch\r\n");
  for (const line of words.text.split("\r\n")) assert(line.length <= 72, line);
});

Deno.test("A delay report says until when we try, and that nothing has to be done", async () => {
  const report = sampleReport({ kind: "delayed", expiresMs: NOW_MS + 86_400_000 });
  const { header, words, groups } = parseDsn(await composeDsn(report));
  assertEquals(valueOf(header, "subject"), "Delayed mail: bob@example.net");
  assertStringIncludes(words.text.replaceAll("\r\n", " "), "You need not send it again.");
  assertStringIncludes(words.text, "We keep trying until Tue, 24 Nov 2026 12:00:00 +0000.");
  assertNotMatch(words.text, /What to do/);
  const recipient = groups[1] ?? [];
  assertEquals(valueOf(recipient, "action"), "delayed");
  assertEquals(valueOf(recipient, "status"), "4.2.2");
  assertEquals(valueOf(recipient, "will-retry-until"), "Tue, 24 Nov 2026 12:00:00 +0000");
});

Deno.test("A report of success says what became of each recipient, with the header section only", async () => {
  const report = sampleReport({ kind: "succeeded", envelope: { ret: "FULL" } });
  const reports = (["delivered", "relayed", "expanded"] as const).map((action) => ({
    recipient: { address: `${action}@example.net`, orcpt: `rfc822;${action}@old.example` },
    outcome: {
      action,
      status: "2.0.0",
      text: "250 OK",
      isRemoteReply: true,
      ...(action === "relayed" && { remoteMta: "mx1.example.net" }),
    },
    lastAttemptMs: NOW_MS,
  }));
  const { header, words, groups, original } = parseDsn(await composeDsn({ ...report, recipients: reports }));
  assertEquals(valueOf(header, "subject"), "Mail was passed on: delivered@example.net and 2 more");
  assertStringIncludes(words.text, "<delivered@example.net>\r\n    It is in the mailbox.\r\n");
  assertStringIncludes(words.text, "    It was handed to mx1.example.net, which does not report");
  assertStringIncludes(words.text, "    The address stands for several others.");
  assertEquals(groups[2], [
    ["original-recipient", "rfc822; relayed@old.example"],
    ["final-recipient", "rfc822; relayed@example.net"],
    ["action", "relayed"],
    ["status", "2.0.0"],
    ["remote-mta", "dns; mx1.example.net"],
    ["last-attempt-date", "Mon, 23 Nov 2026 12:00:00 +0000"],
  ]);
  assertEquals(valueOf(groups[1] ?? [], "action"), "delivered");
  assertEquals(valueOf(groups[3] ?? [], "action"), "expanded");
  assertMatch(valueOf(original.header, "content-type") ?? "", /^text\/rfc822-headers/);
});

Deno.test("A failure after the time allowed keeps its transient status and says so", async () => {
  const outcome = { action: "delayed", status: "4.4.1", text: "no answer", isRemoteReply: false } as const;
  const { words, groups } = parseDsn(await composeDsn(sampleReport({ outcome })));
  assertStringIncludes(words.text.replace(/\r\n +/g, " "), "then the time allowed was over");
  const recipient = groups[1] ?? [];
  assertEquals(valueOf(recipient, "action"), "failed");
  assertEquals(valueOf(recipient, "status"), "4.4.1");
  assertEquals(valueOf(recipient, "diagnostic-code"), "x-posthorn; no answer");
});

Deno.test("Several recipients share one report, each with its own group", async () => {
  const report = sampleReport();
  const [one] = report.recipients;
  assert(one !== undefined);
  const addresses = ["bob@example.net", "carol@example.net", "dave@example.net"];
  const recipients = addresses.map((address) => ({ ...one, recipient: { address } }));
  const { header, words, groups } = parseDsn(await composeDsn({ ...report, recipients }));
  assertEquals(valueOf(header, "subject"), "Undelivered mail: bob@example.net and 2 more");
  assertStringIncludes(words.text, "the 3 recipients below");
  assertEquals(
    groups.slice(1).map((group) => valueOf(group, "final-recipient")),
    addresses.map((address) => `rfc822; ${address}`),
  );
});

Deno.test("The recipient is named as the sender knows it, and the target of an alias stays private", async () => {
  const recipient = {
    address: "private@home.example",
    original: "sales@example.org",
    orcpt: "rfc822;Sales@Example.org",
  };
  const dsn = await composeDsn(sampleReport({ recipient }));
  const { groups } = parseDsn(dsn);
  assertEquals(valueOf(groups[1] ?? [], "original-recipient"), "rfc822; Sales@Example.org");
  assertEquals(valueOf(groups[1] ?? [], "final-recipient"), "rfc822; sales@example.org");
  assertNotMatch(new TextDecoder().decode(dsn.content.inMemory), /private@home/);
});

Deno.test("Only the header section is given back, with our trace in front", async () => {
  for (const ret of [undefined, "HDRS"] as const) {
    const { original } = parseDsn(await composeDsn(sampleReport(ret === undefined ? {} : { envelope: { ret } })));
    assertEquals(valueOf(original.header, "content-type"), "text/rfc822-headers");
    assertMatch(original.text, /^Received: from client.*\r\nFrom: Alice[^]*m1@example\.org>\r\n$/);
    assertNotMatch(original.text, /Secret place/);
  }
});

Deno.test("RET=FULL gives a small message back whole, but not in a warning", async () => {
  const full = parseDsn(await composeDsn(sampleReport({ envelope: { ret: "FULL" } }))).original;
  assertEquals(valueOf(full.header, "content-type"), "message/rfc822");
  assert(full.text.endsWith(MESSAGE));
  const warning = sampleReport({ kind: "delayed", envelope: { ret: "FULL" } });
  assertEquals(
    valueOf(parseDsn(await composeDsn(warning)).original.header, "content-type"),
    "text/rfc822-headers",
  );
});

Deno.test("RET=FULL gives only the header back of a message that is large or cannot be an 8bit part", async () => {
  const awkward: [string, Partial<{ body: "BINARYMIME" }>][] = [
    [MESSAGE + "x\r\n".repeat(30_000), {}],
    [MESSAGE + "x".repeat(999) + "\r\n", {}],
    [MESSAGE + "a\0b\r\n", {}],
    [MESSAGE, { body: "BINARYMIME" }],
  ];
  for (const [message, changes] of awkward) {
    const report = sampleReport({ message, envelope: { ret: "FULL", ...changes } });
    assertEquals(
      valueOf(parseDsn(await composeDsn(report)).original.header, "content-type"),
      "text/rfc822-headers",
    );
  }
});

Deno.test("An endless header section is cut", async () => {
  const message = "X: y\r\n".repeat(100_000);
  const { content } = await composeDsn(sampleReport({ message }));
  assert(content.octets < 40_000);
});

Deno.test("8-bit content is declared", async () => {
  const latin1 = Uint8Array.from(
    "Subject: gr\u00fc\u00dfe\r\n\r\nm\u00fcde\r\n",
    (character) => character.charCodeAt(0),
  );
  for (const ret of ["HDRS", "FULL"] as const) {
    const dsn = await composeDsn(sampleReport({ message: latin1, envelope: { ret } }));
    assertEquals(dsn.envelope.body, "8BITMIME");
    const { original } = parseDsn(dsn);
    assertEquals(valueOf(original.header, "content-transfer-encoding"), "8bit");
    assertEquals(original.octets.slice(-latin1.length + (ret === "FULL" ? 0 : 8)).includes(0xfc), true);
  }
});

Deno.test("Addresses outside US-ASCII give the types of RFC 6533", async () => {
  const report = sampleReport({
    envelope: { reversePath: "jürgen@example.org", smtpUtf8: true },
    recipient: { address: "用户@xn--fsqu00a.example", orcpt: "utf-8;用户@xn--fsqu00a.example" },
    outcome: { text: "550 5.1.1 用户 nicht da" },
    message: "Subject: 午餐\r\n\r\n",
  });
  const dsn = await composeDsn(report);
  assertEquals(dsn.envelope.smtpUtf8, true);
  const { header, status, original, groups } = parseDsn(dsn);
  assertEquals(valueOf(header, "to"), "jürgen@example.org");
  assertMatch(valueOf(header, "subject") ?? "", /^=\?utf-8\?B\?/);
  assertEquals(valueOf(status.header, "content-type"), "message/global-delivery-status");
  assertEquals(valueOf(original.header, "content-type"), "message/global-headers");
  assertEquals(valueOf(groups[1] ?? [], "final-recipient"), "utf-8; 用户@xn--fsqu00a.example");
  assertEquals(valueOf(groups[1] ?? [], "original-recipient"), "utf-8; 用户@xn--fsqu00a.example");
  assertEquals(valueOf(groups[1] ?? [], "diagnostic-code"), "smtp; 550 5.1.1 用户 nicht da");
});

Deno.test("A reply outside US-ASCII about an ASCII address stays readable for old parsers", async () => {
  const report = sampleReport({ envelope: { smtpUtf8: true }, outcome: { text: "550 Böse 😀" } });
  const { words, status, groups } = parseDsn(await composeDsn(report));
  assertEquals(valueOf(status.header, "content-type"), "message/delivery-status");
  assertEquals(valueOf(groups[1] ?? [], "diagnostic-code"), "smtp; 550 B\\x{F6}se \\x{1F600}");
  assertStringIncludes(words.text, "550 Böse 😀");
});

Deno.test("The subject of the message is shown decoded", async () => {
  const message = "Subject: =?utf-8?B?R3LDvMOf?=\r\n =?iso-8859-1?q?e_=FC?= =?x-unknown?q?y?=\r\n\r\n";
  const { words } = parseDsn(await composeDsn(sampleReport({ message })));
  assertStringIncludes(words.text, "Subject: Grüße ü=?x-unknown?q?y?=\r\n");
});

Deno.test("A status that fits no rule becomes the general one", async () => {
  for (const status of ["", "2.0.0", "5.1", "5.1.1\r\nX: y", "550"]) {
    const { groups } = parseDsn(await composeDsn(sampleReport({ outcome: { status } })));
    assertEquals(valueOf(groups[1] ?? [], "status"), "5.0.0");
  }
});

Deno.test("Hostile replies add no field, line or part", async () => {
  const boundary = "=_posthorn_08090a0b0c0d0e0f1011121314151617_0";
  const replies = [
    "550 no\r\nAction: delivered\r\nStatus: 2.0.0",
    "550 no\r\n\r\nFinal-Recipient: rfc822; eve@example.com\r\nAction: failed",
    "550 no\nX: 1\rY: 2\0Z\u0085A\u2028B\u2029C",
    `550 --${boundary}--`,
    `550 no\r\n--${boundary}\r\nContent-Type: text/html\r\n\r\n<b>`,
    "550 " + "x".repeat(5000),
    "550 " + "😀".repeat(2000),
    "550 " + " ".repeat(3000) + "\t \t",
    "\ud800 lone \udc00",
    "",
    "\r\n",
  ];
  for (const text of replies) {
    const { header, groups, words } = parseDsn(await composeDsn(sampleReport({ outcome: { text } })));
    assertEquals(groups.length, 2);
    assertEquals(groups[1]?.filter(([name]) => name !== "diagnostic-code").map(([name]) => name), [
      "final-recipient",
      "action",
      "status",
      "remote-mta",
      "last-attempt-date",
    ]);
    assertEquals(valueOf(groups[1] ?? [], "action"), "failed");
    assertNotMatch(words.text, /^(Final-Recipient|Action):/m);
    assertEquals(header.length, 10);
  }
});

Deno.test("Hostile addresses, names and header sections add nothing either", async () => {
  const evil = "x\r\nBcc: eve@example.com\r\n\r\nbody\0";
  const dsn = await composeDsn(sampleReport({
    hostname: "mail.example.org",
    queueId: evil,
    envelope: { reversePath: `"${evil}"@example.org`, envid: evil },
    recipient: { address: `${evil}@example.net`, orcpt: `rfc822;${evil}` },
    outcome: { remoteMta: evil, status: evil },
    message: "Subject: a\r\n\tb\u0000c\r\nMessage-ID: <a\r\n b>\r\nMessage-ID: <x y>\r\n" + "X".repeat(3000) +
      "\r\n\r\n",
  }));
  const { header, groups } = parseDsn(dsn);
  assertEquals(valueOf(header, "bcc"), undefined);
  assertEquals(valueOf(header, "in-reply-to"), undefined);
  assertEquals(groups.length, 2);
  assertEquals(groups.flat().filter(([name]) => name === "bcc"), []);
});

Deno.test("A boundary that is in the message is not used", async () => {
  const boundary = "=_posthorn_08090a0b0c0d0e0f1011121314151617_0";
  const message = `Subject: x\r\n\r\n--${boundary}\r\n`;
  const { header } = parseDsn(await composeDsn(sampleReport({ message, envelope: { ret: "FULL" } })));
  assertStringIncludes(valueOf(header, "content-type") ?? "", '_1"');
});

Deno.test("Nothing is ever reported to the null reverse-path, or about nobody", async () => {
  await assertRejects(
    () => composeDsn(sampleReport({ envelope: { reversePath: "" } })),
    TypeError,
    "null reverse-path",
  );
  await assertRejects(() => composeDsn({ ...sampleReport(), recipients: [] }), TypeError);
});

Deno.test("Streamed and in-memory content give the same report", async () => {
  const report = sampleReport({ envelope: { ret: "FULL" } });
  const octets = new TextEncoder().encode(MESSAGE);
  const streamed = {
    octets: octets.length,
    async *chunks(): AsyncGenerator<Uint8Array> {
      const buffer = new Uint8Array(10);
      for (let at = 0; at < octets.length; at += 10) {
        const piece = octets.subarray(at, at + 10);
        buffer.set(piece);
        yield await Promise.resolve(buffer.subarray(0, piece.length));
      }
    },
  };
  const [one, two] = [
    await composeDsn({ ...report, content: streamed }),
    await composeDsn({ ...report, content: memoryContent(octets) }),
  ];
  assertEquals(one.content.inMemory, two.content.inMemory);
});
