import { assertEquals, assertThrows } from "@std/assert";
import { readMailParameters, type Scene } from "../../../lib/inbound/extensions.ts";
import { SmtpError } from "../../../lib/smtp/reply.ts";

/** A submission session on a machine so busy that a millisecond goes by whenever somebody looks at the clock. */
function busyScene(): Scene {
  let nowMs = Date.UTC(2026, 0, 1);
  const clock = { now: () => ++nowMs };
  return { session: { service: "submission" }, services: { clock } } as unknown as Scene;
}

Deno.test("the times of one MAIL are told from one moment, however long it takes to read them", () => {
  const parameters = (by: string): Map<string, string> => new Map([["HOLDFOR", "60"], ["BY", by]]);
  assertThrows(
    () => readMailParameters(busyScene(), parameters("60;R")),
    SmtpError,
    "BY ends before the message is released",
  );
  const { holdUntil = "", deliverBy } = readMailParameters(busyScene(), parameters("61;R"));
  assertEquals(Date.parse(deliverBy?.until ?? "") - Date.parse(holdUntil), 1_000);
});
