/** Reports about one domain that go to another one need its agreement in DNS (RFC 9990 §4, RFC 7489 §7.1). */

import type { PublishedRecord } from "./record.ts";

/**
 * Whether a domain must agree to get the reports about another one: not where one is below the other, so that they are of one
 * organisation. Siblings would need its boundary; they have to agree.
 */
export function needsAgreement(about: string, place: string): boolean {
  return about !== place && !about.endsWith(`.${place}`) && !place.endsWith(`.${about}`);
}

/** The record by which `place` agrees to get reports about a domain; the semicolon as in erratum 5440 of RFC 7489. */
export function reportAgreement(about: string, place: string): PublishedRecord {
  return {
    name: `${about}._report._dmarc.${place}`,
    type: "TXT",
    value: "v=DMARC1;",
    purpose: "DMARC: reports about other domains of ours may come here",
    importance: "recommended",
  };
}

/** Whether a TXT record says so. */
export function isAgreement(text: string): boolean {
  return /^v\s*=\s*DMARC1\s*(?:;|$)/.test(text);
}
