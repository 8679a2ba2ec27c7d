import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import type { Account, AliasConfig } from "../../lib/config/config.ts";
import { parseMailbox } from "../../lib/mail/mailbox.ts";
import { BARE_POSTMASTER } from "../../lib/smtp/path.ts";
import { routerOf } from "../support/routing_site.ts";

const names = ["a", "b", "c", "d", "e", "f", "postmaster", "abuse"];
const ours = fc.constantFrom(...names.map((name) => `${name}@example.org`));
const target = fc.oneof(
  { weight: 5, arbitrary: ours },
  fc.constantFrom("a+x@example.org", "b+y@example.net", "nobody@example.org", "one@x.example", "two@x.example"),
);
const targets = fc.array(target, { minLength: 1, maxLength: 4 });
const alias: fc.Arbitrary<AliasConfig> = fc.oneof(
  fc.record({ targets }),
  fc.record({ targets, owner: fc.constantFrom("owner@x.example", "a@example.org") }),
);
const account: fc.Arbitrary<Account> = fc.oneof(
  fc.record({ address: ours }),
  fc.record({ address: ours, forward: fc.record({ to: targets, keepsCopy: fc.boolean() }) }),
);

Deno.test("However aliases, lists and forwards lead to each other, accounts and roles are delivered, and nobody twice", () => {
  fc.assert(fc.property(
    fc.dictionary(ours, alias, { maxKeys: 8 }),
    fc.uniqueArray(account, { selector: ({ address }) => address, minLength: 1, maxLength: 5 }),
    fc.option(target, { nil: undefined }),
    (aliases, accounts, catchAll) => {
      const router = routerOf({
        domains: {
          "example.org": catchAll === undefined ? {} : { catchAll },
          "example.net": { aliasOf: "example.org" },
        },
        aliases,
        accounts,
      });
      for (
        const text of [
          ...names.map((name) => `${name}+q@example.net`),
          ...names.map((name) => `${name}@example.org`),
        ]
      ) {
        const mailbox = parseMailbox(text);
        assert(mailbox !== undefined);
        const resolution = router.resolveRecipient(mailbox);
        const isAccount = accounts.some(({ address }) => address === text) && aliases[text] === undefined;
        const isRole = text === "postmaster@example.org" || text === "abuse@example.org";
        if (isAccount || isRole) assertEquals(resolution.kind, "local", text);
        if (resolution.kind !== "local") continue;
        const addresses = resolution.targets.map(({ address }) => address);
        assertEquals(new Set(addresses).size, addresses.length, text);
        assert(addresses.length > 0, text);
        for (const { address, forwardedBy } of resolution.targets) {
          const isOurs = address.endsWith("@example.org");
          assertEquals(forwardedBy === undefined, isOurs, address);
          assertEquals(router.nextHop(address).kind, "hop", address);
        }
      }
      assertEquals(router.resolveRecipient(BARE_POSTMASTER).kind, "local");
    },
  ));
});
