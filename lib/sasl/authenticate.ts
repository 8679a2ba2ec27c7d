/** Checks a login: throttle, then password, in a time that does not tell whether the account exists. */

import type { Logger } from "../log/logger.ts";
import type { Account } from "../config/config.ts";
import type { Clock } from "../system/clock.ts";
import type { Credentials } from "./mechanism.ts";
import type { PasswordHasher } from "./password.ts";
import type { LoginThrottle } from "./throttle.ts";

/** What a check of a login works with. */
export interface Authentication {
  /** Finds the account of a login name; undefined when there is none. */
  readonly findAccount: (identity: string) => Account | undefined;
  /** Shared by all sessions. */
  readonly hasher: PasswordHasher;
  /** Shared by all sessions. */
  readonly throttle: LoginThrottle;
  /** For the waits. */
  readonly clock: Clock;
  /** Gets one line for each failure. */
  readonly logger: Logger;
}

/** The result: 235 2.7.0, 535 5.7.8 and 454 4.7.0 (RFC 4954 §6). */
export type LoginResult =
  | { readonly kind: "accepted"; readonly account: Account }
  | { readonly kind: "refused" }
  | { readonly kind: "busy" };

/**
 * Checks name and password. After failures it waits first, up to 30 s.
 *
 * @param host Address of the client.
 * @param signal Ends the wait; the call then rejects with its reason.
 */
export async function authenticate(
  { identity, password }: Credentials,
  host: string,
  { findAccount, hasher, throttle, clock, logger }: Authentication,
  signal?: AbortSignal,
): Promise<LoginResult> {
  const turn = throttle.enter(identity, host);
  if (turn === undefined) {
    logger.warning("Login from {host} not checked: too many attempts are waiting", { host });
    return { kind: "busy" };
  }
  let result: "succeeded" | "failed" | "abandoned" = "abandoned";
  try {
    if (turn.waitMs > 0) await clock.sleep(turn.waitMs, signal);
    const account = findAccount(identity);
    const verdict = await hasher.verify(password, account?.passwordHash);
    if (verdict === "busy") {
      logger.warning("Login from {host} not checked: too many passwords are being checked", { host });
      return { kind: "busy" };
    }
    if (verdict === "match" && account !== undefined) {
      result = "succeeded";
      return { kind: "accepted", account };
    }
    result = "failed";
    // A name that no account has is not logged: people type their password there.
    if (account === undefined) logger.info("Login from {host} refused: no such account", { host });
    else logger.info("Login as {account} from {host} refused: wrong password", { account: account.address, host });
    return { kind: "refused" };
  } finally {
    turn.end(result);
  }
}
