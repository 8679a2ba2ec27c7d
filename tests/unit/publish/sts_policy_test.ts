import { assert, assertEquals, assertMatch, assertNotEquals } from "@std/assert";
import type { Config, DomainConfig, StsMode } from "../../../lib/config/config.ts";
import { namesMx, parseStsPolicy, stsRecordId } from "../../../lib/delivery/remote/mta_sts_policy.ts";
import { ownStsPolicy, stsPolicyOfHost } from "../../../lib/publish/sts_policy.ts";

function config(settings: Partial<DomainConfig> = {}): Pick<Config, "hostname" | "domains"> {
  return {
    hostname: "mail.example.org",
    domains: new Map([["example.org", { name: "example.org", dkim: [], ...settings }]]),
  };
}

Deno.test("a policy is the text that RFC 8461 shows, with CRLF", () => {
  assertEquals(
    ownStsPolicy(config({ mtaSts: "enforce", mx: ["mail.example.org", "b.example.net"] }), "example.org")?.text,
    "version: STSv1\r\nmode: enforce\r\nmx: mail.example.org\r\nmx: b.example.net\r\nmax_age: 1209600\r\n",
  );
});

for (const mode of ["testing", "enforce", "none"] as const) {
  Deno.test(`a policy of mode ${mode} is one that our own client reads, and names our host`, () => {
    const reading = parseStsPolicy(ownStsPolicy(config({ mtaSts: mode }), "example.org")?.text ?? "");
    assert(reading.kind === "policy");
    assertEquals(reading.policy.mode, mode);
    assert(namesMx(reading.policy, "mail.example.org"));
  });
}

Deno.test("the id is one that records may have, and another one for another text", () => {
  const idOf = (mtaSts: StsMode, mx?: readonly string[]): string =>
    ownStsPolicy(config({ mtaSts, ...(mx && { mx }) }), "example.org")?.id ?? "";
  assertEquals(stsRecordId([`v=STSv1; id=${idOf("testing")};`]), idOf("testing"));
  assertMatch(idOf("testing"), /^[0-9a-f]{20}$/);
  assertEquals(idOf("testing"), idOf("testing", ["mail.example.org"]));
  assertNotEquals(idOf("testing"), idOf("enforce"));
  assertNotEquals(idOf("testing"), idOf("testing", ["b.example.org"]));
});

Deno.test("only the policy host of a domain with a policy gives one away", () => {
  const site = config({ mtaSts: "testing" });
  assertEquals(stsPolicyOfHost(site, "MTA-STS.example.ORG.")?.mode, "testing");
  for (const host of ["example.org", "mta-sts.example.net", "mta-sts.", "mta-sts.mta-sts.example.org", ""]) {
    assertEquals(stsPolicyOfHost(site, host), undefined, host);
  }
  assertEquals(stsPolicyOfHost(config(), "mta-sts.example.org"), undefined);
});
