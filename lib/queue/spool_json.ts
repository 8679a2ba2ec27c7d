/**
 * Checks what is read back from a spool file: an envelope or an event, parsed as JSON. Fields that are not known are
 * passed over, so that a later version can add some; one that is missing or of a wrong type is an error, and so is a
 * kind of event that is not known, because its meaning would be lost.
 */

import type { DeliverBy, Envelope, EnvelopeRecipient, MailOptions, Notify, SessionFacts } from "../mail/envelope.ts";
import type { Action, Outcome, ReplyClass, ReplyStage } from "../mail/outcome.ts";
import type { ReportKind } from "../dsn/report.ts";
import type { SpoolEvent } from "./spool.ts";

/** A spool file, or a part of it, that cannot be understood. */
export class SpoolFileError extends Error {
  /** The name of the class. */
  override readonly name = "SpoolFileError";
}

type Fields = Readonly<Record<string, unknown>>;

const SERVICES: readonly SessionFacts["service"][] = ["mx", "submission", "lmtp", "local"];
const BODIES: readonly Envelope["body"][] = ["7BIT", "8BITMIME", "BINARYMIME"];
const RETURNS: readonly NonNullable<Envelope["ret"]>[] = ["FULL", "HDRS"];
const BY_MODES: readonly DeliverBy["mode"][] = ["return", "notify"];
const NOTIFICATIONS: readonly Exclude<Notify, "never">[number][] = ["success", "failure", "delay"];
const LIST_ROLES: readonly NonNullable<EnvelopeRecipient["list"]>[] = ["itself", "member"];
const ACTIONS: readonly Action[] = ["delivered", "relayed", "expanded", "delayed", "failed"];
/** All classes of replies. */
export const REPLY_CLASSES: readonly ReplyClass[] = [
  "unknownUser",
  "inactiveUser",
  "mailboxFull",
  "greylisting",
  "rate",
  "reputation",
  "block",
  "authentication",
  "policy",
  "content",
  "size",
  "relaying",
  "system",
];
const STAGES: readonly ReplyStage[] = [
  "greeting",
  "hello",
  "startTls",
  "login",
  "mail",
  "rcpt",
  "data",
  "content",
  "dot",
];
const DESTINATIONS: readonly NonNullable<Outcome["destination"]>[] = ["down", "pushback"];
const REPORTS: readonly ReportKind[] = ["delayed", "failed", "succeeded"];
const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$/;
const STATUS = /^[245]\.\d{1,3}\.\d{1,3}$/;

/**
 * Takes the value of an envelope line.
 *
 * @throws {SpoolFileError} Something is missing or of a wrong type.
 */
export function envelopeFrom(value: unknown): Envelope {
  const fields = object(value, "envelope");
  const recipients = list(fields, "recipients").map(recipientFrom);
  if (recipients.length === 0) throw new SpoolFileError("The envelope has no recipient");
  return {
    reversePath: text(fields, "reversePath"),
    arrived: time(fields, "arrived"),
    ...optionsFrom(fields),
    trace: text(fields, "trace"),
    ...optionalTexts(fields, ["arcSeal"]),
    ...(fields.isQuarantined !== undefined && truth(fields, "isQuarantined") && { isQuarantined: true }),
    ...(fields.isTlsOptional !== undefined && truth(fields, "isTlsOptional") && { isTlsOptional: true }),
    session: sessionFrom(fields.session),
    recipients,
  };
}

function optionsFrom(fields: Fields): MailOptions {
  return {
    body: oneOf(fields, "body", BODIES),
    smtpUtf8: truth(fields, "smtpUtf8"),
    ...optionalTexts(fields, ["envid"]),
    ...(fields.ret !== undefined && { ret: oneOf(fields, "ret", RETURNS) }),
    ...(fields.requireTls !== undefined && truth(fields, "requireTls") && { requireTls: true }),
    ...(fields.holdUntil !== undefined && { holdUntil: time(fields, "holdUntil") }),
    ...(fields.deliverBy !== undefined && { deliverBy: deliverByFrom(fields.deliverBy) }),
    ...(fields.priority !== undefined && { priority: priority(fields) }),
  };
}

function deliverByFrom(value: unknown): DeliverBy {
  const fields = object(value, "deliverBy");
  return {
    until: time(fields, "until"),
    mode: oneOf(fields, "mode", BY_MODES),
    isTraced: truth(fields, "isTraced"),
  };
}

function priority(fields: Fields): number {
  const value = fields.priority;
  if (typeof value !== "number" || !Number.isInteger(value) || value < -9 || value > 9) {
    throw wrong("priority", "a number from -9 to 9");
  }
  return value;
}

/**
 * Takes the value of an event line.
 *
 * @throws {SpoolFileError} It is of no kind that this version knows, or something is missing or of a wrong type.
 */
export function eventFrom(value: unknown): SpoolEvent {
  const fields = object(value, "event");
  const at = time(fields, "at");
  switch (fields.event) {
    case "attempt": {
      const nextAttempt = fields.nextAttempt === undefined ? undefined : time(fields, "nextAttempt");
      const outcome = outcomeFrom(fields.outcome);
      const recipients = indexes(fields);
      const more = { ...(nextAttempt !== undefined && { nextAttempt }), ...optionalTexts(fields, ["fallback"]) };
      return { event: "attempt", at, recipients, outcome, ...more };
    }
    case "reported":
      return { event: "reported", at, recipients: indexes(fields), kind: oneOf(fields, "kind", REPORTS) };
    case "postponed": {
      const nextAttempt = time(fields, "nextAttempt");
      const recipients = indexes(fields);
      const outcome = outcomeFrom(fields.outcome);
      return { event: "postponed", at, recipients, outcome, nextAttempt, ...optionalTexts(fields, ["fallback"]) };
    }
    case "retry":
    case "held":
    case "released":
      return { event: fields.event, at };
    default:
      throw new SpoolFileError(`The event "${String(fields.event)}" is not known to this version`);
  }
}

function outcomeFrom(value: unknown): Outcome {
  const fields = object(value, "outcome");
  const status = text(fields, "status");
  if (!STATUS.test(status)) throw new SpoolFileError(`The field "status" is no enhanced status code: "${status}"`);
  return {
    action: oneOf(fields, "action", ACTIONS),
    status,
    text: text(fields, "text"),
    isRemoteReply: truth(fields, "isRemoteReply"),
    ...optionalTexts(fields, ["remoteMta", "remoteAddress", "tls"]),
    ...(fields.stage !== undefined && { stage: oneOf(fields, "stage", STAGES) }),
    ...(fields.replyLines !== undefined && { replyLines: texts(fields, "replyLines") }),
    ...(fields.replyClass !== undefined && { replyClass: oneOf(fields, "replyClass", REPLY_CLASSES) }),
    ...(fields.destination !== undefined && { destination: oneOf(fields, "destination", DESTINATIONS) }),
    ...(fields.isDsnPassedOn !== undefined && truth(fields, "isDsnPassedOn") && { isDsnPassedOn: true }),
  };
}

function recipientFrom(value: unknown): EnvelopeRecipient {
  const fields = object(value, "recipient");
  return {
    address: text(fields, "address"),
    ...optionalTexts(fields, ["original", "orcpt", "reversePath", "forwardedBy"]),
    ...(fields.notify !== undefined && { notify: notifyFrom(fields) }),
    ...(fields.isExpanded !== undefined && truth(fields, "isExpanded") && { isExpanded: true }),
    ...(fields.list !== undefined && { list: oneOf(fields, "list", LIST_ROLES) }),
  };
}

function notifyFrom(fields: Fields): Notify {
  if (fields.notify === "never") return "never";
  return list(fields, "notify").map((notify) => member(notify, "notify", NOTIFICATIONS));
}

function sessionFrom(value: unknown): SessionFacts {
  const fields = object(value, "session");
  return {
    service: oneOf(fields, "service", SERVICES),
    ...optionalTexts(fields, ["clientAddress", "helo", "protocol", "tls", "login"]),
  };
}

function object(value: unknown, what: string): Fields {
  if (!isFields(value)) throw new SpoolFileError(`The ${what} is not an object`);
  return value;
}

function isFields(value: unknown): value is Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function wrong(key: string, expected: string): SpoolFileError {
  return new SpoolFileError(`The field "${key}" is missing or not ${expected}`);
}

function text(fields: Fields, key: string): string {
  const value = fields[key];
  if (typeof value !== "string") throw wrong(key, "a string");
  return value;
}

function optionalTexts<K extends string>(fields: Fields, keys: readonly K[]): { readonly [key in K]?: string } {
  const found: { [key in K]?: string } = {};
  for (const key of keys) {
    if (fields[key] !== undefined) found[key] = text(fields, key);
  }
  return found;
}

function truth(fields: Fields, key: string): boolean {
  const value = fields[key];
  if (typeof value !== "boolean") throw wrong(key, "true or false");
  return value;
}

function time(fields: Fields, key: string): string {
  const value = text(fields, key);
  if (!TIME.test(value) || Number.isNaN(Date.parse(value))) throw wrong(key, "a time in UTC");
  return value;
}

function list(fields: Fields, key: string): readonly unknown[] {
  const value: unknown = fields[key];
  if (!Array.isArray(value)) throw wrong(key, "a list");
  return value;
}

function texts(fields: Fields, key: string): readonly string[] {
  return list(fields, key).map((line) => {
    if (typeof line !== "string") throw wrong(key, "a list of strings");
    return line;
  });
}

function indexes(fields: Fields): readonly number[] {
  return list(fields, "recipients").map((index) => {
    if (typeof index !== "number" || !Number.isInteger(index) || index < 0) {
      throw wrong("recipients", "a list of indexes");
    }
    return index;
  });
}

function member<T extends string>(value: unknown, key: string, choices: readonly T[]): T {
  const found = choices.find((choice) => choice === value);
  if (found === undefined) throw wrong(key, `one of ${choices.join(", ")}`);
  return found;
}

function oneOf<T extends string>(fields: Fields, key: string, choices: readonly T[]): T {
  return member(fields[key], key, choices);
}
