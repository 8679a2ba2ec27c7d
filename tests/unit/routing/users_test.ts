import { assertEquals } from "@std/assert";
import type { DomainConfig } from "../../../lib/config/config.ts";
import { createRouter, type Router } from "../../../lib/routing/router.ts";

function routerOf(domains: Readonly<Record<string, Partial<DomainConfig>>>): Router {
  return createRouter({
    hostname: "mail.example.org",
    domains: new Map(Object.entries(domains).map(([name, entry]) => [name, { name, dkim: [], ...entry }])),
    recipientDelimiter: "+",
    aliases: new Map(),
    routes: [],
    auth: {},
  }, []);
}

Deno.test("A user's name that is a mailbox is the address, in one spelling", () => {
  const router = routerOf({ "example.org": {}, "example.com": {}, "example.net": { aliasOf: "example.org" } });
  assertEquals(router.userAddress("Alice@Example.ORG"), "alice@example.org");
  assertEquals(router.userAddress("alice@example.net"), "alice@example.org");
  assertEquals(router.userAddress('"alice"@example.com'), "alice@example.com");
  assertEquals(router.userAddress("Erin@Elsewhere.test"), "erin@elsewhere.test");
  assertEquals(router.userAddress("zoe\u0308@münchen.example"), "zoë@xn--mnchen-3ya.example");
});

Deno.test("A user's name without a domain is of the one domain that has mailboxes, and of none where there are more", () => {
  const one = routerOf({ "example.org": {}, "example.net": { aliasOf: "example.org" } });
  assertEquals(one.userAddress("Alice"), "alice@example.org");
  assertEquals(routerOf({ "example.org": {}, "example.com": {} }).userAddress("alice"), undefined);
});

Deno.test("A user's name that cannot be a mailbox has no address", () => {
  const router = routerOf({ "example.org": {} });
  for (const user of ["", " ", "a b", "alice@", "@example.org", "alice@exa mple.org", "a\nb", "x".repeat(243), ".a"]) {
    assertEquals(router.userAddress(user), undefined, user);
  }
});
