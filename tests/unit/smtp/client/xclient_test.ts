import { assert, assertEquals } from "@std/assert";
import { type ClientFacts, xclientCommands } from "../../../../lib/smtp/client/xclient.ts";

const ALL = ["NAME", "ADDR", "PORT", "PROTO", "HELO", "LOGIN", "DESTADDR", "DESTPORT"];

for (
  const [what, client, offered, expected] of [
    [
      "all that is known is told",
      { address: "192.0.2.1", helo: "laptop.example", isExtended: true, login: "alice@example.org" },
      ALL,
      "XCLIENT NAME=[UNAVAILABLE] ADDR=192.0.2.1 PORT=[UNAVAILABLE] PROTO=ESMTP HELO=laptop.example " +
      "LOGIN=alice@example.org",
    ],
    [
      "what is not known is said to be so, or the server would keep what it knows of us",
      { isExtended: false },
      ALL,
      "XCLIENT NAME=[UNAVAILABLE] ADDR=[UNAVAILABLE] PORT=[UNAVAILABLE] PROTO=SMTP HELO=[UNAVAILABLE] " +
      "LOGIN=[UNAVAILABLE]",
    ],
    [
      "an IPv6 address has its prefix, an address literal its brackets",
      { address: "2001:db8::1", helo: "[IPv6:2001:db8::1]", isExtended: true },
      ["ADDR", "HELO"],
      "XCLIENT ADDR=IPV6:2001:db8::1 HELO=[IPv6:2001:db8::1]",
    ],
    [
      "octets that end a value or a line are encoded",
      { helo: "a b+c=d\r\nQUIT", isExtended: true, login: "jürgen@example.org" },
      ["HELO", "LOGIN"],
      "XCLIENT HELO=a+20b+2Bc+3Dd+0D+0AQUIT LOGIN=j+C3+BCrgen@example.org",
    ],
  ] as [string, ClientFacts, string[], string][]
) {
  Deno.test(`XCLIENT: ${what}`, () => assertEquals(xclientCommands(client, offered), [expected]));
}

Deno.test("XCLIENT: a server that knows none of the attributes is told nothing", () => {
  assertEquals(xclientCommands({ isExtended: true }, ["COLOUR"]), []);
});

Deno.test("XCLIENT: long values go in several lines, each within the limit", () => {
  const client = { address: "192.0.2.1", helo: "h".repeat(255), isExtended: true, login: `${"l".repeat(240)}@a.test` };
  const lines = xclientCommands(client, ALL);
  assertEquals(lines.length, 2);
  assert(lines.every((line) => line.length <= 510 && line.startsWith("XCLIENT ")));
});
