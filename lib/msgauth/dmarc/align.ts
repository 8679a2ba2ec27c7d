/** Which of the domains that proved themselves speak for the author domain (RFC 9989 §4.4, §4.10.2). */

import type { DkimFinding, SpfFinding } from "../findings.ts";
import { type RecordLookup, type Walk, walkUp } from "./discover.ts";

/** Walks for the domains of one message, so that a thousand signatures do not become a thousand lookups. */
const MAX_WALKS = 10;

/** What a check found about a domain, as far as DMARC cares. */
interface Identifier {
  readonly domain: string;
  /** `temperror`: it might have passed. */
  readonly result: "pass" | "temperror";
}

/** What alignment came to for SPF or for DKIM. */
export interface Alignment {
  /** An aligned identifier passed. */
  readonly isAligned: boolean;
  /** Why it may have been aligned all the same: a check that had no answer, or a walk. Absent: it is certain. */
  readonly doubt?: string;
}

/** Tells whether a domain is aligned with the author domain in relaxed mode; a string says why that is not known. */
export type RelaxedTest = (domain: string) => Promise<boolean | string>;

/**
 * Makes the test for one author domain. Domains that cannot belong to the organisation of the author cost no lookup.
 *
 * @param walkFromAuthor Walks from the author domain; only where a domain is not the author domain itself.
 */
export function relaxedTest(author: string, walkFromAuthor: () => Promise<Walk>, lookup: RecordLookup): RelaxedTest {
  let walks = 0;
  const known = new Map<string, Promise<boolean | string>>();
  const walk = async (domain: string, organization: string): Promise<boolean | string> => {
    if (++walks > MAX_WALKS) return `more than ${MAX_WALKS} domains to compare with ${author}`;
    const found = await walkUp(domain, lookup);
    return found.kind === "failed" ? found.reason : found.organization === organization;
  };
  return async (domain) => {
    if (domain === author) return true;
    if (!sharesTop(domain, author)) return false;
    const authorWalk = await walkFromAuthor();
    if (authorWalk.kind === "failed") return authorWalk.reason;
    const { organization } = authorWalk;
    if (domain !== organization && !domain.endsWith(`.${organization}`)) return false;
    const result = known.get(domain) ?? walk(domain, organization);
    known.set(domain, result);
    return await result;
  };
}

/** Without the last label in common, no walk could make two domains one organisation. */
function sharesTop(domain: string, other: string): boolean {
  return domain.slice(domain.lastIndexOf(".") + 1) === other.slice(other.lastIndexOf(".") + 1);
}

/**
 * Compares the SPF identity with the author domain: that of MAIL, or of HELO where the reverse-path was empty and MAIL was
 * not checked for itself (RFC 7208 §2.4).
 */
export function alignSpf(
  findings: readonly SpfFinding[],
  author: string,
  isStrict: boolean,
  test: RelaxedTest,
): Promise<Alignment> {
  const finding = findings.find(({ identity }) => identity === "mailfrom") ?? findings[0];
  return align(finding === undefined ? [] : identifiers([finding]), "SPF of", author, isStrict, test);
}

/** Compares the domains of the signatures with the author domain; one that is aligned and passed is enough. */
export function alignDkim(
  findings: readonly DkimFinding[],
  author: string,
  isStrict: boolean,
  test: RelaxedTest,
): Promise<Alignment> {
  return align(identifiers(findings), "the signature of", author, isStrict, test);
}

/** Those that passed come first, so that no walk is spent on others before; each domain once for each result. */
function identifiers(findings: readonly (SpfFinding | DkimFinding)[]): readonly Identifier[] {
  return (["pass", "temperror"] as const).flatMap((result) => {
    const domains = findings.flatMap((finding) =>
      finding.result === result && finding.domain !== undefined ? [finding.domain] : []
    );
    return [...new Set(domains)].map((domain) => ({ domain, result }));
  });
}

async function align(
  found: readonly Identifier[],
  check: string,
  author: string,
  isStrict: boolean,
  test: RelaxedTest,
): Promise<Alignment> {
  let doubt: string | undefined;
  for (const { domain, result } of found) {
    const isAligned = isStrict ? domain === author : await test(domain);
    if (isAligned === false) continue;
    if (isAligned === true && result === "pass") return { isAligned: true };
    doubt ??= isAligned === true ? `${check} ${domain} could not be checked` : isAligned;
  }
  return { isAligned: false, ...(doubt === undefined ? {} : { doubt }) };
}
