import { assert, assertEquals } from "@std/assert";
import type { DomainConfig } from "../../../lib/config/config.ts";
import { parseMailbox } from "../../../lib/mail/mailbox.ts";
import { createRouter, type Router } from "../../../lib/routing/router.ts";
import { createSrs } from "../../../lib/routing/srs/srs.ts";
import type { RoutingConfig } from "../../../lib/routing/directory.ts";

const DAY = 86_400_000;
const NOW = Date.UTC(2026, 7, 21, 12);
const SENDER = "bob@sender.example";

interface Choice {
  readonly isOn?: boolean;
  readonly domain?: string;
  readonly nowMs?: number;
  readonly domains?: readonly DomainConfig[];
  readonly more?: Partial<RoutingConfig>;
}

function routerOf({ isOn = true, domain, nowMs = NOW, domains = [], more = {} }: Choice = {}): Router {
  const ours: readonly DomainConfig[] = [
    { name: "example.org", dkim: [] },
    { name: "example.net", aliasOf: "example.org", dkim: [] },
    { name: "second.example", catchAll: "alice@example.org", dkim: [] },
    { name: "routed.example", dkim: [] },
    ...domains,
  ];
  const config: RoutingConfig = {
    hostname: "mail.example.org",
    domains: new Map(ours.map((domain) => [domain.name, domain])),
    recipientDelimiter: "+",
    aliases: new Map([
      ["fwd@example.org", { targets: ["carol@elsewhere.example"] }],
      ["srs0-fan@example.org", { targets: ["alice@example.org"] }],
    ]),
    routes: [{
      domain: "routed.example",
      via: { scheme: "smtp", host: "10.0.0.1", port: 25, tls: "off" },
    }],
    auth: {},
    ...more,
  };
  const srs = createSrs({ secrets: ["a secret of the test"], now: () => nowMs, maxAgeMs: 21 * DAY });
  return createRouter(config, [{ address: "alice@example.org" }], {
    srs,
    isOn,
    ...(domain === undefined ? {} : { domain }),
  });
}

function rewritten(router: Router, sender: string, forwardedBy = "fwd@example.org"): string {
  const result = router.rewriteSender(sender, forwardedBy);
  assert(result?.kind === "rewritten", JSON.stringify(result));
  return result.address;
}

/** A resolution in words. */
function resolved(router: Router, text: string): string {
  const mailbox = parseMailbox(text);
  assert(mailbox !== undefined, text);
  const resolution = router.resolveRecipient(mailbox);
  if (resolution.kind !== "local") return resolution.kind;
  const targets = resolution.targets.map(({ address }) => address).join(",");
  return resolution.takes === undefined ? targets : `${resolution.takes} for ${targets}`;
}

Deno.test("a sender of another site is rewritten to the domain that forwards, or to the one that is configured", () => {
  assertEquals(rewritten(routerOf(), SENDER).endsWith("@example.org"), true);
  assertEquals(rewritten(routerOf(), SENDER, "x@second.example").endsWith("@second.example"), true);
  assertEquals(rewritten(routerOf({ domain: "example.net" }), SENDER).endsWith("@example.net"), true);
});

Deno.test("the null reverse-path and senders of ours stay as they are, and all of them where SRS is off", () => {
  for (const sender of ["", "alice@example.org", "x@example.net", "y@second.example", "root@mail.example.org"]) {
    assertEquals(routerOf().rewriteSender(sender, "fwd@example.org"), undefined, sender);
  }
  assertEquals(routerOf({ isOn: false }).rewriteSender(SENDER, "fwd@example.org"), undefined);
});

Deno.test("a rewritten sender of ours leads to the sender, at every domain of ours, for reports", () => {
  const router = routerOf();
  const address = rewritten(router, SENDER);
  for (const domain of ["example.org", "EXAMPLE.NET", "second.example", "routed.example"]) {
    assertEquals(resolved(router, address.replace("example.org", domain)), `reports for ${SENDER}`, domain);
  }
  assertEquals(resolved(router, address.replace("example.org", "elsewhere.example")), "remote");
  assertEquals(resolved(router, address.replace("example.org", "mail.example.org")), "remote");
});

Deno.test("reports still lead to the sender after SRS was switched off", () => {
  assertEquals(resolved(routerOf({ isOn: false }), rewritten(routerOf(), SENDER)), `reports for ${SENDER}`);
});

Deno.test("a forged address is unknown, no catch-all takes it, but a server behind us may know it", () => {
  const router = routerOf();
  const forged = rewritten(router, SENDER).replace("=bob@", "=mallory@");
  assertEquals(resolved(router, forged), "unknown");
  assertEquals(resolved(router, forged.replace("example.org", "second.example")), "unknown");
  const behind = forged.replace("example.org", "routed.example");
  assertEquals(resolved(router, behind), behind);
});

Deno.test("what only looks like a rewritten sender is an address like any other", () => {
  const router = routerOf();
  assertEquals(resolved(router, "srs0-fan@example.org"), "alice@example.org");
  assertEquals(resolved(router, "srs0-nobody@example.org"), "unknown");
  assertEquals(resolved(router, "srs0-nobody@second.example"), "alice@example.org");
  const taken = rewritten(router, SENDER);
  const aliases = new Map([[taken.toLowerCase(), { targets: ["alice@example.org"] }]]);
  assertEquals(resolved(routerOf({ more: { aliases } }), taken), "alice@example.org");
});

Deno.test("an expired address is unknown to others, and still good for reports of our own", () => {
  const address = rewritten(routerOf(), SENDER);
  const later = routerOf({ nowMs: NOW + 30 * DAY });
  assertEquals(resolved(later, address), "unknown");
  assertEquals(later.reportTargets(address), [{ address: SENDER }]);
  assertEquals([address, SENDER, "fwd@example.org", "x"].map(later.senderBehind), [
    SENDER,
    SENDER,
    "fwd@example.org",
    "x",
  ]);
  assertEquals(later.reportTargets("fwd@example.org"), [{
    address: "carol@elsewhere.example",
    forwardedBy: "fwd@example.org",
  }]);
  assertEquals(later.reportTargets(SENDER), [{ address: SENDER }]);
});

Deno.test("a sender whose domain became ours meanwhile is looked up here, through any number of rewritings", () => {
  const before = routerOf();
  const domains = [{ name: "sender.example", dkim: [] }, { name: "first.example", dkim: [] }];
  const after = routerOf({
    domains,
    more: { aliases: new Map([["bob@sender.example", { targets: ["alice@example.org"] }]]) },
  });
  assertEquals(resolved(after, rewritten(before, SENDER)), "reports for alice@example.org");
  assertEquals(resolved(after, rewritten(before, "nobody@sender.example")), "unknown");
  const first = rewritten(before, SENDER).replace("@example.org", "@first.example");
  assertEquals(resolved(after, rewritten(before, first)), "reports for alice@example.org");
});
