import { assert, assertEquals } from "@std/assert";
import { parseOauthBearer, parseXoauth2 } from "../../../../lib/sasl/oauth/client_message.ts";

const encode = (text: string): Uint8Array => new TextEncoder().encode(text.replaceAll("^A", "\x01"));

Deno.test("the messages of RFC 7628 §4 and of Google's manual are read", () => {
  const messages = [
    "n,a=user@example.com,^Ahost=server.example.com^Aport=587^Aauth=Bearer vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg==^A^A",
    "y,,^Aauth=bearer   a.b-c_d~e+f/g^A^A",
    "n,a=a=2Cb=3dc,^Aauth=Bearer x^Aunknown=\t anything ~^A^A",
    "n,,^Aauth=^A^A",
  ].map((text) => parseOauthBearer(encode(text)));
  assertEquals(
    messages,
    [
      { identity: "user@example.com", token: "vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg==" },
      { identity: undefined, token: "a.b-c_d~e+f/g" },
      { identity: "a,b=c", token: "x" },
      { identity: undefined, token: undefined },
    ].map((message) => ({ kind: "message", message })),
  );
  assertEquals(
    parseXoauth2(encode("user=someuser@example.com^Aauth=Bearer ya29.vF9dft4qmTc2Nvb3RlckBhdHRhdmlzdGEuY29tCg^A^A")),
    {
      kind: "message",
      message: { identity: "someuser@example.com", token: "ya29.vF9dft4qmTc2Nvb3RlckBhdHRhdmlzdGEuY29tCg" },
    },
  );
});

Deno.test("a name that is not ASCII is read as UTF-8", () => {
  for (
    const parsed of [
      parseOauthBearer(encode("n,a=jürgen@bücher.example,^Aauth=Bearer x^A^A")),
      parseXoauth2(encode("user=jürgen@bücher.example^Aauth=Bearer x^A^A")),
    ]
  ) assertEquals(parsed.kind === "message" && parsed.message.identity, "jürgen@bücher.example");
});

Deno.test("a malformed message of OAUTHBEARER is refused with a reason that does not repeat it", () => {
  const cases: readonly (readonly [string, RegExp])[] = [
    ["", /GS2 header/],
    ["^A", /GS2 header/],
    ["n,a=u^Aauth=Bearer x^A^A", /GS2 header/],
    ["n,a=,^Aauth=Bearer x^A^A", /GS2 header/],
    ["x,,^Aauth=Bearer x^A^A", /GS2 header/],
    ["p=tls-exporter,,^Aauth=Bearer x^A^A", /channel binding/],
    ["n,a=a=2c=b,^Aauth=Bearer x^A^A", /authorization identity/],
    [`n,a=${"a".repeat(1025)},^Aauth=Bearer x^A^A`, /authorization identity/],
    ["n,,^Aauth=Bearer x^A", /two %x01/],
    ["n,,^Aauth=Bearer x", /two %x01/],
    ["n,,^Aauth=Bearer x^A^A^A", /malformed/],
    ["n,,^Aauth=Bearer x^A^Amore=y", /two %x01/],
    ["n,,^A^A", /"auth" is missing/],
    ["n,,^A^A^A", /malformed/],
    ["n,,^Ahost=mx^A^A", /"auth" is missing/],
    ["n,,^AAUTH=Bearer x^A^A", /"auth" is missing/],
    ["n,,^Aauth=Bearer x^Aauth=Bearer y^A^A", /twice/],
    ["n,,^Aho-st=x^Aauth=Bearer x^A^A", /malformed/],
    ["n,,^Ahost=ü^Aauth=Bearer x^A^A", /malformed/],
    ["n,,^Aport=0587^Aauth=Bearer x^A^A", /port/],
    ["n,,^Aport=65536^Aauth=Bearer x^A^A", /port/],
    ["n,,^Aauth=Basic x^A^A", /"Bearer"/],
    ["n,,^Aauth=Bearer^A^A", /"Bearer"/],
    ["n,,^Aauth=Bearer x y^A^A", /"Bearer"/],
    ["n,,^Aauth=Bearer x=y^A^A", /"Bearer"/],
    ["n,,^Aauth=Bearer x\0^A^A", /NUL/],
    [`n,,^Aauth=Bearer ${"s3cret".repeat(2000)}^A^A`, /too long/],
  ];
  for (const [text, reason] of cases) {
    const parsed = parseOauthBearer(encode(text));
    assert(parsed.kind === "invalid" && reason.test(parsed.reason), `${text}: ${JSON.stringify(parsed)}`);
    assert(!parsed.reason.includes("s3cret"));
  }
  assertEquals(parseOauthBearer(Uint8Array.of(0x6e, 0x2c, 0xff, 0x2c, 1, 1)).kind, "invalid");
});

Deno.test("a malformed message of XOAUTH2 is refused", () => {
  const cases = [
    "",
    "user=u^Aauth=Bearer x^A",
    "user=u^Aauth=Bearer x^A^A^A",
    "user=u^Aauth=Bearer x^A^Ay",
    "user=^Aauth=Bearer x^A^A",
    `user=${"u".repeat(1025)}^Aauth=Bearer x^A^A`,
    "u^Aauth=Bearer x^A^A",
    "auth=Bearer x^Auser=u^A^A",
    "user=u^ABearer x^A^A",
    "user=u^Aauth=^A^A",
    "user=u^Aauth=Bearer x,y^A^A",
    "n,a=u,^Aauth=Bearer x^A^A",
    "user=u^Aauth=Bearer \0^A^A",
  ];
  for (const text of cases) assertEquals(parseXoauth2(encode(text)).kind, "invalid", text);
});
