/** How TLS is used with the hosts of one attempt: asks for what is published, and decides once for each host. */

import type { Resolver } from "../../dns/resolver.ts";
import type { Logger } from "../../log/logger.ts";
import type { DeliveryRequest } from "../target.ts";
import type { MtaSts } from "./mta_sts.ts";
import { namesMx, type StsPolicy } from "./mta_sts_policy.ts";
import type { HostsAnswer, RemoteHost } from "./remote_host.ts";
import type { SessionPlan } from "./session.ts";
import { type HostPolicy, hostPolicy, type RemoteHop } from "./tls_policy.ts";
import type { TlsResults } from "./tls_results.ts";

/** What all attempts share. */
export interface HostPoliciesOptions {
  /** For TLSA records. */
  readonly resolver: Resolver;
  /** TLSA records are asked for. */
  readonly usesDane: boolean;
  /** Undefined: policies of domains are not asked for. */
  readonly mtaSts: Pick<MtaSts, "policyOf"> | undefined;
  /** Told of what does not hold. */
  readonly results: TlsResults;
  /** Told of what does not hold, where the host is used all the same. */
  readonly logger: Logger;
}

/** Hosts that were found. */
export type FoundHosts = HostsAnswer & { readonly kind: "hosts" };

/** The policies of one attempt. */
export class HostPolicies {
  readonly #options: HostPoliciesOptions;
  readonly #request: DeliveryRequest<RemoteHop>;
  readonly #plan: SessionPlan;
  /** By the name of the host. */
  readonly #decided = new Map<string, Promise<HostPolicy>>();
  #sts: StsPolicy | undefined;
  #domainNames: readonly string[] = [];
  #areNamedSecurely = false;

  /** `plan` has the policy of the next hop, before anything published is known. */
  constructor(options: HostPoliciesOptions, request: DeliveryRequest<RemoteHop>, plan: SessionPlan) {
    this.#options = options;
    this.#request = request;
    this.#plan = plan;
  }

  /** The domain has a policy of its own: no connection that mail for other domains opened will do. */
  get areOfDomain(): boolean {
    return this.#sts !== undefined;
  }

  /**
   * Asks for the policy of the domain while its MX hosts are looked up. To be called before the policy of a host is asked
   * for, except for smarthosts, which have no MX.
   *
   * @param find Is told whether only hosts named under DNSSEC will do.
   * @returns The hosts; those that the domain's policy does not name come last, for the log and for DANE.
   */
  async learn(find: (needsSecureMx: boolean) => Promise<HostsAnswer>): Promise<HostsAnswer> {
    const { use, needsRequireTls, ignoresPublished = false } = this.#plan.policy;
    const { domain } = this.#plan;
    const isAsked = use !== "off" && !ignoresPublished && !domain.startsWith("[");
    const asking = isAsked ? this.#options.mtaSts?.policyOf(domain, this.#request.signal) : undefined;
    // RFC 8689 §4.2.1: the names of the hosts come under DNSSEC, or the policy of the domain names them.
    const needsSecureMx = needsRequireTls && (await asking)?.mode !== "enforce";
    const [sts, answer] = await Promise.all([asking, find(needsSecureMx)]);
    this.#sts = sts;
    if (answer.kind === "none") return answer;
    this.#domainNames = answer.domainNames ?? [];
    this.#areNamedSecurely = answer.areNamedSecurely === true;
    if (sts === undefined) return answer;
    const isNamed = ({ name }: RemoteHost): boolean => namesMx(sts, name);
    return { ...answer, hosts: [...answer.hosts.filter(isNamed), ...answer.hosts.filter((host) => !isNamed(host))] };
  }

  /** The policy of a host; what does not hold is recorded the first time. */
  of(host: RemoteHost): Promise<HostPolicy> {
    let policy = this.#decided.get(host.name);
    if (policy === undefined) this.#decided.set(host.name, policy = this.#decide(host));
    return policy;
  }

  async #decide(host: RemoteHost): Promise<HostPolicy> {
    const { hop, signal, queueId } = this.#request;
    const { policy, domain } = this.#plan;
    const { results, logger, usesDane } = this.#options;
    const resolver = usesDane ? this.#options.resolver : undefined;
    const facts = {
      sts: this.#sts,
      domainNames: this.#domainNames,
      isNamedSecurely: this.#areNamedSecurely,
      resolver,
    };
    const decided = await hostPolicy({ policy, hop, domain, host, signal, ...facts });
    if (decided.failure !== undefined) {
      const { published, failure, reason } = decided.failure;
      results.record({ recipientDomain: domain, policy: published, mxHost: host.name, failure, reason });
      const fields = { queueId, reason, host: host.name, domain };
      if (decided.refusal === undefined) logger.info("{queueId}: {reason}", fields);
    }
    return decided;
  }
}
