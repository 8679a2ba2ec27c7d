/** Logins for tests of sessions: one user, all mechanisms, no waiting, and nothing random. */

import { getLogger } from "@logtape/logtape";
import type { Account } from "../../lib/config/config.ts";
import type { LoginResult } from "../../lib/sasl/mechanism.ts";
import { passwordOffers, type SaslServer, saslServer } from "../../lib/sasl/mechanisms.ts";
import { externalOffer } from "../../lib/sasl/external.ts";
import { bearerOffers } from "../../lib/sasl/oauth/mechanisms.ts";
import { scramOffers } from "../../lib/sasl/scram/offers.ts";
import { formatVerifier, makeVerifier } from "../../lib/sasl/scram/verifier.ts";
import { LoginThrottle } from "../../lib/sasl/throttle.ts";
import { type Clock, systemClock } from "../../lib/system/clock.ts";

/** Her password is that of every test of sessions. */
export const ALICE = { address: "alice@example.org", password: "correct horse" };

const salt = new TextEncoder().encode("0123456789abcdef");
const alice: Account = {
  address: ALICE.address,
  scram: formatVerifier(await makeVerifier(ALICE.password, salt, 4096)),
  certificates: ["ab".repeat(32)],
};
const clock: Clock = { ...systemClock, sleep: () => Promise.resolve() };
const logger = getLogger(["test"]);

/**
 * Knows alice. `busy` and `down` are names whose passwords, and tokens that, cannot be checked; `good` is her token. The server's part of a nonce is `AAAA…`.
 *
 * @param wanted As `auth.mechanisms`.
 */
export function testLogins(wanted: readonly string[] = ["PLAIN", "LOGIN"]): SaslServer {
  const findAccount = (identity: string): Account | undefined => identity === ALICE.address ? alice : undefined;
  const offers = [
    externalOffer({
      accountsOf: ({ sha256 }) => alice.certificates?.includes(sha256) === true ? [alice] : [],
      findAccount,
      logger,
    }),
    ...scramOffers({
      throttle: new LoginThrottle({ clock }),
      clock,
      logger,
      findAccount,
      canonicalName: (identity) => identity,
      decoys: () => [],
      secret: new Uint8Array(32),
      randomOctets: () => {},
      isUsable: () => true,
    }),
    ...passwordOffers(checkPassword),
    ...tokenOffers,
  ];
  return saslServer(() => offers, () => wanted);
}

function checkPassword(identity: string, password: string): Promise<LoginResult> {
  if (identity === "busy") return Promise.resolve({ kind: "busy" });
  if (identity === "down") return Promise.resolve({ kind: "unavailable" });
  const isRight = identity === ALICE.address && password === ALICE.password;
  return Promise.resolve(isRight ? { kind: "accepted", address: identity } : { kind: "refused" });
}

const tokenOffers = bearerOffers(({ token }) => {
  if (token === "busy") return Promise.resolve({ kind: "busy" });
  if (token === "down") return Promise.resolve({ kind: "unavailable" });
  const isRight = token === "good";
  return Promise.resolve(
    isRight ? { kind: "accepted", address: ALICE.address } : { kind: "refused", error: "invalid_token" },
  );
}, { issuer: "https://login.test", scopes: ["mail"] });
