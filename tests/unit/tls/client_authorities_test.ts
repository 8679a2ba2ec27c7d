import { assert, assertEquals, assertThrows } from "@std/assert";
import { X509Certificate } from "node:crypto";
import { CertificateError } from "../../../lib/tls/certificate_error.ts";
import { certificateFields } from "../../../lib/tls/certificate_fields.ts";
import {
  type ClientAuthorities,
  parseClientAuthorities,
  type PresentedCertificates,
  type Verification,
} from "../../../lib/tls/client_authorities.ts";

const FOLDER = `${import.meta.dirname}/../../fixtures/tls/clients`;
const NOW = Date.parse("2030-01-01T00:00:00Z");
const NO_AUTHORITY = "no authority of tls.client_ca issued it";

function pem(name: string): string {
  return Deno.readTextFileSync(`${FOLDER}/${name}.pem`);
}

function der(name: string): Uint8Array {
  return new X509Certificate(pem(name)).raw;
}

function authorities(nowMs = NOW, names = ["ca"]): ClientAuthorities {
  return parseClientAuthorities(names.map(pem).join(""), "clients.pem", () => nowMs);
}

function presented(leaf: string, ...others: string[]): PresentedCertificates {
  return { chain: [der(leaf), ...others.map(der)], libraryError: "", isResumed: false };
}

/** Why a chain is refused; undefined where it counts. */
function reason(verification: Verification): string | undefined {
  return verification.kind === "refused" ? verification.reason : undefined;
}

Deno.test("a certificate of the authority counts, with its subject, fingerprint and mail addresses", () => {
  assertEquals(authorities().verify(presented("alice")), {
    kind: "verified",
    certificate: {
      subject: "CN=Alice, O=Example",
      sha256: new X509Certificate(pem("alice")).fingerprint256.replaceAll(":", "").toLowerCase(),
      emails: ["alice@example.org", "a.smith@example.org"],
    },
  });
});

Deno.test("chains over authorities that came along count, in any order, and only as deep as they allow", () => {
  assertEquals(reason(authorities().verify(presented("below", "middle"))), undefined);
  assertEquals(reason(authorities().verify(presented("below", "server", "middle", "ca"))), undefined);
  assertEquals(reason(authorities().verify(presented("below"))), NO_AUTHORITY);
  assertEquals(reason(authorities().verify(presented("deep", "second", "middle"))), NO_AUTHORITY); // pathlen:0
  assertEquals(reason(authorities(NOW, ["second"]).verify(presented("deep"))), undefined);
});

Deno.test("a certificate that stands in the file itself counts, and no other of its key", () => {
  assertEquals(reason(authorities(NOW, ["pinned"]).verify(presented("pinned"))), undefined);
  assertEquals(reason(authorities(NOW, ["alice"]).verify(presented("notca"))), NO_AUTHORITY);
});

Deno.test("a certificate that the authority did not sign is refused, whatever names it and its chain have", () => {
  assertEquals(reason(authorities().verify(presented("forged"))), NO_AUTHORITY);
  assertEquals(reason(authorities().verify(presented("belowforged", "forgedmiddle"))), NO_AUTHORITY);
  assertEquals(reason(authorities().verify(presented("pinned"))), NO_AUTHORITY);
  assertEquals(reason(authorities().verify(presented("notca", "alice"))), NO_AUTHORITY);
  assertEquals(reason(authorities().verify(presented("belownosign", "nosign"))), NO_AUTHORITY);
});

Deno.test("a certificate for another purpose, of version 1, or outside its time is refused", () => {
  assertEquals(reason(authorities().verify(presented("plain"))), undefined); // without extKeyUsage: every purpose
  assertEquals(reason(authorities().verify(presented("server"))), "it is not for TLS clients (extKeyUsage)");
  assertEquals(reason(authorities().verify(presented("version1"))), "it is of X.509 version 1");
  const { validFrom, validTo } = new X509Certificate(pem("alice"));
  const early = authorities(Date.parse(validFrom) - 1000).verify(presented("alice"));
  assertEquals(reason(early), `it is not valid before ${validFrom}`);
  const late = authorities(Date.parse(validTo) + 1000).verify(presented("alice"));
  assertEquals(reason(late), `it ended on ${validTo}`);
});

Deno.test("what the TLS library refuses is refused", () => {
  const verification = authorities().verify({ ...presented("alice"), libraryError: "CERT_REVOKED" });
  assertEquals(reason(verification), "the TLS library finds CERT_REVOKED");
});

Deno.test("a resumed session counts only where the certificate passed a full handshake before", () => {
  const checking = authorities();
  const resumed = { ...presented("alice"), isResumed: true };
  assertEquals(reason(checking.verify(resumed)), "its TLS session was resumed and is not known");
  checking.verify({ ...presented("alice"), libraryError: "UNABLE_TO_VERIFY_LEAF_SIGNATURE" });
  assertEquals(reason(checking.verify(resumed)), "its TLS session was resumed and is not known");
  assertEquals(reason(checking.verify(presented("alice"))), undefined);
  assertEquals(reason(checking.verify(resumed)), undefined);
  // New authorities after a reload know who proved itself; whether it counts is up to them.
  const [same, others] = [authorities(), authorities(NOW, ["pinned"])];
  for (const next of [same, others]) next.takeOver(checking);
  assertEquals(reason(same.verify(resumed)), undefined);
  assertEquals(reason(others.verify(resumed)), NO_AUTHORITY);
});

Deno.test("octets that are no certificate are refused, and a chain without end is not followed", () => {
  const junk: PresentedCertificates = { chain: [Uint8Array.of(1, 2, 3)], libraryError: "", isResumed: false };
  assertEquals(reason(authorities().verify(junk)), "it cannot be read");
  const long = presented("below", ...Array.from({ length: 1000 }, () => "server"), "middle");
  assertEquals(reason(authorities().verify(long)), NO_AUTHORITY); // The right one is behind those that are looked at.
});

Deno.test("a file of authorities that has none, a broken one, or one of version 1 is refused with what to do", () => {
  const fails = (text: string): string =>
    assertThrows(() => parseClientAuthorities(text, "clients.pem", () => NOW), CertificateError).message;
  assertEquals(
    fails("nothing"),
    'Cannot use client authorities "clients.pem": no PEM certificate found; it must hold blocks ' +
      '"-----BEGIN CERTIFICATE-----"',
  );
  assertEquals(
    fails(`${pem("ca")}-----BEGIN CERTIFICATE-----\nMAo=\n-----END CERTIFICATE-----\n`),
    'Cannot use client authorities "clients.pem": certificate 2 is broken; copy the file again',
  );
  assertEquals(
    fails(pem("version1")),
    'Cannot use client authorities "clients.pem": certificate 1 is of X.509 version 1; make one of version 3 ' +
      "(openssl req -x509)",
  );
});

Deno.test("the fields of certificates are read as openssl shows them", () => {
  assertEquals(certificateFields(der("alice")), {
    version: 3,
    isAuthority: false,
    maySign: false,
    purposes: ["1.3.6.1.5.5.7.3.2"],
    emails: ["alice@example.org", "a.smith@example.org"],
  });
  assertEquals(certificateFields(der("middle")), {
    version: 3,
    isAuthority: true,
    pathLength: 0,
    maySign: true,
    emails: [],
  });
  assertEquals(certificateFields(der("version1")), { version: 1, isAuthority: false, maySign: true, emails: [] });
  assert(certificateFields(der("second")).isAuthority);
  assertThrows(() => certificateFields(der("alice").subarray(0, 100)), RangeError);
});
