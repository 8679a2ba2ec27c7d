/** SPF beside pyspf, by the authors of the official test suite, on generated zones. */

import { assert, assertEquals } from "@std/assert";
import { resolve } from "node:path";
import { checkSpf } from "../../lib/msgauth/spf/check.ts";
import { FakeClock } from "../support/fake_clock.ts";
import { mustRun } from "../support/interop/command.ts";
import { peerTest, programPath, report } from "../support/interop/peers.ts";
import { type SpfCase, spfCase } from "../support/spf_cases.ts";
import { SpfZoneResolver } from "../support/spf_zone.ts";

const CASES = 2000;
const FIRST_SEED = Number(Deno.env.get("POSTHORN_FUZZ_SEED") ?? "1");
const DRIVER = resolve(import.meta.dirname ?? ".", "../support/interop/pyspf.py");
/** What pyspf says where a domain explains nothing. */
const DEFAULT_EXPLANATION = "SPF fail - not authorized";

/** We cut explanations at 400 octets, and put dots there. */
const COMPARED = 397;

/** Result and explanation. */
type Said = readonly [result: string, text: string];

async function ours({ zone, ...connection }: SpfCase): Promise<Said> {
  const finding = await checkSpf({
    identity: "mailfrom",
    receiver: "mx.example.org",
    resolver: new SpfZoneResolver(zone),
    clock: new FakeClock("2026-01-01T00:00:00Z", true),
    ...connection,
  });
  return [finding.result, finding.explanation ?? finding.problem ?? DEFAULT_EXPLANATION];
}

/** For each case what pyspf says as it is, and what it says where it is made to follow the RFC (`pyspf.py` lists how). */
async function theirs(cases: readonly SpfCase[]): Promise<readonly (readonly [asItIs: Said, changed: Said])[]> {
  const output = await mustRun([programPath("python"), DRIVER], { stdin: JSON.stringify({ cases }) });
  return JSON.parse(output);
}

function agree(a: Said | undefined, b: Said | undefined): boolean {
  return a?.[0] === b?.[0] && (a?.[0] !== "fail" || a[1].slice(0, COMPARED) === b?.[1].slice(0, COMPARED));
}

peerTest(
  "SPF gives the same results and explanations as pyspf on 2,000 generated zones",
  ["python", "pyspf"],
  async () => {
    const cases = Array.from({ length: CASES }, (_, index) => spfCase(FIRST_SEED + index));
    const answers = await theirs(cases);
    const differences: string[] = [];
    const results = new Map<string, number>();
    let alike = 0;
    for (const [index, one] of cases.entries()) {
      const [asItIs, changed] = answers[index] ?? [];
      const said = await ours(one);
      results.set(said[0], (results.get(said[0]) ?? 0) + 1);
      if (agree(said, asItIs)) alike++;
      else if (!agree(said, changed)) {
        differences.push(`seed ${FIRST_SEED + index}: ours ${said}; theirs ${changed}, unchanged ${asItIs}`);
      }
    }
    assertEquals(differences.slice(0, 20), [], `${differences.length} of ${CASES} differ`);
    assert(alike >= 0.8 * CASES, `only ${alike} agree with pyspf as it is`);
    for (const result of ["none", "neutral", "pass", "fail", "softfail", "temperror", "permerror"]) {
      assert((results.get(result) ?? 0) >= 20, `too few cases give ${result}: ${JSON.stringify([...results])}`);
    }
    await report(
      `SPF: ${CASES} generated checks, pyspf agrees with ${alike} as it is, and with all where it follows the RFC`,
    );
  },
);
