/** Brings a connection to the point where transactions can begin: greeting, EHLO, TLS, login. */

import type { Logger } from "../../log/logger.ts";
import type { Outcome } from "../../mail/outcome.ts";
import { authenticate, type Login } from "../../smtp/client/authenticate.ts";
import { ClientError, type ClientFault } from "../../smtp/client/client_error.ts";
import { SmtpConnection } from "../../smtp/client/connection.ts";
import { replyText } from "../../smtp/client/reply_parser.ts";
import type { TimeLimits } from "../../smtp/client/time_limits.ts";
import type { Wire } from "../../smtp/client/wire.ts";
import { type ClientFacts, introduceClient } from "../../smtp/client/xclient.ts";
import type { Reply } from "../../smtp/reply.ts";
import type { Clock } from "../../system/clock.ts";
import { faultOutcome, ownOutcome, type Peer, refusalOutcome } from "./outcomes.ts";
import { isLoopback, type RemoteHost } from "./remote_host.ts";
import { dependsOnDomain, noteStartTls, recordTls, tlsSteps, wireTls } from "./session_tls.ts";
import type { TlsMemory } from "./tls_memory.ts";
import type { TlsPolicy } from "./tls_policy.ts";
import { failureOf, type TlsResults } from "./tls_results.ts";

/** What all sessions share. */
export interface SessionOptions {
  /** Our name for EHLO. */
  readonly hostname: string;
  /** How long a peer may take. */
  readonly limits: TimeLimits;
  /** For the time limits. */
  readonly clock: Clock;
  /** For TLS that failed and was done without. */
  readonly logger: Logger;
  /** PEM; default: the authorities that the runtime trusts. */
  readonly caCertificates?: readonly string[];
  /** How TLS went with hosts before. */
  readonly memory: TlsMemory;
  /** Takes what became of TLS. */
  readonly results: TlsResults;
}

/** What the next hop asks of a session. */
export interface SessionPlan {
  /** What the host speaks. */
  readonly protocol: "smtp" | "lmtp";
  /** How TLS is used. */
  readonly policy: TlsPolicy;
  /** The domain of the recipients, for the reports. */
  readonly domain: string;
  /** The account at a smarthost. */
  readonly login?: Login;
  /** The server is told, where it offers XCLIENT, that it has to do with this client. */
  readonly client?: ClientFacts;
}

/** A host with an open connection. */
export interface Session {
  /** Where it leads. */
  readonly host: RemoteHost;
  /** Ready for transactions. */
  readonly connection: SmtpConnection;
  /** Monotonic milliseconds. */
  readonly openedMs: number;
  /** What the host has proved, or was let off, was so for this domain: mail for another must not use the connection. */
  readonly isOfDomain?: boolean;
}

/** What came of it; `unusable` comes with the outcome for recipients that no other host takes either. */
export type SessionResult =
  | { readonly kind: "open"; readonly session: Session }
  | {
    readonly kind: "unusable";
    readonly outcome: Outcome;
    /** It said nothing at all, not even a greeting. */
    readonly isSilent?: boolean;
  };

/** Carries the fault of a TLS attempt that may be repeated in the clear. */
type AttemptResult = SessionResult | { readonly kind: "tlsFailed"; readonly error: ClientError };

/**
 * Opens a session. Whatever the host says at greeting or EHLO, 5yz too, only means that it cannot be used now: that is
 * about the host and not about a recipient (so does Postfix, `smtp_skip_5xx_greeting`).
 *
 * @param onConnection Told of each connection as it is made, so that a shutdown can stop it.
 * @param wire Connected to the host already; absent: a new connection.
 */
export async function openSession(
  host: RemoteHost,
  plan: SessionPlan,
  options: SessionOptions,
  onConnection: (connection: SmtpConnection) => void,
  wire?: Wire,
): Promise<SessionResult> {
  const { logger, memory } = options;
  const { name } = host;
  let fault: ClientError | undefined;
  let left = wire;
  for (const policy of tlsSteps(plan.policy, name, memory)) {
    // What failed for another reason than the certificate fails with any certificate.
    if (fault?.fault === "tls" && policy.use !== "off") continue;
    const result = await attempt(host, { ...plan, policy }, options, onConnection, left);
    left = undefined;
    if (result.kind !== "tlsFailed") {
      if (result.kind === "open" && policy.use === "off" && fault !== undefined) memory.failed(name, fault.message);
      return result;
    }
    fault = result.error;
    logger.info("TLS with {host} failed, going on without: {reason}", { host: name, reason: fault.message });
  }
  throw new TypeError("The last step must not be opportunistic");
}

/** Faults that leave open whether there is a mail server at all. */
const SILENCES: ReadonlySet<ClientFault> = new Set(["connect", "timeout", "closed"]);

async function attempt(
  host: RemoteHost,
  plan: SessionPlan,
  options: SessionOptions,
  onConnection: (connection: SmtpConnection) => void,
  wire?: Wire,
): Promise<AttemptResult> {
  const { hostname, limits, clock } = options;
  const { protocol } = plan;
  const connection = new SmtpConnection({
    address: host.address,
    protocol,
    hostname,
    limits,
    clock,
    ...(wire && { wire }),
  });
  onConnection(connection);
  try {
    const outcome = await prepare(connection, host, plan, options);
    if (outcome === undefined) {
      const isOfDomain = dependsOnDomain(plan.policy);
      return { kind: "open", session: { host, connection, openedMs: clock.monotonic(), isOfDomain } };
    }
    await connection.quit();
    return { kind: "unusable", outcome };
  } catch (error) {
    if (!(error instanceof ClientError)) {
      connection.fail(new ClientError("closed", "Connection is closed"));
      throw error;
    }
    connection.fail(error);
    const { use, isImplicit } = plan.policy;
    const isTlsFault = error.fault === "tls" || error.fault === "certificate";
    if (isTlsFault) recordTls(host, plan, options, { failure: failureOf(error), reason: error.message });
    // RFC 7435 §3: opportunistic TLS that fails is no worse than none.
    if (isTlsFault && use === "opportunistic" && !isImplicit) return { kind: "tlsFailed", error };
    return {
      kind: "unusable",
      outcome: lostOutcome(connection, error, { host }),
      isSilent: !connection.hasGreeted && SILENCES.has(error.fault),
    };
  }
}

/** A peer that closes has often said why (RFC 5321 §3.8). */
function lostOutcome(connection: SmtpConnection, error: ClientError, peer: Peer): Outcome {
  const last = connection.farewell ?? connection.bufferedReply();
  return last !== undefined && last.code >= 400
    ? refusalOutcome(last, peer)
    : faultOutcome(error, connection.doing, peer);
}

/** Returns why the host cannot be used, if so. */
async function prepare(
  connection: SmtpConnection,
  host: RemoteHost,
  plan: SessionPlan,
  options: SessionOptions,
): Promise<Outcome | undefined> {
  const { policy, login, client } = plan;
  const tls = wireTls(host, policy, options);
  const greeting = await connection.open(policy.isImplicit ? tls : undefined);
  if (greeting.code !== 220) return refused(greeting, { host }, "greeting");
  let hello = await connection.hello();
  if (hello.code === 250 && policy.use !== "off" && !policy.isImplicit) {
    const offer = connection.extensions.startTls ? await connection.startTls(tls) : undefined;
    if (offer?.isTls) hello = offer.reply;
    const outcome = noteStartTls(offer, host, plan, options);
    if (outcome !== undefined) return outcome;
  }
  const peer = { host, tls: connection.tlsInfo };
  if (hello.code !== 250) return refused(hello, peer, "hello");
  if (client !== undefined) connection.doing = "waiting for the reply to XCLIENT";
  const refusal = client === undefined ? undefined : await introduceClient(connection, client);
  // Without it the server would take the message for ours, and trust it.
  if (refusal !== undefined) return refusalOutcome(refusal, peer);
  // What it offers now is what counts, after the last EHLO.
  if (policy.needsRequireTls && !connection.extensions.requireTls) {
    return ownOutcome("failed", "5.7.30", `${host.name} does not offer REQUIRETLS, which the sender demands`, peer);
  }
  return login === undefined ? undefined : await logIn(connection, login, peer);
}

/** What is neither a refusal nor the answer that was waited for answers something else. */
function refused(reply: Reply, peer: Peer, stage: "greeting" | "hello"): Outcome {
  if (reply.code >= 400) return refusalOutcome(reply, peer, stage);
  throw new ClientError("protocol", `Peer answered with ${replyText(reply)}`);
}

/** A login that fails is for an operator to mend: mail waits (so does Postfix, `smtp_sasl_auth_soft_bounce`). */
async function logIn(connection: SmtpConnection, login: Login, peer: Peer): Promise<Outcome | undefined> {
  const { name, address } = peer.host;
  if (connection.tlsInfo === undefined && !isLoopback(address)) {
    return ownOutcome("delayed", "4.7.11", `Cannot log in at ${name}: the password is sent under TLS only`, peer);
  }
  connection.doing = "logging in";
  const result = await authenticate(connection, login);
  if (result.kind === "ok") return undefined;
  if (result.kind === "refused") return refusalOutcome(result.reply, peer, "login");
  return ownOutcome("delayed", "4.7.0", `Cannot log in at ${name}: it offers neither AUTH PLAIN nor AUTH LOGIN`, peer);
}
