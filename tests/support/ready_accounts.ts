/**
 * Accounts files as `posthorn user add` makes them, without a process for each mailbox. Tests of that command and of what
 * it writes are tests/interop/accounts_test.ts, signals_test.ts and binary_test.ts.
 */

import { type PasswordKeys } from "../../lib/config/edit_accounts.ts";
import { passwordKeys } from "../../lib/sasl/new_password.ts";

const keysOf = new Map<string, Promise<PasswordKeys>>();

/** Hashing is slow on purpose, and tests use few passwords. */
function keysFor(password: string): Promise<PasswordKeys> {
  let keys = keysOf.get(password);
  if (keys === undefined) keysOf.set(password, keys = passwordKeys(password));
  return keys;
}

/** The text of an accounts file with these mailboxes. */
export async function accountsText(
  accounts: readonly { readonly address: string; readonly password: string }[],
): Promise<string> {
  const lines = accounts.map(async ({ address, password }) => {
    const { passwordHash, scram } = await keysFor(password);
    // JSON is YAML too.
    return `${JSON.stringify(address)}: ${JSON.stringify({ password: passwordHash, scram })}\n`;
  });
  return (await Promise.all(lines)).join("");
}
