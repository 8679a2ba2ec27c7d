import { assertEquals, assertThrows } from "@std/assert";
import { UsageError } from "../../../../lib/cli/command_line.ts";
import {
  checkFlags,
  readFailReason,
  readFilter,
  readLimit,
  readPattern,
  readSort,
} from "../../../../lib/cli/queue/options.ts";
import { QUEUE_SWITCHES, QUEUE_USAGE, QUEUE_VALUES } from "../../../../lib/cli/queue/flags.ts";
import { flags } from "../../../support/queue_command.ts";

Deno.test("all filters are read, in one spelling", () => {
  const given = flags({
    domain: "*.Bücher.example",
    recipient: "<Bob@x.example>",
    sender: "<>",
    destination: "google",
    state: "HELD",
    "older-than": "4h",
    "newer-than": "2d",
    reply: "Greylisted",
    class: "unknownuser",
  });
  assertEquals(readFilter(given), {
    domain: "*.xn--bcher-kva.example",
    recipient: "Bob@x.example",
    sender: "",
    destination: "google",
    state: "held",
    olderThanMs: 14_400_000,
    newerThanMs: 172_800_000,
    reply: "Greylisted",
    replyClass: "unknownUser",
  });
  assertEquals(readFilter(flags()), {});
});

const wrong: readonly [name: string, value: string, message: RegExp][] = [
  ["domain", "a b", /needs a domain/],
  ["domain", "192.0.2.1", /needs a domain/],
  ["domain", "", /needs a value/],
  ["sender", "", /the null reverse-path is <>/],
  ["sender", "alice", /needs an address or @domain/],
  ["recipient", "<>", /needs an address or @domain/],
  ["state", "stuck", /one of waiting, held/],
  ["class", "spam", /one of unknownUser/],
  ["older-than", "4", /needs a duration/],
  ["reply", "", /needs a value/],
];
for (const [name, value, message] of wrong) {
  Deno.test(`--${name} "${value}" is refused, and says what is right`, () => {
    const error = assertThrows(() => readFilter(flags({ [name]: value })), UsageError);
    assertEquals([message.test(error.message), error.usage], [true, QUEUE_USAGE]);
  });
}

Deno.test("limits, orders and patterns that are none are refused", () => {
  for (const limit of ["0", "-1", "many", "1.5"]) assertThrows(() => readLimit(flags({ limit })), UsageError);
  assertEquals([readLimit(flags({ limit: "20" })), readLimit(flags())], [20, undefined]);
  assertThrows(() => readSort(flags({ sort: "age" })), UsageError, "arrived, next, size");
  assertEquals(readSort(flags()), "arrived");
  for (const words of [[], ["a b"], ["x.example", "y.example"]]) {
    assertThrows(() => readPattern("suspend", words), UsageError);
  }
});

Deno.test("a reason for the sender is one line; without one there is a default", () => {
  assertEquals(readFailReason(flags({ reason: " moved away " })), "moved away");
  assertEquals(readFailReason(flags()), "Given up by the administrator of this mail system");
  for (const reason of ["a\nb", " ", "x".repeat(501), "a\u2028b"]) {
    assertThrows(() => readFailReason(flags({ reason })), UsageError);
  }
});

Deno.test("a flag of another action is refused", () => {
  assertThrows(() => checkFlags("show", flags({ yes: true }), ["raw"]), UsageError, "queue show does not take --yes");
});

Deno.test("the usage names every flag", () => {
  for (const name of [...QUEUE_VALUES, ...QUEUE_SWITCHES]) assertEquals(QUEUE_USAGE.includes(`--${name}`), true, name);
});
