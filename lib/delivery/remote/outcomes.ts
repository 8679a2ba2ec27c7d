/** Turns replies and faults of a peer into outcomes. */

import type { Action, Outcome, ReplyClass, ReplyStage } from "../../mail/outcome.ts";
import type { ClientError } from "../../smtp/client/client_error.ts";
import { replyText } from "../../smtp/client/reply_parser.ts";
import type { Stage, StageReply } from "../../smtp/client/transaction.ts";
import { formatReply, type Reply } from "../../smtp/reply.ts";
import { classifyReply } from "../reply_classes/classify.ts";
import { addressText, type RemoteHost } from "./remote_host.ts";

/** Lines of a reply that are kept, and characters of each. */
const MAX_LINES = 20;
const MAX_LINE = 500;

/** Who answered, for {@linkcode Outcome}. */
export interface Peer {
  /** The host that was tried. */
  readonly host: RemoteHost;
  /** TLS protocol and cipher of the connection. */
  readonly tls?: string | undefined;
  /** It offers DSN, so it gets the DSN parameters. */
  readonly offersDsn?: boolean;
  /** It offers STARTTLS, and the connection is in the clear. */
  readonly offersTls?: boolean;
}

/** Our own words about a recipient. */
export function ownOutcome(action: "delayed" | "failed", status: string, text: string, peer?: Peer): Outcome {
  return { action, status, text, isRemoteReply: false, ...peerFields(peer) };
}

/**
 * What a reply means for a recipient. 552 to RCPT is transient: it used to say "too many recipients"
 * (RFC 5321 §4.5.3.1.10), unless its status says that the mailbox is full (RFC 3463 §3.3), as Dovecot's does. 530 asks for TLS (RFC 3207 §4), which did not come about this time. 2yz means success after the
 * end of data only. What makes no sense is `delayed`.
 *
 * @param success The action of 2yz: `relayed`, or `delivered` for LMTP.
 */
export function replyOutcome({ stage, reply }: StageReply, success: Action, peer: Peer): Outcome {
  const isFull = stage === "rcpt" && reply.code === 552 && reply.enhanced !== "5.2.2";
  const first = Math.floor(reply.code / 100);
  if (first === 2 && stage === "dot") {
    return { ...remoteOutcome(success, 2, reply, peer), ...(peer.offersDsn && { isDsnPassedOn: true }) };
  }
  const wantsTls = reply.code === 530 && peer.offersTls === true;
  if (first === 5 && !isFull && !wantsTls) return refusal("failed", reply, peer, stage);
  return refusal("delayed", reply, peer, stage);
}

/**
 * A reply that keeps the message from this host, whatever its code: another host or a later attempt may do better.
 *
 * @param stage What it answers, where that is known.
 */
export function refusalOutcome(reply: Reply, peer: Peer, stage?: ReplyStage): Outcome {
  return refusal("delayed", reply, peer, stage);
}

/** A reply that is no success: what it is about, and all that the sender may want to read of it. */
function refusal(action: "failed" | "delayed", reply: Reply, peer: Peer, stage: ReplyStage | undefined): Outcome {
  const outcome = remoteOutcome(action, action === "failed" ? 5 : 4, reply, peer);
  const replyClass = classifyReply(outcome.text);
  return {
    ...outcome,
    ...(stage === undefined ? {} : { stage }),
    ...(reply.lines.length > 1 && { replyLines: linesOf(reply) }),
    ...(replyClass === undefined ? {} : { replyClass }),
    ...(action === "delayed" && isPushback(reply, replyClass, stage) && { destination: "pushback" }),
  };
}

/** RFC 5321 §4.2.2: 421 is about the host; so is what it says before it knows the message. */
function isPushback({ code }: Reply, replyClass: ReplyClass | undefined, stage: ReplyStage | undefined): boolean {
  // Some greylist with 421: the next message may well be taken.
  if (replyClass === "greylisting" || replyClass === "mailboxFull") return false;
  if (code === 421 || replyClass === "rate") return true;
  if (stage === "greeting") return true;
  if (stage !== "hello") return false;
  return code < 500 || replyClass === "block" || replyClass === "reputation";
}

function linesOf(reply: Reply): string[] {
  const lines = formatReply(reply).trimEnd().split("\r\n");
  return lines.slice(0, MAX_LINES).map((line) => line.replace(/[\s\p{Cc}]+/gu, " ").trim().slice(0, MAX_LINE));
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
    ...peerFields(peer),
  };
}

function peerFields(peer: Peer | undefined): Pick<Outcome, "remoteMta" | "remoteAddress" | "tls"> {
  if (peer === undefined) return {};
  const { host: { name, address }, tls } = peer;
  return { remoteMta: name, remoteAddress: addressText(address), ...(tls === undefined ? {} : { tls }) };
}
