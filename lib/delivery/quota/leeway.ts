/** Which mail may go over a quota, and how far. */

import type { QuotaLimits } from "../../config/config.ts";
import type { Envelope, EnvelopeRecipient } from "../../mail/envelope.ts";
import { raised } from "./limits.ts";

/**
 * How far a message may go over. `grace`: a tenth, as Dovecot's `quota_grace` has it for any mail; for what is small and has to
 * arrive. `any`: without a limit; for the warning that a mailbox gets full.
 */
export type Leeway = "none" | "grace" | "any";

const GRACE = 0.1;

/** Limits that hold for a message with this leeway. */
export function withLeeway(limits: QuotaLimits, leeway: Leeway): QuotaLimits {
  return leeway === "none" ? limits : leeway === "grace" ? raised(limits, GRACE) : {};
}

/** The leeway of a message: `grace` for reports of our own, and for mail to postmaster. */
export function leewayOf(
  { session }: Pick<Envelope, "session">,
  recipients: readonly Pick<EnvelopeRecipient, "address" | "original">[],
): Leeway {
  const isReport = session.service === "local";
  return isReport || recipients.some(({ address, original }) => isPostmaster(original ?? address)) ? "grace" : "none";
}

/** RFC 5321 §4.5.1: every reasonable effort is made to take its mail. @param path Also without a domain. */
export function isPostmaster(path: string): boolean {
  return /^postmaster(?:@|$)/i.test(path);
}
