/** What is kept of a new password. */

import type { PasswordKeys } from "../config/edit_accounts.ts";
import { PasswordHasher } from "./password.ts";
import { hashForScram } from "./scram/verifier.ts";

/** Makes the hash for mechanisms that send the password, and the verifier for those that do not. */
export async function passwordKeys(password: string): Promise<PasswordKeys> {
  return { passwordHash: await new PasswordHasher().hash(password), scram: await hashForScram(password) };
}
