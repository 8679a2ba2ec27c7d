/** AUTH (RFC 4954): the exchange on the wire; the mechanisms themselves are in `sasl/`. */

import { decodeBase64, decodeInitialResponse, encodeBase64 } from "../../sasl/base64.ts";
import type { LoginResult, SaslMechanism } from "../../sasl/mechanism.ts";
import type { AuthCommand } from "../../smtp/command.ts";
import { type Reply, reply, SmtpError } from "../../smtp/reply.ts";
import type { Context, SessionIo } from "../verb.ts";
import { mayLogIn, saslChannel } from "../extensions.ts";

/** RFC 4954 §4: lines of the exchange may be this long. */
const MAX_RESPONSE_OCTETS = 12_288;

/** Logs the client in. */
export async function auth({ session, services, io }: Context, command: AuthCommand): Promise<Reply> {
  if (session.service !== "submission") throw new SmtpError(502, "5.5.1", "AUTH is not offered here");
  if (!mayLogIn(session)) throw new SmtpError(538, "5.7.11", "AUTH needs TLS; send STARTTLS first");
  if (session.login !== undefined) throw new SmtpError(503, "5.5.1", "You are logged in already");
  if (session.transaction !== undefined) throw new SmtpError(503, "5.5.1", "AUTH is not allowed in a transaction");
  const channel = saslChannel(session);
  const mechanism = services.sasl.start(command.mechanism, channel);
  if (mechanism === undefined) {
    const names = services.sasl.mechanisms(channel).join(" ");
    throw new SmtpError(504, "5.5.4", `This mechanism is not offered; those offered: ${names || "none"}`);
  }
  const result = await exchange(mechanism, command, io);
  if (result.kind === "accepted") session.login = result.address;
  return resultReply(result);
}

/** Carries the exchange out. Whatever ends it before its time, the mechanism hears of it. */
async function exchange(
  mechanism: SaslMechanism,
  { mechanism: name, initialResponse }: AuthCommand,
  io: SessionIo,
): Promise<LoginResult> {
  let isOver = false;
  try {
    const initial = initialResponse === undefined ? undefined : decoded(decodeInitialResponse(initialResponse));
    let step = await mechanism.start(initial);
    while (step.kind === "challenge") step = await mechanism.step(await challenge(io, step.octets));
    isOver = true;
    if (step.kind === "done") return step.result;
    throw new SmtpError(501, "5.5.2", `The response is not in the form of ${name}: ${step.reason}`);
  } finally {
    if (!isOver) mechanism.abort?.();
  }
}

/** The reply to the end of an exchange (RFC 4954 §6). */
function resultReply(result: LoginResult): Reply {
  switch (result.kind) {
    case "accepted":
      return reply(235, "2.7.0", "Authentication succeeded");
    case "busy":
      return reply(454, "4.7.0", "Too many logins are being checked; try again later");
    case "unavailable":
      return reply(454, "4.7.0", "Logins cannot be checked now; try again later");
    case "refused":
      return reply(535, "5.7.8", `Authentication failed: ${result.reason ?? "wrong name or password"}`);
  }
}

/** Sends a challenge and reads the response (RFC 4954 §4; `*` cancels). */
async function challenge(io: SessionIo, octets: Uint8Array): Promise<Uint8Array> {
  io.send(reply(334, undefined, encodeBase64(octets)));
  const line = await io.readLine(MAX_RESPONSE_OCTETS);
  if (line === "*") throw new SmtpError(501, "5.7.0", "Authentication was cancelled");
  return decoded(decodeBase64(line));
}

function decoded(octets: Uint8Array | undefined): Uint8Array {
  if (octets === undefined) throw new SmtpError(501, "5.5.2", "Cannot decode the base64 of the response");
  return octets;
}
