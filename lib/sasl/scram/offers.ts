/** SCRAM against the accounts file: verifiers, made-up ones for who has none, throttle and log. */

import { createHmac } from "node:crypto";
import type { Account } from "../../config/config.ts";
import { checkInTurn, clientHost, type LoginGate, logRefusal } from "../authenticate.ts";
import { encodeBase64 } from "../base64.ts";
import type { SaslOffer } from "../mechanisms.ts";
import { type ScramAccounts, scramMechanism } from "./mechanism.ts";
import { parseVerifier, SCRAM_ITERATIONS, SCRAM_SALT_OCTETS, type ScramVerifier } from "./verifier.ts";

/** What SCRAM works with. */
export interface ScramCheck extends LoginGate {
  /** Finds the account of a login name; undefined when there is none. */
  readonly findAccount: (identity: string) => Account | undefined;
  /** One spelling for all that `findAccount` takes for the same account, whether or not there is one. */
  readonly canonicalName: (identity: string) => string;
  /** Makes up the salts of names without a verifier; 32 octets, the same at each start, known to nobody. */
  readonly secret: Uint8Array;
  /** Fills with random octets. */
  readonly randomOctets: (into: Uint8Array<ArrayBuffer>) => void;
  /** Whether all accounts that can log in have a verifier, now. */
  readonly isUsable: () => boolean;
}

const NAME = "SCRAM-SHA-256";
const PLUS_NAME = "SCRAM-SHA-256-PLUS";

/**
 * The two offers, preferred first. The one with channel binding is for connections whose certificate hash is known, and on
 * request only: mail clients that have it bind with `tls-exporter` (RFC 9266) or `tls-unique`, choose it when they see it,
 * and could not log in.
 */
export function scramOffers(check: ScramCheck): readonly SaslOffer[] {
  const accounts = scramAccounts(check);
  const offer = (name: string): SaslOffer => ({
    name,
    isUsable: ({ serverEndPoint }) => check.isUsable() && (name === NAME || serverEndPoint !== undefined),
    start: (channel, offered) =>
      scramMechanism({
        accounts,
        channel,
        isPlus: name === PLUS_NAME,
        isPlusOffered: offered.includes(PLUS_NAME),
        nonce: serverNonce(check),
      }),
  });
  return [{ ...offer(PLUS_NAME), isOnRequest: true }, offer(NAME)];
}

function scramAccounts(check: ScramCheck): ScramAccounts {
  const { findAccount, canonicalName, secret, logger } = check;
  const verifierOf = (identity: string): ScramVerifier | undefined => {
    const { scram } = findAccount(identity) ?? {};
    return scram === undefined ? undefined : parseVerifier(scram);
  };
  return {
    find: (identity) => verifierOf(identity) ?? madeUpVerifier(canonicalName(identity), secret),
    judge: (identity, channel, isRight) => {
      const host = clientHost(channel);
      return checkInTurn(identity, host, check, () => {
        const isProven = isRight();
        const account = findAccount(identity);
        if (isProven && account !== undefined) return { kind: "accepted", address: account.address };
        logRefusal(account, host, account?.scram === undefined ? "it has no SCRAM verifier" : "wrong password", logger);
        return { kind: "refused" };
      });
    },
    noteBinding: (identity, channel, problem) =>
      logger.warning("Login as {account} from {host} refused by SCRAM: {problem}", {
        account: findAccount(identity)?.address ?? "somebody unknown",
        host: clientHost(channel),
        problem,
      }),
  };
}

/**
 * What a name without a verifier gets, so that nobody can tell which accounts exist (RFC 5802 §9 on "unknown-user"): always
 * the same for a name, and nobody has the key to it.
 */
function madeUpVerifier(name: string, secret: Uint8Array): ScramVerifier {
  const keyed = (purpose: string): Uint8Array<ArrayBuffer> =>
    new Uint8Array(createHmac("sha256", secret).update(`${purpose}\0${name}`).digest());
  return {
    iterations: SCRAM_ITERATIONS,
    salt: keyed("salt").slice(0, SCRAM_SALT_OCTETS),
    storedKey: keyed("stored key"),
    serverKey: keyed("server key"),
  };
}

function serverNonce({ randomOctets }: ScramCheck): string {
  const octets = new Uint8Array(18);
  randomOctets(octets);
  return encodeBase64(octets);
}
