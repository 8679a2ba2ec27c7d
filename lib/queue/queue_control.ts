/**
 * What an operator can ask of the queue, whether a server runs on it (`runner.ts`) or not (`stopped_queue.ts`). Every
 * method that changes a message resolves when the change is durable.
 */

/** What came of a change. `busy`: it is being delivered just now; ask again. `unknown`: there is no such message. */
export type ControlResult = "done" | "busy" | "unknown";

/** A destination as the queue sees it: an MX site, or a configured server. */
export interface DestinationStatus {
  /** As deliveries name it, e.g. `mx1.example.org`, `google`, `smtp://smarthost.example:587`. */
  readonly key: string;
  /** `suspended` by an operator, `down` (it takes nothing), `probing` (one message looks whether it is back), `limited` (fewer at a time than allowed), `open`. */
  readonly state: "suspended" | "down" | "probing" | "limited" | "open";
  /** Deliveries to it that run. */
  readonly running: number;
  /** Deliveries in memory that wait for their turn. */
  readonly waiting: number;
  /** How many may run at the same time just now. */
  readonly concurrency: number;
  /** For `down`: when it is tried again, milliseconds since 1970. */
  readonly probeMs?: number;
  /** For `down` and `probing`: since when, milliseconds since 1970. */
  readonly sinceMs?: number;
  /** For `down`, `probing` and `limited`: the reply or fault that led to it. */
  readonly reason?: string;
  /** A rate limit holds it back until then, milliseconds since 1970. */
  readonly rateLimitedUntilMs?: number;
}

/** The queue as an operator sees it. */
export interface QueueControl {
  /** Makes a message due now, also where its destination is down (it then is the probe). */
  retry(queueId: string): Promise<ControlResult>;
  /** Stops a message until it is released. */
  hold(queueId: string): Promise<ControlResult>;
  /** Lets a held message go on. */
  release(queueId: string): Promise<ControlResult>;
  /** Removes a message; nobody is told. */
  remove(queueId: string): Promise<ControlResult>;
  /** Gives up on all recipients that are pending; the sender gets a DSN with this reason. */
  fail(queueId: string, reason: string): Promise<ControlResult>;
  /** Delivers nothing more to a destination or recipient domain, until `resume`; durable. False where it was so already. */
  suspend(pattern: string, reason: string): Promise<boolean>;
  /** Ends a suspension. False where there was none. */
  resume(pattern: string): Promise<boolean>;
  /** The suspensions: pattern, reason, since when (milliseconds since 1970). */
  suspensions(): readonly { readonly pattern: string; readonly reason: string; readonly sinceMs: number }[];
  /** All destinations that something is known of; none where no server runs. */
  destinations(): readonly DestinationStatus[];
  /** The destination that a recipient domain leads to, as far as it is known without asking DNS. */
  destinationOf(address: string): string | undefined;
}
