/** Remembers how TLS went with hosts, to spare hopeless handshakes and to notice when somebody takes TLS away. */

import type { Logger } from "../../log/logger.ts";
import type { Clock } from "../../system/clock.ts";

/** What it needs, and its bounds. */
export interface TlsMemoryOptions {
  /** Its monotonic time lets memories fade. */
  readonly clock: Clock;
  /** Told where TLS is gone that was there. */
  readonly logger: Logger;
  /** Hosts; the one that was seen longest ago is forgotten first. Default: 10000. */
  readonly maxHosts?: number;
}

interface Memory {
  /** Monotonic times. */
  readonly workedMs?: number;
  readonly failedMs?: number;
  readonly warnedMs?: number;
}

const HOUR_MS = 3_600_000;
/** So long no handshake is tried again with a host where it failed and never worked. */
const FAILED_FOR_MS = 4 * HOUR_MS;
/** So long TLS is expected of a host where it worked. */
const WORKED_FOR_MS = 7 * 24 * HOUR_MS;
/** A host without the TLS that it had is worth one line in this time. */
const WARN_EVERY_MS = 24 * HOUR_MS;

/**
 * For opportunistic TLS only, which goes on in the clear where TLS fails. Where TLS never worked, a failed handshake is
 * not repeated for 4 hours: every message would cost two connections. Where it worked in the last 7 days, it is tried each
 * time, so that nobody can switch it off by disturbing one handshake, and its absence is logged as a warning.
 */
export class TlsMemory {
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #maxHosts: number;
  /** In order of use. */
  readonly #hosts = new Map<string, Memory>();

  /** Starts empty. */
  constructor({ clock, logger, maxHosts = 10_000 }: TlsMemoryOptions) {
    this.#clock = clock;
    this.#logger = logger;
    this.#maxHosts = maxHosts;
  }

  /** True where a handshake with the host is not worth trying now. */
  isHopeless(host: string): boolean {
    const { failedMs, workedMs } = this.#hosts.get(host) ?? {};
    return this.#isWithin(failedMs, FAILED_FOR_MS) && !this.#isWithin(workedMs, WORKED_FOR_MS);
  }

  /** A handshake succeeded. */
  worked(host: string): void {
    const { warnedMs } = this.#hosts.get(host) ?? {};
    this.#keep(host, { workedMs: this.#clock.monotonic(), ...(warnedMs === undefined ? {} : { warnedMs }) });
  }

  /** A handshake failed, and the host took mail in the clear. */
  failed(host: string, reason: string): void {
    const memory = this.#hosts.get(host) ?? {};
    this.#keep(host, { ...memory, failedMs: this.#clock.monotonic() });
    this.#warn(host, `its handshake fails: ${reason}`);
  }

  /** The host does not offer STARTTLS, or refuses it, and takes mail in the clear. */
  missed(host: string): void {
    this.#warn(host, "it does not offer STARTTLS any more");
  }

  #warn(host: string, change: string): void {
    const memory = this.#hosts.get(host);
    if (memory === undefined || !this.#isWithin(memory.workedMs, WORKED_FOR_MS)) return;
    if (this.#isWithin(memory.warnedMs, WARN_EVERY_MS)) return;
    this.#keep(host, { ...memory, warnedMs: this.#clock.monotonic() });
    const hours = Math.round((this.#clock.monotonic() - (memory.workedMs ?? 0)) / HOUR_MS);
    this.#logger.warning(
      "{host} had TLS {hours} h ago, but {change}; mail goes in the clear. Somebody on the way may have removed it",
      { host, hours, change },
    );
  }

  #keep(host: string, memory: Memory): void {
    this.#hosts.delete(host);
    this.#hosts.set(host, memory);
    for (const oldest of this.#hosts.keys()) {
      if (this.#hosts.size <= this.#maxHosts) break;
      this.#hosts.delete(oldest);
    }
  }

  #isWithin(sinceMs: number | undefined, ms: number): boolean {
    return sinceMs !== undefined && this.#clock.monotonic() - sinceMs < ms;
  }
}
