/** What an Authentication-Results field says, as data, and what of our findings goes into one (RFC 8601). */

import type { DkimFinding, DmarcFinding, Findings, IprevFinding, SpfFinding } from "../findings.ts";

/** What was looked at: `header.d=example.org`. */
export interface ResultProperty {
  /** Where the value was taken from: `smtp`, `header`, `policy`, … */
  readonly type: string;
  /** Which part of it. */
  readonly name: string;
  /** Its value, unquoted. */
  readonly value: string;
}

/** The result of one check of one thing. */
export interface MethodResult {
  /** Registered with IANA ("Email Authentication Methods"), e.g. `dkim`. */
  readonly method: string;
  /** E.g. `pass`. */
  readonly result: string;
  /** Why, in words; for programs that show it. */
  readonly reason?: string;
  /** For people; it is not read back. */
  readonly comment?: string;
  /** In order. */
  readonly properties: readonly ResultProperty[];
}

/** The content of a field. */
export interface AuthenticationResults {
  /** Whose results these are: a name that all of one site share (RFC 8601 §2.5). */
  readonly authservId: string;
  /** Empty: nothing was checked. */
  readonly results: readonly MethodResult[];
}

/** What goes into the field beside the findings. */
export interface ResultFacts {
  /** `msgauth.authserv_id` of the configuration. */
  readonly authservId: string;
  /** What was found out. */
  readonly findings: Findings;
  /** Signatures were looked for; where there is none, the field says so. */
  readonly isDkimChecked?: boolean;
  /** The address of the client; absent: there is none. */
  readonly clientAddress?: string;
  /** Who logged in, where readers may know; absent: nobody, or they may not. */
  readonly login?: string;
  /** What became of the message under its DMARC policy, e.g. `dis=none by trusted_forwarder`, for people. */
  readonly dmarcComment?: string;
}

/**
 * Makes results of findings, the ones that filters look for first: SPF of MAIL before that of HELO. Of the reverse-path only
 * the domain is told (RFC 8601 §2.7.2 allows it), as it may name a recipient of a list.
 */
export function resultsOf(facts: ResultFacts): AuthenticationResults {
  const { findings, isDkimChecked = false, clientAddress, login, authservId } = facts;
  const { iprev, spf, dkim, dmarc, arc } = findings;
  const byMail = spf.toSorted((one, other) => Number(one.identity === "helo") - Number(other.identity === "helo"));
  return {
    authservId,
    results: [
      ...(login === undefined ? [] : [{ method: "auth", result: "pass", properties: [property("smtp.auth", login)] }]),
      ...(iprev === undefined ? [] : [iprevResult(iprev, clientAddress)]),
      ...byMail.map(spfResult),
      ...dkim.map(dkimResult),
      ...(isDkimChecked && dkim.length === 0 ? [NOT_SIGNED] : []),
      ...(dmarc === undefined ? [] : [dmarcResult(dmarc, facts.dmarcComment)]),
      ...(arc === undefined ? [] : [{
        method: "arc",
        result: arc.result,
        ...reasonOf(arc.problem),
        ...(arc.sealers.length === 0 ? {} : { comment: `sealed by ${arc.sealers.join(", ")}` }),
        properties: [],
      }]),
    ],
  };
}

/** RFC 8601 §2.7.1 */
const NOT_SIGNED: MethodResult = { method: "dkim", result: "none", comment: "not signed", properties: [] };

/** Makes a property. @param name `type.name` */
function property(name: string, value: string): ResultProperty {
  const dot = name.indexOf(".");
  return { type: name.slice(0, dot), name: name.slice(dot + 1), value };
}

/** Those that have a value. */
function properties(values: Readonly<Record<string, string | undefined>>): readonly ResultProperty[] {
  return Object.entries(values).flatMap(([name, value]) => value === undefined ? [] : [property(name, value)]);
}

function reasonOf(problem: string | undefined): { readonly reason?: string } {
  return problem === undefined ? {} : { reason: problem };
}

/** RFC 8601 §2.7.3 */
function iprevResult({ result, name }: IprevFinding, address: string | undefined): MethodResult {
  const comment = name === undefined ? {} : { comment: name };
  return { method: "iprev", result, ...comment, properties: properties({ "policy.iprev": address }) };
}

/** RFC 8601 §2.7.2 */
function spfResult({ identity, domain, result, mechanism, problem }: SpfFinding): MethodResult {
  return {
    method: "spf",
    result,
    ...reasonOf(problem),
    ...(mechanism === undefined ? {} : { comment: `matched ${mechanism}` }),
    properties: properties({ [`smtp.${identity}`]: domain }),
  };
}

/** RFC 8601 §2.7.1, RFC 6008 (header.b), RFC 8301 and the registry (header.a, header.s). */
function dkimResult(finding: DkimFinding): MethodResult {
  const { result, domain, selector, algorithm, identity, signatureStart, keyBits, unsignedOctets, problem } = finding;
  const notes = [
    ...(keyBits === undefined ? [] : [`${keyBits}-bit key`]),
    ...(finding.isTesting ? ["testing"] : []),
    ...(unsignedOctets === undefined || unsignedOctets === 0 ? [] : [`${unsignedOctets} octets unsigned`]),
  ];
  return {
    method: "dkim",
    result,
    ...reasonOf(problem),
    ...(notes.length === 0 ? {} : { comment: notes.join(", ") }),
    properties: properties({
      "header.d": domain,
      "header.i": identity,
      "header.s": selector,
      "header.a": algorithm,
      "header.b": signatureStart,
    }),
  };
}

/** RFC 8601 §2.7, RFC 7489 §11.1 and RFC 9989 §9.1 (header.from, policy.dmarc). */
function dmarcResult(finding: DmarcFinding, dmarcComment: string | undefined): MethodResult {
  const { result, fromDomain, policy, request, problem } = finding;
  const comment = dmarcComment === undefined ? {} : { comment: dmarcComment };
  return {
    method: "dmarc",
    result,
    ...reasonOf(problem),
    ...comment,
    properties: properties({
      "header.from": fromDomain,
      "policy.dmarc": result === "pass"
        ? policy
        : result === "none"
        ? undefined
        : policy === undefined
        ? policy
        : request,
    }),
  };
}
