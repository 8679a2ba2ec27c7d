/** SCRAM against the accounts file: verifiers, made-up ones for who has none, throttle and log. */

import type { Buffer } from "node:buffer";
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
  /** The verifiers of all accounts, now: what is made up for a name without one has the form of one of them. */
  readonly decoys: () => readonly string[];
  /** Makes up the salts of names without a verifier; 32 octets, the same at each start, known to nobody. */
  readonly secret: Uint8Array;
  /** Fills with random octets. */
  readonly randomOctets: (into: Uint8Array<ArrayBuffer>) => void;
  /** Whether all accounts that can log in have a verifier, now. */
  readonly isUsable: () => boolean;
}

const NAME = "SCRAM-SHA-256";
const PLUS_NAME = "SCRAM-SHA-256-PLUS";
/** Of the verifiers that we make ourselves. */
const USUAL_FORM = { iterations: SCRAM_ITERATIONS, salt: { length: SCRAM_SALT_OCTETS } };

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
  const { findAccount, canonicalName, logger } = check;
  const verifierOf = (identity: string): ScramVerifier | undefined => {
    const { scram } = findAccount(identity) ?? {};
    return scram === undefined ? undefined : parseVerifier(scram);
  };
  return {
    find: (identity) => verifierOf(identity) ?? madeUpVerifier(canonicalName(identity), check),
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
 * the same for a name, and nobody has the key to it. Iterations and length of the salt are those of some account.
 */
function madeUpVerifier(name: string, { secret, decoys }: ScramCheck): ScramVerifier {
  const keyed = (purpose: string): Buffer => createHmac("sha512", secret).update(`${purpose}\0${name}`).digest();
  const texts = decoys();
  const text = texts[keyed("form").readUInt32BE() % texts.length];
  const { iterations, salt } = (text === undefined ? undefined : parseVerifier(text)) ?? USUAL_FORM;
  return {
    iterations,
    salt: new Uint8Array(keyed("salt").subarray(0, salt.length)),
    storedKey: new Uint8Array(keyed("stored key").subarray(0, 32)),
    serverKey: new Uint8Array(keyed("server key").subarray(0, 32)),
  };
}

function serverNonce({ randomOctets }: ScramCheck): string {
  const octets = new Uint8Array(18);
  randomOctets(octets);
  return encodeBase64(octets);
}
