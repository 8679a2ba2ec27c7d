/** Domains of many scripts in the form that DNS knows. */

import { domainToASCII } from "node:url";

/**
 * Writes the U-labels of a domain as A-labels, in lower case.
 *
 * @returns Empty for what is no domain: some versions of the runtime throw there, others give an empty text.
 */
export function domainToAscii(text: string): string {
  try {
    return domainToASCII(text);
  } catch {
    return "";
  }
}
