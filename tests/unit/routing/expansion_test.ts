import { assert, assertEquals, assertLess } from "@std/assert";
import type { Account } from "../../../lib/config/config.ts";
import { MAX_TARGETS } from "../../../lib/routing/expansion.ts";
import { parseMailbox } from "../../../lib/mail/mailbox.ts";
import { BARE_POSTMASTER } from "../../../lib/smtp/path.ts";
import { check, checkWhole, resolved, routerOf } from "../../support/routing_site.ts";

function forwarding(address: string, to: readonly string[], keepsCopy = false): Account {
  return { address, forward: { to, keepsCopy } };
}

Deno.test("A target elsewhere says which address of ours forwards to it, the innermost one", () => {
  const aliases = {
    "sales@example.org": ["alice@example.org", "team@example.org", "x@elsewhere.example"],
    "team@example.org": ["y@elsewhere.example", "x@elsewhere.example"],
  };
  const domains = { "example.org": { catchAll: "z@elsewhere.example" }, "example.net": { aliasOf: "example.org" } };
  checkWhole(routerOf({ domains, accounts: ["alice@example.org"], aliases }), {
    "Sales@example.net":
      "local alice@example.org, y@elsewhere.example by team@example.org, x@elsewhere.example by team@example.org",
    "sales+now@example.org":
      "local alice+now@example.org, y@elsewhere.example by team@example.org, x@elsewhere.example by team@example.org",
    "Anybody@example.org": "local z@elsewhere.example by anybody@example.org",
  });
});

Deno.test("The members of a list have its owner as reverse-path, those of a list in a list the inner owner", () => {
  const accounts = ["alice@example.org", "bob@example.org", "carol@example.org"];
  const aliases = {
    "list@example.org": {
      targets: ["alice@example.org", "plain@example.org", "inner@example.org", "x@elsewhere.example"],
      owner: "alice@example.org",
    },
    "inner@example.org": { targets: ["carol@example.org"], owner: "boss@elsewhere.example" },
    "plain@example.org": ["bob@example.org", "y@elsewhere.example"],
    "news@example.org": ["list@example.org"],
  };
  const all = [
    "local alice@example.org from alice@example.org",
    "bob@example.org from alice@example.org",
    "y@elsewhere.example by plain@example.org from alice@example.org",
    "carol@example.org from boss@elsewhere.example",
    "x@elsewhere.example by list@example.org from alice@example.org",
  ].join(", ");
  checkWhole(routerOf({ accounts, aliases }), {
    "list@example.org": all,
    "news@example.org": all,
    "plain@example.org": "local bob@example.org, y@elsewhere.example by plain@example.org",
  });
});

Deno.test("An alias or account owner-NAME makes the alias NAME a list, and an owner is no list itself", () => {
  const accounts = ["alice@example.org", { address: "bob@example.org", addresses: ["owner-b@example.org"] }];
  const aliases = {
    "a@example.org": ["bob@example.org"],
    "owner-a@example.org": ["alice@example.org"],
    "owner-owner-a@example.org": ["bob@example.org"],
    "b@example.org": ["alice@example.org"],
    "c@example.org": ["alice@example.org"],
    "owner-d@example.org": ["alice@example.org"],
    "d@example.org": { targets: ["bob@example.org"], owner: "d-admin@elsewhere.example" },
  };
  checkWhole(routerOf({ accounts, aliases }), {
    "A@example.org": "local bob@example.org from owner-a@example.org",
    "owner-a@example.org": "local alice@example.org",
    "b@example.org": "local alice@example.org from owner-b@example.org",
    "c@example.org": "local alice@example.org",
    "d@example.org": "local bob@example.org from d-admin@elsewhere.example",
  });
});

Deno.test("Who is reached directly besides being on a list is no member of it", () => {
  const aliases = {
    "list@example.org": { targets: ["alice@example.org", "bob@example.org"], owner: "bob@example.org" },
    "all@example.org": ["list@example.org", "alice@example.org"],
  };
  checkWhole(routerOf({ accounts: ["alice@example.org", "bob@example.org"], aliases }), {
    "all@example.org": "local alice@example.org, bob@example.org from bob@example.org",
  });
});

Deno.test("A list of which the owner does not exist is found, and one with an owner elsewhere is not", () => {
  const list = (owner: string): { targets: string[]; owner: string } => ({ targets: ["alice@example.org"], owner });
  const aliases = {
    "a@example.org": list("nobody@example.org"),
    "b@example.org": list("nobody@elsewhere.example"),
    "c@example.org": list("alice+c@example.org"),
    "d@example.org": list("loop@example.org"),
    "loop@example.org": ["loop@example.org"],
  };
  assertEquals(routerOf({ accounts: ["alice@example.org"], aliases }).orphanedLists(), [
    { list: "a@example.org", owner: "nobody@example.org" },
    { list: "d@example.org", owner: "loop@example.org" },
  ]);
});

Deno.test("The other addresses of an account are the account, after aliases and before the same without detail", () => {
  const accounts: Account[] = [
    { address: "alice@example.org", addresses: ["a.smith@example.org", "bob+x@example.org", "Äl@example.org"] },
    { address: "bob@example.org", addresses: ["alice@example.org", "info@example.org"] },
  ];
  const router = routerOf({ accounts, aliases: { "info@example.org": ["alice@example.org"] } });
  check(router, {
    "A.Smith@example.org": "local alice@example.org",
    "a.smith+Lists@example.org": "local alice+Lists@example.org",
    "a\u0308l@example.org": "local alice@example.org",
    "bob+x@example.org": "local alice@example.org",
    "bob+y@example.org": "local bob+y@example.org",
    "alice@example.org": "local alice@example.org",
    "info@example.org": "local alice@example.org",
  });
  const keyOf = (address: string): string => {
    const decision = router.nextHop(address);
    return decision.kind === "hop" ? decision.hop.key : decision.status;
  };
  assertEquals(["a.smith@example.org", "alice+Lists@example.org", "bob+x@example.org"].map(keyOf), [
    "maildir:alice@example.org",
    "maildir:alice@example.org",
    "maildir:alice@example.org",
  ]);
});

Deno.test("Each of its addresses logs in to an account, with one name for the counting of guesses, and may be sent from", () => {
  const accounts = [{ address: "alice@example.org", addresses: ["a.smith@example.com"] }, "bob@example.org"];
  const domains = { "example.org": {}, "example.com": {}, "example.net": { aliasOf: "example.com" } };
  const router = routerOf({ domains, accounts, aliases: { "sales@example.org": ["a.smith+x@example.net"] } });
  for (const login of ["alice@example.org", "A.Smith@example.com", "a.smith@EXAMPLE.net"]) {
    assertEquals(router.findAccount(login)?.address, "alice@example.org", login);
    assertEquals(router.loginName(login), "alice@example.org", login);
  }
  assertEquals(router.findAccount("a.smith+x@example.com"), undefined);
  assertEquals(router.findByCertificate({ sha256: "", emails: ["a.smith@example.com"] }).length, 1);
  const mayUse = (account: string, text: string): boolean => {
    const mailbox = parseMailbox(text);
    assert(mailbox !== undefined);
    return router.mayUse(account, mailbox);
  };
  for (const text of ["a.smith@example.com", "A.smith+shop@example.net", "sales@example.org", "alice@example.org"]) {
    assertEquals([mayUse("alice@example.org", text), mayUse("bob@example.org", text)], [true, false], text);
  }
});

Deno.test("An account that forwards stands for where its mail goes, with a copy for itself or without", () => {
  const accounts = [
    forwarding("alice@example.org", ["x@elsewhere.example", "bob@example.org"], true),
    forwarding("bob@example.org", ["y@elsewhere.example"]),
  ];
  const aliases = { "list@example.org": { targets: ["bob@example.org"], owner: "o@elsewhere.example" } };
  checkWhole(routerOf({ accounts, aliases }), {
    "alice+x@example.org":
      "local alice+x@example.org, x@elsewhere.example by alice@example.org, y@elsewhere.example by bob@example.org",
    "bob@example.org": "local y@elsewhere.example by bob@example.org",
    "list@example.org": "local y@elsewhere.example by bob@example.org from o@elsewhere.example",
  });
});

Deno.test("Forwards that go round in a circle, to nobody or to themselves lose nothing", () => {
  const accounts = [
    forwarding("a@example.org", ["b@example.org"]),
    forwarding("b@example.org", ["a+x@example.org"]),
    forwarding("c@example.org", ["nobody@example.org"]),
    forwarding("d@example.org", ["d@example.org"]),
    forwarding("e@example.org", ["e@example.org", "x@elsewhere.example"]),
    forwarding("f@example.org", ["a@example.org"]),
  ];
  check(routerOf({ accounts, aliases: { "team@example.org": ["a@example.org", "f@example.org"] } }), {
    "a@example.org": "local a+x@example.org",
    "b@example.org": "local b@example.org",
    "c+y@example.org": "local c+y@example.org",
    "d@example.org": "local d@example.org",
    "e@example.org": "local e@example.org,x@elsewhere.example",
    "f@example.org": "local a+x@example.org",
    "team@example.org": "local a+x@example.org",
  });
});

Deno.test("An alias to the account alone may be sent from, also where the account forwards its mail; the receiver may not", () => {
  const accounts = [forwarding("bob@example.org", ["carol@example.org"]), "carol@example.org"];
  const router = routerOf({ accounts, aliases: { "info@example.org": ["bob@example.org"] } });
  const info = parseMailbox("info@example.org");
  assert(info !== undefined);
  assertEquals([router.mayUse("bob@example.org", info), router.mayUse("carol@example.org", info)], [true, false]);
});

Deno.test("A detail goes with the mail to mailboxes of ours, and not through lists, forwards and catch-alls or elsewhere", () => {
  const aliases = {
    "sales@example.org": ["alice@example.org", "bob+own@example.org", "x@elsewhere.example"],
    "chain@example.org": ["sales@example.org"],
    "list@example.org": { targets: ["alice@example.org"], owner: "bob@example.org" },
    "boss+vip@example.org": ["alice@example.org"],
  };
  const domains = { "example.org": { catchAll: "alice@example.org" }, "example.net": { aliasOf: "example.org" } };
  const accounts = ["alice@example.org", "bob@example.org", "bob+vip@example.org", '"a b"@example.org'];
  check(routerOf({ domains, accounts, aliases }), {
    "Sales+Q3@example.net": "local alice+Q3@example.org,bob+own@example.org,x@elsewhere.example",
    "chain+q@example.org": "local alice+q@example.org,bob+own@example.org,x@elsewhere.example",
    "list+q@example.org": "local alice@example.org",
    "boss+vip@example.org": "local alice@example.org",
    "nobody+q@example.org": "local alice@example.org",
    '"A B+c d"@example.org': 'local "a b+c d"@example.org',
    "alice+zoe\u0308@example.org": "local alice+zoë@example.org",
    "alice+@example.org": "local alice@example.org",
  });
});

Deno.test("A detail that would make another account or too long a mailbox of it stays behind", () => {
  const long = `${"a".repeat(60)}@example.org`;
  const aliases = { "s@example.org": ["alice@example.org", long] };
  check(routerOf({ accounts: ["alice@example.org", "alice+vip@example.org", long], aliases }), {
    "s+vip@example.org": `local alice@example.org,${"a".repeat(60)}+vip@example.org`,
    "s+1234@example.org": `local alice+1234@example.org,${long}`,
  });
});

Deno.test("Aliases that end at one mailbox give one recipient for each detail", () => {
  const aliases = {
    "a@example.org": ["alice@example.org", "ALICE@example.org", "b@example.org", "alice@example.net"],
    "b@example.org": ["alice+x@example.org", "Alice+x@example.net"],
  };
  const domains = { "example.org": {}, "example.net": { aliasOf: "example.org" } };
  check(routerOf({ domains, accounts: ["alice@example.org"], aliases }), {
    "a@example.org": "local alice@example.org,alice+x@example.org",
  });
});

Deno.test("Abuse goes to its alias, account or catch-all, else the way of postmaster, at every domain of ours", () => {
  const domains = { "a.example": {}, "b.example": { catchAll: "x@b.example" }, "c.example": { aliasOf: "a.example" } };
  const accounts = ["alice@a.example", "x@b.example", "noc@a.example"];
  check(routerOf({ domains, accounts }), {
    "ABUSE@a.example": "local alice@a.example",
    '"abuse"@c.example': "local alice@a.example",
    "abuse@b.example": "local x@b.example",
    "abuse+x@a.example": "unknown",
    "abuse@elsewhere.example": "remote abuse@elsewhere.example",
    "abuse@mail.example.org": "local x@b.example",
  });
  check(routerOf({ domains, accounts, aliases: { "postmaster@a.example": ["noc@a.example"] } }), {
    "abuse@c.example": "local noc@a.example",
    "abuse@mail.example.org": "local x@b.example",
  });
  check(routerOf({ domains, accounts, aliases: { "abuse@a.example": ["noc@a.example"] } }), {
    "abuse@c.example": "local noc@a.example",
    "Postmaster@c.example": "local alice@a.example",
    "abuse@mail.example.org": "local noc@a.example",
  });
  check(routerOf({}), { "abuse@example.org": "unknown", "abuse@mail.example.org": "unknown" });
});

Deno.test("No alias and no forward keeps postmaster and abuse from being delivered", () => {
  const long = Object.fromEntries(
    Array.from({ length: 12 }, (_, i) => [`l${i}@example.org`, [`l${i + 1}@example.org`]] as const),
  );
  const aliases = {
    ...long,
    "postmaster@example.org": ["abuse@example.org"],
    "postmaster@a.example": ["l0@example.org"],
    "abuse@a.example": ["nobody@example.org"],
    "postmaster@b.example": ["postmaster@b.example"],
    "hostmaster@example.org": ["postmaster@example.org"],
  };
  const accounts = [forwarding("x@b.example", ["y@b.example"]), forwarding("y@b.example", ["x@b.example"])];
  check(routerOf({ domains: { "example.org": {}, "a.example": {}, "b.example": {} }, accounts, aliases }), {
    "postmaster@example.org": "local x@b.example",
    "abuse@example.org": "local x@b.example",
    "postmaster@a.example": "local x@b.example",
    "abuse@a.example": "local x@b.example",
    "Postmaster@b.example": "local x@b.example",
    "hostmaster@example.org": "local x@b.example",
    "abuse@mail.example.org": "local x@b.example",
    [BARE_POSTMASTER]: "local x@b.example",
  });
});

Deno.test("Alias loops of two and of twelve are refused as loops, and deliver where one of them leads out", () => {
  const ring = (size: number): Record<string, string[]> =>
    Object.fromEntries(
      Array.from({ length: size }, (_, i) => [`r${size}-${i}@example.org`, [`r${size}-${(i + 1) % size}@example.org`]]),
    );
  const aliases = {
    ...ring(2),
    ...ring(12),
    "out-1@example.org": ["out-2@example.org"],
    "out-2@example.org": ["out-1@example.org", "alice@example.org"],
  };
  check(routerOf({ accounts: ["alice@example.org"], aliases }), {
    "r2-0@example.org": "refused loop",
    "r12-5@example.org": "refused depth",
    "out-1@example.org": "local alice@example.org",
  });
});

Deno.test("Ten thousand members are expanded at once, and one more is refused as a whole", () => {
  const members = Array.from({ length: MAX_TARGETS + 1 }, (_, i) => `member-${i}@example.org`);
  const router = routerOf({
    accounts: members,
    aliases: {
      "list@example.org": { targets: members.slice(1), owner: "owner@elsewhere.example" },
      "twice@example.org": ["list@example.org", ...members.slice(1)],
      "more@example.org": members,
    },
  });
  const list = parseMailbox("list@example.org");
  assert(list !== undefined);
  router.resolveRecipient(list);
  const start = performance.now();
  const resolution = router.resolveRecipient(list);
  // Takes 10 to 25 ms; the square of it would take seconds.
  assertLess(performance.now() - start, 500);
  assertEquals(resolution.kind === "local" && resolution.targets.length, MAX_TARGETS);
  assertEquals(resolved(router, "twice@example.org").split(",").length, MAX_TARGETS);
  check(router, { "more@example.org": "refused size" });
});
