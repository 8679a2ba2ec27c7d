/** What becomes of messages under DMARC policies, forwarders and sealers that are trusted, and what reports say of it. */

import { assertEquals } from "@std/assert";
import { formatReply } from "../../../lib/smtp/reply.ts";
import {
  describeDecision,
  type DmarcClient,
  type DmarcDecision,
  type DmarcPolicySettings,
  makeDmarcPolicy,
} from "../../../lib/policy/dmarc_policy.ts";
import type { DmarcFinding, Findings } from "../../../lib/msgauth/findings.ts";

const SETTINGS: DmarcPolicySettings = {
  action: "enforce",
  onTemporaryError: "accept",
  trustedForwarders: [],
  trustedSealers: [],
};
const FAIL: DmarcFinding = {
  result: "fail",
  fromDomain: "a.example.com",
  policyDomain: "example.com",
  policy: "reject",
  request: "reject",
  isSpfAligned: false,
  isDkimAligned: false,
};
const STRANGER: DmarcClient = { address: "192.0.2.1", isOurs: false };

function decide(
  dmarc: Partial<DmarcFinding>,
  settings: Partial<DmarcPolicySettings> = {},
  others: Partial<Findings> = {},
  client: DmarcClient = STRANGER,
): DmarcDecision {
  const findings: Findings = { spf: [], dkim: [], ...others, dmarc: { ...FAIL, ...dmarc } };
  return makeDmarcPolicy({ ...SETTINGS, ...settings })(findings, client);
}

/** `action disposition override`, as far as there is one. */
function told(decision: DmarcDecision): string {
  const { action, disposition, override } = decision;
  return [action, disposition, ...(override === undefined ? [] : [override.type, override.comment ?? ""])].join(" ")
    .trim();
}

function replyOf(decision: DmarcDecision): string | undefined {
  return "reply" in decision ? formatReply(decision.reply) : undefined;
}

Deno.test("p=reject is refused with the domain whose policy it is", () => {
  const decision = decide({});
  assertEquals(told(decision), "reject reject");
  assertEquals(
    replyOf(decision),
    "550 5.7.1 This message is refused under the DMARC policy of example.com: " +
      "neither SPF nor DKIM shows that it is from there\r\n",
  );
  assertEquals(describeDecision(decision), "dis=reject");
});

Deno.test("A message that has no author to judge is refused with what is wrong", () => {
  assertEquals(
    replyOf(decide({ result: "permerror", problem: "2 From fields" })),
    "550 5.7.1 This message is refused under the DMARC policy of example.com: 2 From fields\r\n",
  );
  const { policyDomain: _, ...nobody } = {
    ...FAIL,
    result: "permerror" as const,
    problem: "more than 4 domains in From",
  };
  const findings = { spf: [], dkim: [], dmarc: nobody };
  assertEquals(
    replyOf(makeDmarcPolicy(SETTINGS)(findings, STRANGER)),
    "550 5.7.1 This message is refused: more than 4 domains in From\r\n",
  );
});

Deno.test("The configuration says how far a policy is followed", () => {
  assertEquals(told(decide({ request: "quarantine" })), "quarantine quarantine");
  assertEquals(told(decide({}, { action: "quarantine" })), "quarantine quarantine local_policy nothing is rejected");
  assertEquals(told(decide({}, { action: "none" })), "accept none local_policy policies are not followed");
  assertEquals(told(decide({ request: "none" })), "accept none");
  assertEquals(told(decide({ result: "pass", request: "none" })), "accept none");
  assertEquals(told(makeDmarcPolicy(SETTINGS)({ spf: [], dkim: [] }, STRANGER)), "accept none");
});

Deno.test("Nothing is refused where the client has no address, so that SPF could not speak for it", () => {
  const local: DmarcClient = { isOurs: false };
  const why = "local_policy the client has no address for SPF";
  assertEquals(told(decide({}, {}, {}, local)), `quarantine quarantine ${why}`);
  assertEquals(told(decide({ request: "quarantine" }, {}, {}, local)), "quarantine quarantine");
  assertEquals(told(decide({ result: "permerror" }, {}, {}, local)), "reject reject");
});

Deno.test("What the domain itself makes milder is told to it", () => {
  assertEquals(told(decide({ request: "quarantine", leniency: "sampled_out" })), "quarantine quarantine sampled_out");
  assertEquals(told(decide({ request: "none", leniency: "policy_test_mode" })), "accept none policy_test_mode");
});

Deno.test("Without an answer of DNS mail is accepted, or deferred where the configuration says so", () => {
  const lost = { result: "temperror", request: "none" } as const;
  assertEquals(told(decide(lost)), "accept none");
  const decision = decide(lost, { onTemporaryError: "defer" });
  assertEquals(told(decision), "defer none");
  assertEquals(
    replyOf(decision),
    "451 4.7.1 Cannot check now whether this message is from a.example.com, try again later\r\n",
  );
  assertEquals(describeDecision(decision), "dis=defer");
  assertEquals(told(decide(lost, { onTemporaryError: "defer", action: "none" })), "accept none");
  const trusted = { onTemporaryError: "defer", trustedForwarders: ["192.0.2.0/24"] } as const;
  assertEquals(told(decide(lost, trusted)), "accept none trusted_forwarder client 192.0.2.1");
});

Deno.test("Who forges a domain that wants forged mail refused gains nothing by a name of it that has no answer", () => {
  const lost = { result: "temperror", request: "none" } as const;
  const usual = (dmarc: Partial<DmarcFinding>, more: Partial<DmarcPolicySettings> = {}): string =>
    told(decide({ ...lost, ...dmarc }, { onTemporaryError: "defer_reject", ...more }));
  assertEquals(usual({ requestIfFailed: "reject" }), "defer none");
  assertEquals(usual({ requestIfFailed: "quarantine" }), "accept none");
  // Nothing of a client without an address is refused, so that there is nothing to wait for.
  const doubtful = { ...lost, requestIfFailed: "reject" } as const;
  assertEquals(told(decide(doubtful, { onTemporaryError: "defer_reject" }, {}, { isOurs: false })), "accept none");
  assertEquals(usual({}), "accept none");
  assertEquals(usual({ requestIfFailed: "reject" }, { action: "quarantine" }), "accept none");
  assertEquals(usual({ requestIfFailed: "reject" }, { action: "none" }), "accept none");
  assertEquals(
    usual({ requestIfFailed: "reject" }, { trustedForwarders: ["192.0.2.1"] }),
    "accept none trusted_forwarder client 192.0.2.1",
  );
  assertEquals(told(decide({ ...lost, requestIfFailed: "reject" })), "accept none");
});

Deno.test("Mail of our own users is theirs to send", () => {
  assertEquals(told(decide({}, {}, {}, { isOurs: true })), "accept none local_policy mail of our own users");
});

Deno.test("A trusted forwarder is known by its address, by a proved name, or by its signature", () => {
  const trusted = { trustedForwarders: ["192.0.2.0/24", "2001:db8::/32", "lists.example.net"] };
  const other = (address: string): DmarcClient => ({ address, isOurs: false });
  const away = other("198.51.100.1");
  assertEquals(told(decide({}, trusted)), "accept none trusted_forwarder client 192.0.2.1");
  assertEquals(
    told(decide({}, trusted, {}, other("::ffff:192.0.2.9"))),
    "accept none trusted_forwarder client ::ffff:192.0.2.9",
  );
  assertEquals(told(decide({}, trusted, {}, other("2001:db8::1"))), "accept none trusted_forwarder client 2001:db8::1");
  assertEquals(told(decide({}, trusted, {}, away)), "reject reject");
  const iprev = (result: "pass" | "fail", name: string): Partial<Findings> => ({ iprev: { result, name } });
  assertEquals(
    told(decide({}, trusted, iprev("pass", "mx.lists.example.net"), away)),
    "accept none trusted_forwarder client mx.lists.example.net",
  );
  assertEquals(told(decide({}, trusted, iprev("fail", "mx.lists.example.net"), away)), "reject reject");
  assertEquals(told(decide({}, trusted, iprev("pass", "evillists.example.net"), away)), "reject reject");
  const helo = (result: "pass" | "none"): Partial<Findings> => ({
    spf: [{ identity: "helo", domain: "lists.example.net", result }],
  });
  assertEquals(told(decide({}, trusted, helo("pass"), away)), "accept none trusted_forwarder client lists.example.net");
  assertEquals(told(decide({}, trusted, helo("none"), away)), "reject reject");
  const signed = (result: "pass" | "fail"): Partial<Findings> => ({
    dkim: [{ result, domain: "lists.example.net", isTesting: false }],
  });
  const decision = decide({}, trusted, signed("pass"), away);
  assertEquals(told(decision), "accept none mailing_list signed by lists.example.net");
  assertEquals(describeDecision(decision), "dis=none by mailing_list");
  assertEquals(told(decide({}, trusted, signed("fail"), away)), "reject reject");
  // A sender of MAIL that anybody may choose is no proof of who brings the message.
  const mail: Partial<Findings> = { spf: [{ identity: "mailfrom", domain: "lists.example.net", result: "pass" }] };
  assertEquals(told(decide({}, trusted, mail, away)), "reject reject");
});

Deno.test("A trusted sealer may say that DMARC passed for this author, and only what it saw itself", () => {
  const trusted = { trustedSealers: ["list.example"] };
  const arc = (
    sealers: readonly string[],
    results: readonly string[],
    result: "pass" | "fail" = "pass",
  ): Partial<Findings> => ({
    arc: { result, sealers, authenticationResults: results },
  });
  const pass = "mx.list.example; dmarc=pass header.from=a.example.com";
  const fail = "mx; dmarc=fail header.from=a.example.com; arc=pass";
  assertEquals(
    told(decide({}, trusted, arc(["mx.list.example"], [pass]))),
    "accept none local_policy arc=pass as[1].d=mx.list.example",
  );
  assertEquals(
    told(decide({}, trusted, arc(["list.example", "list.example"], [pass, fail]))),
    "accept none local_policy arc=pass as[1].d=list.example",
  );
  for (
    const findings of [
      arc(["evil.example"], [pass]),
      arc(["list.example"], [fail]),
      arc(["list.example"], [pass], "fail"),
      arc(["list.example"], ["mx; dmarc=pass header.from=other.example"]),
      arc(["list.example"], ["mx; spf=pass; dmarc=pass (header.from=a.example.com)"]),
      arc(["evil.example", "list.example"], [pass, fail]),
      arc(["list.example", "evil.example"], [pass, fail]),
      arc(["list.example"], []),
      arc(["evillist.example"], [pass]),
    ]
  ) assertEquals(told(decide({}, trusted, findings)), "reject reject", JSON.stringify(findings));
  assertEquals(told(decide({ result: "permerror" }, trusted, arc(["list.example"], [pass]))), "reject reject");
  assertEquals(told(decide({}, {}, arc(["list.example"], [pass]))), "reject reject");
});
