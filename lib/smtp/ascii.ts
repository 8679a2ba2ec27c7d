/** Words of the protocol are US-ASCII; their case does not matter (RFC 5321 §2.4). */

import { isNonAscii } from "../mail/mailbox.ts";

/**
 * Writes a word in upper case. One with other characters stays as it is: Unicode has some whose upper case is US-ASCII
 * (U+017F, U+0131, the ligatures), and they must not become a verb or a keyword.
 */
export function asciiUpperCase(word: string): string {
  return isNonAscii(word) ? word : word.toUpperCase();
}
