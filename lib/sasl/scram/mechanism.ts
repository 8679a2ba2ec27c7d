/**
 * The server's side of SCRAM-SHA-256 and SCRAM-SHA-256-PLUS (RFC 5802, RFC 7677): the client proves that it knows the
 * password and never shows it, and we prove that we have its verifier.
 *
 * After a failure no server-error message is sent (RFC 5802 §7 allows that): SMTP ends the exchange with 535 or 501, which
 * names the server-error-value where that does not tell whether the account exists.
 */

import { timingSafeEqual } from "node:crypto";
import { encodeBase64 } from "../base64.ts";
import { done, type LoginResult, type SaslChannel, type SaslMechanism, type SaslStep } from "../mechanism.ts";
import { type ClientFinal, type ClientFirst, parseClientFinal, parseClientFirst } from "./messages.ts";
import { hmac, type ScramVerifier, sha256 } from "./verifier.ts";

/**
 * The one type of channel binding that there is here (RFC 5929 §4.1). For `tls-exporter` (RFC 9266), which clients of
 * TLS 1.3 expect, the runtime would have to export keying material, and `tls-unique` is undefined in TLS 1.3.
 */
const BINDING_NAME = "tls-server-end-point";

/** What the mechanism asks of the accounts. */
export interface ScramAccounts {
  /** The verifier of a login name; one that nobody can match where it has none, the same for the same name. */
  find(identity: string): ScramVerifier;
  /**
   * Has a proof judged when its turn comes, as a password is.
   *
   * @param isRight Whether the client knows the password of what `find` gave. Called at most once.
   */
  judge(identity: string, channel: SaslChannel, isRight: () => boolean): Promise<LoginResult>;
  /** Hears of a failure that is no wrong password: somebody may stand between the client and us. */
  noteBinding(identity: string, channel: SaslChannel, problem: string): void;
}

/** How one exchange begins. */
export interface ScramOptions {
  /** Where verifiers come from. */
  readonly accounts: ScramAccounts;
  /** The connection. */
  readonly channel: SaslChannel;
  /** The mechanism is the one with -PLUS. */
  readonly isPlus: boolean;
  /** The one with -PLUS was offered on this connection. */
  readonly isPlusOffered: boolean;
  /** Our part of the nonce: printable US-ASCII without commas, unpredictable (RFC 5802 §5.1). */
  readonly nonce: string;
}

/** What is kept between the two messages of the client. */
interface Exchange {
  readonly first: ClientFirst;
  readonly serverFirst: string;
  readonly nonce: string;
  readonly verifier: ScramVerifier;
}

/** Starts an exchange. */
export function scramMechanism(options: ScramOptions): SaslMechanism {
  const { accounts, channel } = options;
  let exchange: Exchange | undefined;
  let result: LoginResult | undefined;

  const begin = (octets: Uint8Array): SaslStep => {
    const first = parseClientFirst(octets);
    if ("problem" in first) return { kind: "invalid", reason: first.problem };
    if (first.authorization !== "" && first.authorization !== first.identity) {
      return { kind: "invalid", reason: "acting for another user is not supported" };
    }
    const problem = bindingProblem(first, options);
    if (problem !== undefined) return refuseBinding(first, problem);
    const verifier = accounts.find(first.identity);
    const nonce = first.nonce + options.nonce;
    const serverFirst = `r=${nonce},s=${encodeBase64(verifier.salt)},i=${verifier.iterations}`;
    exchange = { first, serverFirst, nonce, verifier };
    return challenge(serverFirst);
  };

  const finish = async (octets: Uint8Array, { first, serverFirst, nonce, verifier }: Exchange): Promise<SaslStep> => {
    const final = parseClientFinal(octets);
    if ("problem" in final) return { kind: "invalid", reason: final.problem };
    if (final.nonce !== nonce) {
      return { kind: "invalid", reason: "other-error: the nonce is not the one of this exchange" };
    }
    if (!isBound(final, first, channel)) return refuseBinding(first, "channel-bindings-dont-match");
    const signed = `${first.bare},${serverFirst},${final.withoutProof}`;
    const judged = await accounts.judge(first.identity, channel, () => isRightProof(final, verifier, signed));
    if (judged.kind !== "accepted") return done(judged);
    result = judged;
    return challenge(`v=${encodeBase64(hmac(verifier.serverKey, signed))}`);
  };

  const refuseBinding = ({ identity }: ClientFirst, problem: string): SaslStep => {
    accounts.noteBinding(identity, channel, problem);
    return done({ kind: "refused", reason: `${problem} (RFC 5802)` });
  };

  return {
    // RFC 5802 §5: the client speaks first.
    start: (initial) => initial === undefined ? challenge("") : begin(initial),
    step: (response) => {
      if (result !== undefined) {
        // RFC 4954 §4: our last message was a challenge, so that its answer is empty.
        return response.length === 0 ? done(result) : { kind: "invalid", reason: "the last response must be empty" };
      }
      return exchange === undefined ? begin(response) : finish(response, exchange);
    },
  };
}

/** What is wrong with the channel binding that the client announces (RFC 5802 §6); a server-error-value. */
function bindingProblem(
  { binding }: ClientFirst,
  { channel, isPlus, isPlusOffered }: ScramOptions,
): string | undefined {
  if (binding.kind === "used") {
    if (!isPlus || channel.serverEndPoint === undefined) return "channel-binding-not-supported";
    return binding.name === BINDING_NAME ? undefined : "unsupported-channel-binding-type";
  }
  // Somebody took -PLUS out of what we offered, or the client chose it and does not use it.
  if (binding.kind === "unoffered" && isPlusOffered) return "server-does-support-channel-binding";
  return isPlus ? "other-error: SCRAM-SHA-256-PLUS needs channel binding" : undefined;
}

/** Whether the client repeats its GS2 header, with the data of our connection behind it where it binds (RFC 5802 §7). */
function isBound(final: ClientFinal, { gs2Header, binding }: ClientFirst, { serverEndPoint }: SaslChannel): boolean {
  const header = new TextEncoder().encode(gs2Header);
  const data = binding.kind === "used" ? serverEndPoint ?? new Uint8Array(0) : new Uint8Array(0);
  const expected = new Uint8Array([...header, ...data]);
  return final.channelBinding.length === expected.length && timingSafeEqual(final.channelBinding, expected);
}

/** ClientKey := ClientProof XOR ClientSignature, and its hash is the StoredKey (RFC 5802 §3). */
function isRightProof({ proof }: ClientFinal, { storedKey }: ScramVerifier, signed: string): boolean {
  const signature = hmac(storedKey, signed);
  const clientKey = proof.map((octet, index) => octet ^ (signature[index] ?? 0));
  return timingSafeEqual(sha256(clientKey), storedKey);
}

function challenge(text: string): SaslStep {
  return { kind: "challenge", octets: new TextEncoder().encode(text) };
}
