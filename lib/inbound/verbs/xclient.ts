/** XCLIENT (Postfix, XCLIENT_README): a listed proxy names the client it speaks for, and the session begins anew. */

import type { XclientCommand } from "../../smtp/command.ts";
import { type Reply, SmtpError } from "../../smtp/reply.ts";
import { bannerOf, clientText, resetTransaction } from "../session.ts";
import type { Context } from "../verb.ts";

/** Takes what the proxy says; from here on the client is who it names, also for `relay_from`. */
export async function xclient({ session, services }: Context, { client }: XclientCommand): Promise<Reply> {
  if (!session.isProxy) throw new SmtpError(550, "5.7.0", "This client may not use XCLIENT");
  if (session.transaction !== undefined) {
    throw new SmtpError(503, "5.5.1", "XCLIENT is not allowed in a transaction");
  }
  await resetTransaction(session);
  if ("address" in client) session.clientAddress = client.address;
  if ("address" in client || "port" in client) {
    session.client = client.address === undefined ? "unknown" : clientText(client.address, client.port);
  }
  if ("destination" in client) session.localAddress = client.destination;
  if ("login" in client) session.login = client.login;
  if ("helo" in client) session.forwardedHelo = client.helo;
  session.greeting = undefined;
  services.logger.debug("XCLIENT names {client}, login {login}", {
    client: session.client,
    login: session.login ?? "none",
  });
  return bannerOf(session);
}
