/** A private Dovecot that only checks logins, over a socket and over TCP on loopback. Needs root. */

import { mustRun } from "./command.ts";
import { Daemon } from "./daemon.ts";
import { freePort } from "./free_port.ts";
import { programPath } from "./peers.ts";
import { waitUntil } from "./wait.ts";

/** A user of Dovecot: the name, and the password in the clear, so that each mechanism can check it. */
export interface DovecotUser {
  readonly name: string;
  readonly password: string;
}

/** The server, which can be stopped and started again. */
export class DovecotAuth implements AsyncDisposable {
  readonly #folder: string;
  #daemon: Daemon | undefined;
  #earlierLog = "";
  /** Its authentication socket. */
  readonly socket: string;
  /** The same on 127.0.0.1. */
  readonly port: number;

  private constructor(folder: string) {
    this.#folder = folder;
    this.socket = `${folder}/run/auth-client`;
    this.port = freePort();
  }

  /**
   * Writes the configuration, starts the server and waits until it answers.
   *
   * @param folder Exists; other users may enter it.
   */
  static async start(folder: string, users: readonly DovecotUser[]): Promise<DovecotAuth> {
    const dovecot = new DovecotAuth(folder);
    await Deno.writeTextFile(
      `${folder}/passwd`,
      users.map(({ name, password }) => `${name}:{PLAIN}${password}::::::\n`).join(""),
    );
    await dovecot.configure("plain login cram-md5 scram-sha-256 anonymous external");
    await dovecot.restart();
    return dovecot;
  }

  /** Writes the configuration, with these mechanisms; `reload` or `restart` makes it count. */
  async configure(mechanisms: string): Promise<void> {
    await Deno.writeTextFile(
      `${this.#folder}/dovecot.conf`,
      `protocols =
listen = 127.0.0.1
base_dir = ${this.#folder}/run
state_dir = ${this.#folder}/state
log_path = /dev/stderr
ssl = no
auth_mechanisms = ${mechanisms}
auth_failure_delay = 0
passdb {
  driver = passwd-file
  args = ${this.#folder}/passwd
}
userdb {
  driver = static
  args = uid=65534 gid=65534 home=/nonexistent
}
# Without it, a login after a wrong password would wait for seconds.
service anvil {
  unix_listener anvil-auth-penalty {
    mode = 0
  }
}
service auth {
  unix_listener auth-client {
    mode = 0666
  }
  inet_listener {
    address = 127.0.0.1
    port = ${this.port}
  }
}
`,
    );
  }

  /** Reads the configuration again, as `systemctl reload dovecot` does. */
  async reload(): Promise<void> {
    await mustRun([programPath("doveadm"), "-c", `${this.#folder}/dovecot.conf`, "reload"]);
  }

  /** Starts it, after it was stopped too. */
  async restart(): Promise<void> {
    await this.stop();
    this.#daemon = new Daemon([programPath("dovecot"), "-F", "-c", `${this.#folder}/dovecot.conf`], {
      killsChildren: true,
    });
    await waitUntil(async () => {
      try {
        (await Deno.connect({ transport: "unix", path: this.socket })).close();
        return true;
      } catch {
        return undefined;
      }
    }, { what: "Dovecot to take connections", detail: () => this.log });
  }

  /** Ends it; its socket is gone then. */
  async stop(): Promise<void> {
    await this.#daemon?.[Symbol.asyncDispose]();
    this.#earlierLog = this.log;
    this.#daemon = undefined;
  }

  /** What it logged. */
  get log(): string {
    return `${this.#earlierLog}${this.#daemon?.log ?? ""}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }
}
