/** Bad peers on port 25 of loopback addresses inside a namespace, and what happened to them. */

import type { PeerOptions } from "../scripted_peer.ts";
import { Daemon } from "./daemon.ts";
import type { Namespace } from "./namespace.ts";
import { waitUntil } from "./wait.ts";

/** One peer. */
export interface BadPeerPlan extends Pick<PeerOptions, "extensions" | "tls" | "restMs" | "faultTimes"> {
  /** Names it in the events. */
  readonly name: string;
  /** Its address. */
  readonly host: string;
  /** A fault of every connection (`bad_peer.ts`); default: none but what local parts choose. */
  readonly fault?: string;
  /** The fault is over after so many. */
  readonly times?: number;
  /** The fault is over so many milliseconds after the first connection. */
  readonly healsAfterMs?: number;
}

/** What happened to a peer. */
export type PeerEvent =
  | { readonly peer: string; readonly event: "ready" | "connection" }
  | {
    readonly peer: string;
    readonly event: "message";
    readonly recipients: readonly string[];
    readonly isAccepted: boolean;
    readonly isTls: boolean;
  };

/** The running peers. */
export class BadPeers implements AsyncDisposable {
  readonly #daemon: Daemon;

  private constructor(daemon: Daemon) {
    this.#daemon = daemon;
  }

  /** Starts all and waits until they listen. */
  static async start(namespace: Namespace, plans: readonly BadPeerPlan[]): Promise<BadPeers> {
    const folder = import.meta.dirname ?? ".";
    const program = [Deno.execPath(), "run", "--quiet", "--no-check", "-A", `--config=${folder}/../../../deno.json`];
    const words = [`${folder}/bad_peers_main.ts`, JSON.stringify(plans)];
    const peers = new BadPeers(new Daemon([...namespace.prefix, ...program, ...words]));
    try {
      await waitUntil(() => peers.events.some(({ event }) => event === "ready") || undefined, {
        what: "the bad peers to listen",
        detail: () => peers.log,
      });
      return peers;
    } catch (error) {
      await peers[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** Everything so far, in order. */
  get events(): PeerEvent[] {
    return this.log.split("\n").filter((line) => line.startsWith("{")).map((line): PeerEvent => JSON.parse(line));
  }

  /** The same as text, with what went wrong in the program itself. */
  get log(): string {
    return this.#daemon.log;
  }

  /** The peers that answered the final dot for a recipient with 250, once for each time. */
  takersOf(recipient: string): string[] {
    return this.events.flatMap((each) =>
      each.event === "message" && each.isAccepted && each.recipients.includes(recipient) ? [each.peer] : []
    );
  }

  /** Connections to a peer so far. */
  connectionsTo(peer: string): number {
    return this.events.filter((each) => each.peer === peer && each.event === "connection").length;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#daemon[Symbol.asyncDispose]();
  }
}
