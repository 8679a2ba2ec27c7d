/** Turns replies and faults of a peer into outcomes. */

import type { Action, Outcome } from "../../mail/outcome.ts";
import type { ClientError } from "../../smtp/client/client_error.ts";
import { replyText } from "../../smtp/client/reply_parser.ts";
import type { Stage, StageReply } from "../../smtp/client/transaction.ts";
import type { Reply } from "../../smtp/reply.ts";
import { addressText, type RemoteHost } from "./remote_host.ts";

/** Who answered, for {@linkcode Outcome}. */
export interface Peer {
  /** The host that was tried. */
  readonly host: RemoteHost;
  /** TLS protocol and cipher of the connection. */
  readonly tls?: string | undefined;
  /** It offers DSN, so it gets the DSN parameters. */
  readonly offersDsn?: boolean;
}

/** Our own words about a recipient. */
export function ownOutcome(action: "delayed" | "failed", status: string, text: string, peer?: Peer): Outcome {
  return { action, status, text, isRemoteReply: false, ...peerFields(peer) };
}

/**
 * What a reply means for a recipient. 552 to RCPT is transient: it used to say "too many recipients"
 * (RFC 5321 §4.5.3.1.10). 2yz means success after the end of data only. What makes no sense is `delayed`.
 *
 * @param success The action of 2yz: `relayed`, or `delivered` for LMTP.
 */
export function replyOutcome({ stage, reply }: StageReply, success: Action, peer: Peer): Outcome {
  const isFull = stage === "rcpt" && reply.code === 552;
  const first = Math.floor(reply.code / 100);
  if (first === 2 && stage === "dot") {
    return { ...remoteOutcome(success, 2, reply, peer), ...(peer.offersDsn && { isDsnPassedOn: true }) };
  }
  if (first === 5 && !isFull) return remoteOutcome("failed", 5, reply, peer);
  return remoteOutcome("delayed", 4, reply, peer);
}

/** A reply that keeps the message from this host, whatever its code: another host or a later attempt may do better. */
export function refusalOutcome(reply: Reply, peer: Peer): Outcome {
  return remoteOutcome("delayed", 4, reply, peer);
}

/** What a fault of the connection means; nothing permanent. `doing` completes "… while". */
export function faultOutcome(error: ClientError, doing: string, peer: Peer): Outcome {
  const where = `${peer.host.name} (${addressText(peer.host.address)})`;
  switch (error.fault) {
    case "connect":
      return ownOutcome("delayed", "4.4.1", `Cannot connect to ${where}: ${error.message}`, peer);
    case "local":
      return ownOutcome("delayed", "4.3.5", `Cannot connect to ${where}: ${error.message}`, peer);
    case "timeout":
    case "closed":
      return ownOutcome("delayed", "4.4.2", `Lost the connection to ${where} while ${doing}: ${error.message}`, peer);
    case "protocol":
      return ownOutcome("delayed", "4.5.0", `Cannot understand ${where} while ${doing}: ${error.message}`, peer);
    case "tls":
      return ownOutcome("delayed", "4.7.5", `Cannot make a TLS connection to ${where}: ${error.message}`, peer);
    case "certificate":
      return ownOutcome("delayed", "4.7.5", `Cannot verify the certificate of ${where}: ${error.message}`, peer);
    case "aborted":
      return ownOutcome("delayed", "4.3.2", `Stopped while ${doing}, because the server shuts down`, peer);
    case "content":
      // The reason names our files: it is for the log, not for senders.
      return ownOutcome("delayed", "4.3.0", "The message cannot be read on our side");
  }
}

/** What was going on at a stage, as the end of a sentence. */
export function stageText(stage: Stage): string {
  switch (stage) {
    case "mail":
      return "waiting for the reply to MAIL";
    case "rcpt":
      return "waiting for the reply to RCPT";
    case "data":
      return "waiting for the reply to DATA";
    case "content":
      return "sending the message";
    case "dot":
      return "waiting for the reply to the end of data";
  }
}

function remoteOutcome(action: Action, statusClass: 2 | 4 | 5, reply: Reply, peer: Peer): Outcome {
  const detail = reply.enhanced?.slice(1) ?? ".0.0";
  return {
    action,
    status: `${statusClass}${detail}`,
    text: replyText(reply),
    isRemoteReply: true,
    ...(reply.code === 421 ? { destination: "pushback" as const } : {}),
    ...peerFields(peer),
  };
}

function peerFields(peer: Peer | undefined): Pick<Outcome, "remoteMta" | "remoteAddress" | "tls"> {
  if (peer === undefined) return {};
  const { host: { name, address }, tls } = peer;
  return { remoteMta: name, remoteAddress: addressText(address), ...(tls === undefined ? {} : { tls }) };
}
