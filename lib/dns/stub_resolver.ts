/**
 * Looks names up at recursive servers, without a cache.
 *
 * `Deno.resolveDns` cannot do this: it reports SERVFAIL, REFUSED, NXDOMAIN and NODATA as one error, so that a short
 * outage of DNS would bounce mail, and it knows neither TLSA records nor TTL nor the AD bit.
 */

import type { Logger } from "../log/logger.ts";
import type { Clock } from "../system/clock.ts";
import { type Chain, endOfChain, readAnswer, startChain, uselessReason } from "./answer.ts";
import type { DnsMessage } from "./message.ts";
import { DnsNameError, normaliseName, quoteName } from "./name.ts";
import { Outage } from "./outage.ts";
import { makeQuery, type Query } from "./query.ts";
import type { DnsAnswer, RecordData, RecordType, Resolver } from "./resolver.ts";
import { type DnsServer, serverText } from "./server.ts";
import { ServerList } from "./server_list.ts";
import { Slots } from "./slots.ts";
import { exchangeTcp } from "./tcp.ts";
import { TimeLimitError, withTimeLimit } from "./time_limit.ts";
import { exchangeUdp } from "./udp.ts";

/** What a {@linkcode StubResolver} needs, and its limits. */
export interface StubResolverOptions {
  /** Recursive servers, the preferred one first; at least one. */
  readonly servers: readonly DnsServer[];
  /** For the time limits. */
  readonly clock: Clock;
  /** Told about servers that stop answering and come back. */
  readonly logger?: Logger;
  /** Time for one answer over UDP; doubled in each further round. Default: 2000. */
  readonly udpTimeoutMs?: number;
  /** Time for one answer over TCP. Default: 4000. */
  readonly tcpTimeoutMs?: number;
  /** Time for a whole lookup. Default: 10000. */
  readonly totalTimeoutMs?: number;
  /** How often a server that does not answer is asked. Default: 2. */
  readonly rounds?: number;
  /** Longest chain of CNAME records. Default: 8. */
  readonly maxCnameLinks?: number;
  /** Lookups, and so sockets, at a time; further ones wait within their time. Default: 256. */
  readonly maxConcurrent?: number;
  /**
   * The servers validate, and nobody on the way to them can set the AD bit: only then it is believed (RFC 4035 §4.9.3).
   * Default: true.
   */
  readonly isTrusted?: boolean;
  /** Message ids, 0 to 65535. Default: cryptographically random ones. */
  readonly nextId?: () => number;
}

/** No server gave an answer that can be relied on. */
class NoAnswerError extends Error {}

/** A {@linkcode Resolver} that asks recursive servers. */
export class StubResolver implements Resolver {
  readonly #options: Required<Omit<StubResolverOptions, "logger" | "servers">>;
  readonly #servers: ServerList;
  readonly #slots: Slots;
  readonly #outage: Outage;

  /** Throws RangeError when there is no server, or one that is no IP address and port. */
  constructor({ servers, logger, ...options }: StubResolverOptions) {
    this.#servers = new ServerList(servers, options.clock, logger);
    this.#options = {
      udpTimeoutMs: 2000,
      tcpTimeoutMs: 4000,
      totalTimeoutMs: 10_000,
      rounds: 2,
      maxCnameLinks: 8,
      maxConcurrent: 256,
      isTrusted: true,
      nextId: randomId,
      ...options,
    };
    this.#slots = new Slots(this.#options.maxConcurrent);
    this.#outage = new Outage({ clock: options.clock, logger, isAlive: () => this.#isAnyAlive() });
  }

  /**
   * Looks up one record set. A name that cannot exist, the time limit and `signal` give `failed`, as everything else
   * that goes wrong does; the promise never rejects.
   */
  async lookup<T extends RecordType>(name: string, type: T, signal?: AbortSignal): Promise<DnsAnswer<RecordData[T]>> {
    const { clock, totalTimeoutMs } = this.#options;
    const failures = new Map<DnsServer, string>();
    const failed = (why: string): DnsAnswer<never> => ({
      kind: "failed",
      reason: `Cannot look up ${type} of ${quoteName(name)}: ${why}`,
    });
    try {
      const start = startChain(normaliseName(name));
      const refusal = await this.#outage.refusal();
      if (refusal !== undefined) return failed(refusal);
      const answer = await withTimeLimit(
        clock,
        totalTimeoutMs,
        signal,
        (limited) => this.#slots.run(limited, () => this.#follow(start, type, failures, limited)),
      );
      if (answer.kind === "failed") return failed(answer.reason);
      return this.#options.isTrusted ? answer : { ...answer, isSecure: false };
    } catch (error) {
      if (signal?.aborted) return failed("given up before there was an answer");
      const why = failures.size === 0 ? [] : [reasonsText(failures)];
      if (error instanceof TimeLimitError) why.push(`no answer within ${totalTimeoutMs} ms`);
      else if (error instanceof DnsNameError) why.push("not a domain name: " + error.message);
      else if (!(error instanceof NoAnswerError)) why.push(errorText(error));
      else if (error.message !== "") why.push(error.message);
      return failed(why.join("; "));
    }
  }

  /** Asks until the chain of CNAME records ends. */
  async #follow<T extends RecordType>(
    start: Chain,
    type: T,
    failures: Map<DnsServer, string>,
    signal: AbortSignal,
  ): Promise<DnsAnswer<RecordData[T]>> {
    for (let chain = start;;) {
      const message = await this.#ask(endOfChain(chain), type, failures, signal);
      const step = readAnswer(message, type, chain, this.#options.maxCnameLinks);
      if (step.kind !== "alias") return step;
      chain = step.chain;
    }
  }

  /** Asks one server after the other. Only those that did not answer at all are asked again in the next round. */
  async #ask(
    name: string,
    type: RecordType,
    failures: Map<DnsServer, string>,
    signal: AbortSignal,
  ): Promise<DnsMessage> {
    const { rounds, udpTimeoutMs } = this.#options;
    const hasSpoken = new Set<DnsServer>();
    let hasAnswered = false;
    failures.clear();
    for (let round = 0; round < rounds && !this.#outage.isOn; round++) {
      for (const server of this.#servers.inOrder()) {
        if (hasSpoken.has(server)) continue;
        try {
          const message = await this.#askServer(server, name, type, udpTimeoutMs * 2 ** round, signal);
          hasAnswered = true;
          this.#outage.answered();
          const problem = uselessReason(message);
          // SERVFAIL says that the domain is broken, or its servers; the server that says so works.
          if (problem === undefined || message.responseCode === 2) this.#servers.answered(server);
          else this.#servers.failed(server, problem);
          if (problem === undefined) return message;
          failures.set(server, problem);
          hasSpoken.add(server);
        } catch (error) {
          if (signal.aborted) throw error;
          const reason = errorText(error);
          failures.set(server, reason);
          this.#servers.failed(server, reason);
          if (!(error instanceof TimeLimitError)) hasSpoken.add(server);
        }
      }
      if (!hasAnswered) this.#outage.silent(reasonsText(failures));
    }
    if (failures.size === 0) throw new NoAnswerError("no DNS server answers");
    throw new NoAnswerError();
  }

  /** Asks all servers for a name that each knows itself (RFC 6761 §6.3) or learns at once. */
  async #isAnyAlive(): Promise<boolean> {
    const { clock, udpTimeoutMs, nextId } = this.#options;
    const ask = async (server: DnsServer): Promise<void> => {
      const query = makeQuery({ id: nextId(), name: "localhost", type: "A" });
      await withTimeLimit(clock, udpTimeoutMs, undefined, (limited) => exchangeUdp(server, query, limited));
    };
    return await Promise.any(this.#servers.inOrder().map(ask)).then(() => true, () => false);
  }

  /** Asks one server over UDP, then over TCP where the answer is truncated; without EDNS where it does not know that. */
  async #askServer(
    server: DnsServer,
    name: string,
    type: RecordType,
    limitMs: number,
    signal: AbortSignal,
  ): Promise<DnsMessage> {
    const { nextId } = this.#options;
    const message = await this.#exchange(server, makeQuery({ id: nextId(), name, type }), limitMs, signal);
    // RFC 6891 §7: FORMERR may mean that the server does not know EDNS0.
    if (message.responseCode !== 1) return message;
    return await this.#exchange(server, makeQuery({ id: nextId(), name, type, hasEdns: false }), limitMs, signal);
  }

  async #exchange(server: DnsServer, query: Query, limitMs: number, signal: AbortSignal): Promise<DnsMessage> {
    const { clock, tcpTimeoutMs } = this.#options;
    const message = await withTimeLimit(clock, limitMs, signal, (limited) => exchangeUdp(server, query, limited));
    if (!message.isTruncated) return message;
    return await withTimeLimit(clock, tcpTimeoutMs, signal, (limited) => exchangeTcp(server, query, limited));
  }
}

function reasonsText(failures: ReadonlyMap<DnsServer, string>): string {
  return [...failures].map(([server, reason]) => `${serverText(server)} ${reason}`).join("; ");
}

function randomId(): number {
  return crypto.getRandomValues(new Uint16Array(1))[0] ?? 0;
}

/** What follows the name of a server in a log line. */
function errorText(error: unknown): string {
  if (error instanceof TimeLimitError) return `gave ${error.message.charAt(0).toLowerCase()}${error.message.slice(1)}`;
  return `failed: ${error instanceof Error ? error.message : String(error)}`;
}
