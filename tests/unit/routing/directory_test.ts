import { assertEquals } from "@std/assert";
import { parseMailbox } from "../../../lib/mail/mailbox.ts";
import { buildDirectory, detailOf } from "../../../lib/routing/directory.ts";

/** The details of addresses, by address. */
function details(accounts: readonly string[], addresses: readonly string[], delimiter?: string): unknown {
  const domains = new Map([
    ["example.org", { name: "example.org", dkim: [] }],
    ["example.net", { name: "example.net", dkim: [], aliasOf: "example.org" }],
  ]);
  const directory = buildDirectory({
    hostname: "mail.example.org",
    domains,
    ...(delimiter === undefined ? {} : { recipientDelimiter: delimiter }),
    aliases: new Map(),
    routes: [],
    auth: {},
  }, accounts.map((address) => ({ address, addresses: [`info.${address}`] })));
  return Object.fromEntries(addresses.map((text) => {
    const mailbox = parseMailbox(text);
    return [text, mailbox === undefined ? "no mailbox" : detailOf(directory, mailbox)];
  }));
}

Deno.test("The detail is what follows the account that is meant, as it came", () => {
  const accounts = ["alice@example.org", "sales+alice@example.org", "a+b+c@example.org"];
  assertEquals(
    details(accounts, [
      "alice@example.org",
      "alice+Lists.deno@example.org",
      "ALICE+Lists/deno@example.net",
      "alice+a+B@example.org",
      "alice+@example.org",
      '"alice+to do"@example.org',
      "info.alice+Lists@example.org",
      "sales+alice@example.org",
      "sales+alice+x@example.org",
      "a+b+c@example.org",
      "a+b+c++d@example.org",
      "+alice@example.org",
      "bob+x@example.org",
      "alice+x@elsewhere.example",
    ], "+"),
    {
      "alice@example.org": undefined,
      "alice+Lists.deno@example.org": "Lists.deno",
      "ALICE+Lists/deno@example.net": "Lists/deno",
      "alice+a+B@example.org": "a+B",
      "alice+@example.org": undefined,
      '"alice+to do"@example.org': "to do",
      "info.alice+Lists@example.org": "Lists",
      "sales+alice@example.org": undefined,
      "sales+alice+x@example.org": "x",
      "a+b+c@example.org": undefined,
      "a+b+c++d@example.org": "+d",
      "+alice@example.org": undefined,
      "bob+x@example.org": undefined,
      "alice+x@elsewhere.example": undefined,
    },
  );
});

Deno.test("Other delimiters have details, too, and without one there is none", () => {
  assertEquals(details(["alice.smith@example.org"], ["alice.smith.lists.deno@example.org"], "."), {
    "alice.smith.lists.deno@example.org": "lists.deno",
  });
  assertEquals(details(["alice@example.org"], ["alice+x@example.org"]), { "alice+x@example.org": undefined });
});
