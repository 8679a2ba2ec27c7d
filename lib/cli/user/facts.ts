/** What is known of an account, for people and for scripts. Never a hash. */

import type { Account, MailboxVia, QuotaLimits } from "../../config/config.ts";
import { formatSize } from "../../config/values.ts";
import type { Usage } from "../../delivery/quota/limits.ts";
import { countText, sizeText } from "../queue/units.ts";

/** An account as `--json` shows it. */
export interface AccountFacts {
  /** Its name. */
  readonly address: string;
  /** More addresses of the mailbox. */
  readonly addresses: readonly string[];
  /** Null: its mail stays here. */
  readonly forward: { readonly to: readonly string[]; readonly keepCopy: boolean } | null;
  /** Who keeps its mail: `maildir`, or the URL of a server or an application. */
  readonly via: string;
  /** Octets and a number. Null: what the configuration says for all. */
  readonly quota: { readonly storage: number | "none" | null; readonly messages: number | "none" | null } | null;
  /** How its user can log in. */
  readonly login: { readonly password: boolean; readonly scram: boolean; readonly certificates: number };
}

/** The facts of an account. @param usualVia Who keeps the mail of accounts that do not say it. */
export function factsOf(account: Account, usualVia: MailboxVia = "maildir"): AccountFacts {
  const { address, addresses = [], forward, quota, passwordHash, scram, certificates = [] } = account;
  return {
    address,
    addresses,
    forward: forward === undefined ? null : { to: forward.to, keepCopy: forward.keepsCopy },
    via: viaText(account.via ?? usualVia),
    quota: quota === undefined ? null : { storage: limit(quota.octets), messages: limit(quota.messages) },
    login: {
      password: passwordHash !== undefined,
      scram: scram !== undefined,
      certificates: certificates.length,
    },
  };
}

/** The facts as lines for people. @param usualVia As with {@linkcode factsOf}. */
export function factLines(account: Account, usage: Usage, usualVia: MailboxVia = "maildir"): readonly string[] {
  const { address, addresses = [], forward, quota, passwordHash, scram, certificates = [] } = account;
  const { via = usualVia } = account;
  const logins = [
    ...(passwordHash === undefined ? [] : [scram === undefined ? "password" : "password, also with SCRAM"]),
    ...(certificates.length === 0 ? [] : [countText(certificates.length, "certificate")]),
  ];
  return [
    address,
    ...(addresses.length === 0 ? [] : [`  also:     ${addresses.join(", ")}`]),
    `  mail:     ${mailText(forward)}`,
    `  quota:    ${quota === undefined ? "as mailboxes.quota of the configuration says" : quotaText(quota)}`,
    via === "maildir"
      ? `  holds:    ${countText(usage.messages, "message")}, ${sizeText(usage.octets)}`
      : `  kept by:  ${viaText(via)}`,
    `  login:    ${logins.length === 0 ? "none of its own" : logins.join("; ")}`,
  ];
}

/** As `via` is written in the configuration; never a secret. */
function viaText(via: MailboxVia): string {
  if (via === "maildir") return via;
  if ("url" in via) return via.url;
  const { scheme, host, port, socketPath } = via;
  return socketPath === undefined
    ? `${scheme}://${host.includes(":") ? `[${host}]` : host}:${port}`
    : `${scheme}://unix:${socketPath}`;
}

function limit(value: number | undefined): number | "none" | null {
  return value === 0 ? "none" : value ?? null;
}

/** `2GiB and 100 messages`, or that there is no limit. */
export function quotaText({ octets, messages }: QuotaLimits): string {
  if (octets === 0 && messages === 0) return "no limit";
  const limits = [
    ...(octets === undefined ? [] : [octets === 0 ? "any size" : formatSize(octets)]),
    ...(messages === undefined ? [] : [messages === 0 ? "any number of messages" : countText(messages, "message")]),
  ];
  return limits.join(" and ") + (limits.length === 2 ? "" : ", and for the rest what the configuration says");
}

/** Where its mail goes. */
export function mailText(forward: Account["forward"]): string {
  if (forward === undefined) return "into the mailbox";
  return `${forward.keepsCopy ? "into the mailbox, and on to" : "on to"} ${forward.to.join(", ")}${
    forward.keepsCopy ? "" : ", with no copy in the mailbox"
  }`;
}
