/**
 * The service extensions: what EHLO offers, and the parameters of MAIL and RCPT that come with each. A parameter is
 * understood exactly where its extension is offered.
 */

import type { EnvelopeRecipient, MailOptions } from "../mail/envelope.ts";
import type { SaslChannel } from "../sasl/mechanism.ts";
import { asciiUpperCase } from "../smtp/ascii.ts";
import type { EsmtpParameters } from "../smtp/command.ts";
import { parseEnvid, parseNotify, parseOrcpt, parseRet } from "../smtp/parameters/dsn.ts";
import { parsePriority } from "../smtp/parameters/priority.ts";
import { parseBy, parseHoldFor, parseHoldUntil } from "../smtp/parameters/times.ts";
import { XCLIENT_ATTRIBUTES } from "../smtp/parameters/xclient.ts";
import { SmtpError } from "../smtp/reply.ts";
import type { Services } from "./services.ts";
import type { Session } from "./session.ts";

/** What an extension may look at. */
export interface Scene {
  /** Its listener, greeting, TLS and login. */
  readonly session: Session;
  /** For the mechanisms of AUTH, and the time. */
  readonly services: Services;
}

/** What a parameter of MAIL is read with. */
interface MailMoment extends Scene {
  /** One for all times of a MAIL, milliseconds since 1970. */
  readonly nowMs: number;
}

/** @param options What the parameters before this one said. */
type MailReader = (value: string | undefined, moment: MailMoment, options: MailOptions) => Partial<MailOptions>;

/** What the parameters of RCPT ask for. */
export type RcptOptions = Pick<EnvelopeRecipient, "notify" | "orcpt">;

type RcptReader = (value: string | undefined, options: MailOptions) => RcptOptions;

interface Extension {
  /** Its line of the EHLO reply; undefined where it is not offered in this session, now. */
  readonly offer: (scene: Scene) => string | undefined;
  /** By keyword. */
  readonly mail?: Readonly<Record<string, MailReader>>;
  /** By keyword. */
  readonly rcpt?: Readonly<Record<string, RcptReader>>;
}

/** FUTURERELEASE: how long a message may wait here. */
const MAX_HOLD_SECONDS = 60 * 24 * 3600;

const EXTENSIONS: readonly Extension[] = [
  { offer: () => "PIPELINING" },
  { offer: ({ session: { settings } }) => `SIZE ${settings.limits.messageOctets}`, mail: { SIZE: readSize } },
  { offer: () => "8BITMIME", mail: { BODY: readBody } },
  { offer: () => "SMTPUTF8", mail: { SMTPUTF8: (value) => (takesNoValue("SMTPUTF8", value), { smtpUtf8: true }) } },
  {
    offer: () => "DSN",
    mail: {
      RET: (value) => ({ ret: parseRet(value) }),
      ENVID: (value) => ({ envid: parseEnvid(value) }),
    },
    rcpt: {
      NOTIFY: (value) => ({ notify: parseNotify(value) }),
      ORCPT: (value, { smtpUtf8 }) => ({ orcpt: parseOrcpt(value, smtpUtf8) }),
    },
  },
  { offer: ({ session: { service } }) => service === "mx" ? "ETRN" : undefined },
  { offer: ({ session: { isProxy } }) => isProxy ? `XCLIENT ${XCLIENT_ATTRIBUTES.join(" ")}` : undefined },
  {
    // RFC 4865 §4
    offer: ({ session, services }) => {
      if (!isSubmission(session)) return undefined;
      const latest = new Date(services.clock.now() + MAX_HOLD_SECONDS * 1000).toISOString().replace(/\.\d+/, "");
      return `FUTURERELEASE ${MAX_HOLD_SECONDS} ${latest}`;
    },
    mail: {
      HOLDFOR: (value, { nowMs }, options) => hold(parseHoldFor(value, nowMs), nowMs, options),
      HOLDUNTIL: (value, { nowMs }, options) => hold(parseHoldUntil(value), nowMs, options),
    },
  },
  {
    // RFC 2852 §2
    offer: ({ session }) => isSubmission(session) ? "DELIVERBY" : undefined,
    mail: { BY: (value, { nowMs }) => ({ deliverBy: parseBy(value, nowMs) }) },
  },
  {
    // RFC 6710 §3
    offer: ({ session }) => isSubmission(session) ? "MT-PRIORITY" : undefined,
    mail: { "MT-PRIORITY": (value) => ({ priority: parsePriority(value) }) },
  },
  { offer: () => "CHUNKING" },
  { offer: ({ session: { settings } }) => settings.binaryMime ? "BINARYMIME" : undefined },
  // RFC 8689 §4.1: under TLS only.
  {
    offer: ({ session: { tls } }) => tls === undefined ? undefined : "REQUIRETLS",
    mail: { REQUIRETLS: (value) => (takesNoValue("REQUIRETLS", value), { requireTls: true }) },
  },
  { offer: () => "ENHANCEDSTATUSCODES" },
  // RFC 9422 §3
  { offer: ({ session: { settings } }) => `LIMITS RCPTMAX=${settings.limits.recipients}` },
  { offer: ({ session }) => session.mayStartTls && session.tls === undefined ? "STARTTLS" : undefined },
  {
    offer: ({ session, services }) => {
      const mechanisms = mayLogIn(session) ? services.sasl.mechanisms(saslChannel(session)) : [];
      return mechanisms.length > 0 ? `AUTH ${mechanisms.join(" ")}` : undefined;
    },
    mail: { AUTH: readAuth },
  },
];

/** The EHLO keywords of this session, now. */
export function offeredExtensions(scene: Scene): string[] {
  return EXTENSIONS.map(({ offer }) => offer(scene)).filter((line) => line !== undefined);
}

function isSubmission({ service }: Session): boolean {
  return service === "submission";
}

/** AUTH is for submission, and only under TLS (RFC 8314 §3, contract section 6). */
export function mayLogIn(session: Session): boolean {
  return isSubmission(session) && session.tls !== undefined;
}

/** What a login may know of the connection. */
export function saslChannel({ clientAddress, localAddress, tls }: Session): SaslChannel {
  const { serverEndPoint, clientCertificate } = tls ?? {};
  return {
    clientAddress,
    localAddress,
    isTls: tls !== undefined,
    ...(serverEndPoint === undefined ? {} : { serverEndPoint }),
    ...(clientCertificate === undefined ? {} : { clientCertificate }),
  };
}

/**
 * Reads the parameters of MAIL.
 *
 * @throws {SmtpError} 555 5.5.4 for a parameter that is not offered, 501 5.5.4 for a wrong value, 552 5.3.4
 */
export function readMailParameters(scene: Scene, parameters: EsmtpParameters): MailOptions {
  let options: MailOptions = { body: "7BIT", smtpUtf8: false };
  const moment: MailMoment = { ...scene, nowMs: scene.services.clock.now() };
  for (const [keyword, value] of parameters) {
    const read = find(scene, ({ mail }) => mail?.[keyword]) ?? notOffered(keyword);
    options = { ...options, ...read(value, moment, options) };
  }
  const { holdUntil, deliverBy } = options;
  if (holdUntil !== undefined && deliverBy?.mode === "return" && deliverBy.until <= holdUntil) {
    throw new SmtpError(501, "5.5.4", "BY ends before the message is released");
  }
  return options;
}

/**
 * Reads the parameters of RCPT.
 *
 * @param mail Those of the MAIL before it.
 * @throws {SmtpError} 555 5.5.4 for a parameter that is not offered, 501 5.5.4 for a wrong value
 */
export function readRcptParameters(scene: Scene, parameters: EsmtpParameters, mail: MailOptions): RcptOptions {
  let options: RcptOptions = {};
  for (const [keyword, value] of parameters) {
    const read = find(scene, ({ rcpt }) => rcpt?.[keyword]) ?? notOffered(keyword);
    options = { ...options, ...read(value, mail) };
  }
  return options;
}

/** Finds a reader. HELO means no extensions (RFC 5321 §4.1.1.1), and no parameter is defined without one. */
function find<R>(scene: Scene, readerOf: (extension: Extension) => R | undefined): R | undefined {
  if (scene.session.greeting?.verb === "HELO") return undefined;
  for (const extension of EXTENSIONS) {
    const reader = readerOf(extension);
    if (reader !== undefined && extension.offer(scene) !== undefined) return reader;
  }
  return undefined;
}

/** RFC 5321 §4.1.1.11: a parameter that was not offered. */
function notOffered(keyword: string): never {
  throw new SmtpError(555, "5.5.4", `Parameter ${keyword} is not supported here`);
}

/** The reply to a message over the size limit, before or after its content. */
export function tooBig(maxOctets: number): SmtpError {
  return new SmtpError(552, "5.3.4", `The message is larger than the limit of ${maxOctets} octets`);
}

/** RFC 1870 §6.1: a declared size over the limit is refused here, before the content travels. */
function readSize(value: string | undefined, { session: { settings: { limits } } }: Scene): Partial<MailOptions> {
  if (value === undefined || !/^\d{1,20}$/.test(value)) {
    throw new SmtpError(501, "5.5.4", "SIZE needs a number of octets");
  }
  if (Number(value) > limits.messageOctets) throw tooBig(limits.messageOctets);
  return {};
}

/** RFC 6152 §2, RFC 3030 §3. */
function readBody(value: string | undefined, { session: { settings } }: Scene): Partial<MailOptions> {
  const body = asciiUpperCase(value ?? "");
  if (body === "7BIT" || body === "8BITMIME" || (body === "BINARYMIME" && settings.binaryMime)) return { body };
  const types = settings.binaryMime ? "7BIT, 8BITMIME or BINARYMIME" : "7BIT or 8BITMIME";
  throw new SmtpError(501, "5.5.4", `BODY is ${types}`);
}

/** RFC 4954 §5: a server that does not trust the client behaves as if the value were "<>"; we always do. */
function readAuth(value: string | undefined, { session }: Scene): Partial<MailOptions> {
  return session.login === undefined || value === undefined ? notOffered("AUTH") : {};
}

/** Takes the time at which a message is released; one that is over means no hold. */
function hold(untilMs: number, nowMs: number, { holdUntil }: MailOptions): Partial<MailOptions> {
  if (holdUntil !== undefined) throw new SmtpError(501, "5.5.4", "HOLDFOR and HOLDUNTIL exclude each other");
  if (untilMs > nowMs + MAX_HOLD_SECONDS * 1000) {
    throw new SmtpError(501, "5.5.4", `A message can be held for at most ${MAX_HOLD_SECONDS} seconds`);
  }
  return untilMs > nowMs ? { holdUntil: new Date(untilMs).toISOString() } : {};
}

function takesNoValue(keyword: string, value: string | undefined): void {
  if (value !== undefined) throw new SmtpError(501, "5.5.4", `${keyword} takes no value`);
}
