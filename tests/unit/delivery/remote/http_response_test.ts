import { assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import { HttpError, type HttpResponse, HttpResponseReader } from "../../../../lib/delivery/remote/http_response.ts";

const ENCODER = new TextEncoder();

/** Reads a response that comes in pieces of the given sizes, the last of which repeats. */
function read(text: string, sizes: readonly number[] = [Infinity], maxOctets = 100): HttpResponse | undefined {
  const reader = new HttpResponseReader(maxOctets);
  const octets = ENCODER.encode(text);
  const left = [...sizes];
  let at = 0;
  while (at < octets.length) {
    const size = left.length > 1 ? left.shift() : left[0];
    const end = Math.min(octets.length, at + (size ?? Infinity));
    const response = reader.push(octets.subarray(at, end));
    if (response !== undefined) return response;
    at = end;
  }
  return undefined;
}

function bodyOf(response: HttpResponse | undefined): string | undefined {
  return response && new TextDecoder().decode(response.body);
}

const PLAIN = "HTTP/1.1 200 OK\r\nContent-Type: Text/Plain; charset=utf-8\r\nContent-Length: 5\r\n\r\nhellomore";
const CHUNKED = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Type:text/plain\r\n\r\n" +
  "3;ext=1\r\nhel\r\n2\r\nlo\r\n0\r\nTrailer: x\r\n\r\n";

Deno.test("a body with a length, and one in chunks, are read to their ends", () => {
  assertEquals(read(PLAIN)?.status, 200);
  assertEquals(read(PLAIN)?.mediaType, "text/plain");
  assertEquals(bodyOf(read(PLAIN)), "hello");
  assertEquals(bodyOf(read(CHUNKED)), "hello");
  assertEquals(bodyOf(read("HTTP/1.1 100 Continue\r\n\r\n" + PLAIN)), "hello");
  assertEquals(read("HTTP/1.1 302 Found\r\nLocation: /x\r\n\r\n")?.status, 302);
  assertEquals(bodyOf(read("HTTP/1.0 200 OK\nContent-Length: 0\n\n")), "");
});

Deno.test("wherever the connection cuts a response, it is read the same", () => {
  fc.assert(fc.property(
    fc.constantFrom(PLAIN, CHUNKED),
    fc.array(fc.integer({ min: 1, max: 20 }), { minLength: 1 }),
    (text, sizes) => assertEquals(bodyOf(read(text, sizes)), "hello"),
  ));
});

Deno.test("a response that is not whole gives nothing: a policy is never taken for shorter than it is", () => {
  for (const whole of [PLAIN.slice(0, -4), CHUNKED]) {
    for (let length = 0; length < whole.length; length++) assertEquals(read(whole.slice(0, length)), undefined);
  }
});

for (
  const [what, text] of [
    ["no HTTP", "220 mx.test ESMTP\r\n\r\n"],
    ["HTTP/2 in the clear", "HTTP/2 200\r\n\r\n"],
    ["a body whose end nobody knows", "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\nversion: STSv1"],
    ["two different lengths", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!"],
    ["a length that is no number", "HTTP/1.1 200 OK\r\nContent-Length: +5\r\n\r\nhello"],
    ["another transfer coding", "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"],
    ["a header field without a name", "HTTP/1.1 200 OK\r\n: x\r\n\r\n"],
    ["a folded header field", "HTTP/1.1 200 OK\r\nA: b\r\n c: d\r\n\r\n"],
    ["a chunk longer than its size", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nabc\r\n0\r\n\r\n"],
    ["a chunk size that is no number", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n"],
    ["a body that is announced too long", "HTTP/1.1 200 OK\r\nContent-Length: 101\r\n\r\n"],
    [
      "a body in chunks that is too long",
      `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n65\r\n${"x".repeat(101)}\r\n`,
    ],
    ["a header section without end", `HTTP/1.1 200 OK\r\n${"A: b\r\n".repeat(10_000)}`],
    ["a header line without end", `HTTP/1.1 200 OK\r\nA: ${"b".repeat(20_000)}`],
  ] as const
) {
  Deno.test(`${what} is refused`, () => {
    assertThrows(() => read(text), HttpError);
    assertThrows(() => read(text, [7]), HttpError);
  });
}

Deno.test("whatever the octets, reading throws nothing but its own error", () => {
  fc.assert(fc.property(fc.string({ maxLength: 300 }), (text) => {
    try {
      read(`HTTP/1.1 200 OK\r\n${text}`, [3]);
    } catch (error) {
      if (!(error instanceof HttpError)) throw error;
    }
  }));
});
