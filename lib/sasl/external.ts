/** SASL EXTERNAL: the certificate that the client showed in the TLS handshake says who it is (RFC 4422 appendix A). */

import type { Account } from "../config/config.ts";
import type { Logger } from "../log/logger.ts";
import type { ClientCertificate } from "../tls/tls_conn.ts";
import { clientHost } from "./authenticate.ts";
import { decodeField, done, type SaslChannel, type SaslMechanism, type SaslStep } from "./mechanism.ts";
import type { SaslOffer } from "./mechanisms.ts";

/** What EXTERNAL works with. Nothing is slowed down: a certificate cannot be guessed. */
export interface ExternalCheck {
  /** The accounts that a verified certificate may log in to, each once. */
  readonly accountsOf: (certificate: ClientCertificate) => readonly Account[];
  /** Finds the account of a login name; undefined when there is none. */
  readonly findAccount: (identity: string) => Account | undefined;
  /** Gets one line for each failure. */
  readonly logger: Logger;
}

/** The offer; only to a client whose certificate can log in. */
export function externalOffer(check: ExternalCheck): SaslOffer {
  return {
    name: "EXTERNAL",
    isUsable: ({ clientCertificate: certificate }) =>
      certificate !== undefined && check.accountsOf(certificate).length > 0,
    start: (channel) => externalMechanism(check, channel),
  };
}

/** Starts an EXTERNAL exchange. The one message of the client is the account, or empty: that of the certificate. */
function externalMechanism(check: ExternalCheck, channel: SaslChannel): SaslMechanism {
  const take = (message: Uint8Array): SaslStep => {
    const authorization = decodeField(message);
    if (authorization === undefined) {
      return { kind: "invalid", reason: "EXTERNAL name is not UTF-8, is too long or holds NUL" };
    }
    return judge(authorization, check, channel);
  };
  return {
    start: (initial) => initial === undefined ? { kind: "challenge", octets: new Uint8Array(0) } : take(initial),
    step: take,
  };
}

function judge(authorization: string, check: ExternalCheck, channel: SaslChannel): SaslStep {
  const { clientCertificate: certificate } = channel;
  const allowed = certificate === undefined ? [] : check.accountsOf(certificate);
  const wanted = authorization === "" ? undefined : check.findAccount(authorization);
  const [account, ...others] = authorization === ""
    ? allowed
    : allowed.filter(({ address }) => address === wanted?.address);
  if (account !== undefined && others.length === 0) return done({ kind: "accepted", address: account.address });
  const isAmbiguous = account !== undefined;
  check.logger.info("Login from {host} refused: the certificate of {subject} {problem}", {
    host: clientHost(channel),
    subject: certificate?.subject ?? "nobody",
    problem: isAmbiguous ? "is that of several accounts" : "is not that of the account",
  });
  if (!isAmbiguous) return done({ kind: "refused", reason: "the certificate is not that of the account" });
  return done({ kind: "refused", reason: "the certificate is that of several accounts; name one" });
}
