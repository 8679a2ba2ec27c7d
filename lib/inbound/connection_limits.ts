/** How many connections there are, in all and from one client. */

import { networkKey } from "../dns/ip_address.ts";

/** Limits of concurrent connections. */
export interface ConnectionLimitSettings {
  /** In all, Unix sockets included. */
  readonly connections: number;
  /** For an IPv4 address or an IPv6 /64, which is what one customer has. */
  readonly connectionsPerIp: number;
}

/** Counts open connections; memory is bounded by the limit itself. */
export class ConnectionLimits {
  readonly #byClient = new Map<string, number>();
  #total = 0;

  /** Open connections. */
  get total(): number {
    return this.#total;
  }

  /**
   * Counts a connection in.
   *
   * @param address Undefined for a Unix socket, which only the total limits.
   * @returns Which limit it is over; then it was not counted.
   */
  enter(address: string | undefined, limits: ConnectionLimitSettings): "total" | "client" | undefined {
    if (this.#total >= limits.connections) return "total";
    const key = address === undefined ? undefined : networkKey(address);
    if (key !== undefined) {
      const count = this.#byClient.get(key) ?? 0;
      if (count >= limits.connectionsPerIp) return "client";
      this.#byClient.set(key, count + 1);
    }
    this.#total++;
    return undefined;
  }

  /** Counts a connection out that was counted in. */
  leave(address: string | undefined): void {
    this.#total--;
    if (address === undefined) return;
    const key = networkKey(address);
    const count = this.#byClient.get(key) ?? 0;
    if (count <= 1) this.#byClient.delete(key);
    else this.#byClient.set(key, count - 1);
  }
}
