/** Which server to ask first. */

import type { Logger } from "../log/logger.ts";
import type { Clock } from "../system/clock.ts";
import { checkServer, type DnsServer, serverText } from "./server.ts";

/** How long a server that did not answer is asked after the others. */
const PENALTY_MS = 30_000;
/** One lost datagram is no news; this many failures without an answer between them are. */
const FAILURES_WORTH_A_LINE = 3;

interface State {
  readonly server: DnsServer;
  failures: number;
  /** Monotonic time; undefined for a server that answered when asked last. */
  penaltyUntil: number | undefined;
}

/** The servers of a resolver in the order in which to ask them. */
export class ServerList {
  readonly #states: readonly State[];
  readonly #clock: Clock;
  readonly #logger: Logger | undefined;

  /** Takes the servers, the preferred one first; throws RangeError for none, or for one that is no IP address. */
  constructor(servers: readonly DnsServer[], clock: Clock, logger?: Logger) {
    if (servers.length === 0) throw new RangeError("Cannot resolve names: no DNS server given");
    servers.forEach(checkServer);
    this.#states = servers.map((server) => ({ server, failures: 0, penaltyUntil: undefined }));
    this.#clock = clock;
    this.#logger = logger;
  }

  /**
   * All servers: those that answered lately in the given order, then the others. When its time is over, a server of the
   * second sort gets its old place back for one lookup, so that only this one pays when it still fails.
   */
  inOrder(): DnsServer[] {
    const now = this.#clock.monotonic();
    const due = this.#states.find(({ penaltyUntil }) => penaltyUntil !== undefined && penaltyUntil <= now);
    if (due !== undefined) due.penaltyUntil = now + PENALTY_MS;
    const rank = (state: State): number => state === due ? 0 : state.penaltyUntil ?? 0;
    return this.#states.toSorted((a, b) => rank(a) - rank(b)).map(({ server }) => server);
  }

  /** Notes that a server answered, whatever the answer was. */
  answered(server: DnsServer): void {
    const state = this.#states.find((state) => state.server === server);
    if (state === undefined) return;
    if (state.failures >= FAILURES_WORTH_A_LINE) {
      this.#logger?.info("DNS server {server} answers again", { server: serverText(server) });
    }
    state.failures = 0;
    state.penaltyUntil = undefined;
  }

  /** Notes that a server could not be reached, did not answer in time, refused, or answered rubbish. */
  failed(server: DnsServer, reason: string): void {
    const state = this.#states.find((state) => state.server === server);
    if (state === undefined) return;
    state.penaltyUntil = this.#clock.monotonic() + PENALTY_MS;
    if (++state.failures !== FAILURES_WORTH_A_LINE) return;
    this.#logger?.warning("DNS server {server} failed {failures} times in a row: {reason}", {
      server: serverText(server),
      failures: state.failures,
      reason,
    });
  }
}
