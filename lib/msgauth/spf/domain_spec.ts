/**
 * The names that the terms of a record are about (RFC 7208 §4.8, §7.1).
 *
 * ```abnf
 * domain-spec = macro-string domain-end
 * domain-end  = ( "." toplabel [ "." ] ) / macro-expand
 * toplabel    = ( *alphanum ALPHA *alphanum ) / ( 1*alphanum "-" *( alphanum / "-" ) alphanum )
 * ```
 */

import { expandPart, type MacroString, type MacroValues, parseMacroString } from "./macro.ts";
import { quoted, SpfError } from "./spf_error.ts";

/** RFC 7208 §7.3: a longer name loses labels from the left. */
const MAX_NAME_OCTETS = 253;
/** RFC 1035 §2.3.4. */
const MAX_LABEL_OCTETS = 63;

/**
 * Reads a domain-spec.
 *
 * @throws {SpfError} `permerror` where it is none.
 */
export function parseDomainSpec(text: string): MacroString {
  const spec = parseMacroString(text);
  if (!spec.endsInMacro && !endsInTopLabel(text)) {
    throw new SpfError("permerror", `${quoted(text)} is no full domain name`);
  }
  return spec;
}

function endsInTopLabel(text: string): boolean {
  const end = text.endsWith(".") ? text.length - 1 : text.length;
  const dot = text.lastIndexOf(".", end - 1);
  if (dot < 0 || end === 0) return false;
  const label = text.slice(dot + 1, end);
  return /^[a-z0-9](?:[a-z0-9-]*[a-z0-9])?$/i.test(label) && !/^\d+$/.test(label);
}

/**
 * The target-name: without a final dot, at most 253 characters (§7.3). It may still be no name that exists anywhere.
 *
 * It is put together from the right, and no further than it can be used: a record of nothing but macros costs no more.
 */
export function expandDomain({ parts }: MacroString, values: MacroValues): string {
  let name = "";
  for (let at = parts.length - 1; at >= 0 && name.length <= MAX_NAME_OCTETS + 1; at--) {
    name = expandPart(parts[at] ?? "", values) + name;
  }
  if (name.endsWith(".")) name = name.slice(0, -1);
  if (name.length <= MAX_NAME_OCTETS) return name;
  return name.slice(name.indexOf(".", name.length - MAX_NAME_OCTETS - 1) + 1);
}

/**
 * A target-name as the resolver takes it: blanks and backslashes escaped (RFC 1035 §5.1).
 *
 * @returns Undefined for what cannot be asked for: an empty or too long label or name, or other characters than printable
 * US-ASCII. Such a name does not exist (§4.3, §4.8).
 */
export function queryName(name: string): string | undefined {
  if (name.length > MAX_NAME_OCTETS || !/^[\x20-\x7e]+$/.test(name)) return undefined;
  if (name.split(".").some((label) => label === "" || label.length > MAX_LABEL_OCTETS)) return undefined;
  return name.replace(/[\\ ]/g, (character) => character === " " ? "\\032" : "\\\\");
}
