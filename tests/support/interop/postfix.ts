/**
 * A private Postfix inside a namespace, on port 25 of one loopback address: takes mail for one domain into Maildirs,
 * relays for everybody on loopback by MX. Its queue, logs and configuration lie in a folder of the test.
 */

import { Maildir } from "./maildir.ts";
import { Daemon } from "./daemon.ts";
import { mustRun, runCommand } from "./command.ts";
import type { CertificateFiles } from "./certificates.ts";
import type { Namespace } from "./namespace.ts";
import { programPath } from "./peers.ts";
import { waitUntil } from "./wait.ts";

/** How Postfix is set up. */
export interface PostfixOptions {
  readonly namespace: Namespace;
  /** Exists; other users may enter it. */
  readonly folder: string;
  /** The loopback address it listens on and sends from. */
  readonly address: string;
  readonly hostname: string;
  /** The domain it has mailboxes for. */
  readonly domain: string;
  /** Their local parts. */
  readonly mailboxes: readonly string[];
  /** Its certificate for STARTTLS. */
  readonly certificate: CertificateFiles;
  /** More lines for main.cf. */
  readonly settings?: readonly string[];
  /** More lines for master.cf. */
  readonly services?: readonly string[];
}

/** The running Postfix. */
export class Postfix implements AsyncDisposable {
  readonly #options: PostfixOptions;
  readonly #conf: string;
  #master: Daemon | undefined;

  private constructor(options: PostfixOptions) {
    this.#options = options;
    this.#conf = `${options.folder}/conf`;
  }

  /** Writes the configuration, starts Postfix and waits for its banner. */
  static async start(options: PostfixOptions): Promise<Postfix> {
    const postfix = new Postfix(options);
    try {
      await postfix.#configure();
      await postfix.#launch();
      return postfix;
    } catch (error) {
      await postfix[Symbol.asyncDispose]();
      throw error;
    }
  }

  async #configure(): Promise<void> {
    const { folder, address, hostname, domain, mailboxes, certificate, settings = [], services = [] } = this.#options;
    for (const name of ["conf", "spool", "lib", "log", "mail"]) await Deno.mkdir(`${folder}/${name}`);
    const nobody = await mustRun(["id", "-u", "nobody"]);
    const nogroup = await mustRun(["id", "-g", "nobody"]);
    await Deno.chown(`${folder}/mail`, Number(nobody), Number(nogroup));
    await mustRun(["chown", "postfix", `${folder}/lib`]);
    const main = [
      "compatibility_level = 3.6",
      `queue_directory = ${folder}/spool`,
      `data_directory = ${folder}/lib`,
      `maillog_file = ${folder}/log/maillog`,
      `maillog_file_prefixes = ${folder}`,
      `myhostname = ${hostname}`,
      `inet_interfaces = ${address}`,
      `smtp_bind_address = ${address}`,
      "inet_protocols = ipv4",
      "mydestination =",
      "mynetworks = 127.0.0.0/8",
      "alias_maps =",
      "local_recipient_maps =",
      "smtpd_relay_restrictions = permit_mynetworks, reject_unauth_destination",
      `virtual_mailbox_domains = ${domain}`,
      `virtual_mailbox_base = ${folder}/mail`,
      `virtual_mailbox_maps = inline:{ ${mailboxes.map((each) => `${each}@${domain}=${each}/`).join(" ")} }`,
      `virtual_uid_maps = static:${nobody.trim()}`,
      `virtual_gid_maps = static:${nogroup.trim()}`,
      "virtual_minimum_uid = 1",
      "smtpd_tls_security_level = may",
      `smtpd_tls_chain_files = ${certificate.key}, ${certificate.chain}`,
      "smtpd_tls_received_header = yes",
      "smtp_tls_security_level = may",
      "smtp_tls_loglevel = 1",
      "smtp_host_lookup = dns",
      "disable_dns_lookups = no",
      "minimal_backoff_time = 2s",
      "maximal_backoff_time = 2s",
      "queue_run_delay = 2s",
      ...settings,
    ];
    await Deno.writeTextFile(`${this.#conf}/main.cf`, main.join("\n") + "\n");
    await Deno.writeTextFile(`${this.#conf}/master.cf`, MASTER.join("\n") + `\n${services.join("\n")}\n`);
  }

  async #launch(): Promise<void> {
    const { namespace, address } = this.#options;
    const postfix = programPath("postfix");
    // inet_interfaces takes only addresses that an interface lists.
    await namespace.run([programPath("ip"), "address", "add", `${address}/8`, "dev", "lo"]);
    this.#master = new Daemon([...namespace.prefix, postfix, "-c", this.#conf, "start-fg"]);
    await waitUntil(async () => {
      try {
        await namespace.run([
          "bash",
          "-c",
          `exec 3<>/dev/tcp/${address}/25 && read -t 5 line <&3 && [[ $line == 220* ]]`,
        ]);
        return true;
      } catch {
        return undefined;
      }
    }, { what: "Postfix to greet", everyMs: 100, timeoutMs: 30_000, detail: () => this.#master?.log ?? "" });
  }

  /** The mailbox of a local part of its domain. */
  maildir(localPart: string): Maildir {
    return new Maildir(`${this.#options.folder}/mail/${localPart}`);
  }

  /** Its mail log. */
  async log(): Promise<string> {
    try {
      return await Deno.readTextFile(`${this.#options.folder}/log/maillog`);
    } catch {
      return this.#master?.log ?? "";
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#master === undefined) return;
    // The program started is a script that waits for the master: the signal has to go to the latter.
    await runCommand([...this.#options.namespace.prefix, programPath("postfix"), "-c", this.#conf, "stop"]);
    await this.#master[Symbol.asyncDispose]();
  }
}

/** Nothing runs in a chroot, so that no files have to be copied. */
const MASTER = [
  "smtp      inet n - n - - smtpd",
  "pickup    unix n - n 60 1 pickup",
  "cleanup   unix n - n - 0 cleanup",
  "qmgr      unix n - n 300 1 qmgr",
  "tlsmgr    unix - - n 1000? 1 tlsmgr",
  "rewrite   unix - - n - - trivial-rewrite",
  "bounce    unix - - n - 0 bounce",
  "defer     unix - - n - 0 bounce",
  "trace     unix - - n - 0 bounce",
  "verify    unix - - n - 1 verify",
  "flush     unix n - n 1000? 0 flush",
  "proxymap  unix - - n - - proxymap",
  "smtp      unix - - n - - smtp",
  "relay     unix - - n - - smtp",
  "showq     unix n - n - - showq",
  "error     unix - - n - - error",
  "retry     unix - - n - - error",
  "discard   unix - - n - - discard",
  "virtual   unix - n n - - virtual",
  "scache    unix - - n - 1 scache",
  "anvil     unix - - n - 1 anvil",
  "postlog   unix-dgram n - n - 1 postlogd",
];
