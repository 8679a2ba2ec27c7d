import { assertEquals } from "@std/assert";
import type { RouteConfig } from "../../../lib/config/config.ts";
import type { RouteDecision, Smarthost } from "../../../lib/delivery/next_hop.ts";
import { parseMailbox } from "../../../lib/mail/mailbox.ts";
import { BARE_POSTMASTER } from "../../../lib/smtp/path.ts";
import { check, routerOf } from "../../support/routing_site.ts";

const server: Smarthost = { scheme: "smtp", host: "relay.example", port: 25, tls: "opportunistic" };
function route(domain: string, via: Partial<Smarthost> = {}): RouteConfig {
  return { domain, via: { ...server, ...via } };
}

/** The key of the hop, or the status of the refusal. */
function keyOf(decision: RouteDecision): string {
  return decision.kind === "hop" ? decision.hop.key : decision.status;
}

Deno.test("An account is found under every spelling, and another local part is unknown", () => {
  check(routerOf({ accounts: ["alice@example.org", '"a b"@example.org', "zoë@example.org"] }), {
    "alice@example.org": "local alice@example.org",
    "ALICE@EXAMPLE.ORG": "local alice@example.org",
    '"alice"@example.org': "local alice@example.org",
    '"A B"@example.org': 'local "a b"@example.org',
    "ZOË@example.org": "local zoë@example.org",
    "zoe\u0308@example.org": "local zoë@example.org",
    "bob@example.org": "unknown",
    "alice@sub.example.org": "remote alice@sub.example.org",
    "Alice@elsewhere.example": "remote Alice@elsewhere.example",
    "alice@[192.0.2.1]": "remote alice@[192.0.2.1]",
  });
});

Deno.test("Odd spellings never turn a recipient of ours into a relayed one, nor the other way round", () => {
  const router = routerOf({ accounts: ["alice@example.org"], routes: [route("*")] });
  check(router, {
    "alice%elsewhere.example@example.org": "unknown",
    "elsewhere.example!alice@example.org": "unknown",
    '"alice@elsewhere.example"@example.org': "unknown",
    '"alice@example.org"@elsewhere.example': 'remote "alice@example.org"@elsewhere.example',
    '"@elsewhere.example:alice"@example.org': "unknown",
    "alice@example.org.elsewhere.example": "remote alice@example.org.elsewhere.example",
  });
  for (
    const text of [
      "alice@example.org.",
      "alice@example.org@elsewhere.example",
      "@elsewhere.example:alice@example.org",
      "alice@example.org ",
      "alice@example.org,bob@elsewhere.example",
      "alice@",
      "alice",
    ]
  ) assertEquals(parseMailbox(text), undefined, text);
});

Deno.test("A domain is the same as U-labels and as A-labels", () => {
  check(routerOf({ domains: { "xn--bcher-kva.example": {} }, accounts: ["alice@xn--bcher-kva.example"] }), {
    "alice@bücher.example": "local alice@xn--bcher-kva.example",
    "alice@BÜCHER.example": "local alice@xn--bcher-kva.example",
    "alice@XN--BCHER-KVA.example": "local alice@xn--bcher-kva.example",
  });
});

Deno.test("alias_of gives a domain the mailboxes, aliases and catch-all of another one", () => {
  const domains = { "example.org": { catchAll: "bob@example.org" }, "example.net": { aliasOf: "example.org" } };
  const accounts = ["alice@example.org", "bob@example.org"];
  check(routerOf({ domains, accounts, aliases: { "sales@example.org": ["alice@example.org"] } }), {
    "alice@example.net": "local alice@example.org",
    "Alice+x@example.net": "local alice+x@example.org",
    "sales@example.net": "local alice@example.org",
    "nobody@example.net": "local bob@example.org",
  });
});

Deno.test("An alias is expanded through other aliases, each target once, also to other domains", () => {
  const aliases = {
    "sales@example.org": ["alice@example.org", "team@example.org", "Carol@elsewhere.example"],
    "team@example.org": ["alice+team@example.org", "bob@example.org", "Carol@elsewhere.example"],
  };
  const router = routerOf({ accounts: ["alice@example.org", "bob@example.org"], aliases });
  check(router, {
    "Sales@example.org": "local alice@example.org,alice+team@example.org,bob@example.org,Carol@elsewhere.example",
  });
});

Deno.test("An alias that names itself keeps a copy in its account, and no other alias does", () => {
  const accounts = ["alice@example.org", "bob@example.org"];
  const aliases = {
    "alice@example.org": ["alice@example.org", "carol@elsewhere.example"],
    "bob@example.org": ["dave@elsewhere.example"],
    "a@example.org": ["bob@example.org"],
    "b@example.org": ["bob@example.org", "a@example.org"],
    "both@example.org": ["a@example.org", "b@example.org"],
  };
  check(routerOf({ accounts, aliases }), {
    "alice@example.org": "local alice@example.org,carol@elsewhere.example",
    "alice+x@example.org": "local alice+x@example.org,carol@elsewhere.example",
    "bob@example.org": "local dave@elsewhere.example",
    "both@example.org": "local dave@elsewhere.example",
  });
});

Deno.test("Alias loops end, one that leads nowhere else is refused, and an alias that leads nowhere is unknown", () => {
  const aliases = {
    "a@example.org": ["b@example.org"],
    "b@example.org": ["a@example.org"],
    "c@example.org": ["a@example.org", "alice@example.org", "c@example.org"],
    "d@example.org": ["nobody@example.org"],
  };
  check(routerOf({ accounts: ["alice@example.org"], aliases }), {
    "a@example.org": "refused loop",
    "c@example.org": "local alice@example.org",
    "d@example.org": "unknown",
  });
});

Deno.test("Ten aliases in a row are followed, and a longer row is refused as a whole", () => {
  const aliases = new Map<string, string[]>();
  for (let i = 1; i <= 11; i++) aliases.set(`a${i}@example.org`, [`a${i - 1}@example.org`, "bob@example.org"]);
  const router = routerOf({ accounts: ["a0@example.org", "bob@example.org"], aliases: Object.fromEntries(aliases) });
  check(router, { "a10@example.org": "local a0@example.org,bob@example.org", "a11@example.org": "refused depth" });
});

Deno.test("The exact mailbox comes before the one without detail, and the longest before shorter ones", () => {
  check(routerOf({ accounts: ["alice@example.org", "alice+lists@example.org"] }), {
    "alice+x@example.org": "local alice+x@example.org",
    "alice+lists@example.org": "local alice+lists@example.org",
    "alice+lists+deno@example.org": "local alice+lists+deno@example.org",
    "Alice+@example.org": "local alice@example.org",
    "+alice@example.org": "unknown",
    "bob+alice@example.org": "unknown",
  });
  check(routerOf({ accounts: ["mary-ann@example.org"], delimiter: "-" }), {
    "mary-ann-x@example.org": "local mary-ann-x@example.org",
    "mary-x@example.org": "unknown",
  });
  check(routerOf({ accounts: ["alice@example.org"], delimiter: "" }), { "alice+x@example.org": "unknown" });
});

Deno.test("The catch-all takes what nobody else takes", () => {
  const domains = {
    "example.org": { catchAll: "Alice@example.org" },
    "a.example": { catchAll: "carol@elsewhere.example" },
    "b.example": { catchAll: "nobody@b.example" },
    "c.example": { catchAll: "sales@c.example" },
  };
  const aliases = { "sales@c.example": ["x@c.example", "alice@example.org"] };
  check(routerOf({ domains, accounts: ["alice@example.org", "bob@example.org"], aliases }), {
    "bob@example.org": "local bob@example.org",
    "bob+x@example.org": "local bob+x@example.org",
    "nobody@example.org": "local alice@example.org",
    "x@a.example": "local carol@elsewhere.example",
    "x@b.example": "unknown",
    "x@c.example": "local alice@example.org",
  });
});

Deno.test("Postmaster is delivered to alias, account or catch-all, otherwise to the first account", () => {
  const domains = { "a.example": {}, "b.example": { catchAll: "x@b.example" }, "c.example": {} };
  const accounts = ["bob@c.example", "alice@a.example", "x@b.example", "y@b.example"];
  check(routerOf({ domains, accounts }), {
    "postmaster@a.example": "local alice@a.example",
    "PostMaster@b.example": "local x@b.example",
    "postmaster@c.example": "local bob@c.example",
    [BARE_POSTMASTER]: "local x@b.example",
    "postmaster@mail.example.org": "local x@b.example",
    "postmaster@elsewhere.example": "remote postmaster@elsewhere.example",
    "root@mail.example.org": "remote root@mail.example.org",
  });
  check(routerOf({ domains, accounts, aliases: { "postmaster@a.example": ["bob@c.example"] } }), {
    "postmaster@a.example": "local bob@c.example",
    [BARE_POSTMASTER]: "local bob@c.example",
  });
  check(routerOf({ domains: { "a.example": {}, "c.example": {} }, accounts: ["bob@c.example"] }), {
    "postmaster@a.example": "local bob@c.example",
    [BARE_POSTMASTER]: "local bob@c.example",
  });
  check(routerOf({}), { "postmaster@example.org": "unknown", [BARE_POSTMASTER]: "unknown" });
});

Deno.test("A domain of ours with a route of its own accepts everybody, and the route takes whom no account takes", () => {
  const domains = { "example.org": {}, "example.net": { aliasOf: "example.org" } };
  const router = routerOf({ domains, accounts: ["alice@example.org"], routes: [route("example.org")] });
  check(router, {
    "alice@example.org": "local alice@example.org",
    "Bob+x@example.org": "local Bob+x@example.org",
    "Bob@example.net": "local Bob@example.org",
  });
  assertEquals(keyOf(router.nextHop("alice@example.org")), "maildir:alice@example.org");
  assertEquals(keyOf(router.nextHop("Bob+x@example.org")), "smtp:relay.example:25");
});

Deno.test("A wildcard route accepts nobody for a domain of ours, and makes no domain ours", () => {
  const router = routerOf({
    domains: { "example.org": {}, "sub.example.org": {} },
    routes: [route("*"), route("*.example.org"), route("other.example")],
  });
  check(router, {
    "bob@sub.example.org": "unknown",
    "bob@example.org": "unknown",
    "bob@deep.example.org": "remote bob@deep.example.org",
    "bob@other.example": "remote bob@other.example",
  });
  assertEquals(keyOf(router.nextHop("bob@sub.example.org")), "5.1.1");
});

Deno.test("The next hop is the route of the domain, the longest wildcard above it, the star, or the MX", () => {
  const routes = [
    route("*.example", { host: "short.example" }),
    route("exact.branch.example", { host: "exact.example" }),
    route("*.branch.example", { host: "long.example" }),
  ];
  const router = routerOf({ routes });
  const cases: Record<string, string> = {
    "a@exact.branch.example": "smtp:exact.example:25",
    "a@x.exact.branch.example": "smtp:long.example:25",
    "a@x.branch.example": "smtp:long.example:25",
    "a@branch.example": "smtp:short.example:25",
    "a@example": "mx:example",
    "a@notexample": "mx:notexample",
    "a@elsewhere.test": "mx:elsewhere.test",
    "a@[192.0.2.1]": "mx:[192.0.2.1]",
  };
  for (const [address, key] of Object.entries(cases)) assertEquals(keyOf(router.nextHop(address)), key, address);
  const withStar = routerOf({ routes: [...routes, route("*", { host: "star.example" })] });
  assertEquals(keyOf(withStar.nextHop("a@elsewhere.test")), "smtp:star.example:25");
  assertEquals(keyOf(withStar.nextHop("a@[192.0.2.1]")), "smtp:star.example:25");
  assertEquals(keyOf(withStar.nextHop("a@x.branch.example")), "smtp:long.example:25");
});

Deno.test("The key of a server tells apart whatever must not share a connection", () => {
  const keys: [Partial<Smarthost>, string][] = [
    [{}, "smtp:relay.example:25"],
    [{ port: 587, username: "u@x", password: "p", tls: "required" }, "smtp:u%40x@relay.example:587;tls=required"],
    [{ scheme: "smtps", port: 465 }, "smtps:relay.example:465"],
    [{ scheme: "lmtp", host: "2001:db8::1", port: 24, tls: "off" }, "lmtp:[2001:db8::1]:24;tls=off"],
    [{ source: { v4: "192.0.2.7", v6: "2001:db8::7" } }, "smtp:relay.example:25;source=192.0.2.7,2001:db8::7"],
    [{ source: { v6: "2001:db8::7" }, isToldClient: true }, "smtp:relay.example:25;source=2001:db8::7;xclient"],
    [{ scheme: "lmtp", host: "", port: 0, socketPath: "/run/lmtp.sock", tls: "off" }, "lmtp:unix:/run/lmtp.sock"],
  ];
  for (const [via, key] of keys) {
    const decision = routerOf({ routes: [route("*", via)] }).nextHop("a@elsewhere.test");
    assertEquals(decision, { kind: "hop", hop: { kind: "smarthost", smarthost: { ...server, ...via }, key } });
  }
});

Deno.test("A recipient of ours goes to its Maildir, and is refused when its account is gone", () => {
  const router = routerOf({
    domains: { "example.org": { catchAll: "alice@example.org" }, "example.net": { aliasOf: "example.org" } },
    accounts: ["alice@example.org"],
    aliases: { "sales@example.org": ["alice@example.org"] },
  });
  const hop = { kind: "hop", hop: { kind: "maildir", account: "alice@example.org", key: "maildir:alice@example.org" } };
  for (const address of ["alice@example.org", "Alice@example.net", "alice+x@example.org"]) {
    assertEquals<unknown>(router.nextHop(address), hop, address);
  }
  const gone = { kind: "refused", status: "5.1.1", text: "No such mailbox" };
  for (const address of ["bob@example.org", "sales@example.org"]) assertEquals<unknown>(router.nextHop(address), gone);
  assertEquals(keyOf(router.nextHop("no mailbox")), "5.1.3");
});

Deno.test("A login finds its account under any spelling of its address, but not with a detail or by an alias", () => {
  const router = routerOf({
    domains: { "example.org": {}, "example.net": { aliasOf: "example.org" } },
    accounts: ["alice@example.org"],
    aliases: { "sales@example.org": ["alice@example.org"] },
  });
  for (const login of ["alice@example.org", "ALICE@example.org", "alice@Example.NET"]) {
    assertEquals(router.findAccount(login)?.address, "alice@example.org", login);
  }
  for (const login of ["alice", "alice+x@example.org", "sales@example.org", "alice@elsewhere.example", ""]) {
    assertEquals(router.findAccount(login), undefined, login);
  }
});

Deno.test("A route with a fallback leads there for a recipient that is on it, and says so to the others", () => {
  const fallback = { via: { ...server, host: "smarthost.example" }, after: 2, classes: ["block"] as const };
  const router = routerOf({
    routes: [{ domain: "a.example", via: "mx", fallback }, { ...route("b.example"), fallback }, {
      domain: "*",
      via: "mx",
    }],
  });
  const told = { key: "smtp:smarthost.example:25", after: 2, classes: ["block"] };
  const mx = (domain: string): unknown => ({ kind: "mx", domain, key: `mx:${domain}` });
  assertEquals<unknown>(router.nextHop("x@a.example"), { kind: "hop", hop: mx("a.example"), fallback: told });
  const direct = router.nextHop("x@b.example", { isOnFallback: false });
  assertEquals([keyOf(direct), direct.kind === "hop" && direct.fallback], ["smtp:relay.example:25", told]);
  for (const domain of ["a.example", "b.example"]) {
    const decision = router.nextHop(`x@${domain}`, { isOnFallback: true });
    assertEquals([keyOf(decision), decision.kind === "hop" && decision.fallback], [told.key, undefined]);
  }
  // The route was changed meanwhile: there is none any more.
  assertEquals<unknown>(router.nextHop("x@c.example", { isOnFallback: true }), { kind: "hop", hop: mx("c.example") });
});

Deno.test("`mx` keeps a domain from the route for all", () => {
  const router = routerOf({ routes: [{ domain: "a.example", via: "mx" }, route("*")] });
  assertEquals(keyOf(router.nextHop("x@a.example")), "mx:a.example");
  assertEquals(keyOf(router.nextHop("x@b.example")), "smtp:relay.example:25");
});
