/** The official test suite of SPF for RFC 7208; its data is not in this repository. */

import { assert, assertEquals } from "@std/assert";
import { resolve } from "node:path";
import { parseAllDocuments } from "yaml";
import { checkSpf } from "../../../../lib/msgauth/spf/check.ts";
import { FakeClock } from "../../../support/fake_clock.ts";
import { type SpfZone, SpfZoneResolver } from "../../../support/spf_zone.ts";

interface SuiteTest {
  readonly helo: string;
  readonly host: string;
  readonly mailfrom: string;
  readonly result: string | readonly string[];
  readonly explanation?: string;
}

interface Scenario {
  readonly description: string;
  readonly tests: Readonly<Record<string, SuiteTest>>;
  readonly zonedata: SpfZone;
}

const file = resolve(import.meta.dirname ?? ".", "../../../../../shared/vectors/rfc7208-tests.yml");

function readScenarios(): Scenario[] | undefined {
  try {
    const documents = parseAllDocuments(Deno.readTextFileSync(file));
    assert(Array.isArray(documents));
    return documents.map((document) => document.toJS() as Scenario);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

const scenarios = readScenarios();
const missing = scenarios === undefined ? ` (skipped: there is no ${file})` : "";

Deno.test({
  name: `the official SPF suite has 203 tests in 16 scenarios${missing}`,
  ignore: scenarios === undefined,
  fn: () => {
    const tests = (scenarios ?? []).map((scenario) => Object.keys(scenario.tests).length);
    assertEquals([tests.length, tests.reduce((sum, count) => sum + count, 0)], [16, 203]);
  },
});

for (const { description, tests, zonedata } of scenarios ?? []) {
  Deno.test(`the official SPF suite passes: ${description}`, async () => {
    const clock = new FakeClock("2026-01-01T00:00:00Z", true);
    const differences: string[] = [];
    for (const [name, { helo, host, mailfrom, result, explanation }] of Object.entries(tests)) {
      const resolver = new SpfZoneResolver(zonedata);
      const options = { helo, ip: host, reversePath: mailfrom, receiver: "unknown", resolver, clock };
      const finding = await checkSpf({ identity: "mailfrom", ...options });
      if (![result].flat().includes(finding.result)) differences.push(`${name}: ${JSON.stringify(finding)}`);
      const expected = explanation === "DEFAULT" ? undefined : explanation ?? finding.explanation;
      if (finding.explanation !== expected) differences.push(`${name}: explained by ${finding.explanation}`);
    }
    assertEquals(differences, []);
  });
}
