/** Authentication-Results of posthorn, as Python's authres reads them: another parser of RFC 8601, and a strict one. */

import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { formatResults } from "../../lib/msgauth/authentication_results/format.ts";
import { parseResults } from "../../lib/msgauth/authentication_results/parse.ts";
import { type MethodResult, resultsOf } from "../../lib/msgauth/authentication_results/results.ts";
import type { Findings } from "../../lib/msgauth/findings.ts";
import { mustRun } from "../support/interop/command.ts";
import { peerTest, programPath } from "../support/interop/peers.ts";

/** Prints id, and method, result, reason and properties of each result. */
const SCRIPT = `
import authres, json, sys
def read(text):
    header = authres.AuthenticationResultsHeader.parse(text)
    return [header.authserv_id, [[r.method, r.result, r.reason,
        [[p.type, p.name, p.value] for p in r.properties]] for r in header.results]]
json.dump([read(text) for text in json.load(sys.stdin)], sys.stdout)
`;

/** Texts as they may come from the wire, but without quoted pairs, which authres leaves as they are. */
const text = fc.stringMatching(
  /^[\x21\x23-\x5b\x5d-\x7e](?:[\x20\x21\x23-\x5b\x5d-\x7e]{0,40}[\x21\x23-\x5b\x5d-\x7e])?$/,
);
/** Of values that are quoted authres takes only the last one of a result: so header.b, which often is, comes last. */
const token = fc.stringMatching(/^[!#$%&'*+.0-9A-Z^_`a-z{|}~-]{1,40}$/);
const host = fc.stringMatching(/^[a-z0-9]{1,10}(?:\.[a-z0-9]{1,10}){0,3}$/);
const name = fc.oneof(host, token);

const findings: fc.Arbitrary<Findings> = fc.record({
  iprev: fc.record({ result: fc.constantFrom("pass", "fail"), name }),
  spf: fc.array(
    fc.record({
      identity: fc.constantFrom("mailfrom", "helo"),
      domain: fc.oneof(host, text),
      result: fc.constantFrom("pass", "fail", "softfail", "neutral", "none", "temperror", "permerror"),
      mechanism: text,
      problem: text,
    }),
    { maxLength: 2 },
  ),
  dkim: fc.array(
    fc.record({
      result: fc.constantFrom("pass", "fail", "policy", "neutral"),
      domain: name,
      selector: name,
      identity: fc.oneof(token, host.map((domain) => `@${domain}`)),
      signatureStart: fc.base64String({ minLength: 8, maxLength: 12 }),
      algorithm: fc.constant("rsa-sha256"),
      isTesting: fc.boolean(),
      problem: text,
    }),
    { maxLength: 3 },
  ),
  dmarc: fc.record({
    result: fc.constantFrom("pass", "fail", "none", "temperror"),
    fromDomain: host,
    policy: fc.constant("reject"),
    request: fc.constantFrom("none", "quarantine"),
    isSpfAligned: fc.boolean(),
    isDkimAligned: fc.boolean(),
  }),
});

function facts({ method, result, reason, properties }: MethodResult): unknown {
  return [method, result, reason ?? null, properties.map(({ type, name, value }) => [type, name, value])];
}

peerTest(
  "What posthorn writes, Python's authres reads, and both read the same",
  ["python", "python3-authres"],
  async () => {
    const contents = fc.sample(findings, { numRuns: 500, seed: 8601 })
      .map((found) => resultsOf({ authservId: "mail.example.org", findings: found, clientAddress: "2001:db8::1" }));
    const written = contents.map((content) => formatResults(content).slice(0, -2));
    const read = JSON.parse(await mustRun([programPath("python"), "-c", SCRIPT], { stdin: JSON.stringify(written) }));
    for (const [i, content] of contents.entries()) {
      const expected = [content.authservId, content.results.map(facts)];
      assertEquals<unknown>(read[i], expected, written[i]);
      const ours = parseResults(written[i]?.slice("Authentication-Results:".length) ?? "");
      assertEquals<unknown>([ours?.authservId, ours?.results.map(facts)], expected, written[i]);
    }
  },
);
