import { assertEquals } from "@std/assert";
import { X509Certificate } from "node:crypto";
import { serverEndPoint } from "../../../lib/tls/server_end_point.ts";

const FOLDER = new URL("../../fixtures/tls/end_point/", import.meta.url);

function der(name: string): Uint8Array {
  return new X509Certificate(Deno.readTextFileSync(new URL(`${name}.pem`, FOLDER))).raw;
}

Deno.test("tls-server-end-point is the hash that openssl computes, by the certificate's own hash function", () => {
  const lines = Deno.readTextFileSync(new URL("expected.txt", FOLDER)).trim().split("\n");
  assertEquals(lines.length, 10);
  for (const line of lines) {
    const [name = "", expected = ""] = line.split(" ");
    assertEquals(serverEndPoint(der(name))?.toHex(), expected, name);
  }
});

Deno.test("a certificate whose signature has no hash function of its own, or that is none, has no binding", () => {
  assertEquals(serverEndPoint(der("ed25519")), undefined);
  assertEquals(serverEndPoint(new Uint8Array()), undefined);
  assertEquals(serverEndPoint(der("rsa_sha256").subarray(0, 200)), undefined);
  assertEquals(serverEndPoint(Uint8Array.of(0x30, 0x80, 0, 0)), undefined);
});
