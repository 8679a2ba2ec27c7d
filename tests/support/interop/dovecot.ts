/** A private Dovecot on a free port of loopback: it shows a Maildir over IMAP, or does what a test says. Needs root. */

import { mustRun } from "./command.ts";
import { Daemon } from "./daemon.ts";
import { freePort } from "./free_port.ts";
import { programPath } from "./peers.ts";
import { waitUntil } from "./wait.ts";

/** What to show, and to whom. */
export interface DovecotOptions {
  /** Exists; other users may enter it. */
  readonly folder: string;
  /** Belongs to `user`, who may reach it. */
  readonly maildir: string;
  /** The system user that reads the Maildir. */
  readonly user: string;
  readonly login: { readonly address: string; readonly password: string };
  /** More settings. */
  readonly more?: string;
}

/** The running server. */
export class Dovecot implements AsyncDisposable {
  readonly #daemon: Daemon;
  readonly port: number;

  private constructor(daemon: Daemon, port: number) {
    this.#daemon = daemon;
    this.port = port;
  }

  /** Starts the server for a reader of mail, and waits until it listens. */
  static async start({ folder, maildir, user, login, more = "" }: DovecotOptions): Promise<Dovecot> {
    const port = freePort();
    const uid = (await mustRun(["id", "-u", user])).trim();
    const gid = (await mustRun(["id", "-g", user])).trim();
    await Deno.writeTextFile(`${folder}/passwd`, `${login.address}:{PLAIN}${login.password}::::::\n`);
    await Deno.mkdir(`${folder}/home`);
    await mustRun(["chown", `${uid}:${gid}`, `${folder}/home`]);
    return await Dovecot.run(
      folder,
      port,
      `protocols = imap
auth_mechanisms = plain
mail_location = maildir:${maildir}
passdb {
  driver = passwd-file
  args = ${folder}/passwd
}
userdb {
  driver = static
  args = uid=${uid} gid=${gid} home=${folder}/home
}
service imap-login {
  inet_listener imap {
    port = ${port}
  }
  inet_listener imaps {
    port = 0
  }
}
${more}`,
    );
  }

  /**
   * Starts a server with settings of the test, and waits until it listens.
   *
   * @param folder Exists; other users may enter it.
   * @param port Of 127.0.0.1, and of one of the listeners.
   */
  static async run(folder: string, port: number, settings: string): Promise<Dovecot> {
    await Deno.writeTextFile(
      `${folder}/dovecot.conf`,
      `listen = 127.0.0.1
base_dir = ${folder}/run
state_dir = ${folder}/state
log_path = /dev/stderr
ssl = no
disable_plaintext_auth = no
first_valid_uid = 1
first_valid_gid = 1
${settings}`,
    );
    const dovecot = new Dovecot(
      new Daemon([programPath("dovecot"), "-F", "-c", `${folder}/dovecot.conf`], { killsChildren: true }),
      port,
    );
    try {
      await waitUntil(async () => {
        try {
          (await Deno.connect({ port })).close();
          return true;
        } catch {
          return undefined;
        }
      }, { what: "Dovecot to listen", detail: () => dovecot.log });
      return dovecot;
    } catch (error) {
      await dovecot[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** What it logged. */
  get log(): string {
    return this.#daemon.log;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#daemon[Symbol.asyncDispose]();
  }
}
