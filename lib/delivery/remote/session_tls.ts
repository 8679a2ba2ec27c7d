/** The TLS part of opening a session: what is tried, what is asked of the handshake, and what is told about it. */

import type { Outcome } from "../../mail/outcome.ts";
import { replyText } from "../../smtp/client/reply_parser.ts";
import type { WireTls } from "../../smtp/client/wire.ts";
import type { Reply } from "../../smtp/reply.ts";
import { DANE_TA } from "../../tls/dane/tlsa.ts";
import { daneJudge } from "./dane.ts";
import { ownOutcome, refusalOutcome } from "./outcomes.ts";
import type { RemoteHost } from "./remote_host.ts";
import type { SessionOptions, SessionPlan } from "./session.ts";
import type { TlsMemory } from "./tls_memory.ts";
import type { TlsPolicy } from "./tls_policy.ts";
import type { TlsResult } from "./tls_results.ts";

/** Opportunistic TLS step by step down to none; whatever is required has one step. */
export function tlsSteps(policy: TlsPolicy, name: string, memory: TlsMemory): readonly TlsPolicy[] {
  if (policy.use !== "opportunistic" || policy.isImplicit) return [policy];
  const clear: TlsPolicy = { ...policy, use: "off" };
  if (policy.proof.kind === "none") return memory.isHopeless(name) ? [clear] : [policy, clear];
  // Without the proof it is no success, and the failure is counted already.
  const { published: _, ...uncounted } = policy;
  return [policy, { ...uncounted, proof: { kind: "none" } }, clear];
}

/** What became of STARTTLS; returns why the host cannot be used, if so. `offer` is undefined where it offers none. */
export function noteStartTls(
  offer: { readonly isTls: boolean; readonly reply: Reply } | undefined,
  host: RemoteHost,
  plan: SessionPlan,
  options: SessionOptions,
): Outcome | undefined {
  const { use, demand } = plan.policy;
  if (offer?.isTls) {
    options.memory.worked(host.name);
    recordTls(host, plan, options, {});
    return undefined;
  }
  const reason = offer === undefined ? "STARTTLS is not offered" : `STARTTLS is refused: ${replyText(offer.reply)}`;
  recordTls(host, plan, options, { failure: "starttls-not-supported", reason });
  if (use !== "required") {
    options.memory.missed(host.name);
    return undefined;
  }
  if (offer !== undefined) return refusalOutcome(offer.reply, { host }, "startTls");
  const why = demand === undefined ? "" : ` by ${demand}`;
  return ownOutcome("delayed", "4.7.5", `TLS is required${why}, but ${host.name} does not offer STARTTLS`, { host });
}

/** MTA-STS policies are those of domains, and a certificate under DANE-TA may have the name of the domain only. */
export function dependsOnDomain({ proof, published }: TlsPolicy): boolean {
  return published?.type === "sts" || (proof.kind === "dane" && proof.tlsa.some(({ usage }) => usage === DANE_TA));
}

/** What the handshake has to show. */
export function wireTls(
  { name }: RemoteHost,
  { proof }: TlsPolicy,
  { caCertificates, clock }: SessionOptions,
): WireTls {
  const common = caCertificates === undefined ? {} : { caCertificates };
  switch (proof.kind) {
    case "none":
      return { ...common, name, isVerified: false };
    case "certificate":
      return { ...common, name, isVerified: true, proof: proof.label };
    case "dane": {
      const judge = daneJudge(proof.tlsa, proof.names, () => clock.now());
      return { ...common, name: proof.base, isVerified: false, judge, proof: "DANE" };
    }
  }
}

/** Hands on what became of TLS, where the policy is one that is reported on. */
export function recordTls(
  { name, address }: RemoteHost,
  { policy: { published }, domain }: SessionPlan,
  { results }: SessionOptions,
  result: Pick<TlsResult, "failure" | "reason">,
): void {
  if (published === undefined) return;
  const receivingIp = "host" in address ? { receivingIp: address.host } : {};
  results.record({ recipientDomain: domain, policy: published, mxHost: name, ...receivingIp, ...result });
}
