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
import type { SourceAddresses, TlsUse } from "../next_hop.ts";
import type { DeliveryRequest, DeliveryTarget } from "../target.ts";
import { Attempt, type AttemptTools } from "./attempt.ts";
import { Chunking } from "./chunking.ts";
import { findMxHosts, type MxOptions } from "./mx.ts";
import { Ipv6Check } from "./ipv6_check.ts";
import { ConnectionPool, type PoolOptions } from "./pool.ts";
import { addressText, type HostsAnswer, type RemoteHost, smarthostHosts } from "./remote_host.ts";
import { openSession, type Session, type SessionOptions, type SessionPlan } from "./session.ts";
import { ANY_SOURCE, fromSource, hasIpv6, ipv6Reason, withoutIpv6 } from "./source.ts";
import { Sites } from "./site.ts";
import { type RemoteHop, tlsPolicy } from "./tls_policy.ts";

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
  readonly #chunking: Chunking;

  /** Opens nothing yet. */
  constructor(options: RemoteTargetOptions) {
    const { resolver, random, isOwnAddress, hostname, clock, logger, caCertificates, limits = TIME_LIMITS } = options;
    this.#options = options;
    this.#mx = { resolver, random, isOwnAddress, port: options.mxPort ?? 25 };
    this.#session = { hostname, limits, clock, logger, ...(caCertificates === undefined ? {} : { caCertificates }) };
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

  #tools({ hop, envelope, signal, queueId }: DeliveryRequest<RemoteHop>): AttemptTools {
    const policy = tlsPolicy(hop, this.#options.tls, envelope.requireTls === true);
    const plan = sessionPlan(hop, policy, envelope.session);
    const keys = poolKeys(hop, plan);
    return {
      takeKept: (hosts) => hosts === undefined ? this.#pool.take(keys.ofHop) : this.#takeAt(hosts, keys),
      give: (session) => this.#pool.give([...new Set([keys.ofHop, keys.ofHost(session.host)])], session),
      findHosts: () => this.#findHosts(hop, policy.needsRequireTls, signal),
      connect: (addresses) => this.#connect(addresses, signal),
      open: (host, wire, onConnection) => openSession(host, plan, this.#session, onConnection, wire),
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
      onBroken: (error) =>
        this.#options.logger.error("{queueId}: delivery to {hop} broke off: {error}", {
          queueId,
          hop: hop.key,
          error,
        }),
    };
  }

  #takeAt(hosts: readonly RemoteHost[], { ofHost }: PoolKeys): Session | undefined {
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

  async #findHosts(hop: RemoteHop, isSecure: boolean, signal: AbortSignal): Promise<HostsAnswer> {
    const { resolver, source = ANY_SOURCE, ipv6 = "on" } = this.#options;
    if (hop.kind === "smarthost") {
      const answer = await smarthostHosts(resolver, hop.smarthost, signal);
      const own = hop.smarthost.source;
      return own === undefined ? withSources(answer, source) : withSources(answer, own, false);
    }
    const answer = await findMxHosts(hop.domain, { ...this.#mx, needsSecureMx: isSecure }, signal);
    if (answer.kind === "none" || ipv6 === "on" || !hasIpv6(answer)) return withSources(answer, source);
    const use = ipv6 === "off" ? ipv6 : await this.#ipv6.use(signal);
    return use === "off" || use.kind === "unusable"
      ? withSources(withoutIpv6(answer, hop.domain, ipv6Reason(use)), source)
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

function withSources(answer: HostsAnswer, sources: SourceAddresses, isForAll = true): HostsAnswer {
  return answer.kind === "none"
    ? answer
    : { kind: "hosts", hosts: answer.hosts.map((host) => fromSource(host, sources, isForAll)) };
}

function sessionPlan(hop: RemoteHop, policy: SessionPlan["policy"], session: SessionFacts): SessionPlan {
  if (hop.kind === "mx") return { protocol: "smtp", policy };
  const { scheme, username, password, isToldClient } = hop.smarthost;
  const login = username === undefined ? {} : { login: { username, password: password ?? "" } };
  const client = isToldClient && session.service !== "local" ? { client: clientOf(session) } : {};
  return { protocol: scheme === "lmtp" ? "lmtp" : "smtp", policy, ...login, ...client };
}

function clientOf({ clientAddress, helo, protocol, login }: SessionFacts): ClientFacts {
  return {
    ...(clientAddress === undefined ? {} : { address: clientAddress }),
    ...(helo === undefined ? {} : { helo }),
    isExtended: protocol !== "SMTP",
    ...(login === undefined ? {} : { login }),
  };
}
