/** The explanation that a domain publishes for those whom it refuses (RFC 7208 §6.2). */

import { expandDomain } from "./domain_spec.ts";
import { type SpfSession, valuesFor } from "./evaluate.ts";
import { expandPart, type MacroString, parseMacroString, usesMacro } from "./macro.ts";
import { printable, SpfError } from "./spf_error.ts";

/** The longest explanation that is used, in octets: it has to fit into a reply beside other words. */
const MAX_EXPLANATION_OCTETS = 400;

/**
 * Fetches and expands an explanation. Strangers write it: it is made printable US-ASCII, and cut where it is long.
 *
 * @param spec What `exp=` says in the record of `domain`.
 * @returns Undefined where there is none that can be used; that changes nothing else.
 */
export async function explain(session: SpfSession, spec: MacroString, domain: string): Promise<string | undefined> {
  try {
    if (session.hasUnusableSender && usesMacro(spec, "sl")) return undefined;
    const texts = await session.lookups.texts(expandDomain(spec, await valuesFor(session, spec, domain)));
    if (texts.length !== 1) return undefined;
    const explanation = parseMacroString(texts[0] ?? "", true);
    const values = await valuesFor(session, explanation, domain);
    let text = "";
    for (const part of explanation.parts) {
      text += expandPart(part, values);
      if (text.length > MAX_EXPLANATION_OCTETS) break;
    }
    return text === "" ? undefined : printable(text, MAX_EXPLANATION_OCTETS);
  } catch (error) {
    if (error instanceof SpfError) return undefined;
    throw error;
  }
}
