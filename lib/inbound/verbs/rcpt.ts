/** RCPT (RFC 5321 §4.1.1.3): who is let in, and who is not. */

import type { EnvelopeRecipient } from "../../mail/envelope.ts";
import { mayRelay } from "../../policy/relay.ts";
import { type ExpansionProblem, MAX_TARGETS, type ResolvedTarget } from "../../routing/expansion.ts";
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
    throw tooMany();
  }
  checkRate(session, services);
  const refused = (error: unknown): never => {
    if (error instanceof SmtpError) {
      const { logger } = services;
      const fields = {
        recipient: forwardPath,
        reversePath: transaction.reversePath,
        client: session.client,
        reply: error.message,
      };
      const line = "Refused recipient <{recipient}> from {client}: {reply}";
      if (error.cause === undefined) logger.info(line, fields);
      else logger.warning(`${line}; to mend in {cause}`, { ...fields, cause: error.cause });
    }
    throw error;
  };
  try {
    const senderFor = senderRewriter(context);
    const result = accept(context, transaction, { forwardPath, path: command.forwardPath, options, senderFor });
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
  /** The reverse-path of what an address of ours sends on for a sender or the owner of a list; undefined: as it is. */
  readonly senderFor: (reversePath: string, forwardedBy: string) => string | undefined;
}

/** Answers at once, from memory, but where mailboxes with a quota have to be looked at. */
function accept({ session, services }: Context, transaction: Transaction, request: Request): Reply | Promise<Reply> {
  const { forwardPath, path, options } = request;
  const { router, relayFrom } = session.settings;
  const accepted = (): Reply => {
    transaction.accepted.push(forwardPath);
    return reply(250, "2.1.5", "Recipient OK");
  };
  const resolved = router.resolveRecipient(path);
  switch (resolved.kind) {
    case "unknown":
      if (!resolved.isExpired) throw new SmtpError(550, "5.1.1", "No such mailbox here");
      throw new SmtpError(550, "5.1.1", "This address took reports on forwarded mail for some days, and has expired");
    case "refused":
      throw expansionRefused(resolved.problem);
    case "remote":
      if (!mayRelay(session.clientAddress, session.login, relayFrom)) {
        throw new SmtpError(550, "5.7.1", "This server does not relay for you");
      }
      if (path !== BARE_POSTMASTER) checkFullDomain(session, path, "5.1.3");
      add(transaction, { address: forwardPath, ...options });
      return accepted();
    case "local": {
      if (resolved.takes === "reports" && transaction.reversePath !== "") {
        throw new SmtpError(550, "5.7.1", "This address takes only reports about undelivered mail, from MAIL FROM:<>");
      }
      if (
        transaction.options.body === "BINARYMIME" &&
        !resolved.targets.every(({ address }) => router.takesBinary(address))
      ) {
        throw new SmtpError(554, "5.6.1", "This mailbox takes no binary content; send it encoded");
      }
      checkCount(transaction, resolved.targets, session.settings.limits.recipients);
      const take = (): Reply => {
        addTargets(transaction, resolved.targets, request);
        return accepted();
      };
      const { announcedOctets } = transaction;
      const targets = resolved.targets.map(({ address }) => address);
      const room = services.quotas === undefined
        ? undefined
        : checkRoom(services.quotas, router, { forwardPath, targets, announcedOctets });
      return room === undefined ? take() : room.then(take);
    }
  }
}

/**
 * Bounds what aliases make of one message: with a detail, the same alias has other targets at each RCPT. The first RCPT always
 * fits, so whoever sends to the others in another transaction gets on (RFC 5321 §4.5.3.1.10).
 */
function checkCount(
  { addresses, recipients }: Transaction,
  targets: readonly ResolvedTarget[],
  limit: number,
): void {
  const most = Math.max(limit, MAX_TARGETS);
  if (recipients.length === 0 || recipients.length + targets.length <= most) return;
  const fresh = targets.reduce((count, { address }) => addresses.has(address) ? count : count + 1, 0);
  if (recipients.length + fresh > most) throw tooMany();
}

function tooMany(): SmtpError {
  return new SmtpError(452, "4.5.3", "Too many recipients; send to the others in another transaction");
}

/** RFC 3463 §3.5 and §3.6. The cause is for the log: it is not the client who can mend it. */
function expansionRefused(problem: ExpansionProblem): SmtpError {
  const cause = "the aliases of the configuration";
  switch (problem) {
    case "loop":
      return new SmtpError(550, "5.4.6", "Mail for this address goes round in a circle of aliases", { cause });
    case "depth":
      return new SmtpError(550, "5.4.6", "Too many aliases in a row behind this address", { cause });
    case "size":
      return new SmtpError(550, "5.5.3", "Too many recipients behind this address", { cause });
  }
}

/**
 * Adds what an address of ours stands for. Who asked to hear of success and wrote to one address hears of one: that it
 * was expanded (RFC 3461 §5.2.7.3 (b)), or, of a list, delivered (§5.2.7.1), and not of those behind it.
 */
function addTargets(transaction: Transaction, targets: readonly ResolvedTarget[], request: Request): void {
  const { forwardPath, options: { notify, orcpt } } = request;
  const isList = targets.every(({ reversePath }) => reversePath !== undefined);
  const wantsSuccess = notify !== undefined && notify !== "never" && notify.includes("success");
  const isReported = wantsSuccess && (isList || targets.length > 1);
  const others = isReported ? notify.filter((event) => event !== "success") : [];
  const options = isReported
    ? { ...request.options, notify: others.length > 0 ? others : "never" as const }
    : undefined;
  for (const target of targets) {
    add(transaction, recipientOf(target, transaction, { ...request, options: options ?? request.options }));
  }
  if (!isReported || transaction.accepted.includes(forwardPath)) return;
  transaction.recipients.push({
    address: forwardPath,
    ...(orcpt === undefined ? {} : { orcpt }),
    notify: ["success"],
    isExpanded: true,
    ...(isList && { list: "itself" }),
  });
}

/** The recipient that delivery gets for a target of an address of ours. */
function recipientOf(target: ResolvedTarget, { reversePath }: Transaction, request: Request): EnvelopeRecipient {
  const { address, forwardedBy } = target;
  const { forwardPath: original, options } = request;
  const forwarded = forwardedBy === undefined ? {} : { forwardedBy };
  if (target.reversePath === undefined) {
    const sender = forwardedBy === undefined ? undefined : request.senderFor(reversePath, forwardedBy);
    const rewritten = sender === undefined ? {} : { reversePath: sender };
    return { address, ...(address === original ? {} : { original }), ...options, ...forwarded, ...rewritten };
  }
  // To a member the message comes from the list. The owner has to know which member fails, and hears of nothing else;
  // a report goes to nobody (RFC 5321 §6.1).
  if (reversePath === "") return { address, notify: ["failure"], list: "member", ...forwarded };
  const owner = forwardedBy === undefined ? undefined : request.senderFor(target.reversePath, forwardedBy);
  return { address, notify: ["failure"], list: "member", reversePath: owner ?? target.reversePath, ...forwarded };
}

/**
 * Rewrites the sender of what is sent on, or the owner in its place, once for each address that does. Where that cannot be,
 * the message goes with the sender that it has.
 */
function senderRewriter({ session, services }: Context): Request["senderFor"] {
  const known = new Map<string, string | undefined>();
  return (reversePath, forwardedBy) => {
    const key = `${forwardedBy}\n${reversePath}`;
    if (known.has(key)) return known.get(key);
    const sender = session.settings.router.rewriteSender(reversePath, forwardedBy);
    if (sender?.kind === "kept") {
      services.logger.info("{forwardedBy} sends mail from <{reversePath}> on without rewriting this sender: {reason}", {
        forwardedBy,
        reversePath,
        client: session.client,
        reason: sender.reason,
      });
    }
    const address = sender?.kind === "rewritten" ? sender.address : undefined;
    known.set(key, address);
    return address;
  };
}

/**
 * Each address gets the message once, however often it was named (RFC 5321 §4.1.1.3 leaves that to us). Who is named
 * besides being on a list gets it from its sender.
 */
function add(transaction: Transaction, recipient: EnvelopeRecipient): void {
  const { addresses, recipients } = transaction;
  const { address, list } = recipient;
  const known = addresses.get(address);
  if (known === undefined) addresses.set(address, recipients.push(recipient) - 1);
  else if (list === undefined && recipients[known]?.list === "member") recipients[known] = recipient;
}
