/** One generated session: a listener, and what a client does. Plain data, so that it can be printed, shrunk and pasted. */

import type { Service } from "../../../lib/config/config.ts";

/** The listener and the world behind it. */
export interface Setup {
  readonly service: Service;
  /** The client is in `relay_from`. */
  readonly isTrusted: boolean;
  /** `implicit`: from the first octet; `fails`: STARTTLS is offered, and the handshake fails. */
  readonly tls: "none" | "starttls" | "implicit" | "fails";
  /** The client has the certificate that EXTERNAL wants. */
  readonly hasCertificate: boolean;
  /** The client may use XCLIENT. */
  readonly isProxy: boolean;
  readonly binaryMime: boolean;
  readonly bareLf: "refuse" | "repair";
  readonly senders: "own" | "any";
  /** Recipients of one account in a day; 0 for no limit. */
  readonly rate: number;
  /** What the spool does. */
  readonly spool: "works" | "full" | "fails on write" | "fails on commit";
}

/** How a client leaves, when it has sent all. */
export type Leaving =
  /** It closes its side. */
  | "hangs up"
  /** Its connection breaks. */
  | "resets"
  /** It says nothing more: the server has to end the session. */
  | "is silent"
  /** From the last step on it reads nothing more either. */
  | "is deaf"
  /** The server is told to stop meanwhile. */
  | "is told to go"
  /** The server is told to stop, and waits no longer. */
  | "is cut off";

/** A session to play. */
export interface SessionCase {
  readonly setup: Setup;
  /** Octets, one a character, that are sent when the server has answered all that was sent before. */
  readonly steps: readonly string[];
  /** Milliseconds that pass before a step; most often none. */
  readonly pauses: readonly number[];
  readonly leaving: Leaving;
}

/** What tells a listener of the most usual kind. */
export const PLAIN_MX: Setup = {
  service: "mx",
  isTrusted: false,
  tls: "starttls",
  hasCertificate: false,
  isProxy: false,
  binaryMime: false,
  bareLf: "refuse",
  senders: "own",
  rate: 0,
  spool: "works",
};
