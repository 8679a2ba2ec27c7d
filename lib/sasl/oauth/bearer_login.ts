/** Checks logins with a bearer token: throttle, then the token, then whether its account is the one that is wanted. */

import type { Account } from "../../config/config.ts";
import { checkInTurn, clientHost, type LoginGate } from "../authenticate.ts";
import type { LoginResult, SaslChannel } from "../mechanism.ts";
import type { BearerMessage } from "./client_message.ts";
import type { TokenError, TokenValidator } from "./validator.ts";

/** What a check works with. */
export interface BearerCheckOptions extends LoginGate {
  /** Finds the account of an address, however it is spelt; undefined when there is none. */
  readonly findAccount: (address: string) => Account | undefined;
  /** Judges the tokens. */
  readonly validator: TokenValidator;
}

/** How a login ended; a client that was refused is told why. */
export type BearerResult =
  | Exclude<LoginResult, { readonly kind: "refused" }>
  | { readonly kind: "refused"; readonly error: TokenError };

/** Checks a login. Does not reject for a bad token or a token service that is down. */
export type CheckBearer = (message: BearerMessage, channel: SaslChannel) => Promise<BearerResult>;

/** Tokens that are checked at a time; some of these wait for another server, 10 s at most. */
const MAX_CHECKS = 100;

/** Makes a checker. The account is the one that the token names; a client may only name the same one. */
export function bearerChecker(options: BearerCheckOptions): CheckBearer {
  let checks = 0;
  return async ({ identity, token }, channel) => {
    // Only a question where to get a token: nothing was guessed.
    if (token === undefined) return { kind: "refused", error: "invalid_token" };
    const host = clientHost(channel);
    // Who names no account is counted by address alone.
    return await checkInTurn(identity ?? host, host, options, async (): Promise<BearerResult> => {
      if (checks >= MAX_CHECKS) {
        options.logger.warning("Login from {host} not checked: too many tokens are being checked", { host });
        return { kind: "busy" };
      }
      checks++;
      try {
        return await checkToken(identity, token, host, options);
      } finally {
        checks--;
      }
    });
  };
}

async function checkToken(
  wantedIdentity: string | undefined,
  token: string,
  host: string,
  { findAccount, validator, logger }: BearerCheckOptions,
): Promise<BearerResult> {
  const verdict = await validator.validate(token);
  if (verdict.kind === "unavailable") {
    const { reason } = verdict;
    logger.warning("Login from {host} not checked: {reason}", { host, reason });
    return { kind: "unavailable" };
  }
  const wanted = wantedIdentity === undefined ? undefined : findAccount(wantedIdentity);
  // A name that no account has is not logged, as with passwords.
  const refuse = (error: TokenError, reason: string): BearerResult => {
    if (wanted === undefined) logger.info("Login from {host} refused: {reason}", { host, reason });
    else logger.info("Login as {account} from {host} refused: {reason}", { account: wanted.address, host, reason });
    return { kind: "refused", error };
  };
  if (verdict.kind === "invalid") return refuse(verdict.error, `the token is not accepted: ${verdict.reason}`);
  const named = findAccount(verdict.identity);
  if (named === undefined) {
    return refuse("invalid_token", `the token is for "${verdict.identity}", which is no account`);
  }
  if (wantedIdentity !== undefined && wanted?.address !== named.address) {
    return refuse("invalid_token", `the token is for ${named.address}`);
  }
  return { kind: "accepted", address: named.address };
}
