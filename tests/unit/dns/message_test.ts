import { assertEquals, assertLess, assertThrows } from "@std/assert";
import { decodeMessage, type DnsMessage, responseCodeText } from "../../../lib/dns/message.ts";
import { DnsMessageError } from "../../../lib/dns/wire_reader.ts";

/** Header with the counts given, then the octets of the hexadecimal text. */
function message(counts: [number, number, number, number], hex: string, flags = "8180"): DnsMessage {
  const head = counts.map((count) => count.toString(16).padStart(4, "0")).join("");
  return decodeMessage(Uint8Array.fromHex(`0001${flags}${head}${hex.replaceAll(" ", "")}`));
}

const question = "0161 0474657374 00 0001 0001";
/** A record of `a.test`, type A by default. */
const record = (data: string, type = "0001"): string =>
  `c00c ${type} 0001 0000003c ${(data.replaceAll(" ", "").length / 2).toString(16).padStart(4, "0")} ${data}`;

Deno.test("A response is decoded with compression, flags and extended response code", () => {
  const decoded = message(
    [1, 2, 0, 1],
    `${question} ${record("c0000201")} ${record("000a 026d78 c00c", "000f")}
    00 0029 04d0 01008000 0000`.replaceAll("\n", ""),
    "85a3",
  );
  assertEquals<unknown>(decoded, {
    id: 1,
    isResponse: true,
    isAuthoritative: true,
    isTruncated: false,
    isRecursionAvailable: true,
    isAuthenticated: true,
    responseCode: 19,
    questions: [{ name: "a.test", typeCode: 1, classCode: 1 }],
    answers: [
      { owner: "a.test", type: "A", ttlSeconds: 60, data: "192.0.2.1" },
      { owner: "a.test", type: "MX", ttlSeconds: 60, data: { preference: 10, exchange: "mx.a.test" } },
    ],
    authority: [],
  });
  assertEquals([responseCodeText(2), responseCodeText(19)], ["SERVFAIL", "RCODE 19"]);
});

Deno.test("Records of other types and classes are skipped, and a TTL with the top bit is 0", () => {
  const chaos = "c00c 0001 0003 0000003c 0004 01020304";
  const old = "c00c 0001 0001 80000001 0004 01020304";
  const { answers } = message([1, 3, 0, 0], `${question} ${record("00ff00", "002e")} ${chaos} ${old}`);
  assertEquals<unknown>(answers, [{ owner: "a.test", type: "A", ttlSeconds: 0, data: "1.2.3.4" }]);
});

Deno.test("Odd octets in names are escaped", () => {
  const { answers } = message([1, 1, 0, 0], `${question} ${record("05 612e5c 0dff 00", "0005")}`);
  assertEquals(answers[0]?.data, "a\\.\\\\\\013\\255");
});

const broken: [string, () => unknown][] = [
  ["an empty message", () => decodeMessage(new Uint8Array())],
  ["a cut header", () => decodeMessage(new Uint8Array(11))],
  ["more questions counted than there are", () => message([2, 0, 0, 0], question)],
  ["more answers counted than there are", () => message([1, 2, 0, 0], question + record("c0000201"))],
  ["fewer answers counted than there are", () => message([1, 0, 0, 0], question + record("c0000201"))],
  ["65535 of everything", () => message([65535, 65535, 65535, 65535], question)],
  ["a pointer to itself", () => message([1, 0, 0, 0], "c00c 0001 0001")],
  ["a pointer forward", () => message([1, 0, 0, 0], "c00e 0161 00 0001 0001")],
  ["a loop of a label and a pointer", () => message([1, 0, 0, 0], "0161 c00c 0001 0001")],
  ["a pointer beyond the end", () => message([1, 0, 0, 0], "ffff 0001 0001")],
  ["half a pointer", () => message([1, 0, 0, 0], "c0")],
  ["a label type that is not in use", () => message([1, 0, 0, 0], "4161 00 0001 0001")],
  ["a name longer than 255 octets", () => message([1, 0, 0, 0], "01 61".repeat(128) + "00 0001 0001")],
  ["a label beyond the end", () => message([1, 0, 0, 0], "05 6161")],
  ["an A record of 5 octets", () => message([1, 1, 0, 0], question + record("c000020100"))],
  ["an A record of 3 octets", () => message([1, 1, 0, 0], question + record("c00002"))],
  [
    "an MX record whose name ends outside of it",
    () => message([1, 1, 0, 0], `${question}${record("000a 01", "000f")}6100`),
  ],
  ["an MX record without a name", () => message([1, 1, 0, 0], question + record("000a", "000f"))],
  ["a TXT record without a string", () => message([1, 1, 0, 0], question + record("", "0010"))],
  ["a TXT record with a string that is too long", () => message([1, 1, 0, 0], question + record("0461", "0010"))],
  ["a TLSA record of 2 octets", () => message([1, 1, 0, 0], question + record("0301", "0034"))],
  ["a length beyond the end", () => message([1, 1, 0, 0], `${question}c00c 0001 0001 0000003c ffff 01`)],
];
for (const [what, decode] of broken) {
  Deno.test(`A message with ${what} is refused`, () => void assertThrows(decode, DnsMessageError));
}

Deno.test("A pointer forward is refused also where a name stands", () => {
  const alias = (pointer: string): DnsMessage =>
    message([1, 2, 0, 0], `${question}${record(pointer, "0005")}${record("0162 00", "0005")}`);
  // The data of the second record is at octet 12 + 12 + 14 + 12.
  assertThrows(() => alias("c032"), DnsMessageError, "does not lead back");
  assertEquals(alias("c00e").answers.map(({ data }) => data), ["test", "b"]);
});

Deno.test("A truncated message is not read beyond its question", () => {
  const decoded = message([1, 5, 0, 0], `${question}c00c 00`, "8380");
  assertEquals([decoded.isTruncated, decoded.answers.length, decoded.questions.length], [true, 0, 1]);
});

Deno.test("Chains of pointers cannot make decoding slow", () => {
  // Data of pointers, each to the one before; then many records whose owner is the end of that chain.
  const start = 12 + 12 + 12;
  const chain = Array.from({ length: 8000 }, (_, i) => i === 0 ? 0xc00c : 0xc000 + start + 2 * (i - 1));
  const pointer = (target: number): string => target.toString(16);
  const data = chain.map(pointer).join("");
  const owners = (at: number): string => `${pointer(0xc000 + at)} 0063 0001 00000000 0000`.repeat(4000);
  assertThrows(
    () => message([1, 4001, 0, 0], `${question}${record(data, "0063")}${owners(start + 15_998)}`),
    DnsMessageError,
    "too many compression pointers",
  );
  const began = performance.now();
  message([1, 4001, 0, 0], `${question}${record(data, "0063")}${owners(start + 2 * 120)}`);
  assertLess(performance.now() - began, 2000);
});
