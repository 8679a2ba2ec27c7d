import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { formatIpAddress, parseIpAddress } from "../../lib/dns/ip_address.ts";
import { decodeMessage } from "../../lib/dns/message.ts";
import { DnsNameError, encodeName, normaliseName } from "../../lib/dns/name.ts";
import { makeQuery, readAnswerTo } from "../../lib/dns/query.ts";
import type { WireRecordType } from "../../lib/dns/record_data.ts";
import type { RecordType } from "../../lib/dns/resolver.ts";
import { DnsMessageError } from "../../lib/dns/wire_reader.ts";
import {
  addressData,
  type EncodedRecord,
  encodeRecord,
  encodeResponse,
  flag,
  mxData,
  nameOctets,
  textData,
} from "../support/dns_encoding.ts";

/** Fails for every error but the one that decoding may throw. */
function decodeOrRefuse(octets: Uint8Array): void {
  try {
    decodeMessage(octets);
  } catch (error) {
    if (!(error instanceof DnsMessageError)) throw error;
  }
}

const label = fc.stringMatching(/^[a-z0-9_-]{1,20}$/);
const name = fc.array(label, { minLength: 1, maxLength: 5 }).map((labels) => labels.join("."));
const ttl = fc.nat(0x7fff_ffff);
const address = (octets: number): fc.Arbitrary<string> =>
  fc.uint8Array({ minLength: octets, maxLength: octets }).map(formatIpAddress);
const latin1 = fc.uint8Array({ maxLength: 600 }).map((octets) => String.fromCharCode(...octets));

type Sample = {
  readonly type: WireRecordType;
  readonly data: unknown;
  readonly octets: Uint8Array | readonly number[];
};
const sample: fc.Arbitrary<Sample> = fc.oneof(
  address(4).map((data) => ({ type: "A" as const, data, octets: addressData(data) })),
  address(16).map((data) => ({ type: "AAAA" as const, data, octets: addressData(data) })),
  name.map((data) => ({ type: "CNAME" as const, data, octets: nameOctets(data) })),
  name.map((data) => ({ type: "PTR" as const, data, octets: nameOctets(data) })),
  latin1.map((data) => ({ type: "TXT" as const, data, octets: textData(data) })),
  fc.tuple(fc.nat(65535), name).map(([preference, exchange]) => ({
    type: "MX" as const,
    data: { preference, exchange },
    octets: mxData(preference, exchange),
  })),
  fc.tuple(fc.nat(255), fc.nat(255), fc.nat(255), fc.uint8Array({ maxLength: 64 })).map((
    [usage, selector, matchingType, data],
  ) => ({
    type: "TLSA" as const,
    data: { usage, selector, matchingType, data },
    octets: [usage, selector, matchingType, ...data],
  })),
);

const records = fc.array(fc.tuple(name, ttl, sample), { maxLength: 8 });
const encode = (list: [string, number, Sample][]): EncodedRecord[] =>
  list.map(([owner, ttlSeconds, { type, octets }]) => encodeRecord(owner, type, octets, ttlSeconds));
const response = (id: number, owner: string, list: [string, number, Sample][]): Uint8Array<ArrayBuffer> =>
  encodeResponse({
    id,
    flags: flag.response | flag.recursion,
    responseCode: 0,
    question: { name: owner, typeCode: 1 },
    answers: encode(list),
    authority: encode(list.slice(0, 2)),
    hasEdns: true,
  });

Deno.test("Decoding gives back what was encoded", () => {
  fc.assert(
    fc.property(fc.nat(65535), name, records, (id, owner, list) => {
      const decoded = decodeMessage(response(id, owner, list));
      assertEquals(decoded.id, id);
      assertEquals<unknown>(decoded.questions, [{ name: owner, typeCode: 1, classCode: 1 }]);
      const expected = list.map(([owner, ttlSeconds, { type, data }]) => ({ owner, type, ttlSeconds, data }));
      assertEquals<unknown>(decoded.answers, expected);
      assertEquals<unknown>(decoded.authority, expected.slice(0, 2));
    }),
    { numRuns: 200 },
  );
});

Deno.test("Random octets never make decoding throw anything but its own error", () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 300 }), decodeOrRefuse), { numRuns: 3000 });
  const counts = fc.array(fc.nat(3), { minLength: 4, maxLength: 4 });
  const likely = fc.constantFrom(0, 1, 2, 3, 5, 6, 12, 13, 15, 16, 28, 41, 52, 63, 64, 0xc0, 0xff);
  fc.assert(
    fc.property(counts, fc.array(fc.oneof(likely, fc.nat(255)), { maxLength: 200 }), (counts, octets) => {
      decodeOrRefuse(Uint8Array.from([0, 1, 0x81, 0x80, ...counts.flatMap((count) => [0, count]), ...octets]));
    }),
    { numRuns: 5000 },
  );
});

Deno.test("A changed or cut answer is decoded or refused", () => {
  const change = fc.tuple(fc.nat(), fc.nat(255));
  fc.assert(
    fc.property(name, records, fc.array(change, { maxLength: 6 }), fc.option(fc.nat()), (owner, list, changes, cut) => {
      const octets = response(1, owner, list);
      for (const [at, octet] of changes) octets[at % octets.length] = octet;
      decodeOrRefuse(cut === null ? octets : octets.subarray(0, cut % octets.length));
    }),
    { numRuns: 3000 },
  );
});

Deno.test("An answer is taken for its own question only", () => {
  const types: RecordType[] = ["A", "AAAA", "MX", "TXT", "PTR", "TLSA"];
  fc.assert(
    fc.property(name, name, fc.constantFrom(...types), fc.nat(65535), fc.nat(65535), (one, two, type, id, other) => {
      const query = makeQuery({ id, name: one, type });
      // A query is no response; with the QR bit it is an empty one to itself.
      assertEquals(readAnswerTo(query, query.octets), undefined);
      const echo = makeQuery({ id: other, name: two.toUpperCase(), type }).octets;
      echo[2] = 0x81;
      assertEquals(readAnswerTo(query, echo) !== undefined, id === other && one === two);
      const own = makeQuery({ id, name: one.toUpperCase(), type }).octets;
      own[2] = 0x81;
      assertEquals(readAnswerTo(query, own)?.questions[0]?.name, one);
    }),
  );
});

Deno.test("Any text is a name or refused, and the spelling of a name is stable", () => {
  const odd = fc.string({ unit: fc.constantFrom("a", "B", ".", "\\", "0", "1", "2", "-", " ", "é"), maxLength: 80 });
  fc.assert(
    fc.property(fc.oneof(fc.string(), odd, name), (text) => {
      try {
        const spelling = normaliseName(text);
        assertEquals(normaliseName(spelling), spelling);
        assertEquals(encodeName(spelling).length, encodeName(text).length);
      } catch (error) {
        if (!(error instanceof DnsNameError)) throw error;
      }
    }),
    { numRuns: 2000 },
  );
});

Deno.test("Addresses survive text and octets", () => {
  fc.assert(fc.property(fc.oneof(fc.ipV4(), fc.ipV6()), (text) => {
    const octets = parseIpAddress(text) ?? new Uint8Array();
    assertEquals(parseIpAddress(formatIpAddress(octets)), octets);
    // URL parsing knows the form of RFC 5952.
    if (octets.length === 16) assertEquals(`[${formatIpAddress(octets)}]`, new URL(`http://[${text}]/`).hostname);
  }));
});
