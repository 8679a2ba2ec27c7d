/** An accounts file in a folder of its own, for tests of reading and changing it. */

import { type AccountsConfig, loadAccounts } from "../../lib/config/accounts.ts";
import type { Account } from "../../lib/config/config.ts";
import { type AccountChange, type AccountChangeResult, editAccounts } from "../../lib/config/edit_accounts.ts";
import type { ConfigIo } from "../../lib/config/source.ts";
import { systemClock } from "../../lib/system/clock.ts";
import { systemFiles } from "../../lib/system/files.ts";

/** A right hash. */
export const HASH = "$scrypt$ln=15,r=8,p=1$c2FsdHNhbHRzYWx0c2FsdA$aGFzaGhhc2hoYXNoaGFzaGhhc2hoYXNoaGFzaGhhc2g";
/** Another. */
export const OTHER = "$scrypt$ln=15,r=8,p=1$b3RoZXJvdGhlcm90aGVyYQ$aGFzaGhhc2hoYXNoaGFzaGhhc2hoYXNoaGFzaGhhc2g";
/** A right verifier. */
export const SCRAM = `SCRAM-SHA-256$60000:c2FsdHNhbHRzYWx0c2FsdA==$${"A".repeat(43)}=:${"B".repeat(43)}=`;
/** Of one password. */
export const KEYS = { passwordHash: HASH, scram: SCRAM };
/** Of another. */
export const OTHER_KEYS = { passwordHash: OTHER, scram: SCRAM.replace("A".repeat(43), "C".repeat(43)) };
/** Reads files, and no environment. */
export const io: ConfigIo = { readText: (path) => Deno.readTextFile(path), env: () => undefined };
const domains = new Map([
  ["example.org", { name: "example.org", dkim: [] }],
  ["example.net", { name: "example.net", aliasOf: "example.org", dkim: [] }],
]);

/** An accounts file in a folder of its own. */
export class AccountsFile implements AsyncDisposable {
  readonly folder: string = Deno.makeTempDirSync();
  readonly file: string = `${this.folder}/accounts.yaml`;

  constructor(text?: string) {
    if (text !== undefined) Deno.writeTextFileSync(this.file, text);
  }

  get config(): AccountsConfig {
    return { accountsFile: this.file, domains, aliases: new Map([["sales@example.org", ["alice@example.org"]]]) };
  }

  load(): Promise<readonly Account[] | undefined> {
    return loadAccounts(this.config, io);
  }

  edit(change: AccountChange): Promise<AccountChangeResult> {
    return editAccounts({ config: this.config, io, files: systemFiles, clock: systemClock }, change);
  }

  names(): readonly string[] {
    return [...Deno.readDirSync(this.folder)].map(({ name }) => name).sort();
  }

  text(): string {
    return Deno.readTextFileSync(this.file);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Deno.remove(this.folder, { recursive: true });
  }
}
