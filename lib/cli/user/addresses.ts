/** Addresses that people type, checked against the configuration. */

import type { Account, Config } from "../../config/config.ts";
import { foldAddress } from "../../mail/fold.ts";
import { domainOf, hasUsualLength, parseMailbox } from "../../mail/mailbox.ts";
import { DATA_ERROR } from "../../system/sysexits.ts";
import { CommandError } from "../command_error.ts";

/**
 * The one spelling of a mailbox of ours.
 *
 * @throws {CommandError} It is none.
 */
export function ourAddress(raw: string, { domains }: Pick<Config, "domains">): string {
  const mailbox = parseMailbox(raw);
  if (mailbox === undefined || !hasUsualLength(mailbox.localPart)) {
    throw new CommandError(DATA_ERROR, `"${raw}" is not a mailbox address`);
  }
  const domain = domains.get(domainOf(mailbox.text));
  if (domain === undefined) {
    throw new CommandError(
      DATA_ERROR,
      `"${mailbox.domain}" is none of our domains (${[...domains.keys()].join(", ")})`,
    );
  }
  if (domain.aliasOf !== undefined) {
    const { name, aliasOf } = domain;
    throw new CommandError(
      DATA_ERROR,
      `"${name}" is an alias of "${aliasOf}": name the mailbox there, and mail for both names reaches it`,
    );
  }
  return foldAddress(mailbox.text);
}

/**
 * The one spelling of an address anywhere.
 *
 * @throws {CommandError} It is none.
 */
export function anyAddress(raw: string): string {
  const mailbox = parseMailbox(raw);
  if (mailbox === undefined) throw new CommandError(DATA_ERROR, `"${raw}" is not a mailbox address`);
  return mailbox.text;
}

/** Says that there is no such mailbox, and whose address it is where it is one. */
export function noMailbox(address: string, accounts: readonly Account[]): CommandError {
  const owner = accounts.find(({ addresses }) => addresses?.includes(address));
  const hint = owner === undefined
    ? "`posthorn user list` shows those that are there"
    : `it is another address of ${owner.address}`;
  return new CommandError(DATA_ERROR, `there is no mailbox ${address}; ${hint}`);
}
