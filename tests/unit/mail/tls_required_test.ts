import { assertEquals } from "@std/assert";
import { isTlsOptional } from "../../../lib/mail/tls_required.ts";

const optional = (header: string): boolean => isTlsOptional(new TextEncoder().encode(header));

Deno.test("TLS-Required: No makes TLS optional, in any case, folded and with comments", () => {
  for (
    const value of ["No", "no", " NO ", "\r\n no", "(it is a report) no", "No (\r\n\tsee RFC 8689)", "no\r\nSubject: x"]
  ) assertEquals(optional(`From: a@example.org\r\ntls-REQUIRED: ${value}\r\n`), true, value);
});

Deno.test("Nothing else does, nor a field that is there twice", () => {
  for (
    const header of [
      "",
      "Subject: TLS-Required: No\r\n",
      "TLS-Required: Yes\r\n",
      "TLS-Required: No, really\r\n",
      "TLS-Required:\r\n",
      "TLS-Required: (no)\r\n",
      "TLS-Required: No\r\nTLS-Required: No\r\n",
      "TLS-Required: No\r\nX: y\r\nTLS-Required: Yes\r\n",
      `TLS-Required: ${"(".repeat(50_000)} no\r\n`,
    ]
  ) assertEquals(optional(header), false, header.slice(0, 100));
});
