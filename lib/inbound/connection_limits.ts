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
   * @param address Undefined for a Unix socket, and while no proxy has named the client: only the total limits those.
   * @returns Which limit it is over; then it was not counted.
   */
  enter(address: string | undefined, limits: ConnectionLimitSettings): "total" | "client" | undefined {
    if (this.#total >= limits.connections) return "total";
    if (!this.identify(address, limits)) return "client";
    this.#total++;
    return undefined;
  }

  /**
   * Counts a connection, which was counted in without an address, for its address as well.
   *
   * @returns Whether there was room; then `leave` takes the address too.
   */
  identify(address: string | undefined, limits: ConnectionLimitSettings): boolean {
    if (address === undefined) return true;
    const key = networkKey(address);
    const count = this.#byClient.get(key) ?? 0;
    if (count >= limits.connectionsPerIp) return false;
    this.#byClient.set(key, count + 1);
    return true;
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
