/** RCPT (RFC 5321 §4.1.1.3): who is let in, and who is not. */

import { mayRelay } from "../../policy/relay.ts";
import type { RcptCommand } from "../../smtp/command.ts";
import { type Reply, reply, SmtpError } from "../../smtp/reply.ts";
import { BARE_POSTMASTER } from "../../smtp/path.ts";
import { checkRoom } from "../mailbox_room.ts";
import type { Transaction } from "../session.ts";
import { checkFullDomain, checkRate } from "../submission.ts";
import type { Context } from "../verb.ts";
import { type RcptOptions, readRcptParameters } from "../extensions.ts";

/** Adds a recipient to the transaction. */
export function rcpt(context: Context, command: RcptCommand): Reply | Promise<Reply> {
  const { session, services } = context;
  const transaction = session.transaction as Transaction;
  if (transaction.chunks !== undefined) {
    throw new SmtpError(503, "5.5.1", "RCPT is not allowed after BDAT; send RSET first");
  }
  const options = readRcptParameters(context, command.parameters, transaction.options);
  const forwardPath = command.forwardPath === BARE_POSTMASTER ? BARE_POSTMASTER : command.forwardPath.text;
  if (command.isUtf8 && !transaction.options.smtpUtf8) {
    throw new SmtpError(553, "5.6.7", "A non-ASCII address needs the SMTPUTF8 parameter");
  }
  if (transaction.accepted.length >= session.settings.limits.recipients) {
    throw new SmtpError(452, "4.5.3", "Too many recipients; send to the others in another transaction");
  }
  checkRate(session, services);
  const refused = (error: unknown): never => {
    if (error instanceof SmtpError) {
      services.logger.info("Refused recipient <{recipient}> from {client}: {reply}", {
        recipient: forwardPath,
        reversePath: transaction.reversePath,
        client: session.client,
        reply: error.message,
      });
    }
    throw error;
  };
  try {
    const result = accept(context, transaction, { forwardPath, path: command.forwardPath, options });
    return result instanceof Promise ? result.catch(refused) : result;
  } catch (error) {
    return refused(error);
  }
}

/** One RCPT. */
interface Request {
  /** Text of the path. */
  readonly forwardPath: string;
  readonly path: RcptCommand["forwardPath"];
  readonly options: RcptOptions;
}

/** Answers at once, from memory, but where mailboxes with a quota have to be looked at. */
function accept({ session, services }: Context, transaction: Transaction, request: Request): Reply | Promise<Reply> {
  const { forwardPath, path } = request;
  const { router, relayFrom } = session.settings;
  const accepted = (): Reply => {
    transaction.accepted.push(forwardPath);
    return reply(250, "2.1.5", "Recipient OK");
  };
  const resolved = router.resolveRecipient(path);
  switch (resolved.kind) {
    case "unknown":
      throw new SmtpError(550, "5.1.1", "No such mailbox here");
    case "remote":
      if (!mayRelay(session.clientAddress, session.login, relayFrom)) {
        throw new SmtpError(550, "5.7.1", "This server does not relay for you");
      }
      if (path !== BARE_POSTMASTER) checkFullDomain(session, path, "5.1.3");
      add(transaction, forwardPath, request);
      return accepted();
    case "local": {
      if (
        transaction.options.body === "BINARYMIME" && !resolved.targets.every((target) => router.takesBinary(target))
      ) {
        throw new SmtpError(554, "5.6.1", "This mailbox takes no binary content; send it encoded");
      }
      const take = (): Reply => {
        addTargets(transaction, resolved.targets, request);
        return accepted();
      };
      const { announcedOctets } = transaction;
      const room = services.quotas === undefined
        ? undefined
        : checkRoom(services.quotas, router, { forwardPath, targets: resolved.targets, announcedOctets });
      return room === undefined ? take() : room.then(take);
    }
  }
}

/**
 * Adds what an address of ours stands for. Who asked to hear of success and wrote to one address hears of one, that it
 * was expanded, and not of those behind it (RFC 3461 §5.2.7.3 (b)).
 */
function addTargets(transaction: Transaction, targets: readonly string[], request: Request): void {
  const { forwardPath, options: { notify, orcpt } } = request;
  const isExpanded = targets.length > 1 && notify !== undefined && notify !== "never" && notify.includes("success");
  if (!isExpanded) return targets.forEach((target) => add(transaction, target, request));
  const others = notify.filter((event) => event !== "success");
  const options = { ...request.options, notify: others.length > 0 ? others : "never" } as const;
  for (const target of targets) add(transaction, target, { ...request, options });
  if (transaction.accepted.includes(forwardPath)) return;
  transaction.recipients.push({
    address: forwardPath,
    ...(orcpt === undefined ? {} : { orcpt }),
    notify: ["success"],
    isExpanded: true,
  });
}

/** Each address gets the message once, however often it was named (RFC 5321 §4.1.1.3 leaves that to us). */
function add(transaction: Transaction, address: string, { forwardPath: original, options }: Request): void {
  if (transaction.addresses.has(address)) return;
  transaction.addresses.add(address);
  transaction.recipients.push({ address, ...(address === original ? {} : { original }), ...options });
}
