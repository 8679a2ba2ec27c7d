/** Puts the checking of logins together: mechanisms, accounts, and what slows guessing down. */

import type { Logger } from "../log/logger.ts";
import { type PasswordCheck, passwordChecker } from "../sasl/authenticate.ts";
import { passwordOffers, type SaslOffer, type SaslServer, saslServer } from "../sasl/mechanisms.ts";
import { PasswordHasher } from "../sasl/password.ts";
import { LoginThrottle } from "../sasl/throttle.ts";
import type { Clock } from "../system/clock.ts";
import type { Live } from "./live.ts";

/** What logins are made from. */
export interface LoginsOptions {
  /** The configuration now; a reload changes what it returns. */
  readonly live: () => Live;
  /** For the waits. */
  readonly clock: Clock;
  /** Gets one line for each failure. */
  readonly logger: Logger;
}

/** Makes what sessions log in with. */
export function makeLogins({ live, clock, logger }: LoginsOptions): SaslServer {
  const check: PasswordCheck = {
    findAccount: (identity) => live().router.findAccount(identity),
    hasher: new PasswordHasher(),
    throttle: new LoginThrottle({ clock }),
    clock,
    logger,
  };
  const offers: readonly SaslOffer[] = passwordOffers(passwordChecker(check));
  return saslServer(() => offers, () => live().config.auth.mechanisms);
}
