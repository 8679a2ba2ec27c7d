/** DMARC records: what is taken, what is passed over, and what makes one void. */

import { assertEquals } from "@std/assert";
import { parseDmarcRecord } from "../../../../lib/msgauth/dmarc/record.ts";
import type { DmarcRecord } from "../../../../lib/msgauth/findings.ts";

const DEFAULTS: DmarcRecord = {
  policy: "none",
  isDkimStrict: false,
  isSpfStrict: false,
  psd: "u",
  percent: 100,
  aggregateUris: [],
  failureUris: [],
  failureOptions: "0",
};

function read(text: string): DmarcRecord | undefined {
  return parseDmarcRecord(text)?.record;
}

Deno.test("A record with every tag is read", () => {
  assertEquals(
    read(
      "v=DMARC1; p=quarantine; sp=none; np=reject; adkim=s; aspf=r; fo=1:d; psd=n; t=y; pct=25; rf=afrf; ri=3600; " +
        "rua=mailto:a@example.org!10m, https://example.org/dmarc ; ruf=mailto:f%2C1@example.org",
    ),
    {
      policy: "quarantine",
      subdomainPolicy: "none",
      absentDomainPolicy: "reject",
      isDkimStrict: true,
      isSpfStrict: false,
      psd: "n",
      isTesting: true,
      percent: 25,
      aggregateUris: [{ uri: "mailto:a@example.org", maxOctets: 10 * 2 ** 20 }, { uri: "https://example.org/dmarc" }],
      failureUris: [{ uri: "mailto:f%2C1@example.org" }],
      failureOptions: "1:d",
    },
  );
});

Deno.test("The records of RFC 7489 appendix B are read", () => {
  const uri = "mailto:dmarc-feedback@example.com";
  assertEquals(read(`v=DMARC1; p=none; rua=${uri}`), { ...DEFAULTS, aggregateUris: [{ uri }] });
  assertEquals(read(`v=DMARC1; p=none; rua=${uri}; ruf=mailto:auth-reports@example.com`), {
    ...DEFAULTS,
    aggregateUris: [{ uri }],
    failureUris: [{ uri: "mailto:auth-reports@example.com" }],
  });
  assertEquals(
    read(
      "v=DMARC1; p=quarantine; rua=mailto:dmarc-feedback@example.com,mailto:tld-test@thirdparty.example.net!10m; pct=25",
    ),
    {
      ...DEFAULTS,
      policy: "quarantine",
      percent: 25,
      aggregateUris: [{ uri }, { uri: "mailto:tld-test@thirdparty.example.net", maxOctets: 10 * 2 ** 20 }],
    },
  );
});

Deno.test("The version comes first and is exactly DMARC1, or it is no DMARC record", () => {
  for (
    const text of [
      "",
      "p=reject; v=DMARC1",
      "v=dmarc1; p=reject",
      "v=DMARC1p=reject",
      "v=DMARC1 p=reject",
      "v=DMARC2; p=reject",
      " v=DMARC1; p=reject",
      "v=spf1 -all",
      "\0v=DMARC1; p=reject",
      `v=DMARC1; p=reject; x=${"x".repeat(9000)}`,
    ]
  ) assertEquals(parseDmarcRecord(text), undefined, text);
  for (const text of ["v=DMARC1;p=reject", "V = DMARC1 ; P = REJECT ;", "v=DMARC1;;;p=reject", "v=DMARC1;\tp=reject"]) {
    assertEquals(read(text)?.policy, "reject", text);
  }
});

Deno.test("A record without a policy that can be read asks for nothing, or for reports alone", () => {
  for (const tags of ["", "; p=", "; p=rejct", "; p", "; sp=reject", "; p=reject; sp=nothing", "; p=reject; np=x"]) {
    assertEquals(parseDmarcRecord(`v=DMARC1${tags}`), { psd: "u" }, tags);
    assertEquals(parseDmarcRecord(`v=DMARC1${tags}; rua=nobody@example.org`), { psd: "u" }, tags);
    const aggregateUris = [{ uri: "mailto:a@example.org" }];
    assertEquals(read(`v=DMARC1${tags}; rua=mailto:a@example.org`), { ...DEFAULTS, aggregateUris }, tags);
  }
  assertEquals(parseDmarcRecord("v=DMARC1; psd=y"), { psd: "y" });
});

Deno.test("Tags that cannot be read have their defaults, and of two the first counts", () => {
  assertEquals(
    read(
      "v=DMARC1; p=none; p=reject; adkim=strict; aspf=S; pct=101; t=yes; psd=x; fo=0:9; x-y=1; =; ==; p_=a; \xff=1; sp\0=x",
    ),
    { ...DEFAULTS, isSpfStrict: true },
  );
  assertEquals(read("v=DMARC1; p=none; pct=-1")?.percent, 100);
  assertEquals(read("v=DMARC1; p=none; pct=0")?.percent, 0);
  assertEquals(read("v=DMARC1; p=none; t=N; psd=U")?.isTesting, false);
  assertEquals(read("v=DMARC1; p=none; fo=d : s")?.failureOptions, "d:s");
});

Deno.test("Report addresses that are no URI are passed over, and ten are kept", () => {
  const uris = (rua: string): unknown => read(`v=DMARC1; p=none; rua=${rua}`)?.aggregateUris;
  assertEquals(uris("a@example.org,,mailto:, mailto:b@ex ample.org,mailto:c@example.org!x,mailto:d@e.org!1k!2k"), []);
  assertEquals(uris("MAILTO:a@example.org!50"), [{ uri: "MAILTO:a@example.org", maxOctets: 50 }]);
  assertEquals(
    (uris(Array.from({ length: 50 }, (_, i) => `mailto:a${i}@example.org`).join(",")) as unknown[]).length,
    10,
  );
});
