/** Checks logins against the accounts file: throttle first, then the check, in a time that tells nothing of accounts. */

import type { Logger } from "../log/logger.ts";
import type { Account } from "../config/config.ts";
import type { Clock } from "../system/clock.ts";
import type { CheckPassword, LoginResult, SaslChannel } from "./mechanism.ts";
import type { PasswordHasher } from "./password.ts";
import type { LoginThrottle } from "./throttle.ts";

/** What slows the guessing of logins down, whatever the mechanism. */
export interface LoginGate {
  /** Shared by all sessions. */
  readonly throttle: LoginThrottle;
  /** For the waits. */
  readonly clock: Clock;
  /** Gets one line for each failure. */
  readonly logger: Logger;
}

/** What a check of a password works with. */
export interface PasswordCheck extends LoginGate {
  /** Finds the account of a login name; undefined when there is none. */
  readonly findAccount: (identity: string) => Account | undefined;
  /** Shared by all sessions. */
  readonly hasher: PasswordHasher;
}

/** How log lines name a client; also the address by which those of Unix sockets are counted. */
export function clientHost({ clientAddress }: Pick<SaslChannel, "clientAddress">): string {
  return clientAddress ?? "unix";
}

/**
 * Has a login checked when its turn comes. After failures of the account or the client it waits first, up to 30 s.
 *
 * @param identity Login name as given, whether or not there is such an account.
 * @param host Address of the client.
 * @param check Only `accepted` and `refused` count for the next waits. It logs why it refuses.
 * @param signal Ends the wait; the call then rejects with its reason.
 */
export async function checkInTurn<R extends Pick<LoginResult, "kind">>(
  identity: string,
  host: string,
  { throttle, clock, logger }: LoginGate,
  check: () => R | Promise<R>,
  signal?: AbortSignal,
): Promise<R | { readonly kind: "busy" }> {
  const turn = throttle.enter(identity, host);
  if (turn === undefined) {
    logger.warning("Login from {host} not checked: too many attempts are waiting", { host });
    return { kind: "busy" };
  }
  let kind: LoginResult["kind"] | undefined;
  try {
    if (turn.waitMs > 0) await clock.sleep(turn.waitMs, signal);
    const result = await check();
    kind = result.kind;
    return result;
  } finally {
    turn.end(kind === "accepted" ? "succeeded" : kind === "refused" ? "failed" : "abandoned");
  }
}

/** Checks passwords against the hashes of the accounts. */
export function passwordChecker(options: PasswordCheck): CheckPassword {
  return (identity, password, channel) => {
    const host = clientHost(channel);
    return checkInTurn(identity, host, options, () => checkPassword(identity, password, host, options));
  };
}

async function checkPassword(
  identity: string,
  password: string,
  host: string,
  { findAccount, hasher, logger }: PasswordCheck,
): Promise<LoginResult> {
  const account = findAccount(identity);
  const verdict = await hasher.verify(password, account?.passwordHash, identity);
  if (verdict === "busy") {
    logger.warning("Login from {host} not checked: too many passwords are being checked", { host });
    return { kind: "busy" };
  }
  if (verdict === "match" && account !== undefined) return { kind: "accepted", address: account.address };
  logRefusal(account, host, "wrong password", logger);
  return { kind: "refused" };
}

/** A name that no account has is not logged: people type their password there. */
export function logRefusal(account: Account | undefined, host: string, reason: string, logger: Logger): void {
  if (account === undefined) return logger.info("Login from {host} refused: no such account", { host });
  logger.info("Login as {account} from {host} refused: {reason}", { account: account.address, host, reason });
}
