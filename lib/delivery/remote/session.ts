/** Brings a connection to the point where transactions can begin: greeting, EHLO, TLS, login. */

import type { Logger } from "../../log/logger.ts";
import type { Outcome } from "../../mail/outcome.ts";
import { authenticate, type Login } from "../../smtp/client/authenticate.ts";
import { ClientError } from "../../smtp/client/client_error.ts";
import { SmtpConnection } from "../../smtp/client/connection.ts";
import type { TimeLimits } from "../../smtp/client/time_limits.ts";
import { replyText } from "../../smtp/client/reply_parser.ts";
import type { WireTls } from "../../smtp/client/wire.ts";
import type { Reply } from "../../smtp/reply.ts";
import type { Clock } from "../../system/clock.ts";
import { faultOutcome, ownOutcome, type Peer, refusalOutcome } from "./outcomes.ts";
import { isLoopback, type RemoteHost } from "./remote_host.ts";
import { daneJudge } from "./dane.ts";
import type { TlsMemory } from "./tls_memory.ts";
import type { TlsPolicy } from "./tls_policy.ts";
import { failureOf, type TlsResult, type TlsResults } from "./tls_results.ts";

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
  | { readonly kind: "unusable"; readonly outcome: Outcome };

/** Carries the fault of a TLS attempt that may be repeated in the clear. */
type AttemptResult = SessionResult | { readonly kind: "tlsFailed"; readonly error: ClientError };

/**
 * Opens a session. Whatever the host says at greeting or EHLO, 5yz too, only means that it cannot be used now: that is
 * about the host and not about a recipient (so does Postfix, `smtp_skip_5xx_greeting`).
 *
 * @param onConnection Told of each connection as it is made, so that a shutdown can stop it.
 */
export async function openSession(
  host: RemoteHost,
  plan: SessionPlan,
  options: SessionOptions,
  onConnection: (connection: SmtpConnection) => void,
): Promise<SessionResult> {
  const { logger, memory } = options;
  const { name } = host;
  let fault: ClientError | undefined;
  for (const policy of ladder(plan.policy, name, memory)) {
    // What failed for another reason than the certificate fails with any certificate.
    if (fault?.fault === "tls" && policy.use !== "off") continue;
    const result = await attempt(host, { ...plan, policy }, options, onConnection);
    if (result.kind !== "tlsFailed") {
      if (result.kind === "open" && policy.use === "off" && fault !== undefined) memory.failed(name, fault.message);
      return result;
    }
    fault = result.error;
    logger.info("TLS with {host} failed, going on without: {reason}", { host: name, reason: fault.message });
  }
  throw new TypeError("The last step must not be opportunistic");
}

/** Opportunistic TLS step by step down to none; whatever is required has one step. */
function ladder(policy: TlsPolicy, name: string, memory: TlsMemory): readonly TlsPolicy[] {
  if (policy.use !== "opportunistic" || policy.isImplicit) return [policy];
  const clear: TlsPolicy = { ...policy, use: "off" };
  if (policy.proof.kind === "none") return memory.isHopeless(name) ? [clear] : [policy, clear];
  // Without the proof it is no success, and the failure is counted already.
  const { published: _, ...uncounted } = policy;
  return [policy, { ...uncounted, proof: { kind: "none" } }, clear];
}

async function attempt(
  host: RemoteHost,
  plan: SessionPlan,
  options: SessionOptions,
  onConnection: (connection: SmtpConnection) => void,
): Promise<AttemptResult> {
  const { hostname, limits, clock } = options;
  const connection = new SmtpConnection({ address: host.address, protocol: plan.protocol, hostname, limits, clock });
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
    if (isTlsFault) record(host, plan, options, { failure: failureOf(error), reason: error.message });
    // RFC 7435 §3: opportunistic TLS that fails is no worse than none.
    if (isTlsFault && use === "opportunistic" && !isImplicit) return { kind: "tlsFailed", error };
    return {
      kind: "unusable",
      outcome: faultOutcome(error, "waiting for the greeting or the reply to EHLO", { host }),
    };
  }
}

/** Returns why the host cannot be used, if so. */
async function prepare(
  connection: SmtpConnection,
  host: RemoteHost,
  plan: SessionPlan,
  options: SessionOptions,
): Promise<Outcome | undefined> {
  const { policy, login } = plan;
  const tls = wireTls(host, policy, options);
  const greeting = await connection.open(policy.isImplicit ? tls : undefined);
  if (greeting.code !== 220) return refusalOutcome(greeting, { host });
  let hello = await connection.hello();
  if (hello.code === 250 && policy.use !== "off" && !policy.isImplicit) {
    const offer = connection.extensions.startTls ? await connection.startTls(tls) : undefined;
    if (offer?.isTls) hello = offer.reply;
    const outcome = noteStartTls(offer, host, plan, options);
    if (outcome !== undefined) return outcome;
  }
  const peer = { host, tls: connection.tlsInfo };
  if (hello.code !== 250) return refusalOutcome(hello, peer);
  if (policy.needsRequireTls && !connection.extensions.requireTls) {
    return ownOutcome("failed", "5.7.30", `${host.name} does not offer REQUIRETLS, which the sender demands`, peer);
  }
  return login === undefined ? undefined : await logIn(connection, login, peer);
}

/** What became of STARTTLS; returns why the host cannot be used, if so. `offer` is undefined where it offers none. */
function noteStartTls(
  offer: { readonly isTls: boolean; readonly reply: Reply } | undefined,
  host: RemoteHost,
  plan: SessionPlan,
  options: SessionOptions,
): Outcome | undefined {
  const { use, demand } = plan.policy;
  if (offer?.isTls) {
    options.memory.worked(host.name);
    record(host, plan, options, {});
    return undefined;
  }
  const reason = offer === undefined ? "STARTTLS is not offered" : `STARTTLS is refused: ${replyText(offer.reply)}`;
  record(host, plan, options, { failure: "starttls-not-supported", reason });
  if (use !== "required") {
    options.memory.missed(host.name);
    return undefined;
  }
  if (offer !== undefined) return refusalOutcome(offer.reply, { host });
  const why = demand === undefined ? "" : ` by ${demand}`;
  return ownOutcome("delayed", "4.7.5", `TLS is required${why}, but ${host.name} does not offer STARTTLS`, { host });
}

/** What the handshake has to show. */
function wireTls({ name }: RemoteHost, { proof }: TlsPolicy, { caCertificates, clock }: SessionOptions): WireTls {
  const common = caCertificates === undefined ? {} : { caCertificates };
  switch (proof.kind) {
    case "none":
      return { ...common, name, isVerified: false };
    case "certificate":
      return { ...common, name, isVerified: true, proof: proof.label };
    case "dane": {
      const judge = daneJudge(proof.tlsa, proof.names, () => clock.now());
      return { ...common, name: proof.base, isVerified: false, judge, proof: "DANE" };
    }
  }
}

function record(
  { name, address }: RemoteHost,
  { policy: { published }, domain }: SessionPlan,
  { results }: SessionOptions,
  result: Pick<TlsResult, "failure" | "reason">,
): void {
  if (published === undefined) return;
  const receivingIp = "host" in address ? { receivingIp: address.host } : {};
  results.record({ recipientDomain: domain, policy: published, mxHost: name, ...receivingIp, ...result });
}

/** A login that fails is for an operator to mend: mail waits (so does Postfix, `smtp_sasl_auth_soft_bounce`). */
async function logIn(connection: SmtpConnection, login: Login, peer: Peer): Promise<Outcome | undefined> {
  const { name, address } = peer.host;
  if (connection.tlsInfo === undefined && !isLoopback(address)) {
    return ownOutcome("delayed", "4.7.11", `Cannot log in at ${name}: the password is sent under TLS only`, peer);
  }
  const result = await authenticate(connection, login);
  if (result.kind === "ok") return undefined;
  if (result.kind === "refused") return refusalOutcome(result.reply, peer);
  return ownOutcome("delayed", "4.7.0", `Cannot log in at ${name}: it offers neither AUTH PLAIN nor AUTH LOGIN`, peer);
}
