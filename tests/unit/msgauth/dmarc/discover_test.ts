/** The walk up the DNS: which names are asked, which record holds, and where an organisation begins (RFC 9989 §4.10). */

import { assertEquals } from "@std/assert";
import { domainExists, recordLookup, type Walk, walkTargets, walkUp } from "../../../../lib/msgauth/dmarc/discover.ts";
import { FakeResolver } from "../../../support/fake_resolver.ts";

/** Records by domain. */
function zoneOf(records: Readonly<Record<string, string>>): FakeResolver {
  return new FakeResolver(
    Object.fromEntries(Object.entries(records).map(([domain, text]) => [`_dmarc.${domain}`, { TXT: [text] }])),
  );
}

async function walk(
  domain: string,
  records: Readonly<Record<string, string>>,
): Promise<readonly (string | undefined)[]> {
  const found: Walk = await walkUp(domain, recordLookup(zoneOf(records)));
  return found.kind === "failed" ? [found.reason] : [found.organization, found.policy?.domain];
}

const P = "v=DMARC1; p=reject";

Deno.test("A walk asks eight times at most (the example of RFC 9989 §4.10)", () => {
  assertEquals(walkTargets("a.b.c.d.e.f.g.h.i.j.mail.example.com"), [
    "a.b.c.d.e.f.g.h.i.j.mail.example.com",
    "g.h.i.j.mail.example.com",
    "h.i.j.mail.example.com",
    "i.j.mail.example.com",
    "j.mail.example.com",
    "mail.example.com",
    "example.com",
    "com",
  ]);
  assertEquals(walkTargets("a.b.c.d.e.f.g.h")[1], "b.c.d.e.f.g.h");
  assertEquals(walkTargets("a.b.c.d.e.f.g.h").length, 8);
  assertEquals(walkTargets("mail.example.com"), ["mail.example.com", "example.com", "com"]);
  assertEquals(walkTargets("localhost"), ["localhost"]);
});

Deno.test("The organisation is at the shortest name with a record (the examples of RFC 9989 §4.10.2)", async () => {
  assertEquals(await walk("a.mail.example.com", { "mail.example.com": P, "example.com": P }), [
    "example.com",
    "example.com",
  ]);
  assertEquals(await walk("a.mail.example.com", { "mail.example.com": `${P}; psd=n`, "example.com": P }), [
    "mail.example.com",
    "mail.example.com",
  ]);
  assertEquals(await walk("a.mail.example.com", { com: `${P}; psd=y` }), ["example.com", "com"]);
  assertEquals(await walk("mail.example.com", { "example.com": `${P}; psd=y` }), ["mail.example.com", "example.com"]);
});

Deno.test("A domain's own record holds for it, and those between it and its organisation do not", async () => {
  assertEquals(await walk("a.example.com", { "a.example.com": P, "example.com": P }), ["example.com", "a.example.com"]);
  assertEquals(await walk("a.b.example.com", { "b.example.com": P, "example.com": P }), ["example.com", "example.com"]);
  assertEquals(await walk("a.example.com", { "a.example.com": `${P}; psd=y`, "example.com": P }), [
    "a.example.com",
    "a.example.com",
  ]);
  assertEquals(await walk("a.example.com", {}), ["a.example.com", undefined]);
});

Deno.test("The record of a public suffix holds for no organisation that has one itself", async () => {
  assertEquals(await walk("a.example.co.uk", { "example.co.uk": P, "co.uk": `${P}; psd=y` }), [
    "example.co.uk",
    "example.co.uk",
  ]);
});

Deno.test("A top-level domain without psd makes no organisation of all that is below it, unless it says psd=n", async () => {
  assertEquals(await walk("a.example.com", { com: P }), ["example.com", "com"]);
  assertEquals(await walk("a.example.brand", { brand: `${P}; psd=n` }), ["brand", "brand"]);
});

Deno.test("Several records are none, others beside the one do not matter", async () => {
  const resolver = new FakeResolver({
    "_dmarc.a.example": { TXT: [P, P] },
    "_dmarc.b.example": { TXT: ["v=spf1 -all", P, "v=DMARC2; p=none"] },
  });
  const holder = async (domain: string): Promise<string | undefined> => {
    const found = await walkUp(domain, recordLookup(resolver));
    return found.kind === "walked" ? found.policy?.domain : undefined;
  };
  assertEquals([await holder("a.example"), await holder("b.example")], [undefined, "b.example"]);
});

Deno.test("A name without an answer ends the walk, and its reason names the question", async () => {
  const resolver = zoneOf({ "a.example.com": P, com: P });
  resolver.zone["_dmarc.example.com"] = { failing: ["TXT"] };
  const found = await walkUp("a.example.com", recordLookup(resolver));
  assertEquals(found, { kind: "failed", reason: "TXT of _dmarc.example.com: SERVFAIL from fake" });
  assertEquals(resolver.questions, ["TXT _dmarc.a.example.com", "TXT _dmarc.example.com"]);
});

Deno.test("Each name is asked once for all walks of a message", async () => {
  const resolver = zoneOf({ "example.com": P });
  const lookup = recordLookup(resolver);
  await walkUp("a.example.com", lookup);
  await walkUp("b.example.com", lookup);
  assertEquals(
    resolver.questions,
    ["a.example.com", "example.com", "com", "b.example.com"].map((name) => `TXT _dmarc.${name}`),
  );
});

Deno.test("A domain does not exist where DNS says NXDOMAIN, and it is not the end of an alias", async () => {
  const resolver = new FakeResolver({
    "here.example": { MX: [] },
    "alias.example": { cname: "gone.example" },
    "dead.example": { failing: ["A"] },
  });
  const exists = (name: string): Promise<boolean | undefined> => domainExists(name, resolver);
  assertEquals(await exists("here.example"), true);
  assertEquals(await exists("alias.example"), true);
  assertEquals(await exists("gone.example"), false);
  assertEquals(await exists("dead.example"), undefined);
});
