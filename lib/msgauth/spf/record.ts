/**
 * SPF records as data, and their grammar (RFC 7208 §4.6.1, §12).
 *
 * ```abnf
 * record           = version terms *SP
 * version          = "v=spf1"
 * terms            = *( 1*SP ( directive / modifier ) )
 * directive        = [ qualifier ] mechanism
 * qualifier        = "+" / "-" / "?" / "~"
 * mechanism        = all / include / a / mx / ptr / ip4 / ip6 / exists
 * all              = "all"
 * include          = "include" ":" domain-spec
 * a                = "a"  [ ":" domain-spec ] [ dual-cidr-length ]
 * mx               = "mx" [ ":" domain-spec ] [ dual-cidr-length ]
 * ptr              = "ptr" [ ":" domain-spec ]
 * ip4              = "ip4" ":" ip4-network [ ip4-cidr-length ]
 * ip6              = "ip6" ":" ip6-network [ ip6-cidr-length ]
 * exists           = "exists" ":" domain-spec
 * modifier         = redirect / explanation / unknown-modifier
 * redirect         = "redirect" "=" domain-spec
 * explanation      = "exp" "=" domain-spec
 * unknown-modifier = name "=" macro-string
 * name             = ALPHA *( ALPHA / DIGIT / "-" / "_" / "." )
 * ip4-cidr-length  = "/" ("0" / %x31-39 0*1DIGIT) ; 0-32
 * ip6-cidr-length  = "/" ("0" / %x31-39 0*2DIGIT) ; 0-128
 * dual-cidr-length = [ ip4-cidr-length ] [ "/" ip6-cidr-length ]
 * ```
 */

import { parseIpAddress } from "../../dns/ip_address.ts";
import { parseDomainSpec } from "./domain_spec.ts";
import { type MacroString, parseMacroString } from "./macro.ts";
import { quoted, SpfError } from "./spf_error.ts";

/** What a directive gives where its mechanism matches (§4.6.2). */
export type QualifierResult = "pass" | "fail" | "softfail" | "neutral";

/** What is compared with the client. */
export type Mechanism =
  /** Always matches. */
  | { readonly kind: "all" }
  /** Needs a domain. */
  | { readonly kind: "include" | "exists"; readonly domain: MacroString }
  /** Without `domain`: that of the record. */
  | { readonly kind: "ptr"; readonly domain: MacroString | undefined }
  | {
    readonly kind: "a" | "mx";
    readonly domain: MacroString | undefined;
    /** 0 to 32. */
    readonly ip4Bits: number;
    /** 0 to 128. */
    readonly ip6Bits: number;
  }
  /** `ip4` or `ip6`: 4 or 16 octets, which may have bits set behind the prefix. */
  | { readonly kind: "network"; readonly octets: Uint8Array; readonly prefixBits: number };

/** A mechanism with its qualifier. */
export interface Directive {
  /** Where it matches. */
  readonly result: QualifierResult;
  /** What it is about. */
  readonly mechanism: Mechanism;
  /** The mechanism as in the record, without the qualifier. */
  readonly text: string;
}

/** A whole record. */
export interface SpfRecord {
  /** In the order in which they are compared. */
  readonly directives: readonly Directive[];
  /** Whose record counts where nothing matches (§6.1). */
  readonly redirect?: MacroString;
  /** Where the text for those who are refused is (§6.2). */
  readonly explanation?: MacroString;
}

/** Others mean nothing (§6). */
const KNOWN_MODIFIERS = new Map<string, "redirect" | "explanation">([["redirect", "redirect"], ["exp", "explanation"]]);
const VERSION = /^v=spf1(?: |$)/i;
const RESULTS: Readonly<Record<string, QualifierResult>> = {
  "": "pass",
  "+": "pass",
  "-": "fail",
  "~": "softfail",
  "?": "neutral",
};

/**
 * Finds the SPF record among the TXT records of a domain (§4.5).
 *
 * @returns Undefined where there is none.
 * @throws {SpfError} `permerror` where there are several.
 */
export function selectRecord(texts: readonly string[], domain: string): string | undefined {
  const records = texts.filter((text) => VERSION.test(text));
  if (records.length > 1) throw new SpfError("permerror", `${quoted(domain)} has ${records.length} SPF records`);
  return records[0];
}

/**
 * Reads a whole record, before anything of it is used: an error anywhere counts (§4.6).
 *
 * @param text With its version, as `selectRecord` gives it; octets as Latin-1.
 * @throws {SpfError} `permerror`, with the term that is wrong.
 */
export function parseRecord(text: string): SpfRecord {
  const directives: Directive[] = [];
  const modifiers: { redirect?: MacroString; explanation?: MacroString } = {};
  for (const term of text.split(" ").slice(1)) {
    if (term === "") continue;
    const [, name, value = ""] = term.includes("=") ? /^([a-z][a-z0-9._-]*)=(.*)$/i.exec(term) ?? [] : [];
    if (name === undefined) {
      directives.push(parseDirective(term));
      continue;
    }
    const known = KNOWN_MODIFIERS.get(name.toLowerCase());
    if (known === undefined) {
      parseMacroString(value);
      continue;
    }
    // §6: they must not appear more than once each.
    if (modifiers[known] !== undefined) throw new SpfError("permerror", `Two modifiers ${quoted(`${name}=`)}`);
    modifiers[known] = parseDomainSpec(value);
  }
  return { directives, ...modifiers };
}

function parseDirective(term: string): Directive {
  const [, qualifier = "", name = "", argument = ""] = /^([+?~-]?)([a-z0-9]*)(.*)$/is.exec(term) ?? [];
  const mechanism = parseMechanism(name.toLowerCase(), argument, term);
  return { result: RESULTS[qualifier] ?? "pass", mechanism, text: term.slice(qualifier.length) };
}

function parseMechanism(name: string, argument: string, term: string): Mechanism {
  switch (name) {
    case "all":
      if (argument !== "") throw new SpfError("permerror", `"all" takes no argument: ${quoted(term)}`);
      return { kind: "all" };
    case "include":
    case "exists":
      if (!argument.startsWith(":")) throw new SpfError("permerror", `${quoted(term)} names no domain`);
      return { kind: name, domain: parseDomainSpec(argument.slice(1)) };
    case "ptr":
      return { kind: "ptr", domain: optionalDomain(argument, term) };
    case "a":
    case "mx": {
      const [, domain = "", ip4Bits, ip6Bits] = /^(.*?)(?:\/(\d{1,3}))?(?:\/\/(\d{1,3}))?$/s.exec(argument) ?? [];
      return {
        kind: name,
        domain: optionalDomain(domain, term),
        ip4Bits: prefixLength(ip4Bits, 32, term),
        ip6Bits: prefixLength(ip6Bits, 128, term),
      };
    }
    case "ip4":
    case "ip6":
      return parseNetwork(name, argument, term);
    default:
      throw new SpfError("permerror", `No such mechanism: ${quoted(term)}`);
  }
}

function optionalDomain(argument: string, term: string): MacroString | undefined {
  if (argument === "") return undefined;
  if (!argument.startsWith(":")) throw new SpfError("permerror", `Cannot read ${quoted(term)}`);
  return parseDomainSpec(argument.slice(1));
}

function parseNetwork(family: "ip4" | "ip6", argument: string, term: string): Mechanism {
  const [, address = "", bits] = /^:([\da-f.:]{2,45})(?:\/(\d{1,3}))?$/i.exec(argument) ?? [];
  const octets = parseIpAddress(address);
  if (octets?.length !== (family === "ip4" ? 4 : 16)) {
    throw new SpfError("permerror", `No address behind ${family}: ${quoted(term)}`);
  }
  return { kind: "network", octets, prefixBits: prefixLength(bits, octets.length * 8, term) };
}

function prefixLength(digits: string | undefined, most: number, term: string): number {
  if (digits === undefined) return most;
  const bits = Number(digits);
  if (bits > most || (digits.length > 1 && digits.startsWith("0"))) {
    throw new SpfError("permerror", `No such prefix length: ${quoted(term)}`);
  }
  return bits;
}
