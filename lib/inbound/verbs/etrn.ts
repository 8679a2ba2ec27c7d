/** ETRN (RFC 1985): a server that was away asks for what waits for it. */

import { normalizeDomain } from "../../mail/mailbox.ts";
import type { LookupCommand } from "../../smtp/command.ts";
import { type Reply, reply, SmtpError } from "../../smtp/reply.ts";
import type { Context } from "../verb.ts";

/** Starts delivery to a domain that the configuration has a route for. */
export function etrn({ session, services }: Context, { argument: node }: LookupCommand): Reply {
  if (session.service !== "mx") throw new SmtpError(502, "5.5.1", "ETRN is not offered here");
  const isTree = node.startsWith("@");
  const domain = normalizeDomain(isTree ? node.slice(1) : node);
  // RFC 1985 §5.3: "#" names a queue; there is one, for all.
  if (domain === undefined) {
    throw new SmtpError(501, "5.5.4", "Syntax: ETRN domain, or ETRN @domain with its subdomains");
  }
  if (!session.settings.router.isRouted(domain)) {
    throw new SmtpError(459, "4.7.1", `Node ${domain} not allowed: there is no route for it`);
  }
  services.logger.info("{client} asks for the mail of {domain}", { client: session.client, domain: node });
  services.flush(domain, isTree);
  return reply(250, "2.0.0", `Queuing for node ${domain} started`);
}
