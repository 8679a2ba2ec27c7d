/** The first five minutes: a mailbox to try, and a line that sends a message to it. */

import { dirname } from "node:path";
import { loadAccounts } from "../config/accounts.ts";
import type { BindAddress, Config } from "../config/config.ts";
import type { ConfigIo } from "../config/source.ts";
import { mailboxFolder } from "../delivery/maildir_name.ts";
import type { Clock } from "../system/clock.ts";
import type { Files } from "../system/files.ts";

/** Letters and digits that are not mistaken for each other; 32 of them, so that every octet is used evenly. */
const ALPHABET = "abcdefghijkmnpqrstuvwxyz23456789";

/**
 * Makes the mailbox of `quick_start` where there is no accounts file yet.
 *
 * @returns Its password, to be shown once; undefined where nothing was made.
 */
export async function makeFirstMailbox(
  config: Config,
  io: ConfigIo,
  files: Files,
  clock: Clock,
): Promise<string | undefined> {
  const { quickStart: address, accountsFile: file } = config;
  if (address === undefined || await loadAccounts(config, io) !== undefined) return undefined;
  const octets = crypto.getRandomValues(new Uint8Array(16));
  const password = Array.from(octets, (octet) => ALPHABET[octet % ALPHABET.length]).join("");
  // Needed once in the life of a site.
  const [{ editAccounts }, { passwordKeys }] = await Promise.all([
    import("../config/edit_accounts.ts"),
    import("../sasl/new_password.ts"),
  ]);
  await files.makeFolder(dirname(file), 0o700);
  await editAccounts({ config, io, files, clock }, { kind: "add", address, keys: await passwordKeys(password) });
  return password;
}

/** Of a domain that cannot exist, so that no DMARC policy has the message refused. */
const SAMPLE_SENDER = "you@sender.example";

/** What to type next, as lines for people; the sample is one line that begins with `curl `. */
export function quickStartText(config: Config, password: string | undefined): string | undefined {
  const { quickStart: address, listeners } = config;
  const mx = listeners.find(({ service, bind }) => service === "mx" && bind.kind === "tcp");
  if (address === undefined || mx?.bind.kind !== "tcp") return undefined;
  const made = password === undefined ? "" : `\nThe mailbox ${address} was made; its password is ${password}`;
  return `${made}
Send a message to it:

curl -sS --url smtp://${reachable(mx.bind)} --mail-from ${SAMPLE_SENDER} --mail-rcpt ${address} ` +
    `-H "From: You <${SAMPLE_SENDER}>" -H "To: <${address}>" -H "Subject: Hello" -F "=It works;type=text/plain"

It will appear in ${mailboxFolder(`${config.data}/mail`, address)}/new
`;
}

/** An address that a client on this machine can connect to. */
function reachable({ host, port }: Extract<BindAddress, { kind: "tcp" }>): string {
  if (host === "::" || host === "0.0.0.0") return `127.0.0.1:${port}`;
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}
