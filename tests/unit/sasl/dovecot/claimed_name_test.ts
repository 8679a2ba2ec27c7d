import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { claimedName } from "../../../../lib/sasl/dovecot/claimed_name.ts";

function nameIn(mechanism: string, message: string): string | undefined {
  return claimedName(mechanism, new TextEncoder().encode(message));
}

Deno.test("The name is found in the first message of each mechanism that has one", () => {
  assertEquals(nameIn("PLAIN", "\0alice\0secret"), "alice");
  assertEquals(nameIn("PLAIN", "bob\0alice\0secret"), "alice");
  assertEquals(nameIn("LOGIN", "alice@example.org"), "alice@example.org");
  assertEquals(nameIn("CRAM-MD5", "al ice 0123456789abcdef0123456789abcdef"), "al ice");
  assertEquals(nameIn("DIGEST-MD5", 'charset=utf-8,username="alice",realm="x"'), "alice");
  assertEquals(nameIn("SCRAM-SHA-256", "n,,n=alice,r=nonce"), "alice");
  assertEquals(nameIn("SCRAM-SHA-1", "y,a=bob,n=al=2Cic=3De,r=nonce"), "al,ic=e");
  assertEquals(nameIn("OAUTHBEARER", "n,a=alice@example.org,\x01auth=Bearer secret\x01\x01"), "alice@example.org");
  assertEquals(nameIn("XOAUTH2", "user=alice@example.org\x01auth=Bearer secret\x01\x01"), "alice@example.org");
});

Deno.test("Where there is no name, none is found", () => {
  assertEquals(nameIn("PLAIN", "alice"), undefined);
  assertEquals(nameIn("PLAIN", "\0\0secret"), undefined);
  assertEquals(nameIn("LOGIN", ""), undefined);
  assertEquals(nameIn("CRAM-MD5", "alice"), undefined);
  assertEquals(nameIn("SCRAM-SHA-256", "n,,m=x,n=alice,r=nonce"), undefined);
  assertEquals(nameIn("EXTERNAL", "alice"), undefined);
  assertEquals(nameIn("GSSAPI", "alice"), undefined);
  assertEquals(nameIn("LOGIN", "x".repeat(321)), undefined);
});

Deno.test("No message makes it throw", () => {
  const mechanism = fc.constantFrom(
    "PLAIN",
    "LOGIN",
    "CRAM-MD5",
    "DIGEST-MD5",
    "SCRAM-SHA-256",
    "OAUTHBEARER",
    "XOAUTH2",
  );
  fc.assert(fc.property(mechanism, fc.uint8Array({ maxLength: 400 }), (name, message) => {
    assert((claimedName(name, message)?.length ?? 0) <= 320);
  }));
});
