import { assert, assertEquals } from "@std/assert";
import { parseMailbox } from "../../../lib/mail/mailbox.ts";
import { createRouter, type Router } from "../../../lib/routing/router.ts";

interface Site {
  readonly aliases?: Readonly<Record<string, readonly string[]>>;
  readonly delimiter?: string;
  readonly catchAll?: string;
  readonly hasOtherUsers?: boolean;
}

/** A site with alice, bob and a-b; `example.net` is another name of `example.org`, `example.com` has no accounts. */
function routerOf({ aliases = {}, delimiter = "+", catchAll, hasOtherUsers = false }: Site = {}): Router {
  return createRouter(
    {
      hostname: "mail.example.org",
      domains: new Map([
        ["example.org", { name: "example.org", dkim: [], ...(catchAll === undefined ? {} : { catchAll }) }],
        ["example.net", { name: "example.net", dkim: [], aliasOf: "example.org" }],
        ["example.com", { name: "example.com", dkim: [] }],
      ]),
      ...(delimiter === "" ? {} : { recipientDelimiter: delimiter }),
      aliases: new Map(Object.entries(aliases).map(([key, targets]) => [key, { targets }])),
      routes: [],
      auth: hasOtherUsers ? { dovecot: { kind: "unix", path: "/run/dovecot/auth-client" } } : {},
    },
    ["alice@example.org", "bob@example.org", "a-b@example.org", "zoë@example.org"].map((address) => ({ address })),
  );
}

/** The ones of the addresses that the account may use. */
function usable(router: Router, account: string, addresses: readonly string[]): readonly string[] {
  return addresses.filter((text) => {
    const mailbox = parseMailbox(text);
    assert(mailbox !== undefined, text);
    return router.mayUse(account, mailbox);
  });
}

function checkAll(router: Router, account: string, own: readonly string[], foreign: readonly string[]): void {
  assertEquals(usable(router, account, [...own, ...foreign]), own);
}

Deno.test("An account may use its address in every spelling, under all names of its domain, and with a detail", () => {
  checkAll(routerOf(), "alice@example.org", [
    "alice@example.org",
    "ALICE@example.org",
    '"alice"@example.org',
    "alice@example.net",
    "alice+shop@example.org",
    "Alice+a+b@example.net",
  ], [
    "bob@example.org",
    "bob+alice@example.org",
    "+alice@example.org",
    "alice@example.com",
    "alice@mail.example.org",
    "alice@elsewhere.test",
    "alice@[127.0.0.1]",
    "alice-shop@example.org",
    "nobody@example.org",
  ]);
  checkAll(routerOf(), "zoë@example.org", ["ZOË@example.org", "zoe\u0308@example.org"], ["zoe@example.org"]);
});

Deno.test("Without a delimiter there are no details, and a longer mailbox name wins over a detail", () => {
  checkAll(routerOf({ delimiter: "" }), "alice@example.org", ["alice@example.org"], ["alice+shop@example.org"]);
  const aliases = { "a@example.org": ["alice@example.org"] };
  const router = routerOf({ delimiter: "-", aliases });
  checkAll(router, "alice@example.org", ["a@example.org", "a-c@example.org"], ["a-b@example.org", "a-b-c@example.org"]);
  checkAll(router, "a-b@example.org", ["a-b@example.org", "a-b-c@example.org"], ["a@example.org", "a-c@example.org"]);
});

Deno.test("An alias may be used by the account that it leads to, if it leads to nobody else", () => {
  const router = routerOf({
    aliases: {
      "info@example.org": ["alice@example.org"],
      "chain@example.com": ["info@example.net"],
      "twice@example.org": ["info@example.org", "alice+twice@example.org"],
      "team@example.org": ["alice@example.org", "bob@example.org"],
      "away@example.org": ["alice@elsewhere.test"],
      "copy@example.org": ["alice@example.org", "alice@elsewhere.test"],
      "loop@example.org": ["loop@example.org"],
      "gone@example.org": ["nobody@example.org"],
    },
  });
  checkAll(router, "alice@example.org", [
    "info@example.org",
    "INFO@example.net",
    "info+sales@example.org",
    "chain@example.com",
    "twice@example.org",
  ], [
    "team@example.org",
    "away@example.org",
    "copy@example.org",
    "loop@example.org",
    "gone@example.org",
  ]);
  checkAll(router, "bob@example.org", [], ["info@example.org", "team@example.org", "chain@example.com"]);
});

Deno.test("An account whose mail is forwarded keeps its address, and who gets the mail does not get the address", () => {
  const router = routerOf({ aliases: { "alice@example.org": ["bob@example.org"] } });
  checkAll(router, "alice@example.org", ["alice@example.org", "alice+x@example.org"], ["bob@example.org"]);
  checkAll(router, "bob@example.org", ["bob@example.org"], ["alice@example.org", "alice+x@example.org"]);
});

Deno.test("A catch-all and the fallback of postmaster give no right to send", () => {
  const addresses = ["ceo@example.org", "postmaster@example.org", "postmaster@mail.example.org"];
  checkAll(routerOf({ catchAll: "alice@example.org" }), "alice@example.org", ["alice@example.org"], addresses);
});

Deno.test("Who is no account may use nothing", () => {
  checkAll(routerOf({ aliases: { "info@example.org": ["alice@example.org"] } }), "info@example.org", [], [
    "info@example.org",
    "alice@example.org",
  ]);
  checkAll(routerOf(), "nobody@example.org", [], ["nobody@example.org", "alice@example.org"]);
});

Deno.test("Where a Dovecot knows the users, one without an account has the same rights to the own address", () => {
  const aliases = {
    "info@example.org": ["alice@example.org"],
    "desk@example.org": ["carol@example.org"],
    "carol.old@example.org": ["carol@example.org"],
  };
  const router = routerOf({ hasOtherUsers: true, aliases });
  checkAll(router, "carol@example.org", ["carol@example.org", "Carol+x@example.net", '"carol"@example.org'], [
    "carol@example.com",
    "carol@elsewhere.test",
    "alice@example.org",
    "dave@example.org",
    "info@example.org",
    "desk@example.org",
    "+carol@example.org",
  ]);
  checkAll(router, "alice@example.org", ["alice@example.org", "alice+x@example.net", "info@example.org"], [
    "carol@example.org",
    "bob@example.org",
  ]);
  // A user may have the name of an alias, or the name of an account with a detail.
  checkAll(router, "info@example.org", ["info@example.org", "info+x@example.org"], ["alice@example.org"]);
  checkAll(router, "bob+lab@example.org", ["bob+lab@example.org", "bob+lab+x@example.org"], ["bob@example.org"]);
});

Deno.test("An alias may be used by the user without an account to whom a route of the domain takes it", () => {
  const router = createRouter(
    {
      hostname: "mail.example.org",
      domains: new Map([["example.org", { name: "example.org", dkim: [] }]]),
      aliases: new Map([["desk@example.org", { targets: ["Carol@example.org"] }]]),
      routes: [
        { domain: "example.org", via: { scheme: "lmtp", host: "", port: 0, socketPath: "/lmtp", tls: "off" } },
      ],
      auth: { dovecot: { kind: "tcp", host: "127.0.0.1", port: 12345 } },
    },
    [],
  );
  checkAll(router, "carol@example.org", ["carol@example.org", "desk@example.org"], ["dave@example.org"]);
  checkAll(router, "dave@example.org", ["dave@example.org"], ["desk@example.org"]);
});

Deno.test("A user of a domain that is not ours may use the one address", () => {
  const router = routerOf({ hasOtherUsers: true });
  checkAll(router, "erin@elsewhere.test", ["erin@elsewhere.test", "Erin@elsewhere.test"], [
    "erin+x@elsewhere.test",
    "frank@elsewhere.test",
    "erin@example.org",
  ]);
  checkAll(routerOf(), "erin@elsewhere.test", [], ["erin@elsewhere.test"]);
});
