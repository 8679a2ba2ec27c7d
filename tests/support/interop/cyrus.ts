/** A private Cyrus in a folder of its own that takes mail by LMTP, and shows it over IMAP. Needs root. */

import { mustRun } from "./command.ts";
import { Daemon } from "./daemon.ts";
import { freePort } from "./free_port.ts";
import { latin1, latin1Octets } from "./maildir.ts";
import { programPath } from "./peers.ts";
import { waitUntil } from "./wait.ts";

/** The running server. */
export class Cyrus implements AsyncDisposable {
  readonly #daemon: Daemon;
  /** Of 127.0.0.1, for LMTP. */
  readonly port: number;
  readonly #imapPort: number;

  private constructor(daemon: Daemon, port: number, imapPort: number) {
    this.#daemon = daemon;
    this.port = port;
    this.#imapPort = imapPort;
  }

  /**
   * Starts the server with some mailboxes, and waits until it listens.
   *
   * @param folder Exists; other users may enter it.
   * @param mailboxes By address: how many KiB it may hold, or undefined.
   * @param settings Lines of `imapd.conf`.
   */
  static async start(
    folder: string,
    mailboxes: Readonly<Record<string, number | undefined>>,
    settings = "",
  ): Promise<Cyrus> {
    const [lmtp, imap] = [freePort(), freePort()];
    await writeSettings(folder, lmtp, imap, settings);
    const command = [programPath("cyrmaster"), "-D", "-C", `${folder}/imapd.conf`, "-M", `${folder}/cyrus.conf`];
    const cyrus = new Cyrus(new Daemon([...command, "-p", `${folder}/master.pid`]), lmtp, imap);
    try {
      using admin = await waitUntil(() => ImapDialog.open(imap, "cyrus").catch(() => undefined), {
        what: "Cyrus to listen",
        detail: () => cyrus.#daemon.log,
      });
      for (const [address, kib] of Object.entries(mailboxes)) {
        await admin.command(`CREATE "user/${address}"`);
        if (kib !== undefined) await admin.command(`SETQUOTA "user/${address}" (STORAGE ${kib})`);
      }
      return cyrus;
    } catch (error) {
      await cyrus[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** Waits until a mailbox holds so many messages, and returns their octets. */
  async waitFor(address: string, count: number, detail: () => string): Promise<Uint8Array[]> {
    return await waitUntil(async () => {
      using imap = await ImapDialog.open(this.#imapPort, address);
      await imap.command("SELECT INBOX");
      const messages = literals(await imap.command("FETCH 1:* BODY.PEEK[]", true));
      return messages.length >= count ? messages : undefined;
    }, { what: `${count} message(s) of ${address}`, detail });
  }

  /** Changes how many KiB a mailbox may hold. */
  async setQuota(address: string, kib: number): Promise<void> {
    using admin = await ImapDialog.open(this.#imapPort, "cyrus");
    await admin.command(`SETQUOTA "user/${address}" (STORAGE ${kib})`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#daemon[Symbol.asyncDispose]();
  }
}

/** The settings of Cyrus, whose programs each want to be told where these are. */
async function writeSettings(folder: string, lmtpPort: number, imapPort: number, settings: string): Promise<void> {
  const conf = `${folder}/imapd.conf`;
  await Deno.writeTextFile(
    conf,
    `configdirectory: ${folder}/conf
defaultpartition: default
partition-default: ${folder}/spool
servername: cyrus.example.org
admins: cyrus
virtdomains: userid
defaultdomain: example.org
unixhierarchysep: yes
allowplaintext: yes
sasl_pwcheck_method: alwaystrue
sasl_mech_list: PLAIN
${settings}
`,
  );
  await Deno.writeTextFile(
    `${folder}/cyrus.conf`,
    `START {
  recover cmd="/usr/lib/cyrus/bin/ctl_cyrusdb -C ${conf} -r"
}
SERVICES {
  lmtp cmd="${programPath("cyrus-lmtpd")} -C ${conf} -a" listen="127.0.0.1:${lmtpPort}" prefork=0
  imap cmd="${folder}/imapd -C ${conf}" listen="127.0.0.1:${imapPort}" prefork=0
}
EVENTS {
}
`,
  );
  // It runs as a user who may not enter the home of root.
  await Deno.copyFile(Deno.env.get("POSTHORN_CYRUS_IMAPD") ?? "", `${folder}/imapd`);
  for (const name of ["conf", "conf/proc", "conf/lock", "conf/db", "conf/socket", "conf/log", "spool"]) {
    await Deno.mkdir(`${folder}/${name}`);
  }
  await mustRun(["chown", "-R", "cyrus:mail", folder]);
}

/** As much IMAP (RFC 9051) as the tests need. */
class ImapDialog implements Disposable {
  readonly #connection: Deno.TcpConn;
  #text = "";
  #count = 0;

  private constructor(connection: Deno.TcpConn) {
    this.#connection = connection;
  }

  static async open(port: number, user: string): Promise<ImapDialog> {
    const dialog = new ImapDialog(await Deno.connect({ port }));
    try {
      await dialog.#until(/\r\n/);
      await dialog.command(`LOGIN "${user}" any`);
      return dialog;
    } catch (error) {
      dialog[Symbol.dispose]();
      throw error;
    }
  }

  /** Returns all that was answered. @throws {Error} For NO and BAD, unless they may be. */
  async command(line: string, mayFail = false): Promise<string> {
    const tag = `a${this.#count++}`;
    this.#text = "";
    await this.#connection.write(latin1Octets(`${tag} ${line}\r\n`));
    const answer = await this.#until(new RegExp(`^${tag} (?:OK|NO|BAD).*\r\n`, "m"));
    if (!mayFail && !answer.includes(`${tag} OK`)) throw new Error(`IMAP: ${line}: ${answer}`);
    return answer;
  }

  async #until(pattern: RegExp): Promise<string> {
    const buffer = new Uint8Array(65_536);
    while (!pattern.test(this.#text)) {
      const count = await this.#connection.read(buffer);
      if (count === null) throw new Error(`IMAP: the connection ended after: ${this.#text}`);
      this.#text += latin1(buffer.subarray(0, count));
    }
    return this.#text;
  }

  [Symbol.dispose](): void {
    this.#connection.close();
  }
}

/** The octets behind each `{count}`. */
function literals(text: string): Uint8Array[] {
  const found: Uint8Array[] = [];
  const start = /\{(\d+)\}\r\n/g;
  for (let match = start.exec(text); match !== null; match = start.exec(text)) {
    found.push(latin1Octets(text.slice(start.lastIndex, start.lastIndex += Number(match[1]))));
  }
  return found;
}
