/** Reads the two things that a domain publishes for MTA-STS: the TXT record and the policy (RFC 8461 §3). */

import { normalizeDomain } from "../../mail/mailbox.ts";

/** A policy as it was published. */
export interface StsPolicy {
  /** `testing`: failures are only reported; `none`: as if there were no policy. */
  readonly mode: "enforce" | "testing" | "none";
  /** Names of MX hosts, lower case, A-labels; `*.` in front stands for one label. */
  readonly mx: readonly string[];
  /** How long it counts after it was fetched; at most a year. */
  readonly maxAgeSeconds: number;
  /** Its lines, for reports (RFC 8460 §4.4). */
  readonly lines: readonly string[];
}

/** What a text is: a policy, or why it is none. */
export type StsPolicyReading =
  | { readonly kind: "policy"; readonly policy: StsPolicy }
  | { readonly kind: "invalid"; readonly reason: string };

const MAX_AGE_SECONDS = 31_557_600;
/** sts-policy-ext-name and -value of the ABNF; the other fields are of this form, too. */
const FIELD =
  /^([A-Za-z0-9][A-Za-z0-9_.-]{0,31}):[ \t]*([\x21-\x7e\u0080-\uffff](?:[\x20-\x7e\u0080-\uffff]*[\x21-\x7e\u0080-\uffff])?)$/;
/** sts-text-record, from its version on; fields that are not known are passed over. */
const RECORD = /^v=STSv1[ \t]*;/;

/**
 * Finds the id in the TXT records of `_mta-sts.DOMAIN`.
 *
 * @returns Undefined where there is no record of MTA-STS, or more than one, or a malformed one: the domain then publishes
 * no policy (§3.1).
 */
export function stsRecordId(texts: readonly string[]): string | undefined {
  const [record, ...more] = texts.filter((text) => RECORD.test(text));
  if (record === undefined || more.length > 0) return undefined;
  const fields = record.split(";").slice(1).map((field) => field.trim());
  const ids = fields.filter((field) => field.startsWith("id=")).map((field) => field.slice(3));
  const areWellFormed = fields.every((field, i) =>
    (field === "" && i === fields.length - 1) ||
    /^[A-Za-z0-9][A-Za-z0-9_.-]{0,31}=[\x21-\x3a\x3c\x3e-\x7e]+$/.test(field)
  );
  const [id] = ids;
  return areWellFormed && ids.length === 1 && id !== undefined && /^[A-Za-z0-9]{1,32}$/.test(id) ? id : undefined;
}

/** Reads a policy strictly (§3.2): of a field that may stand once only the first counts, fields that are not known are passed over. */
export function parseStsPolicy(text: string): StsPolicyReading {
  const lines = text.split(/\r?\n/).map((line) => line.trimEnd()).filter((line) => line !== "").map(copyOf);
  const fields = new Map<string, string>();
  const mx: string[] = [];
  for (const line of lines) {
    const [, name = "", value = ""] = FIELD.exec(line) ?? [];
    if (name === "") return invalid(`the line ${JSON.stringify(line.slice(0, 60))} is no field`);
    if (name !== "mx") {
      if (!fields.has(name)) fields.set(name, value);
      continue;
    }
    const pattern = mxPattern(value);
    if (pattern === undefined) return invalid(`the mx ${JSON.stringify(value.slice(0, 60))} is no name of a host`);
    mx.push(pattern);
  }
  if (fields.get("version") !== "STSv1") return invalid("it has no version STSv1");
  const mode = fields.get("mode");
  if (mode !== "enforce" && mode !== "testing" && mode !== "none") {
    return invalid("its mode is none of enforce, testing and none");
  }
  const maxAge = fields.get("max_age") ?? "";
  if (!/^\d{1,10}$/.test(maxAge)) return invalid("it has no max_age in seconds");
  if (mx.length === 0 && mode !== "none") return invalid(`it names no mx, and its mode is ${mode}`);
  return { kind: "policy", policy: { mode, mx, maxAgeSeconds: Math.min(Number(maxAge), MAX_AGE_SECONDS), lines } };
}

/** True where a policy names this MX host (§4.1). */
export function namesMx({ mx }: StsPolicy, host: string): boolean {
  const name = host.toLowerCase().replace(/\.$/, "");
  const parent = name.slice(name.indexOf(".") + 1);
  return mx.some((pattern) => pattern === name || (name.includes(".") && pattern === `*.${parent}`));
}

/** sts-policy-mx-value = ["*."] Domain */
function mxPattern(value: string): string | undefined {
  const [, star = "", rawName = ""] = /^(\*\.)?(.*)$/s.exec(value) ?? [];
  const name = normalizeDomain(rawName.replace(/\.$/, ""));
  return name === undefined ? undefined : star + name;
}

/** A piece of a text can keep all of the text in memory; a copy does not. */
function copyOf(line: string): string {
  return new TextDecoder().decode(new TextEncoder().encode(line));
}

function invalid(reason: string): StsPolicyReading {
  return { kind: "invalid", reason };
}
