/** Brings a connection to the point where transactions can begin: greeting, EHLO, TLS, login. */

import type { Logger } from "../../log/logger.ts";
import type { Outcome } from "../../mail/outcome.ts";
import { authenticate, type Login } from "../../smtp/client/authenticate.ts";
import { ClientError, type ClientFault } from "../../smtp/client/client_error.ts";
import { SmtpConnection } from "../../smtp/client/connection.ts";
import type { TimeLimits } from "../../smtp/client/time_limits.ts";
import type { Wire } from "../../smtp/client/wire.ts";
import { type ClientFacts, introduceClient } from "../../smtp/client/xclient.ts";
import type { Clock } from "../../system/clock.ts";
import { faultOutcome, ownOutcome, type Peer, refusalOutcome } from "./outcomes.ts";
import { isLoopback, type RemoteHost } from "./remote_host.ts";
import type { TlsPolicy } from "./tls_policy.ts";

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
}

/** What the next hop asks of a session. */
export interface SessionPlan {
  /** What the host speaks. */
  readonly protocol: "smtp" | "lmtp";
  /** How TLS is used. */
  readonly policy: TlsPolicy;
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
  const result = await attempt(host, plan, options, onConnection, wire);
  if (result.kind !== "tlsFailed") return result;
  options.logger.info("TLS with {host} failed, going on without: {reason}", {
    host: host.name,
    reason: result.error.message,
  });
  const clear: SessionPlan = { ...plan, policy: { ...plan.policy, use: "off" } };
  const second = await attempt(host, clear, options, onConnection);
  return second.kind === "tlsFailed"
    ? { kind: "unusable", outcome: faultOutcome(second.error, "connecting", { host }) }
    : second;
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
    if (outcome === undefined) return { kind: "open", session: { host, connection, openedMs: clock.monotonic() } };
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
    // RFC 7435 §3: opportunistic TLS that fails is no worse than none.
    if (isTlsFault && use === "opportunistic" && !isImplicit) return { kind: "tlsFailed", error };
    return {
      kind: "unusable",
      outcome: faultOutcome(error, "waiting for the greeting or the reply to EHLO", { host }),
      isSilent: !connection.hasGreeted && SILENCES.has(error.fault),
    };
  }
}

/** Returns why the host cannot be used, if so. */
async function prepare(
  connection: SmtpConnection,
  host: RemoteHost,
  { policy, login, client }: SessionPlan,
  { caCertificates }: SessionOptions,
): Promise<Outcome | undefined> {
  const tls = {
    name: host.name,
    isVerified: policy.use === "required",
    ...(caCertificates === undefined ? {} : { caCertificates }),
  };
  const greeting = await connection.open(policy.isImplicit ? tls : undefined);
  if (greeting.code !== 220) return refusalOutcome(greeting, { host }, "greeting");
  let hello = await connection.hello();
  if (hello.code === 250 && policy.use !== "off" && !policy.isImplicit) {
    if (connection.extensions.startTls) {
      const { isTls, reply } = await connection.startTls(tls);
      if (!isTls && policy.use === "required") return refusalOutcome(reply, { host }, "startTls");
      if (isTls) hello = reply;
    } else if (policy.use === "required") {
      return ownOutcome("delayed", "4.7.5", `TLS is required, but ${host.name} does not offer STARTTLS`, { host });
    }
  }
  const peer = { host, tls: connection.tlsInfo };
  if (hello.code !== 250) return refusalOutcome(hello, peer, "hello");
  if (policy.needsRequireTls && !connection.extensions.requireTls) {
    return ownOutcome("failed", "5.7.30", `${host.name} does not offer REQUIRETLS, which the sender demands`, peer);
  }
  const refusal = client === undefined ? undefined : await introduceClient(connection, client);
  // Without it the server would take the message for ours, and trust it.
  if (refusal !== undefined) return refusalOutcome(refusal, peer);
  return login === undefined ? undefined : await logIn(connection, login, peer);
}

/** A login that fails is for an operator to mend: mail waits (so does Postfix, `smtp_sasl_auth_soft_bounce`). */
async function logIn(connection: SmtpConnection, login: Login, peer: Peer): Promise<Outcome | undefined> {
  const { name, address } = peer.host;
  if (connection.tlsInfo === undefined && !isLoopback(address)) {
    return ownOutcome("delayed", "4.7.11", `Cannot log in at ${name}: the password is sent under TLS only`, peer);
  }
  const result = await authenticate(connection, login);
  if (result.kind === "ok") return undefined;
  if (result.kind === "refused") return refusalOutcome(result.reply, peer, "login");
  return ownOutcome("delayed", "4.7.0", `Cannot log in at ${name}: it offers neither AUTH PLAIN nor AUTH LOGIN`, peer);
}
