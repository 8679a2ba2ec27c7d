import { assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import {
  DovecotProtocolError,
  formatLine,
  MAX_LINE_OCTETS,
  parseServerLine,
} from "../../../../lib/sasl/dovecot/line.ts";
import { LineCutter } from "../../../../lib/sasl/dovecot/line_cutter.ts";

const encode = (text: string): Uint8Array => new TextEncoder().encode(text);
const parse = (text: string): ReturnType<typeof parseServerLine> => parseServerLine(encode(text));

Deno.test("Each line of Dovecot is read into what it says", () => {
  assertEquals(parse("VERSION\t1\t2"), { kind: "version", major: 1 });
  assertEquals(parse("MECH\tPLAIN\tplaintext"), { kind: "mech", name: "PLAIN", flags: ["plaintext"] });
  assertEquals(parse("MECH\tSCRAM-SHA-256"), { kind: "mech", name: "SCRAM-SHA-256", flags: [] });
  assertEquals(parse("DONE"), { kind: "done" });
  assertEquals(parse("CONT\t7\tVXNlcm5hbWU6"), { kind: "cont", id: 7, octets: encode("Username:") });
  assertEquals(parse("CONT\t7\t"), { kind: "cont", id: 7, octets: new Uint8Array(0) });
  assertEquals(parse("CONT\t7"), { kind: "cont", id: 7, octets: new Uint8Array(0) });
  assertEquals(parse("OK\t4294967295\tuser=a@example.org"), { kind: "ok", id: 4294967295, user: "a@example.org" });
  assertEquals(parse("OK\t1\tx=y\tuser=\tz"), { kind: "ok", id: 1, user: undefined });
  assertEquals(parse("OK\t1"), { kind: "ok", id: 1, user: undefined });
  for (const unknown of ["SPID\t4711", "COOKIE\tx", "", "\t", "NEWS\tof\tlater versions", "CANCELLED\t1"]) {
    assertEquals(parse(unknown), { kind: "other" });
  }
});

Deno.test("The reason of a failure is read as Dovecot 2.3 writes it, and as earlier ones did", () => {
  const code = (rest: string): unknown => {
    const line = parse(`FAIL\t3${rest}`);
    return line.kind === "fail" && line.id === 3 ? line.code : line;
  };
  assertEquals(code(""), undefined);
  assertEquals(code("\tuser=a\treason=no"), undefined);
  assertEquals(code("\tuser=a\tcode=temp_fail"), "temporary");
  assertEquals(code("\ttemp"), "temporary");
  assertEquals(code("\tcode=authz_fail\tuser=a"), "notAuthorized");
  assertEquals(code("\tuser=a\tauthz"), "notAuthorized");
  assertEquals(code("\tcode=user_disabled"), "disabled");
  assertEquals(code("\tuser_disabled"), "disabled");
  assertEquals(code("\tcode=pass_expired"), "expired");
  assertEquals(code("\tpass_expired"), "expired");
  assertEquals(code("\tcode=news"), undefined);
  assertEquals(code("\tuser=code=temp_fail"), undefined);
});

Deno.test("A malformed line is refused without its content in the message", () => {
  const lines = [
    ...["VERSION", "VERSION\tone\t1", "VERSION\t-1\t1"],
    ...["MECH", "MECH\t", "MECH\tplain", "MECH\tPL AIN", "MECH\tA\x01nB", `MECH\t${"A".repeat(21)}`],
    ...["OK", "OK\t", "OK\tsecret", "OK\t1.5", "OK\t4294967296", "OK\t99999999999"],
    ...["FAIL", "FAIL\tuser=secret"],
    ...["CONT", "CONT\tx\tAA==", "CONT\t1\tsecret", "CONT\t1\tA", "CONT\t1\tAA", "CONT\t1\tAB==", "CONT\t1\t="],
  ];
  for (const line of lines) {
    const { message } = assertThrows(() => parse(line), DovecotProtocolError);
    assertEquals(message.includes("secret"), false);
  }
  assertThrows(() => parseServerLine(new Uint8Array([0x4f, 0x4b, 9, 0xff])), DovecotProtocolError);
});

Deno.test("What would end a parameter is escaped, and read again as it was", () => {
  assertEquals(
    new TextDecoder().decode(formatLine("AUTH", "1", "cert_username=a\tb\nc\rd\0e\x01f")),
    "AUTH\t1\tcert_username=a\x01tb\x01nc\x01rd\x010e\x011f\n",
  );
  assertEquals(parse("OK\t1\tuser=a\x01tb\x01nc\x01rd\x010e\x011f\x01g"), {
    kind: "ok",
    id: 1,
    user: "a\tb\nc\rd\0e\x01fg",
  });
  fc.assert(fc.property(fc.string({ unit: "grapheme", minLength: 1 }), (user) => {
    const octets = formatLine("OK", "1", `user=${user}`) ?? new Uint8Array(0);
    assertEquals(octets.indexOf(0x0a), octets.length - 1);
    assertEquals(parseServerLine(octets.subarray(0, -1)), { kind: "ok", id: 1, user });
  }));
});

Deno.test("A line that Dovecot could not take is not written", () => {
  assertEquals(formatLine("CONT", "1", "x".repeat(MAX_LINE_OCTETS - 8))?.length, MAX_LINE_OCTETS);
  assertEquals(formatLine("CONT", "1", "x".repeat(MAX_LINE_OCTETS - 7)), undefined);
});

Deno.test("No line makes the parser throw anything but its own error", () => {
  const words = fc.constantFrom(
    "VERSION",
    "MECH",
    "CONT",
    "OK",
    "FAIL",
    "DONE",
    "\t",
    "1",
    "\x01",
    "=",
    "user=",
    "AA==",
  );
  const line = fc.oneof(fc.uint8Array({ maxLength: 40 }), fc.array(words).map((parts) => encode(parts.join(""))));
  fc.assert(fc.property(line, (octets) => {
    try {
      parseServerLine(octets);
    } catch (error) {
      if (!(error instanceof DovecotProtocolError)) throw error;
    }
  }));
});

function cut(...pieces: readonly Uint8Array[]): string[] {
  const cutter = new LineCutter();
  const lines: string[] = [];
  for (const piece of pieces) cutter.push(piece, (line) => lines.push(new TextDecoder().decode(line)));
  return lines;
}

Deno.test("Lines are the same wherever they were cut", () => {
  const octets = encode("VERSION\t1\t2\n\nOK\t1\tuser=zoë@example.org\nrest");
  const lines = ["VERSION\t1\t2", "", "OK\t1\tuser=zoë@example.org"];
  assertEquals(cut(octets), lines);
  assertEquals(cut(...Array.from(octets, (_, at) => octets.subarray(at, at + 1))), lines);
  for (let at = 0; at <= octets.length; at++) assertEquals(cut(octets.subarray(0, at), octets.subarray(at)), lines);
});

Deno.test("A piece may be used again for what comes next", () => {
  const cutter = new LineCutter();
  const buffer = encode("OK\t");
  const lines: string[] = [];
  const take = (line: Uint8Array): void => void lines.push(new TextDecoder().decode(line));
  cutter.push(buffer, take);
  buffer.set(encode("12\n"));
  cutter.push(buffer, take);
  assertEquals(lines, ["OK\t12"]);
});

Deno.test("A line without an end is refused at its limit, in one piece or in many", () => {
  const longest = encode("x".repeat(MAX_LINE_OCTETS - 1));
  assertEquals(cut(longest, encode("\n"))[0]?.length, MAX_LINE_OCTETS - 1);
  assertThrows(() => cut(longest, encode("x")), DovecotProtocolError);
  assertThrows(() => cut(encode("x".repeat(MAX_LINE_OCTETS) + "\n")), DovecotProtocolError);
  assertThrows(() => cut(encode("x".repeat(MAX_LINE_OCTETS))), DovecotProtocolError);
  const cutter = new LineCutter();
  assertThrows(() => {
    for (let i = 0; i < MAX_LINE_OCTETS; i++) cutter.push(encode("x"), () => {});
  }, DovecotProtocolError);
});
