/** DMARC results for whole messages: alignment, policies, and From fields that are not as they should be. */

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { evaluateDmarc } from "../../../../lib/msgauth/dmarc/evaluate.ts";
import type { DkimFinding, DmarcFinding, SpfFinding } from "../../../../lib/msgauth/findings.ts";
import { type FakeRecords, FakeResolver } from "../../../support/fake_resolver.ts";

interface Case {
  readonly header?: string;
  readonly from?: string;
  readonly records?: Readonly<Record<string, string>>;
  readonly resolver?: FakeResolver;
  readonly mail?: string;
  readonly helo?: string;
  readonly signed?: readonly string[];
  readonly spf?: readonly SpfFinding[];
  readonly dkim?: readonly DkimFinding[];
  readonly random?: number;
}

const REJECT = "v=DMARC1; p=reject";

function spfPass(identity: SpfFinding["identity"], domain: string): SpfFinding {
  return { identity, domain, result: "pass" };
}

function evaluate(given: Case): Promise<DmarcFinding> {
  const { header = `From: ${given.from ?? "a@example.com"}\r\n`, records = { "example.com": REJECT } } = given;
  const resolver = given.resolver ?? new FakeResolver(
    Object.fromEntries(Object.entries(records).map(([domain, text]) => [`_dmarc.${domain}`, { TXT: [text] }])),
  );
  return evaluateDmarc({
    headerSection: new TextEncoder().encode(header),
    spf: given.spf ?? [
      ...(given.helo === undefined ? [] : [spfPass("helo", given.helo)]),
      ...(given.mail === undefined ? [] : [spfPass("mailfrom", given.mail)]),
    ],
    dkim: given.dkim ?? (given.signed ?? []).map((domain) => ({ result: "pass", domain, isTesting: false })),
    resolver,
    random: () => given.random ?? 0,
  });
}

async function outcome(given: Case): Promise<string> {
  const { result, request } = await evaluate(given);
  return result === "fail" || request !== "none" ? `${result} ${request}` : result;
}

Deno.test("SPF of MAIL in the author's organisation passes (RFC 7489 appendix B.1)", async () => {
  const [author, other] = ["example.com", "example.net"];
  assertEquals(await outcome({ mail: author }), "pass");
  assertEquals(await outcome({ from: "a@example.com", mail: "child.example.com" }), "pass");
  assertEquals(await outcome({ from: "a@child.example.com", mail: author }), "pass");
  assertEquals(await outcome({ mail: other }), "fail reject");
  const found = await evaluate({ mail: "child.example.com" });
  assertEquals([found.isSpfAligned, found.isDkimAligned, found.policy, found.request], [true, false, "reject", "none"]);
  assertEquals([found.fromDomain, found.policyDomain], ["example.com", "example.com"]);
});

Deno.test("A signature in the author's organisation passes (RFC 7489 appendix B.1)", async () => {
  assertEquals(await outcome({ signed: ["example.net", "example.com"] }), "pass");
  assertEquals(await outcome({ signed: ["news.example.com"] }), "pass");
  assertEquals(await outcome({ from: "a@x.example.com", signed: ["y.example.com"] }), "pass");
  assertEquals(await outcome({ signed: ["example.net"] }), "fail reject");
  assertEquals(await outcome({ signed: ["com"] }), "fail reject");
  assertEquals(await outcome({ signed: ["badexample.com"] }), "fail reject");
});

Deno.test("In strict mode the domains are the same, each check for itself", async () => {
  const strict = (tag: string): Case => ({ records: { "example.com": `${REJECT}; ${tag}=s` }, from: "a@example.com" });
  assertEquals(await outcome({ ...strict("aspf"), mail: "b.example.com" }), "fail reject");
  assertEquals(await outcome({ ...strict("aspf"), mail: "example.com" }), "pass");
  assertEquals(await outcome({ ...strict("aspf"), signed: ["b.example.com"] }), "pass");
  assertEquals(await outcome({ ...strict("adkim"), signed: ["b.example.com"] }), "fail reject");
  assertEquals(await outcome({ ...strict("adkim"), mail: "b.example.com" }), "pass");
});

Deno.test("A department with psd=n is an organisation of its own", async () => {
  const records = { "example.com": REJECT, "dept.example.com": `${REJECT}; psd=n` };
  assertEquals(await outcome({ records, from: "a@example.com", signed: ["dept.example.com"] }), "fail reject");
  assertEquals(await outcome({ records, from: "a@dept.example.com", signed: ["example.com"] }), "fail reject");
  assertEquals(await outcome({ records, from: "a@x.dept.example.com", signed: ["y.dept.example.com"] }), "pass");
});

Deno.test("HELO counts only where MAIL was not checked, as for reports of other servers", async () => {
  assertEquals(await outcome({ helo: "mail.example.com" }), "pass");
  assertEquals(await outcome({ helo: "mail.example.com", mail: "example.net" }), "fail reject");
});

Deno.test("What did not pass does not count", async () => {
  const dkim = (result: DkimFinding["result"]): DkimFinding => ({ result, domain: "example.com", isTesting: false });
  assertEquals(
    await outcome({ dkim: [dkim("fail"), dkim("policy"), dkim("neutral"), dkim("permerror")] }),
    "fail reject",
  );
  assertEquals(await outcome({ dkim: [{ result: "pass", isTesting: false }] }), "fail reject");
  const spf: SpfFinding[] = [{ identity: "mailfrom", domain: "example.com", result: "softfail" }];
  assertEquals(await outcome({ spf }), "fail reject");
});

Deno.test("A check that had no answer, of a domain that is aligned, makes the result temperror", async () => {
  const lost = (domain: string): Case => ({ dkim: [{ result: "temperror", domain, isTesting: false }] });
  assertEquals(await outcome(lost("b.example.com")), "temperror");
  assertEquals((await evaluate(lost("b.example.com"))).problem, "the signature of b.example.com could not be checked");
  assertEquals(await outcome(lost("example.net")), "fail reject");
  assertEquals(await outcome({ ...lost("example.com"), mail: "example.com" }), "pass");
  const spf: SpfFinding[] = [{ identity: "mailfrom", domain: "example.com", result: "temperror" }];
  assertEquals(await outcome({ spf }), "temperror");
});

Deno.test("What would be asked for if a message failed is known where only its evidence had no answer", async () => {
  const dkim: DkimFinding[] = [{ result: "temperror", domain: "b.example.com", isTesting: false }];
  const asked = async (text: string, given: Case = {}): Promise<string> => {
    const { result, request, policy, requestIfFailed } = await evaluate({
      records: { "example.com": text },
      dkim,
      ...given,
    });
    assertEquals([result, request, policy], ["temperror", "none", undefined]);
    return requestIfFailed ?? "unknown";
  };
  assertEquals(await asked(REJECT), "reject");
  assertEquals(await asked("v=DMARC1; p=reject; t=y"), "quarantine");
  assertEquals(await asked("v=DMARC1; p=reject; pct=20", { random: 0.5 }), "quarantine");
  assertEquals(await asked("v=DMARC1; p=reject; sp=none", { from: "a@b.example.com" }), "none");
  const np = (absent: FakeRecords): FakeResolver =>
    new FakeResolver({ "_dmarc.example.com": { TXT: ["v=DMARC1; p=none; np=reject"] }, "b.example.com": absent });
  const from = "a@b.example.com";
  assertEquals(await asked("", { from, resolver: np({ A: ["192.0.2.1"] }) }), "none");
  assertEquals(await asked("", { from, resolver: np({ failing: ["A"] }) }), "reject");
  assertEquals(
    await asked("", { resolver: new FakeResolver({ "_dmarc.example.com": { failing: ["TXT"] } }) }),
    "unknown",
  );
  const records = { "example.com": REJECT, "example.net": "v=DMARC1; p=none" };
  const both: DkimFinding[] = ["example.net", "example.com"].map((domain) => ({
    result: "temperror",
    domain,
    isTesting: false,
  }));
  assertEquals(await asked("", { from: "a@example.net, b@example.com", records, dkim: both }), "reject");
});

Deno.test("Without an answer about a record the result is temperror, unless it is not needed", async () => {
  const failing = (domain: string, records: Readonly<Record<string, string>>): FakeResolver => {
    const zone = Object.entries(records).map(([name, text]) => [`_dmarc.${name}`, { TXT: [text] }]);
    return new FakeResolver({ ...Object.fromEntries(zone), [`_dmarc.${domain}`]: { failing: ["TXT"] } });
  };
  assertEquals(await outcome({ resolver: failing("example.com", {}) }), "temperror");
  assertEquals(await outcome({ from: "a@b.example.com", resolver: failing("example.com", {}) }), "temperror");
  const top = failing("com", { "example.com": REJECT });
  assertEquals(await outcome({ resolver: top, mail: "example.com" }), "pass");
  assertEquals(await outcome({ resolver: top, mail: "b.example.com" }), "temperror");
  assertEquals(await outcome({ resolver: top, mail: "example.net" }), "fail reject");
});

Deno.test("sp is for domains below, np for those of them that do not exist, each standing in for the next", async () => {
  const policies = async (text: string): Promise<readonly string[]> => {
    const zone = { "_dmarc.example.com": { TXT: [`v=DMARC1; ${text}`] }, "here.example.com": {} };
    const from = ["example.com", "here.example.com", "gone.example.com"];
    return await Promise.all(from.map(async (domain) => {
      const { result, request } = await evaluate({ from: `a@${domain}`, resolver: new FakeResolver(zone) });
      return result === "fail" ? request : result;
    }));
  };
  assertEquals(await policies("p=reject"), ["reject", "reject", "reject"]);
  assertEquals(await policies("p=reject; sp=quarantine"), ["reject", "quarantine", "quarantine"]);
  assertEquals(await policies("p=none; np=reject"), ["none", "none", "reject"]);
  assertEquals(await policies("p=none; sp=quarantine; np=reject"), ["none", "quarantine", "reject"]);
});

Deno.test("Whether a domain exists is asked only where np makes a difference, and its silence is temperror", async () => {
  const zone = {
    "_dmarc.example.com": { TXT: ["v=DMARC1; p=none; np=reject"] },
    "b.example.com": { failing: ["A" as const] },
  };
  assertEquals(await outcome({ from: "a@b.example.com", resolver: new FakeResolver(zone) }), "temperror");
  const resolver = new FakeResolver({ "_dmarc.example.com": { TXT: [REJECT] } });
  await evaluate({ from: "a@b.example.com", resolver });
  assertEquals(resolver.questions.filter((question) => !question.startsWith("TXT")), []);
});

Deno.test("t=y asks for one step less, and pct counts only without t", async () => {
  const asked = async (tags: string, random = 0.99): Promise<readonly (string | undefined)[]> => {
    const { request, leniency } = await evaluate({ records: { "example.com": `v=DMARC1; ${tags}` }, random });
    return leniency === undefined ? [request] : [request, leniency];
  };
  assertEquals(await asked("p=reject; t=y"), ["quarantine", "policy_test_mode"]);
  assertEquals(await asked("p=quarantine; t=y"), ["none", "policy_test_mode"]);
  assertEquals(await asked("p=none; t=y"), ["none"]);
  assertEquals(await asked("p=reject; t=n; pct=0"), ["reject"]);
  assertEquals(await asked("p=reject; pct=20", 0.19), ["reject"]);
  assertEquals(await asked("p=reject; pct=20", 0.2), ["quarantine", "sampled_out"]);
  assertEquals(await asked("p=quarantine; pct=0", 0), ["none", "sampled_out"]);
  assertEquals(await asked("p=none; pct=0", 0), ["none"]);
});

Deno.test("A domain without a record, or with a void one, is none of our business", async () => {
  assertEquals(await outcome({ records: {} }), "none");
  assertEquals(await outcome({ records: { "example.com": "v=DMARC1; p=rejct" } }), "none");
  const found = await evaluate({ records: {} });
  assertEquals([found.fromDomain, found.policyDomain, found.record], ["example.com", undefined, undefined]);
});

Deno.test("U-labels are compared as A-labels", async () => {
  const records = { "xn--bcher-kva.example": REJECT };
  assertEquals(await outcome({ records, from: "a@Bücher.example", signed: ["xn--bcher-kva.example"] }), "pass");
  assertEquals((await evaluate({ records, from: "a@BÜCHER.example" })).fromDomain, "xn--bcher-kva.example");
});

Deno.test("Several addresses of one domain are one author", async () => {
  assertEquals(await outcome({ from: "a@example.com, B <b@EXAMPLE.com>", mail: "example.com" }), "pass");
});

Deno.test("Each of several domains must pass, and the worst result counts (RFC 7489 §6.6.1)", async () => {
  const records = { "example.com": REJECT, "example.net": "v=DMARC1; p=quarantine" };
  const from = "a@example.net, b@example.com";
  assertEquals(await outcome({ records, from, signed: ["example.net", "example.com"] }), "pass");
  assertEquals(await outcome({ records, from, signed: ["example.net"] }), "fail reject");
  assertEquals(await outcome({ records, from, signed: ["example.com"] }), "fail quarantine");
  assertEquals((await evaluate({ records, from, signed: ["example.net"] })).fromDomain, "example.com");
  assertEquals(await outcome({ records, from: "a@example.net, b@nobody.example", signed: ["example.net"] }), "none");
});

Deno.test("Several From fields are permerror under the strictest policy, whatever passed", async () => {
  const header = "From: a@example.net\r\nSubject: x\r\nfrom : b@example.com\r\n";
  const records = { "example.com": REJECT };
  const found = await evaluate({ records, header, signed: ["example.net", "example.com"] });
  assertEquals([found.result, found.request, found.policyDomain], ["permerror", "reject", "example.com"]);
  assertEquals(found.problem, "2 From fields");
  assertEquals(await outcome({ records: {}, header }), "permerror");
});

Deno.test("No From field, and one without a domain, ask for nothing and are no pass", async () => {
  for (
    const header of ["", "To: a@example.com\r\n", "From: Undisclosed:;\r\n", "From: a@[192.0.2.1]\r\n", "From:\r\n"]
  ) {
    assertEquals(await outcome({ header, mail: "example.com" }), "permerror", header);
  }
});

Deno.test("In a From field that is no address list each domain that anybody could find must pass", async () => {
  for (
    const from of [
      '"Bank" <a@example.com',
      "Bank, Inc. <a@example.com>",
      "a@example.com <b@evil.example>",
      "b@evil.example (a@example.com",
      '"a@example.com" b@evil.example',
      "<@evil.example:a@example.com>",
      "a@example.com@evil.example",
      "a@example.com.",
      "a@ example.com garbage",
      "=?utf-8?q?a?= a@example.com=?utf-8?q?b?=",
      "<a@example .com>",
      "<a@example. com>",
      "<a@example(a comment).com>",
      '"(" <a@example((two)).com>',
      "Bank Inc a @ (a comment) example.com",
      "=?utf-8?q?a=40example.com?=",
      "=?UTF-8*en?B?PGFAZXhhbXBsZS5jb20+?=",
      "=?utf-8?b?PGFAZXhh?=  =?utf-8?b?bXBsZS5jb20+?=",
      '"a@example.com":;',
    ]
  ) {
    assertEquals(await outcome({ from, mail: "evil.example" }), "fail reject", from);
  }
  assertEquals(await outcome({ from: "Bank, Inc. <a@example.com>", mail: "example.com" }), "pass");
});

Deno.test("A From field that is too long to be searched is refused, because nobody knows whom it names", async () => {
  const from = `${"x ".repeat(150_000)}<a@example.com>`;
  assertEquals(await outcome({ from, mail: "evil.example" }), "permerror reject");
});

Deno.test("More domains than anybody writes are refused without looking at them all", async () => {
  const from = Array.from({ length: 5000 }, (_, i) => `a@d${i}.example`).join(",\r\n ");
  const resolver = new FakeResolver();
  const found = await evaluate({ from, resolver });
  assertEquals([found.result, found.request, resolver.questions.length], ["permerror", "reject", 0]);
  assertStringIncludes(found.problem ?? "", "more than 4 domains");
});

Deno.test("Whatever domains and signatures a message names, DMARC asks no more than 100 questions about it", async () => {
  // Of one organisation, and with no name in common below it.
  const deep = (start: string, i: number): string =>
    `${[..."abcdefgh"].map((level) => `${start}${i}${level}`).join(".")}.evil.example`;
  const zone: Record<string, FakeRecords> = { "_dmarc.evil.example": { TXT: ["v=DMARC1; p=none; np=reject"] } };
  const signed = Array.from({ length: 10 }, (_, i) => deep("s", i));
  for (const count of [1, 4, 5, 10, 11]) {
    const resolver = new FakeResolver(zone);
    const from = Array.from({ length: count }, (_, i) => `x@${deep("a", i)}`).join(", ");
    for (const result of ["pass", "temperror"] as const) {
      const dkim = signed.map((domain): DkimFinding => ({ result, domain, isTesting: false }));
      const spf: SpfFinding[] = [{ identity: "mailfrom", domain: deep("m", 10), result }];
      resolver.questions.length = 0;
      await evaluate({ from, resolver, dkim, spf });
      assert(resolver.questions.length <= 100, `${count} authors, ${result}: ${resolver.questions.length} questions`);
    }
  }
});

Deno.test("A thousand signatures of the author's organisation cost ten walks at most", async () => {
  const resolver = new FakeResolver({ "_dmarc.example.com": { TXT: [REJECT] } });
  const signed = Array.from({ length: 1000 }, (_, i) => `d${i}.example.com`);
  const dkim = signed.map((domain): DkimFinding => ({ result: "temperror", domain, isTesting: false }));
  const found = await evaluate({ from: "a@example.com", resolver, dkim });
  assertEquals([found.result, resolver.questions.length], ["temperror", 12]);
});
