/** The value of MT-PRIORITY (RFC 6710 §3). */

import { SmtpError } from "../reply.ts";

/** Reads MT-PRIORITY: -9 to 9, higher is more urgent. @throws {SmtpError} 501 5.5.4 */
export function parsePriority(value: string | undefined): number {
  if (value === undefined || !/^(?:0|-?[1-9])$/.test(value)) {
    throw new SmtpError(501, "5.5.4", "MT-PRIORITY is a number from -9 to 9");
  }
  return Number(value);
}
