/** The keys of the section `msgauth`: which checks are made of incoming mail, and what follows from them. */

import { parseCidr } from "../policy/cidr.ts";
import type { Config } from "./config.ts";
import {
  type Field,
  listOf,
  type Located,
  located,
  optional,
  scalar,
  section,
  type Type,
  withDefault,
} from "./schema.ts";
import type { Source } from "./source.ts";
import * as value from "./values.ts";

/** The section as it stands in the file. */
export interface MsgauthDraft extends Omit<Config["msgauth"], "authservId" | "dmarc"> {
  /** Absent: the hostname. */
  readonly authservId?: string;
  /** Absent: `enforce`, or `off` where a check that it needs is off. */
  readonly dmarc?: Located<Config["msgauth"]["dmarc"]>;
}

const forwarder: Type<string> = scalar({
  expects: 'an address, a CIDR block such as "192.0.2.0/24", or a domain such as "lists.example.net"',
  parse: (text) => parseCidr(text) === undefined ? value.parseHostName(text) : text,
});

const sealer: Type<string> = scalar({ expects: 'a domain such as "example.org"', parse: value.parseHostName });

/** The section. */
export const msgauth: Field<MsgauthDraft> = section("msgauth", {
  authservId: optional(
    "authserv_id",
    value.matching(/^[a-z0-9](?:[a-z0-9._-]{0,252}[a-z0-9])?$/i, 'a name such as "example.org"'),
    "Whose results they are: what our Authentication-Results fields begin with. Default: the hostname.",
  ),
  spf: withDefault("spf", value.yesOrNo, true, "Whether the sender's domain lets this client send (SPF)."),
  dkim: withDefault("dkim", value.yesOrNo, true, "Verify signatures (DKIM)."),
  dmarc: optional(
    "dmarc",
    located(value.oneOf("enforce", "quarantine", "none", "off")),
    "The policies of author domains: enforce; quarantine (refuse nothing); none (only note it); off. Default: enforce.",
  ),
  quarantine: withDefault(
    "quarantine",
    value.oneOf("junk", "header"),
    "junk",
    "Where DMARC says quarantine: the folder Junk, or the inbox with policy.dmarc=quarantine in the header.",
  ),
  onTemporaryError: withDefault(
    "on_temporary_error",
    value.oneOf("accept", "defer_reject", "defer"),
    "defer_reject",
    "Where DNS has no answer for DMARC: take the mail, or let its sender try again (451): always, or under p=reject.",
  ),
  trustedForwarders: withDefault(
    "trusted_forwarders",
    listOf(forwarder, "addresses, CIDR blocks or domains"),
    [],
    "Servers whose mail no DMARC policy stops: by address, by proved name, or by the domain that signs.",
  ),
  trustedSealers: withDefault(
    "trusted_sealers",
    listOf(sealer, "domains"),
    [],
    "Forwarders that are believed when they say by ARC that DMARC passed there.",
  ),
  arc: withDefault("arc", value.oneOf("off", "seal"), "off", "Seal mail that addresses of ours send on (ARC)."),
}, "Who really sent a message, and what follows from it.");

/** Without one of the two checks, honest mail would fail DMARC. */
export function checkMsgauth(draft: Partial<MsgauthDraft> | undefined, source: Source): void {
  const { dmarc, spf = true, dkim = true } = draft ?? {};
  if (dmarc === undefined || dmarc.value === "off" || (spf && dkim)) return;
  const missing = spf ? "dkim" : "spf";
  source.report(
    dmarc.at,
    `msgauth.dmarc: needs SPF and DKIM, and ${missing} is false: mail that passes there would fail`,
  );
}

/** `dmarc` where the file says nothing: it needs both checks. */
export function usualDmarc({ spf, dkim }: Pick<MsgauthDraft, "spf" | "dkim">): Config["msgauth"]["dmarc"] {
  return spf && dkim ? "enforce" : "off";
}
