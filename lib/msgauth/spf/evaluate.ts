/** check_host() of SPF: reads the record of a domain and compares one directive after the other (RFC 7208 §4). */

import { parseIpAddress } from "../../dns/ip_address.ts";
import { expandDomain } from "./domain_spec.ts";
import type { SpfLookups } from "./lookups.ts";
import { type MacroString, type MacroValues, usesMacro } from "./macro.ts";
import {
  type Directive,
  type Mechanism,
  parseRecord,
  type QualifierResult,
  selectRecord,
  type SpfRecord,
} from "./record.ts";
import { printable, quoted, SpfError } from "./spf_error.ts";

/** What stays the same through a check, also in the records that it includes. */
export interface SpfSession {
  /** 4 or 16 octets. */
  readonly address: Uint8Array;
  /** Macros, without those that depend on the record: `d` and `p`. */
  readonly values: MacroValues;
  /** The local part is not US-ASCII: terms with `%{s}` or `%{l}` match nothing (RFC 8616 §4). */
  readonly hasUnusableSender: boolean;
  /** Counts. */
  readonly lookups: SpfLookups;
}

/** What a record says about the client. */
export type Verdict =
  | { readonly result: "none" }
  | {
    readonly result: QualifierResult;
    /** The mechanism that matched, printable, cut where it is very long; absent: none, so the result is the default one. */
    readonly mechanism?: string;
    /** Where the explanation of a `fail` is, and the domain whose record says so. */
    readonly explanation?: { readonly spec: MacroString; readonly domain: string };
  };

/**
 * Finds out what the record of a domain says.
 *
 * Depth and length are bounded by the terms that need DNS: each include and each redirect is one.
 *
 * @param domain Lower case, without final dot.
 * @throws {SpfError} With the result `temperror` or `permerror`.
 */
export async function evaluate(session: SpfSession, domain: string): Promise<Verdict> {
  let isRedirected = false;
  for (let current = domain;;) {
    const text = selectRecord(await session.lookups.texts(current), current);
    if (text === undefined) {
      if (!isRedirected) return { result: "none" };
      throw new SpfError("permerror", `The redirect leads to ${quoted(current)}, which has no SPF record`);
    }
    session.lookups.countRecord(text);
    const record = readRecord(text, current);
    const matched = await firstMatch(session, record.directives, current);
    if (matched !== undefined) return verdict(matched, record, current);
    const target = await redirectTarget(session, record, current);
    if (target === undefined) return { result: "neutral" };
    current = target;
    isRedirected = true;
  }
}

function readRecord(text: string, domain: string): SpfRecord {
  try {
    return parseRecord(text);
  } catch (error) {
    if (!(error instanceof SpfError)) throw error;
    throw new SpfError(error.result, `Cannot read the SPF record of ${quoted(domain)}: ${error.message}`);
  }
}

function verdict({ result, text }: Directive, { explanation }: SpfRecord, domain: string): Verdict {
  const explained = result === "fail" && explanation !== undefined
    ? { explanation: { spec: explanation, domain } }
    : {};
  return { result, mechanism: printable(text), ...explained };
}

/** Where a record without a match sends the check (§6.1); undefined: nowhere. */
async function redirectTarget(
  session: SpfSession,
  { redirect }: SpfRecord,
  domain: string,
): Promise<string | undefined> {
  if (redirect === undefined) return undefined;
  session.lookups.countTerm();
  return (await targetName(session, redirect, domain))?.toLowerCase();
}

async function firstMatch(
  session: SpfSession,
  directives: readonly Directive[],
  domain: string,
): Promise<Directive | undefined> {
  for (const directive of directives) {
    const { mechanism, text } = directive;
    // Most directives need no waiting, and a record may have thousands of them.
    const isMatch = mechanism.kind === "all" ||
      (mechanism.kind === "network"
        ? isInNetwork(session.address, mechanism.octets, mechanism.prefixBits)
        : await matches(session, mechanism, text, domain));
    if (isMatch) return directive;
  }
  return undefined;
}

/** The mechanisms that need DNS. */
type LookupMechanism = Exclude<Mechanism, { readonly kind: "all" | "network" }>;

/** Whether one of them matches the client (§5). */
async function matches(
  session: SpfSession,
  mechanism: LookupMechanism,
  text: string,
  domain: string,
): Promise<boolean> {
  const { lookups } = session;
  lookups.countTerm();
  const target = mechanism.domain === undefined ? domain : await targetName(session, mechanism.domain, domain);
  if (target === undefined) return false;
  switch (mechanism.kind) {
    case "include":
      return await includes(session, target.toLowerCase(), text);
    case "exists":
      return (await lookups.find(target, "A")).length > 0;
    case "ptr":
      return await lookups.hasClientName(target);
    case "a":
      return await hasAddress(session, target, mechanism);
    case "mx":
      return await hasExchange(session, target, mechanism);
  }
}

/** §5.2: only `pass` of the other record is a match; one that is missing or broken breaks this one. */
async function includes(session: SpfSession, target: string, text: string): Promise<boolean> {
  const { result } = await evaluate(session, target);
  if (result === "none") {
    throw new SpfError("permerror", `${quoted(text)} leads to ${quoted(target)}, which has no SPF record`);
  }
  return result === "pass";
}

interface PrefixBits {
  readonly ip4Bits: number;
  readonly ip6Bits: number;
}

/** §5.3: only addresses of the client's family are looked at. */
async function hasAddress({ address, lookups }: SpfSession, name: string, bits: PrefixBits): Promise<boolean> {
  const records = await lookups.find(name, address.length === 4 ? "A" : "AAAA");
  const prefixBits = address.length === 4 ? bits.ip4Bits : bits.ip6Bits;
  return records.some((record) => {
    const octets = parseIpAddress(record);
    return octets !== undefined && isInNetwork(address, octets, prefixBits);
  });
}

/** How many MX records a domain may have (§4.6.4). */
const MAX_EXCHANGES = 10;

/** §5.4; a domain without MX records has no exchange, and a null MX (RFC 7505) is none. */
async function hasExchange(session: SpfSession, name: string, bits: PrefixBits): Promise<boolean> {
  const records = await session.lookups.find(name, "MX");
  if (records.length > MAX_EXCHANGES) {
    throw new SpfError("permerror", `${quoted(name)} has ${records.length} MX records, more than ${MAX_EXCHANGES}`);
  }
  for (const { exchange } of records.toSorted((a, b) => a.preference - b.preference)) {
    if (exchange !== "" && exchange !== "." && await hasAddress(session, exchange, bits)) return true;
  }
  return false;
}

/** The name that a term is about; undefined where it cannot have one, so that it matches nothing. */
async function targetName(session: SpfSession, spec: MacroString, domain: string): Promise<string | undefined> {
  if (session.hasUnusableSender && usesMacro(spec, "sl")) return undefined;
  return expandDomain(spec, await valuesFor(session, spec, domain));
}

/** The values of all macros within the record of `domain`. Names of the client are looked up only where they are used. */
export async function valuesFor(session: SpfSession, spec: MacroString, domain: string): Promise<MacroValues> {
  const p = usesMacro(spec, "p") ? await session.lookups.clientName(domain) : "";
  return { ...session.values, d: domain, p };
}

/** True where an address is in a network; never across families. */
function isInNetwork(address: Uint8Array, network: Uint8Array, prefixBits: number): boolean {
  if (address.length !== network.length) return false;
  for (let i = 0; i * 8 < prefixBits; i++) {
    const mask = (0xff00 >> Math.min(8, prefixBits - i * 8)) & 0xff;
    if ((((address[i] ?? 0) ^ (network[i] ?? 0)) & mask) !== 0) return false;
  }
  return true;
}
