/** Delivers to mail servers: the MX hosts of a domain, or a configured smarthost or LMTP server. */

import type { Logger } from "../../log/logger.ts";
import type { Resolver } from "../../dns/resolver.ts";
import type { SessionFacts } from "../../mail/envelope.ts";
import type { Outcome } from "../../mail/outcome.ts";
import { NEXT_ADDRESS_MS, TIME_LIMITS, type TimeLimits } from "../../smtp/client/time_limits.ts";
import { race, type RaceResult } from "../../smtp/client/race.ts";
import { Wire } from "../../smtp/client/wire.ts";
import type { ClientFacts } from "../../smtp/client/xclient.ts";
import type { Clock } from "../../system/clock.ts";
import { canJudgePeers } from "../../tls/peer_chain.ts";
import type { SourceAddresses, TlsUse } from "../next_hop.ts";
import type { DeliveryRequest, DeliveryTarget } from "../target.ts";
import { Attempt, type AttemptTools } from "./attempt.ts";
import { Chunking } from "./chunking.ts";
import { type FoundHosts, HostPolicies, type HostPoliciesOptions } from "./host_policies.ts";
import { findMxHosts, type MxOptions } from "./mx.ts";
import type { MtaSts } from "./mta_sts.ts";
import { Ipv6Check } from "./ipv6_check.ts";
import { ConnectionPool, type PoolOptions } from "./pool.ts";
import { addressText, type HostsAnswer, type RemoteHost, smarthostHosts } from "./remote_host.ts";
import { openSession, type Session, type SessionOptions, type SessionPlan, type SessionResult } from "./session.ts";
import { ANY_SOURCE, fromSource, hasIpv6, ipv6Reason, withoutIpv6 } from "./source.ts";
import { Sites } from "./site.ts";
import { TlsMemory } from "./tls_memory.ts";
import { type RemoteHop, type TlsPolicy, tlsPolicy } from "./tls_policy.ts";
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
  /** IPv6 towards MX hosts; `auto`: only from an address of ours that has a confirmed name. Default: `on`. */
  readonly ipv6?: "auto" | "on" | "off";
  /** Addresses of ours to connect from; a smarthost may have its own. */
  readonly source?: SourceAddresses;
  /** The addresses of this machine; needed where `ipv6` is `auto` and `source` names none. */
  readonly ownAddresses?: () => readonly string[];
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
  readonly #sites: Sites;
  readonly #ipv6: Ipv6Check;
  readonly #policies: HostPoliciesOptions;
  readonly #chunking: Chunking;

  /** Opens nothing yet. */
  constructor(options: RemoteTargetOptions) {
    const { resolver, random, isOwnAddress, hostname, clock, logger, caCertificates, limits = TIME_LIMITS } = options;
    this.#options = options;
    this.#mx = { resolver, random, isOwnAddress, port: options.mxPort ?? 25 };
    const { usesDane = true, mtaSts, results = { record: (): void => {} } } = options;
    this.#policies = { resolver, usesDane: usesDane && canJudgePeers, mtaSts, results, logger };
    this.#session = {
      hostname,
      limits,
      clock,
      logger,
      memory: new TlsMemory({ clock, logger }),
      results,
      ...(caCertificates === undefined ? {} : { caCertificates }),
    };
    this.#chunking = new Chunking(clock, logger);
    this.#sites = new Sites({ resolver, clock });
    const v6 = options.source?.v6;
    const addresses = v6 === undefined ? options.ownAddresses ?? ((): string[] => []) : (): string[] => [v6];
    this.#ipv6 = new Ipv6Check({ resolver, clock, logger, addresses });
    this.#pool = new ConnectionPool({ clock, ...options.pool });
  }

  /** Tries once; never rejects. */
  async deliver(request: DeliveryRequest<RemoteHop>): Promise<readonly Outcome[]> {
    return await new Attempt(request, this.#tools(request)).run();
  }

  /**
   * Names the destination of a hop, for limits and back-off: the MX site, or the key of a smarthost. Domains that the same
   * servers take mail for have one name. At once where it is known; never rejects.
   */
  destinationOf(hop: RemoteHop, signal: AbortSignal): string | Promise<string> {
    return this.#sites.of(hop, signal);
  }

  #tools(request: DeliveryRequest<RemoteHop>): AttemptTools {
    const { hop, envelope, signal, queueId } = request;
    const policy = tlsPolicy(hop, this.#options.tls, envelope);
    const plan = sessionPlan(hop, policy, envelope.session);
    const keys = poolKeys(hop, plan);
    const policies = new HostPolicies(this.#policies, request, plan);
    return {
      takeKept: (hosts) => hosts === undefined ? this.#pool.take(keys.ofHop) : this.#takeAt(hosts, keys, policies),
      give: (session) => this.#pool.give(keysOf(session, keys), session),
      findHosts: () => this.#findHosts(request, policies),
      refusal: async (host) => (await policies.of(host)).refusal,
      connect: (addresses) => this.#connect(addresses, signal),
      open: async (host, wire, onConnection): Promise<SessionResult> => {
        const { policy, refusal } = await policies.of(host);
        if (refusal !== undefined) throw new TypeError(`Cannot use ${host.name}: its policy forbids it`);
        return await openSession(host, { ...plan, policy }, this.#session, onConnection, wire);
      },
      chunking: this.#chunking,
      now: () => this.#options.clock.now(),
      onUnusable: ({ name, address }, { status, text }) =>
        this.#options.logger.info("{queueId}: cannot use {host} at {address}: {status} {text}", {
          queueId,
          host: name,
          address: addressText(address),
          status,
          text,
        }),
      onPutOff: ({ name, address }, recipients, { status, text }) =>
        this.#options.logger.info(
          "{queueId}: {host} at {address} put off {recipients}, the next host is asked: {status} {text}",
          { queueId, host: name, address: addressText(address), recipients: recipients.join(", "), status, text },
        ),
      onBroken: (error) =>
        this.#options.logger.error("{queueId}: delivery to {hop} broke off: {error}", {
          queueId,
          hop: hop.key,
          error,
        }),
    };
  }

  #takeAt(hosts: readonly RemoteHost[], { ofHost }: PoolKeys, policies: HostPolicies): Session | undefined {
    // What other domains keep was opened without regard to the policy of this one.
    if (policies.areOfDomain) return undefined;
    const best = hosts.filter(({ preference }) => preference === hosts[0]?.preference);
    for (const key of new Set(best.map(ofHost))) {
      const session = this.#pool.take(key);
      if (session !== undefined) return session;
    }
    return undefined;
  }

  #connect(addresses: readonly RemoteHost[], signal: AbortSignal): Promise<RaceResult<Wire>> {
    const { clock, limits } = this.#session;
    const { connectMs, nextAddressMs = NEXT_ADDRESS_MS } = limits;
    return race(addresses, ({ address }) => new Wire(address, clock), { connectMs, nextAddressMs, clock, signal });
  }

  async #findHosts({ hop, signal }: DeliveryRequest<RemoteHop>, policies: HostPolicies): Promise<HostsAnswer> {
    const { resolver, source = ANY_SOURCE } = this.#options;
    if (hop.kind === "smarthost") {
      const answer = await smarthostHosts(resolver, hop.smarthost, signal);
      const own = hop.smarthost.source;
      return own === undefined ? withSources(answer, source) : withSources(answer, own, false);
    }
    const answer = await policies.learn((needsSecureMx) =>
      findMxHosts(hop.domain, { ...this.#mx, needsSecureMx }, signal)
    );
    return answer.kind === "none" ? answer : await this.#reachable(answer, hop.domain, signal);
  }

  /** Leaves out what cannot be reached over IPv6, and says from which address the others are. */
  async #reachable(answer: FoundHosts, domain: string, signal: AbortSignal): Promise<HostsAnswer> {
    const { source = ANY_SOURCE, ipv6 = "on" } = this.#options;
    if (ipv6 === "on" || !hasIpv6(answer)) return withSources(answer, source);
    const use = ipv6 === "off" ? ipv6 : await this.#ipv6.use(signal);
    return use === "off" || use.kind === "unusable"
      ? withSources(withoutIpv6(answer, domain, ipv6Reason(use)), source)
      : withSources(answer, { ...source, v6: use.source });
  }

  /** Closes the kept connections with QUIT. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#pool[Symbol.asyncDispose]();
  }
}

interface PoolKeys {
  readonly ofHop: string;
  readonly ofHost: (host: RemoteHost) => string;
}

/**
 * Domains of one site share connections to a host: whatever the policy makes sure of is about the host, and a connection
 * under another policy has another key. A smarthost stays with its hop, which has a login.
 */
function poolKeys(hop: RemoteHop, { policy, client }: SessionPlan): PoolKeys {
  const use = JSON.stringify(client === undefined ? policy : [policy, client]);
  const ofHop = `${hop.key} ${use}`;
  const port = (address: RemoteHost["address"]): string => "port" in address ? `:${address.port}` : "";
  return {
    ofHop,
    ofHost: hop.kind === "mx" ? ({ name, address }) => `host:${name}${port(address)} ${use}` : () => ofHop,
  };
}

/** A connection that one domain alone may use again is kept for its hop alone. */
function keysOf({ host, isOfDomain }: Session, { ofHop, ofHost }: PoolKeys): readonly string[] {
  return isOfDomain === true ? [ofHop] : [...new Set([ofHop, ofHost(host)])];
}

function withSources(answer: HostsAnswer, sources: SourceAddresses, isForAll = true): HostsAnswer {
  return answer.kind === "none"
    ? answer
    : { ...answer, hosts: answer.hosts.map((host) => fromSource(host, sources, isForAll)) };
}

function sessionPlan(hop: RemoteHop, policy: TlsPolicy, session: SessionFacts): SessionPlan {
  if (hop.kind === "mx") return { protocol: "smtp", policy, domain: hop.domain };
  const domain = hop.smarthost.host;
  const { scheme, username, password, isToldClient } = hop.smarthost;
  const login = username === undefined ? {} : { login: { username, password: password ?? "" } };
  const client = isToldClient && session.service !== "local" ? { client: clientOf(session) } : {};
  return { protocol: scheme === "lmtp" ? "lmtp" : "smtp", policy, domain, ...login, ...client };
}

function clientOf({ clientAddress, helo, protocol, login }: SessionFacts): ClientFacts {
  return {
    ...(clientAddress === undefined ? {} : { address: clientAddress }),
    ...(helo === undefined ? {} : { helo }),
    isExtended: protocol !== "SMTP",
    ...(login === undefined ? {} : { login }),
  };
}
