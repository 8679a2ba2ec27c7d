/**
 * Dovecot's mechanisms as ours: what client and Dovecot say to each other is passed on as it is. Failures count with our
 * own throttle too, because Dovecot counts by address alone.
 */

import { formatIpAddress, parseIpAddress, unmapped } from "../../dns/ip_address.ts";
import { clientHost, type LoginGate } from "../authenticate.ts";
import { done, type LoginResult, type SaslChannel, type SaslMechanism, type SaslStep } from "../mechanism.ts";
import type { SaslOffer } from "../mechanisms.ts";
import { claimedName } from "./claimed_name.ts";
import type { DovecotClient } from "./client.ts";
import type { DovecotAnswer, DovecotExchange } from "./connection.ts";
import type { FailCode } from "./line.ts";

/** What logins by way of Dovecot work with. */
export interface DovecotLogins extends LoginGate {
  /** Keeps the connection to Dovecot. */
  readonly client: Pick<DovecotClient, "mechanisms" | "begin">;
  /** The mail address of a user as Dovecot names it; undefined where it has none. */
  readonly addressOf: (user: string) => string | undefined;
}

const REASONS: Readonly<Record<Exclude<FailCode, "temporary">, string>> = {
  notAuthorized: "the user may not act for the other one",
  disabled: "the user is disabled",
  expired: "the password has expired",
};

/** What can be offered now, in Dovecot's order. */
export function dovecotOffers(logins: DovecotLogins): readonly SaslOffer[] {
  return logins.client.mechanisms.map(({ name, isPlaintext }) => ({
    name,
    isUsable: (channel): boolean =>
      (channel.isTls || !isPlaintext) && (name !== "EXTERNAL" || certificateUser(channel) !== undefined),
    start: (channel): SaslMechanism => login(name, channel, logins),
  }));
}

/** One login. */
function login(name: string, channel: SaslChannel, logins: DovecotLogins): SaslMechanism {
  const host = clientHost(channel);
  let exchange: DovecotExchange | undefined;
  let identity: string | undefined;

  const inTurn = async (response: Uint8Array, ask: () => Promise<DovecotAnswer>): Promise<SaslStep> => {
    identity ??= identityOf(name, response, logins) ?? host;
    const turn = logins.throttle.enter(identity, host);
    // An empty response is no guess: it ends an exchange whose proof was seen before.
    if (response.length > 0) {
      if (turn === undefined) {
        exchange?.end();
        logins.logger.warning("Login from {host} not checked: too many attempts are waiting", { host });
        return done({ kind: "busy" });
      }
      if (turn.waitMs > 0) await logins.clock.sleep(turn.waitMs);
    }
    const answer = await ask();
    const isWrong = answer.kind === "refused" && answer.code !== "temporary";
    turn?.end(answer.kind === "accepted" ? "succeeded" : isWrong ? "failed" : "abandoned");
    return stepOf(answer, host, logins);
  };

  return {
    start: async (initial) => {
      const begun = await logins.client.begin(name);
      if (typeof begun === "string") return done({ kind: begun });
      exchange = begun;
      const ask = (): Promise<DovecotAnswer> => begun.start(name, parametersOf(channel), initial);
      return initial === undefined ? stepOf(await ask(), host, logins) : await inTurn(initial, ask);
    },
    step: async (response) => {
      const begun = exchange;
      if (begun === undefined) throw new TypeError("The exchange has not begun");
      return await inTurn(response, () => begun.respond(response));
    },
    abort: () => exchange?.end(),
  };
}

/** Whose failures a first message counts with: a user who can be named in two ways is one. */
function identityOf(mechanism: string, message: Uint8Array, { addressOf }: DovecotLogins): string | undefined {
  const name = claimedName(mechanism, message);
  return name === undefined ? undefined : addressOf(name) ?? name;
}

function stepOf(answer: DovecotAnswer, host: string, logins: DovecotLogins): SaslStep {
  return answer.kind === "challenge" ? answer : done(resultOf(answer, host, logins));
}

/** Names that nobody has are not logged: people type their password there. Dovecot can log more (`auth_verbose`). */
function resultOf(
  answer: Exclude<DovecotAnswer, { kind: "challenge" }>,
  host: string,
  { addressOf, logger }: DovecotLogins,
): LoginResult {
  switch (answer.kind) {
    case "accepted": {
      const address = answer.user === undefined ? undefined : addressOf(answer.user);
      if (address !== undefined) return { kind: "accepted", address };
      logger.warning(
        'Login from {host} refused: Dovecot accepts it, but its name for the user, "{user}", is no mail address',
        { host, user: answer.user ?? "" },
      );
      return { kind: "refused", reason: "your login name is no mail address" };
    }
    case "refused": {
      const { code } = answer;
      if (code === "temporary") {
        logger.warning("Login from {host} not checked: Dovecot has a temporary failure; its log says why", { host });
        return { kind: "unavailable" };
      }
      const reason = code === undefined ? "wrong name or password" : REASONS[code];
      logger.info("Login from {host} refused by Dovecot: {reason}", { host, reason });
      return { kind: "refused" };
    }
    case "lost":
      logger.warning("Login from {host} not checked: no answer from Dovecot", { host });
      return { kind: "unavailable" };
  }
}

/** What Dovecot is told of the connection; its own counting of failures needs the address of the client. */
function parametersOf(channel: SaslChannel): readonly string[] {
  const local = plainAddress(channel.localAddress);
  const remote = plainAddress(channel.clientAddress);
  const user = certificateUser(channel);
  return [
    "service=smtp",
    "nologin", // No process of Dovecot's will ask for this login later.
    ...(local === undefined ? [] : [`lip=${local}`]),
    ...(remote === undefined ? [] : [`rip=${remote}`]),
    ...(channel.isTls ? ["secured"] : []),
    ...(user === undefined ? [] : ["valid-client-cert", `cert_username=${user}`]),
  ];
}

/** Dovecot wants the IPv4 form where there is one, and no scope. */
function plainAddress(text: string | undefined): string | undefined {
  const octets = text === undefined ? undefined : parseIpAddress(text);
  return octets === undefined ? undefined : formatIpAddress(unmapped(octets));
}

/** Whom a verified certificate names: its one mail address. With several, nobody could say which. */
function certificateUser({ clientCertificate }: SaslChannel): string | undefined {
  const [email, ...others] = clientCertificate?.emails ?? [];
  return others.length === 0 ? email : undefined;
}
