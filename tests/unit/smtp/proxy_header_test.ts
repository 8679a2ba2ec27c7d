import { assertEquals } from "@std/assert";
import { ProxyHeaderParser, type ProxyProgress } from "../../../lib/smtp/proxy_header.ts";

const SIGNATURE = "\r\n\r\n\0\r\nQUIT\n";

/** Latin-1, so that a test writes octets as `\xNN`. */
function parse(text: string): ProxyProgress {
  return new ProxyHeaderParser().push(Uint8Array.from(text, (character) => character.charCodeAt(0)));
}

function reasonOf(text: string): string | undefined {
  const progress = parse(text);
  return progress.kind === "invalid" ? progress.reason : undefined;
}

/** The client named by a complete header that is the whole text; null where it names none. */
function clientOf(text: string): unknown {
  const progress = parse(text);
  if (progress.kind !== "complete") return progress;
  assertEquals(progress.consumed, text.length);
  return progress.client ?? null;
}

Deno.test("the lines of version 1 as proxies send them are read", () => {
  const long = "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff";
  assertEquals(clientOf("PROXY TCP4 192.0.2.7 192.0.2.1 56324 25\r\n"), { host: "192.0.2.7", port: 56324 });
  assertEquals(clientOf("PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n"), {
    host: "255.255.255.255",
    port: 65535,
  });
  assertEquals(clientOf("PROXY TCP6 2001:DB8:0:0:0:0:0:1 ::1 0 25\r\n"), { host: "2001:db8::1", port: 0 });
  assertEquals(clientOf(`PROXY TCP6 ${long} ${long} 65535 65535\r\n`), { host: long, port: 65535 });
  for (
    const unknown of ["PROXY UNKNOWN\r\n", `PROXY UNKNOWN ${long} ${long} 65535 65535\r\n`, "PROXY UNKNOWN \0\r\n"]
  ) {
    assertEquals(clientOf(unknown), null);
  }
  assertEquals(`PROXY UNKNOWN ${long} ${long} 65535 65535\r\n`.length, 107);
});

Deno.test("a client cannot hide behind another spelling of its address", () => {
  for (const spelling of ["::ffff:192.0.2.7", "::FFFF:c000:207", "0:0:0:0:0:ffff:192.0.2.7"]) {
    assertEquals(clientOf(`PROXY TCP6 ${spelling} ::1 9 25\r\n`), { host: "192.0.2.7", port: 9 });
  }
});

Deno.test("a line of version 1 that differs from the specification in any way is refused", () => {
  const wrong = [
    "TCP4 192.0.2.7 192.0.2.1 1\r\n",
    "TCP4 192.0.2.7 192.0.2.1 1 25 \r\n",
    "TCP4  192.0.2.7 192.0.2.1 1 25\r\n",
    "TCP4 192.0.2.7\t192.0.2.1 1 25\r\n",
    "TCP4 192.0.2.07 192.0.2.1 1 25\r\n",
    "TCP4 192.0.2.256 192.0.2.1 1 25\r\n",
    "TCP4 192.0.2 192.0.2.1 1 25\r\n",
    "TCP4 192.0.2.7 192.0.2.x 1 25\r\n",
    "TCP4 ::1 ::1 1 25\r\n",
    "TCP4 192.0.2.7 192.0.2.1 01 25\r\n",
    "TCP4 192.0.2.7 192.0.2.1 65536 25\r\n",
    "TCP4 192.0.2.7 192.0.2.1 -1 25\r\n",
    "TCP4 192.0.2.7 192.0.2.1 1 2x\r\n",
    "TCP4\r\n",
    "TCP6 192.0.2.7 192.0.2.1 1 25\r\n",
    "TCP6 fe80::1%eth0 ::1 1 25\r\n",
    "TCP6 1::2::3 ::1 1 25\r\n",
  ];
  for (const line of wrong) assertEquals(reasonOf(`PROXY ${line}`), `PROXY line that is wrong for ${line.slice(0, 4)}`);
  for (const line of ["", "tcp4 192.0.2.7 192.0.2.1 1 25", "UDP4 192.0.2.7 192.0.2.1 1 25", "UNKNOWNS", " UNKNOWN"]) {
    assertEquals(reasonOf(`PROXY ${line}\r\n`), "PROXY line with another protocol than TCP4, TCP6, UNKNOWN");
  }
  assertEquals(reasonOf("PROXY UNKNOWN\n"), "PROXY line with a bare CR or LF");
  assertEquals(reasonOf("PROXY UNKNOWN\rx"), "PROXY line with a bare CR or LF");
  assertEquals(reasonOf("PROXY UNKNOWN\r\r\n"), "PROXY line with a bare CR or LF");
});

Deno.test("a line of version 1 without an end is refused at its 107th octet", () => {
  const line = `PROXY UNKNOWN ${"x".repeat(92)}`;
  assertEquals(line.length, 106);
  assertEquals(parse(line), { kind: "incomplete" });
  assertEquals(reasonOf(`${line}\r`), "PROXY line longer than 107 octets");
  assertEquals(clientOf(`${line.slice(0, 105)}\r\n`), null);
});

Deno.test("what begins like no header is refused at the first octet that differs", () => {
  for (const text of ["E", "\x16", "\0", "proxy", "PROXy", "PROXY\r\n", "\r\n\r\n\0\r\nQUIT\r", "\n"]) {
    assertEquals(reasonOf(text), "no PROXY header");
  }
});

Deno.test("a header of version 2 is read as HAProxy sends it", () => {
  const addresses = "\xc0\x00\x02\x07\xc0\x00\x02\x01\xdc\x04\x00\x19";
  assertEquals(clientOf(`${SIGNATURE}\x21\x11\x00\x0c${addresses}`), { host: "192.0.2.7", port: 56324 });
  // With a TLV: CRC32C (0x03), 4 octets.
  assertEquals(clientOf(`${SIGNATURE}\x21\x11\x00\x13${addresses}\x03\x00\x04\x01\x02\x03\x04`), {
    host: "192.0.2.7",
    port: 56324,
  });
  assertEquals(clientOf(`${SIGNATURE}\x20\x00\x00\x00`), null);
  assertEquals(clientOf(`${SIGNATURE}\x21\x00\x00\x00`), null);
  assertEquals(clientOf(`${SIGNATURE}\x20\x11\x00\x0c${addresses}`), null);
  const block = "\x20\x01\x0d\xb8" + "\0".repeat(11) + "\x01";
  assertEquals(clientOf(`${SIGNATURE}\x21\x21\x00\x24${block}${block}\x00\x09\x00\x19`), {
    host: "2001:db8::1",
    port: 9,
  });
});

Deno.test("a header of version 2 may have 65535 octets behind its fixed part, which are passed over", () => {
  assertEquals(clientOf(`${SIGNATURE}\x20\x00\xff\xff${"x".repeat(65_535)}`), null);
});

Deno.test("a header of version 2 that differs from the specification is refused", () => {
  const command = "PROXY header of an unknown version or command";
  const cases: Readonly<Record<string, string>> = {
    "\x22": command,
    "\x11": command,
    "\x31": command,
    "\x00": command,
    "\x21\x12": "PROXY header for UDP",
    "\x21\x22": "PROXY header for UDP",
    "\x21\x31": "PROXY header for a Unix socket",
    "\x21\x32": "PROXY header for a Unix socket",
    "\x21\x10": "PROXY header for an unknown family or protocol",
    "\x21\x13": "PROXY header for an unknown family or protocol",
    "\x21\x01": "PROXY header for an unknown family or protocol",
    "\x21\xff": "PROXY header for an unknown family or protocol",
    "\x21\x11\x00\x0b": "PROXY header too short for its addresses",
    "\x21\x21\x00\x23": "PROXY header too short for its addresses",
  };
  for (const [rest, reason] of Object.entries(cases)) assertEquals(reasonOf(SIGNATURE + rest), reason);
});
