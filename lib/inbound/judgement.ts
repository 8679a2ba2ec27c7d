/**
 * What message authentication has to do with one message on its way in: mail of others is checked, mail of our own users is
 * signed. Both see the message pass, and say in the end what goes in front of it, or why it is refused.
 */

import { joinOctets } from "../mail/octets.ts";
import type { EnvelopeRecipient } from "../mail/envelope.ts";
import { domainOf } from "../mail/mailbox.ts";
import { forgedFields } from "../msgauth/authentication_results/forged.ts";
import type { Findings } from "../msgauth/findings.ts";
import type { CheckedMail, MessageChecks } from "../policy/message_checks.ts";
import { mayRelay } from "../policy/relay.ts";
import type { OutgoingSignature } from "../policy/outgoing_signature.ts";
import { SmtpError } from "../smtp/reply.ts";
import type { Authentication } from "./services.ts";
import type { Session, Transaction } from "./session.ts";

/** What is put in front of a message, and done with it. */
export interface Judged {
  /** Fields, CRLF ended, for the very front; perhaps none. */
  readonly fields: string;
  /** It goes into the folder Junk. */
  readonly isQuarantined: boolean;
  /** ARC set for those whom it is sent on to. */
  readonly arcSeal?: string;
}

/** What is known when the message is complete. */
export interface CompleteMessage {
  /** The other fields of ours, CRLF ended. */
  readonly trace: string;
  /** After alias expansion. */
  readonly recipients: readonly EnvelopeRecipient[];
  /** Milliseconds since 1970. */
  readonly nowMs: number;
}

/** Judges one message. */
export class Judgement {
  readonly #authentication: Authentication | undefined;
  readonly #checks: MessageChecks | undefined;
  readonly #mail: CheckedMail | undefined;
  /** The header section as it goes on. */
  #kept: readonly Uint8Array[] = [];
  readonly #signature: OutgoingSignature | undefined;
  /** Whoever sends this must not say what we found out. */
  readonly #mustNotForge: boolean = false;
  #summary: string | undefined;

  /** Begins to look up what the envelope names. */
  constructor(session: Session, transaction: Transaction, authentication: Authentication | undefined) {
    this.#authentication = authentication;
    const { service, clientAddress, login, settings, greeting } = session;
    if (authentication === undefined || service === "lmtp") return;
    if (mayRelay(clientAddress, login, settings.relayFrom)) {
      this.#signature = authentication.sign();
      // A client of `relay_from` may be a filter of ours, whose results are ours.
      this.#mustNotForge = login !== undefined;
    } else if (service === "mx") {
      this.#mustNotForge = true;
      const { reversePath, options: { smtpUtf8: isSmtpUtf8 } } = transaction;
      const address = clientAddress === undefined ? {} : { clientAddress };
      this.#mail = { ...address, helo: greeting?.name ?? "", reversePath, isSmtpUtf8 };
      this.#checks = authentication.check(this.#mail);
    }
  }

  /** True where something will stand in front that is known only when the whole message has passed. */
  get isDue(): boolean {
    return this.#checks !== undefined || this.#signature?.isDue === true;
  }

  /** What was found out, a word for each check, for the log; undefined where nothing was checked, or not yet. */
  get summary(): string | undefined {
    return this.#summary;
  }

  /**
   * Takes the header section as it came.
   *
   * @returns What of it goes on: fields that pretend to be ours are left out (RFC 8601 §5), also where nothing is checked.
   */
  header(section: Uint8Array): readonly Uint8Array[] {
    this.#checks?.header(section);
    this.#signature?.header(section);
    const kept: Uint8Array[] = [];
    let from = 0;
    this.#kept = kept;
    if (!this.#mustNotForge || this.#authentication === undefined) {
      kept.push(section);
      return kept;
    }
    for (const { start, end } of forgedFields(section, this.#authentication.authservId)) {
      kept.push(section.subarray(from, start));
      from = end;
    }
    kept.push(section.subarray(from));
    return kept;
  }

  /** Takes the next octets of the body, which is what comes behind the empty line. */
  body(piece: Uint8Array): void {
    this.#checks?.body(piece);
    this.#signature?.push(piece);
  }

  /**
   * The message is complete.
   *
   * @throws {SmtpError} It is not accepted, by the DMARC policy of its author domain.
   */
  async finish({ trace, recipients, nowMs }: CompleteMessage): Promise<Judged> {
    if (this.#signature !== undefined) {
      const headerSection = joinOctets(this.#kept);
      return { fields: await this.#signature.sign({ headerSection, trace, nowMs }), isQuarantined: false };
    }
    if (this.#checks === undefined) return { fields: "", isQuarantined: false };
    const checked = await this.#checks.finish();
    const { decision, field, findings } = checked;
    if (this.#mail !== undefined) this.#authentication?.note?.(checked, this.#mail);
    this.#summary = summaryOf(findings);
    if (decision.action === "reject" || decision.action === "defer") {
      const { code, enhanced = "5.7.1", lines } = decision.reply;
      throw new SmtpError(code, enhanced, lines.join(" "));
    }
    const forwarder = recipients.find(({ forwardedBy }) => forwardedBy !== undefined)?.forwardedBy;
    const arcSeal = forwarder === undefined ? undefined : await this.#authentication?.seal?.(domainOf(forwarder), {
      ...checked,
      headerSection: joinOctets(this.#kept),
      trace: field + trace,
      nowMs,
    });
    return {
      fields: field,
      isQuarantined: decision.action === "quarantine",
      ...(arcSeal === undefined ? {} : { arcSeal }),
    };
  }

  /** Ends lookups that still run. */
  abort(): void {
    this.#checks?.abort();
  }
}

/** E.g. `spf=pass dkim=pass(example.org) dmarc=pass(example.org)`. */
function summaryOf({ spf, dkim, arc, dmarc }: Findings): string {
  const sender = spf.find(({ identity }) => identity === "mailfrom") ?? spf[0];
  const signature = dkim.find(({ result }) => result === "pass") ?? dkim[0];
  return [
    `spf=${sender?.result ?? "none"}`,
    signature === undefined ? "dkim=none" : `dkim=${signature.result}(${signature.domain ?? "?"})`,
    ...(arc === undefined ? [] : [`arc=${arc.result}`]),
    ...(dmarc === undefined ? [] : [`dmarc=${dmarc.result}(${dmarc.fromDomain ?? "?"})`]),
  ].join(" ");
}
