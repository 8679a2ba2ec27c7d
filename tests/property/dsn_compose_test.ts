import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { composeDsn } from "../../lib/dsn/compose.ts";
import { explainStatus } from "../../lib/dsn/meaning.ts";
import { parseDsn, valueOf } from "../unit/dsn/mime.ts";
import { sampleReport } from "../unit/dsn/sample.ts";

/** Any text, rich in what breaks lines, fields and parts. */
const text = fc.array(
  fc.oneof(
    fc.string({ unit: "binary" }),
    fc.constantFrom(
      "\r\n",
      "\n",
      "\r",
      "\0",
      " ",
      "\t",
      ":",
      "--",
      "=_posthorn_",
      "\r\n\r\n",
      "Action: delivered",
      "é",
    ),
    fc.integer({ min: 100, max: 3000 }).map((length) => "w".repeat(length)),
  ),
  { maxLength: 12 },
).map((pieces) => pieces.join(""));

const octets = fc.oneof(fc.uint8Array({ maxLength: 3000 }), text.map((some) => new TextEncoder().encode(some)));

Deno.test("Whatever strangers say, a report is well-formed and has one group for each recipient", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.record({ reply: text, host: text, envid: text, orcpt: text, address: text, status: text, message: octets }),
      fc.constantFrom("failed" as const, "delayed" as const),
      fc.constantFrom("FULL" as const, "HDRS" as const),
      fc.boolean(),
      fc.record({
        stage: fc.constantFrom("greeting" as const, "mail" as const, "rcpt" as const, "dot" as const),
        replyClass: fc.constantFrom("block" as const, "rate" as const, "unknownUser" as const, "greylisting" as const),
      }),
      async (hostile, kind, ret, smtpUtf8, talk) => {
        const report = sampleReport({
          kind,
          envelope: { ret, smtpUtf8, envid: hostile.envid },
          message: hostile.message,
          recipient: { address: hostile.address, orcpt: hostile.orcpt },
          outcome: {
            text: hostile.reply,
            status: hostile.status,
            remoteMta: hostile.host,
            remoteAddress: hostile.host,
            tls: hostile.host,
            ...talk,
            replyLines: [hostile.reply, hostile.host],
          },
        });
        const { groups } = parseDsn(await composeDsn(report));
        assertEquals(groups.length, 2);
        assertEquals(valueOf(groups[1] ?? [], "action"), kind);
        assertEquals(groups[1]?.filter(([name]) => name === "final-recipient").length, 1);
      },
    ),
    { numRuns: 150 },
  );
});

Deno.test("Every status has a meaning", () => {
  fc.assert(fc.property(fc.oneof(text, fc.stringMatching(/^[45]\.\d{1,3}\.\d{1,3}$/)), (status) => {
    const { meaning, advice } = explainStatus(status);
    return meaning.endsWith(".") && advice.endsWith(".");
  }));
});
