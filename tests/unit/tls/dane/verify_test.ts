import { assert, assertEquals } from "@std/assert";
import { createHash, X509Certificate } from "node:crypto";
import fc from "fast-check";
import { publicKeyInfo } from "../../../../lib/tls/certificate_parts.ts";
import { type TlsaRecord, usableTlsa } from "../../../../lib/tls/dane/tlsa.ts";
import { verifyDane } from "../../../../lib/tls/dane/verify.ts";
import { canJudgePeers } from "../../../../lib/tls/peer_chain.ts";

const FOLDER = `${import.meta.dirname}/../../../fixtures/tls/dane`;
const NOW = Date.parse("2030-01-01T00:00:00Z");
const JANUARY_2020 = Date.parse("2020-01-15T00:00:00Z");
const CHAIN = ["server", "middle", "root"];

function der(name: string): Uint8Array {
  return new X509Certificate(Deno.readTextFileSync(`${FOLDER}/${name}.pem`)).raw;
}

/** The record that stands for a certificate. */
function tlsa(usage: number, selector: number, matchingType: number, name: string): TlsaRecord {
  const selected = selector === 0 ? der(name) : publicKeyInfo(der(name));
  const hash = matchingType === 1 ? "sha256" : "sha512";
  const data = matchingType === 0 ? selected : new Uint8Array(createHash(hash).update(selected).digest());
  return { usage, selector, matchingType, data };
}

// Deno before 2.8 lacks what is needed, and posthorn does not use DANE there.
const daneTest = canJudgePeers ? Deno.test : Deno.test.ignore;

interface Options {
  readonly chain?: readonly string[];
  readonly names?: readonly string[];
  readonly nowMs?: number;
}

/** `verified`, or what is wrong. */
function judge(
  records: readonly TlsaRecord[],
  { chain = CHAIN, names = ["mx.test"], nowMs = NOW }: Options = {},
): string {
  const verdict = verifyDane({ tlsa: usableTlsa(records), chain: chain.map(der), names, nowMs });
  return verdict.kind === "verified" ? "verified" : verdict.problem;
}

for (const selector of [0, 1]) {
  for (const matchingType of [0, 1, 2]) {
    daneTest(`a record 3 ${selector} ${matchingType} stands for the server's certificate and no other`, () => {
      assertEquals(judge([tlsa(3, selector, matchingType, "server")]), "verified");
      assertEquals(judge([tlsa(3, selector, matchingType, "wildcard")]), "noMatch");
      assertEquals(judge([tlsa(3, selector, matchingType, "middle")]), "noMatch", "it is not about authorities");
    });

    daneTest(`a record 2 ${selector} ${matchingType} stands for any authority above the server's certificate`, () => {
      assertEquals(judge([tlsa(2, selector, matchingType, "middle")]), "verified");
      assertEquals(judge([tlsa(2, selector, matchingType, "root")]), "verified");
      assertEquals(judge([tlsa(2, selector, matchingType, "forger")]), "noMatch");
      assertEquals(judge([tlsa(2, selector, matchingType, "server")]), "noMatch", "the leaf is no authority");
    });
  }
}

daneTest("the public key of a certificate is what openssl says it is", () => {
  const { publicKey, raw } = new X509Certificate(Deno.readTextFileSync(`${FOLDER}/server.pem`));
  assertEquals(publicKeyInfo(raw), new Uint8Array(publicKey.export({ type: "spki", format: "der" })));
});

daneTest("usage 3 asks neither for the name nor for the time nor for an authority", () => {
  assertEquals(judge([tlsa(3, 1, 1, "own")], { chain: ["own"] }), "verified");
  assertEquals(judge([tlsa(3, 0, 1, "expired")], { chain: ["expired"], names: ["other.test"] }), "verified");
});

daneTest("usage 2 asks for one of the names, in any case, and for the time", () => {
  const records = [tlsa(2, 1, 1, "root")];
  assertEquals(judge(records, { names: ["other.test", "mail.test"] }), "verified");
  assertEquals(judge(records, { names: ["other.test"] }), "wrongName");
  assertEquals(judge(records, { chain: ["expired", "middle", "root"] }), "expired");
  assertEquals(judge(records, { nowMs: JANUARY_2020 }), "expired", "not valid yet");
});

daneTest("a wildcard stands for one label, and beside a subjectAltName the common name does not count", () => {
  const records = [tlsa(2, 0, 2, "root")];
  const wildcard = { chain: ["wildcard", "middle", "root"] };
  assertEquals(judge(records, { ...wildcard, names: ["mx.wild.test"] }), "verified");
  assertEquals(judge(records, { ...wildcard, names: ["a.mx.wild.test"] }), "wrongName");
  assertEquals(judge(records, { ...wildcard, names: ["wild.test"] }), "wrongName");
  assertEquals(judge(records, { ...wildcard, names: ["mx.test"] }), "wrongName");
  assertEquals(judge(records, { chain: ["common", "middle", "root"] }), "verified", "nothing but a common name");
});

daneTest("usage 2 wants every signature on the way, authorities that may sign, and a certificate for servers", () => {
  const records = [tlsa(2, 1, 1, "root"), tlsa(2, 0, 1, "forger")];
  assertEquals(judge([tlsa(2, 0, 1, "root")], { chain: ["forged", "root"] }), "noMatch", "same name, other key");
  assertEquals(judge(records, { chain: ["server", "root"] }), "noMatch", "a link is missing");
  assertEquals(judge([tlsa(2, 1, 1, "server")], { chain: ["belowserver", "server"] }), "noMatch", "no authority");
  assertEquals(judge(records, { chain: ["client", "middle", "root"] }), "wrongPurpose");
});

daneTest("usage 2: the server may send its chain in any order, with others in between", () => {
  const chain = ["server", "root", "forger", "oldmiddle", "own", "middle"];
  assertEquals(judge([tlsa(2, 0, 1, "root")], { chain }), "verified");
  assertEquals(judge([tlsa(2, 0, 1, "root")], { chain: ["server", "oldmiddle", "root"] }), "expired");
});

daneTest("an authority that stands whole in the record, or its bare key, need not be sent", () => {
  assertEquals(judge([tlsa(2, 0, 0, "root")], { chain: ["server", "middle"] }), "verified");
  assertEquals(judge([tlsa(2, 0, 0, "middle")], { chain: ["server"] }), "verified");
  assertEquals(judge([tlsa(2, 1, 0, "middle")], { chain: ["server"] }), "verified");
  assertEquals(judge([tlsa(2, 1, 0, "root")], { chain: ["server", "middle"] }), "verified");
  assertEquals(judge([tlsa(2, 1, 0, "root")], { chain: ["server"] }), "noMatch");
  assertEquals(judge([tlsa(2, 0, 1, "root")], { chain: ["server", "middle"] }), "noMatch", "a digest does not do");
});

daneTest("one record of several will do: keys and authorities can be rolled over", () => {
  assertEquals(judge([tlsa(3, 1, 1, "own"), tlsa(3, 1, 1, "server")]), "verified");
  assertEquals(judge([tlsa(3, 1, 1, "own"), tlsa(2, 1, 1, "root")]), "verified");
  assertEquals(judge([tlsa(2, 1, 1, "forger"), tlsa(3, 1, 1, "server")], { names: ["other.test"] }), "verified");
});

daneTest("what cannot be used does not count: PKIX usages, unknown numbers, data of the wrong length", () => {
  const good = tlsa(3, 1, 1, "server");
  const unusable: TlsaRecord[] = [
    tlsa(0, 1, 1, "root"),
    tlsa(1, 1, 1, "server"),
    { ...good, usage: 4 },
    { ...good, usage: 255 },
    { ...good, selector: 2 },
    { ...good, matchingType: 3 },
    { ...good, data: good.data.subarray(1) },
    { ...good, matchingType: 2 },
    { ...good, matchingType: 0 },
    { ...good, selector: 0, matchingType: 0 },
    { ...good, data: new Uint8Array() },
  ];
  assertEquals(usableTlsa(unusable), []);
  assertEquals(usableTlsa([...unusable, good]), [good]);
});

daneTest("of two digests of one usage and selector only the stronger counts (RFC 7671 §9)", () => {
  const wrong512 = tlsa(3, 1, 2, "own");
  assertEquals(judge([tlsa(3, 1, 1, "server"), wrong512]), "noMatch");
  assertEquals(judge([tlsa(3, 0, 1, "server"), wrong512]), "verified", "another selector is another matter");
  assertEquals(judge([tlsa(3, 1, 0, "server"), wrong512]), "verified", "what is exact is no digest");
});

daneTest("a server without a certificate, or with rubbish, is refused", () => {
  const tlsaRecords = [tlsa(3, 1, 1, "server"), tlsa(2, 1, 1, "root")];
  const question = { tlsa: tlsaRecords, names: ["mx.test"], nowMs: NOW };
  assertEquals(verifyDane({ ...question, chain: [] }).kind, "refused");
  assertEquals(verifyDane({ ...question, chain: [Uint8Array.of(0x30, 0x03, 1, 2, 3), der("root")] }).kind, "refused");
});

daneTest("the reason names the records, and is one printable line", () => {
  const verdict = verifyDane({ tlsa: [tlsa(3, 1, 1, "own")], chain: [der("server")], names: [], nowMs: NOW });
  assert(verdict.kind === "refused");
  assertEquals(/^its certificate fits no TLSA record \("3 1 1 [0-9a-f]{17}…"\)$/.test(verdict.reason), true);
});

daneTest("whatever the records, judging ends, and only a record that fits verifies", () => {
  const record = fc.record({
    usage: fc.nat(5),
    selector: fc.nat(2),
    matchingType: fc.nat(3),
    data: fc.oneof(
      fc.uint8Array({ maxLength: 70 }),
      fc.constantFrom("server", "root", "own").map((name) => tlsa(3, 1, 1, name).data),
    ),
  });
  fc.assert(fc.property(fc.array(record, { maxLength: 4 }), (records) => {
    const fits = records.some(({ usage, selector, matchingType, data }) => {
      if (selector !== 1 || matchingType !== 1) return false;
      const names = usage === 3 ? ["server"] : usage === 2 ? ["root"] : [];
      return names.some((name) => data.toHex() === tlsa(3, 1, 1, name).data.toHex());
    });
    // A stronger digest of 64 octets may put it out of action.
    const isOutdone = records.some(({ matchingType, data }) => matchingType === 2 && data.length === 64);
    const isVerified = judge(records) === "verified";
    if (isVerified) assert(fits);
    else assert(!fits || isOutdone);
  }));
});

daneTest("an authority with many copies of itself in the chain costs no more than their square", () => {
  const chain = ["server", "middle", "middle", "middle", "middle", "oldmiddle", "root", "root"];
  const started = performance.now();
  assertEquals(judge([tlsa(2, 1, 1, "forger")], { chain }), "expired");
  assert(performance.now() - started < 2_000);
});
