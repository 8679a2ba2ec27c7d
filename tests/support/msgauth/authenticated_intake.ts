/** Messages through the receiving side with message authentication, without a socket: pieces in, envelope and content out. */

import { IncomingMessage } from "../../../lib/inbound/incoming_message.ts";
import type { Authentication, Services, Settings } from "../../../lib/inbound/services.ts";
import type { Session } from "../../../lib/inbound/session.ts";
import type { Resolver } from "../../../lib/dns/resolver.ts";
import type { Envelope, EnvelopeRecipient } from "../../../lib/mail/envelope.ts";
import type { SigningKey } from "../../../lib/msgauth/dkim/sign.ts";
import { type CheckSettings, MessageChecks } from "../../../lib/policy/message_checks.ts";
import { OutgoingSignature } from "../../../lib/policy/outgoing_signature.ts";
import type { Clock } from "../../../lib/system/clock.ts";
import { FakeClock } from "../fake_clock.ts";
import { MemorySpool } from "../memory_spool.ts";
import { testServices, testSession } from "../test_session.ts";
import { allChecks, SENDING_HOST } from "./check_lab.ts";
import { NOW_MS, octetsOf } from "./dkim_check.ts";

/** What message authentication of a test is made of. */
export interface AuthenticationWishes {
  readonly resolver: Resolver;
  readonly clock?: Clock;
  readonly settings?: CheckSettings;
  /** Those of `domain` in each. */
  readonly keys?: readonly SigningKey[];
  readonly more?: Partial<Authentication>;
}

/** Message authentication of `mx.test`. */
export function testAuthentication(wishes: AuthenticationWishes): Authentication {
  const { resolver, clock = new FakeClock(NOW_MS), settings = allChecks(), keys = [], more } = wishes;
  return {
    authservId: settings.authservId,
    check: (mail) => new MessageChecks(mail, { resolver, clock, random: () => 0, hostname: "mx.test", settings }),
    sign: () => new OutgoingSignature((domain) => Promise.resolve(keys.filter((key) => key.domain === domain))),
    ...more,
  };
}

/** Who sends, and under which limits. */
export interface IntakeWishes {
  readonly session?: Partial<Session>;
  readonly limits?: Partial<Settings["limits"]>;
  readonly settings?: Partial<Settings>;
  readonly services?: Partial<Services>;
  readonly reversePath?: string;
  readonly recipients?: readonly EnvelopeRecipient[];
}

/** A message that was accepted. */
export interface Taken {
  readonly envelope: Envelope;
  /** One octet a character. */
  readonly content: string;
}

const LIMITS = {
  messageOctets: 2_000_000,
  headerOctets: 262_144,
  headerFields: 1000,
  recipients: 10,
  connections: 1,
  connectionsPerIp: 1,
};

/**
 * Takes a message of ann@example.org to alice@example.org from a client of the mx port.
 *
 * @param pieces As they come; text of one octet a character.
 * @throws {SmtpError} It was refused.
 */
export async function takeMessage(
  pieces: readonly string[],
  authentication: Authentication | undefined,
  wishes: IntakeWishes = {},
): Promise<Taken> {
  const spool = new MemorySpool();
  const services = testServices({
    spool,
    clock: new FakeClock(NOW_MS),
    ...(authentication === undefined ? {} : { authentication: () => authentication }),
    ...wishes.services,
  });
  const session = testSession({
    clientAddress: SENDING_HOST,
    greeting: { verb: "EHLO", name: "mail.example.org" },
    transaction: {
      reversePath: wishes.reversePath ?? "ann@example.org",
      options: { body: "8BITMIME", smtpUtf8: false },
      recipients: [...wishes.recipients ?? [{ address: "alice@example.org" }]],
      addresses: new Map(),
      accepted: [],
      chunks: undefined,
    },
    ...wishes.session,
  }, { ...wishes.settings, limits: { ...LIMITS, ...wishes.limits } });
  const message = new IncomingMessage({ session, services } as ConstructorParameters<typeof IncomingMessage>[0]);
  try {
    for (const piece of pieces) await message.write(octetsOf(piece));
    message.check(undefined);
    await message.accept();
  } finally {
    await message.abort();
  }
  const [stored] = spool.messages;
  if (stored === undefined) throw new Error("nothing in the spool");
  const content = stored.content.inMemory ?? new Uint8Array(0);
  return { envelope: stored.envelope, content: Array.from(content, (octet) => String.fromCharCode(octet)).join("") };
}

/** Text cut at some places. */
export function cutAt(text: string, cuts: readonly number[]): string[] {
  const places = cuts.map((cut) => cut % (text.length + 1)).sort((a, b) => a - b);
  return [0, ...places].map((from, index) => text.slice(from, places[index] ?? text.length));
}
