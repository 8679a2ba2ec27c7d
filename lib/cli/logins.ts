/** Puts the checking of logins together: mechanisms, accounts, and what slows guessing down. */

import type { Config, OauthConfig } from "../config/config.ts";
import type { ConfigIo } from "../config/source.ts";
import type { Logger } from "../log/logger.ts";
import { type LoginGate, passwordChecker } from "../sasl/authenticate.ts";
import { decodeBase64, encodeBase64 } from "../sasl/base64.ts";
import { externalOffer } from "../sasl/external.ts";
import { passwordOffers, type SaslOffer, type SaslServer, saslServer } from "../sasl/mechanisms.ts";
import { bearerChecker } from "../sasl/oauth/bearer_login.ts";
import type { Fetch } from "../sasl/oauth/fetch_json.ts";
import { bearerOffers } from "../sasl/oauth/mechanisms.ts";
import { PasswordHasher } from "../sasl/password.ts";
import { scramOffers } from "../sasl/scram/offers.ts";
import { LoginThrottle } from "../sasl/throttle.ts";
import type { Clock } from "../system/clock.ts";
import { type Files, writeDurable } from "../system/files.ts";
import { DovecotBackEnd } from "./dovecot_logins.ts";
import type { Live } from "./live.ts";
import { tokenValidator } from "./token_validator.ts";

/** What logins are made from. */
export interface LoginsOptions {
  /** The configuration now; a reload changes what it returns. */
  readonly live: () => Live;
  /** Reads the secret of the last start. */
  readonly io: Pick<ConfigIo, "readText">;
  /** Keeps a new secret. */
  readonly files: Files;
  /** For the waits. */
  readonly clock: Clock;
  /** Gets one line for each failure. */
  readonly logger: Logger;
  /** Fills with octets that nobody can foresee. */
  readonly randomOctets: (into: Uint8Array<ArrayBuffer>) => void;
  /** Asks authorization servers. */
  readonly fetch: Fetch;
}

const SECRET_OCTETS = 32;

/** What sessions log in with, and what keeps it up to date. */
export interface Logins extends Disposable {
  /** For sessions. */
  readonly sasl: SaslServer;
  /** Takes a new configuration to the parts that keep some of it. */
  update(config: Config): void;
}

/** Makes what sessions log in with. */
export async function makeLogins(options: LoginsOptions): Promise<Logins> {
  const { live, io, clock, logger, randomOctets, fetch } = options;
  const gate: LoginGate = { throttle: new LoginThrottle({ clock }), clock, logger };
  const findAccount = (identity: string): ReturnType<Live["router"]["findAccount"]> =>
    live().router.findAccount(identity);
  const secret = await loginSecret(options);
  const hasher = new PasswordHasher({ decoys: () => live().passwordHashes, secret });
  const offers = [
    externalOffer({ accountsOf: (certificate) => live().router.findByCertificate(certificate), findAccount, logger }),
    ...scramOffers({
      ...gate,
      findAccount,
      canonicalName: (identity) => live().router.loginName(identity),
      decoys: () => live().scramVerifiers,
      secret,
      randomOctets,
      isUsable: () => live().canScram,
    }),
    ...passwordOffers(passwordChecker({ ...gate, findAccount, hasher })),
  ];
  const tokenOffers = whenChanged((oauth: OauthConfig) => {
    const validator = tokenValidator(oauth, { fetch, clock, readText: io.readText });
    return bearerOffers(bearerChecker({ ...gate, findAccount, validator }), oauth.rules);
  });
  const addressOf = (user: string): string | undefined => live().router.userAddress(user);
  const dovecot = new DovecotBackEnd({ ...gate, addressOf, randomOctets });
  dovecot.use(live().config);
  const offersNow = (): readonly SaslOffer[] => {
    const { oauth } = live().config.auth;
    // A Dovecot may offer the same mechanisms: the tokens of our own configuration come last, and count.
    return [...dovecot.offers() ?? offers, ...oauth === undefined ? [] : tokenOffers(oauth)];
  };
  return {
    sasl: saslServer(offersNow, () => live().config.auth.mechanisms),
    update: (config) => dovecot.use(config),
    [Symbol.dispose]: () => dovecot[Symbol.dispose](),
  };
}

/** Makes something of a part of the configuration, again only after it was read again. */
function whenChanged<C, T>(make: (part: C) => T): (part: C) => T {
  let last: { readonly part: C; readonly made: T } | undefined;
  return (part) => {
    if (last?.part !== part) last = { part, made: make(part) };
    return last.made;
  };
}

/**
 * The secret behind the made-up salts and costs of names that are no account, `login.secret` in data/keys: were it another
 * one after each start, the salts that stay the same would be those of accounts.
 */
async function loginSecret({ live, io, files, logger, randomOctets }: LoginsOptions): Promise<Uint8Array> {
  const folder = `${live().config.data}/keys`;
  const file = `${folder}/login.secret`;
  try {
    const kept = decodeBase64((await io.readText(file)).trim());
    if (kept?.length === SECRET_OCTETS) return kept;
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) logger.warning("Cannot read {file}: {error}", { file, error });
  }
  const secret = new Uint8Array(SECRET_OCTETS);
  randomOctets(secret);
  try {
    await files.makeFolder(folder, 0o700);
    await writeDurable(files, file, `${encodeBase64(secret)}\n`, { mode: 0o600, replace: true });
  } catch (error) {
    // A full disk must not keep the server from starting: delivering is what empties it.
    logger.warning("Cannot write {file}, going on without: {error}", { file, error });
  }
  return secret;
}
