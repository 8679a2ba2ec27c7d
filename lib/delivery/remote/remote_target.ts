/** Delivers to mail servers: the MX hosts of a domain, or a configured smarthost or LMTP server. */

import type { Logger } from "../../log/logger.ts";
import type { Resolver } from "../../dns/resolver.ts";
import type { Outcome } from "../../mail/outcome.ts";
import type { SmtpConnection } from "../../smtp/client/connection.ts";
import { TIME_LIMITS, type TimeLimits } from "../../smtp/client/time_limits.ts";
import type { Clock } from "../../system/clock.ts";
import { canJudgePeers } from "../../tls/peer_chain.ts";
import type { TlsUse } from "../next_hop.ts";
import type { DeliveryRequest, DeliveryTarget } from "../target.ts";
import { Attempt, type AttemptTools } from "./attempt.ts";
import type { MtaSts } from "./mta_sts.ts";
import { namesMx, type StsPolicy } from "./mta_sts_policy.ts";
import { findMxHosts, type MxOptions } from "./mx.ts";
import { ConnectionPool, type PoolOptions } from "./pool.ts";
import { addressText, type HostsAnswer, type RemoteHost, smarthostHosts } from "./remote_host.ts";
import { openSession, type SessionOptions, type SessionPlan, type SessionResult } from "./session.ts";
import { TlsMemory } from "./tls_memory.ts";
import { hostPolicy, type RemoteHop, type TlsPolicy, tlsPolicy } from "./tls_policy.ts";
import type { TlsResults } from "./tls_results.ts";

/** What delivery to other servers needs. */
export interface RemoteTargetOptions {
  /** For MX and addresses. */
  readonly resolver: Resolver;
  /** Our name for EHLO. */
  readonly hostname: string;
  /** For time limits and idle connections. */
  readonly clock: Clock;
  /** A number from 0 up to, not including, 1. */
  readonly random: () => number;
  /** For hosts that could not be used; outcomes are logged by who asked for the delivery. */
  readonly logger: Logger;
  /** TLS towards MX hosts; a smarthost has its own setting. */
  readonly tls: TlsUse;
  /** True for an address and port on which we ourselves take mail. */
  readonly isOwnAddress: (host: string, port: number) => boolean;
  /** Default: {@linkcode TIME_LIMITS}. */
  readonly limits?: TimeLimits;
  /** PEM; default: the authorities that the runtime trusts. */
  readonly caCertificates?: readonly string[];
  /** The port of MX hosts; default 25. */
  readonly mxPort?: number;
  /** Asks for TLSA records (RFC 7672), where the runtime can judge by them. Default: true. */
  readonly usesDane?: boolean;
  /** Knows the policies of RFC 8461; absent: they are not asked for. */
  readonly mtaSts?: Pick<MtaSts, "policyOf">;
  /** Takes what became of TLS; default: nobody does. */
  readonly results?: TlsResults;
  /** Bounds of the connections that are kept. */
  readonly pool?: Omit<PoolOptions, "clock">;
}

/** The target for hops of kind `mx` and `smarthost`. How many deliveries run at once is up to the caller. */
export class RemoteTarget implements DeliveryTarget<RemoteHop>, AsyncDisposable {
  readonly #options: RemoteTargetOptions;
  readonly #mx: MxOptions;
  readonly #session: SessionOptions;
  readonly #pool: ConnectionPool;
  readonly #results: TlsResults;

  /** Opens nothing yet. */
  constructor(options: RemoteTargetOptions) {
    const { resolver, random, isOwnAddress, hostname, clock, logger, caCertificates, limits = TIME_LIMITS } = options;
    this.#options = options;
    this.#results = options.results ?? { record: (): void => {} };
    this.#mx = { resolver, random, isOwnAddress, port: options.mxPort ?? 25 };
    const memory = new TlsMemory({ clock, logger });
    this.#session = {
      hostname,
      limits,
      clock,
      logger,
      memory,
      results: this.#results,
      ...(caCertificates === undefined ? {} : { caCertificates }),
    };
    this.#pool = new ConnectionPool({ clock, ...options.pool });
  }

  /** Tries once; never rejects. */
  async deliver(request: DeliveryRequest<RemoteHop>): Promise<readonly Outcome[]> {
    return await new Attempt(request, this.#tools(request)).run();
  }

  #tools(request: DeliveryRequest<RemoteHop>): AttemptTools {
    const { hop, envelope, queueId } = request;
    const policy = tlsPolicy(hop, this.#options.tls, envelope.requireTls === true);
    const site: Site = { domainNames: [], sts: undefined };
    const key = `${hop.key} ${policy.use}${policy.needsRequireTls ? " REQUIRETLS" : ""}`;
    return {
      takeKept: () => this.#pool.take(key),
      give: (session) => this.#pool.give(key, session),
      findHosts: () => this.#findHosts(request, policy, site),
      open: (host, onConnection) => this.#open(host, request, policy, site, onConnection),
      now: () => this.#options.clock.now(),
      onUnusable: ({ name, address }, { status, text }) =>
        this.#options.logger.info("{queueId}: cannot use {host} at {address}: {status} {text}", {
          queueId,
          host: name,
          address: addressText(address),
          status,
          text,
        }),
      onBroken: (error) =>
        this.#options.logger.error("{queueId}: delivery to {hop} broke off: {error}", {
          queueId,
          hop: hop.key,
          error,
        }),
    };
  }

  /** Finds the hosts, and notes in `site` what their policies depend on. */
  async #findHosts({ hop, signal }: DeliveryRequest<RemoteHop>, policy: TlsPolicy, site: Site): Promise<HostsAnswer> {
    if (hop.kind === "smarthost") return await smarthostHosts(this.#options.resolver, hop.smarthost, signal);
    const isAsked = policy.use !== "off" && !hop.domain.startsWith("[");
    const asking = isAsked ? this.#options.mtaSts?.policyOf(hop.domain, signal) : undefined;
    // RFC 8689 §4.2.1: the names of the hosts come under DNSSEC, or the policy of the domain names them.
    const needsSecureMx = policy.needsRequireTls && (await asking)?.mode !== "enforce";
    const [sts, answer] = await Promise.all([asking, findMxHosts(hop.domain, { ...this.#mx, needsSecureMx }, signal)]);
    if (answer.kind === "none") return answer;
    site.sts = sts;
    site.domainNames = answer.domainNames ?? [];
    if (sts === undefined) return answer;
    // Those that the policy does not name come last, for the log and for DANE.
    const isNamed = ({ name }: RemoteHost): boolean => namesMx(sts, name);
    return { ...answer, hosts: [...answer.hosts.filter(isNamed), ...answer.hosts.filter((host) => !isNamed(host))] };
  }

  /** Decides how TLS is used with the host, and opens a session where it can be used. */
  async #open(
    host: RemoteHost,
    { hop, signal, queueId }: DeliveryRequest<RemoteHop>,
    hopPolicy: TlsPolicy,
    { sts, domainNames }: Site,
    onConnection: (connection: SmtpConnection) => void,
  ): Promise<SessionResult> {
    const domain = hop.kind === "mx" ? hop.domain : hop.smarthost.host;
    const { resolver: all, usesDane = true, logger } = this.#options;
    const resolver = usesDane && canJudgePeers ? all : undefined;
    const question = { policy: hopPolicy, hop, domain, host, sts, domainNames, resolver, signal };
    const { policy, failure, refusal } = await hostPolicy(question);
    if (failure !== undefined) {
      const { published, reason } = failure;
      const result = { policy: published, failure: failure.failure, reason };
      this.#results.record({ recipientDomain: domain, mxHost: host.name, ...result });
      if (refusal === undefined) logger.info("{queueId}: {reason}", { queueId, reason, host: host.name, domain });
    }
    if (refusal !== undefined) return { kind: "unusable", outcome: refusal };
    return await openSession(host, sessionPlan(hop, policy, domain), this.#session, onConnection);
  }

  /** Closes the kept connections with QUIT. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#pool[Symbol.asyncDispose]();
  }
}

/** What the policies of all hosts of a next hop depend on. */
interface Site {
  sts: StsPolicy | undefined;
  domainNames: readonly string[];
}

function sessionPlan(hop: RemoteHop, policy: TlsPolicy, domain: string): SessionPlan {
  if (hop.kind === "mx") return { protocol: "smtp", policy, domain };
  const { scheme, username, password } = hop.smarthost;
  const login = username === undefined ? {} : { login: { username, password: password ?? "" } };
  return { protocol: scheme === "lmtp" ? "lmtp" : "smtp", policy, domain, ...login };
}
