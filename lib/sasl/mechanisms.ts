/** Which SASL mechanisms a server offers on a connection, and how an exchange of each is started. */

import { loginMechanism } from "./login.ts";
import type { CheckPassword, SaslChannel, SaslMechanism } from "./mechanism.ts";
import { plainMechanism } from "./plain.ts";

/** What a server offers; sessions know nothing else of logins. */
export interface SaslServer {
  /** Names for the AUTH line of EHLO, preferred first; none: AUTH is not offered on this connection. */
  mechanisms(channel: SaslChannel): readonly string[];
  /** Starts an exchange; undefined for a mechanism that `mechanisms` does not have. Names match in any case. */
  start(name: string, channel: SaslChannel): SaslMechanism | undefined;
}

/** One mechanism that can be offered. */
export interface SaslOffer {
  /** As registered, in upper case (RFC 4422 §3.1). */
  readonly name: string;
  /** Whether a client of this connection could log in with it; absent: always. Asked at each EHLO and AUTH. */
  isUsable?(channel: SaslChannel): boolean;
  /** True for one that is offered only where the configuration names it. */
  readonly isOnRequest?: boolean;
  /**
   * Starts an exchange.
   *
   * @param offered The names of all that is offered on this connection.
   */
  start(channel: SaslChannel, offered: readonly string[]): SaslMechanism;
}

/** The offers that ask for a password. */
export function passwordOffers(checkPassword: CheckPassword): readonly SaslOffer[] {
  return [
    { name: "PLAIN", start: (channel) => plainMechanism(checkPassword, channel) },
    { name: "LOGIN", start: (channel) => loginMechanism(checkPassword, channel) },
  ];
}

/**
 * Makes a server of offers.
 *
 * @param offers Now; preferred first. Of two with one name the last counts.
 * @param wanted The names that the configuration has now, in its order; undefined: all but those on request.
 */
export function saslServer(
  offers: () => readonly SaslOffer[],
  wanted: () => readonly string[] | undefined,
): SaslServer {
  const offered = (channel: SaslChannel): readonly SaslOffer[] => {
    const usable = offers().filter((offer) => offer.isUsable?.(channel) ?? true)
      .filter(({ name }, at, all) => all.findLastIndex((offer) => offer.name === name) === at);
    const names = wanted();
    if (names === undefined) return usable.filter(({ isOnRequest }) => isOnRequest !== true);
    return names.flatMap((name) => usable.find((offer) => offer.name === name) ?? []);
  };
  return {
    mechanisms: (channel) => offered(channel).map(({ name }) => name),
    start: (name, channel) => {
      const all = offered(channel);
      const names = all.map((offer) => offer.name);
      return all[names.indexOf(name.toUpperCase())]?.start(channel, names);
    },
  };
}
