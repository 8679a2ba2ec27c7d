/** Exim as a receiving MTA inside a namespace: takes mail for everybody into one Maildir. Where it comes from: `exim.ts`. */

import type { CertificateFiles } from "./certificates.ts";
import { mustRun } from "./command.ts";
import { Daemon } from "./daemon.ts";
import { Maildir } from "./maildir.ts";
import type { Namespace } from "./namespace.ts";
import { waitUntil } from "./wait.ts";

/** The points at which an ACL decides. */
export type EximPoint = "connect" | "helo" | "mail" | "rcpt" | "predata" | "data";

/** How Exim is set up. */
export interface EximServerOptions {
  readonly namespace: Namespace;
  /** Exists; other users may enter it. */
  readonly folder: string;
  /** It listens on port 25 of these. */
  readonly addresses: readonly string[];
  readonly certificate: CertificateFiles;
  /** More lines of the main part. */
  readonly settings?: readonly string[];
  /** Statements in front of the `accept` of each ACL. */
  readonly acls?: Partial<Record<EximPoint, readonly string[]>>;
}

const POINTS: readonly EximPoint[] = ["connect", "helo", "mail", "rcpt", "predata", "data"];

/** The running Exim. */
export class EximServer implements AsyncDisposable {
  readonly #folder: string;
  readonly #daemon: Daemon;

  private constructor(folder: string, daemon: Daemon) {
    this.#folder = folder;
    this.#daemon = daemon;
  }

  /** Writes the configuration, starts Exim and waits for its banner. */
  static async start(options: EximServerOptions): Promise<EximServer> {
    const { folder, namespace, addresses: [address = ""], certificate } = options;
    // It starts itself anew as an unprivileged user, who may not get at where it lies, nor at the key.
    const program = `${folder}/exim4`;
    await Deno.copyFile(Deno.env.get("POSTHORN_EXIM") ?? "", program);
    await Deno.chmod(program, 0o755);
    await Deno.chmod(certificate.key, 0o644);
    const config = `${folder}/exim.conf`;
    await Deno.writeTextFile(config, configuration(program, options), { mode: 0o644 });
    await Deno.mkdir(`${folder}/mail`);
    await mustRun(["chown", "mail", `${folder}/mail`]);
    const exim = new EximServer(folder, new Daemon([...namespace.prefix, program, "-C", config, "-bdf"]));
    try {
      await waitUntil(async () => {
        const script = `exec 3<>/dev/tcp/${address}/25 && read -t 5 line <&3 && [[ $line == [245]* ]]`;
        return await namespace.run(["bash", "-c", script]).then(() => true, () => undefined);
      }, { what: "Exim to greet", everyMs: 100, timeoutMs: 30_000, detail: () => exim.#daemon.log });
      return exim;
    } catch (error) {
      await exim[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** Where all mail goes; the header field Envelope-to names the recipient. */
  get maildir(): Maildir {
    return new Maildir(`${this.#folder}/mail`);
  }

  /** Its main log. */
  async log(): Promise<string> {
    return await Deno.readTextFile(`${this.#folder}/spool/mainlog`).catch(() => this.#daemon.log);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#daemon[Symbol.asyncDispose]();
  }
}

function configuration(
  program: string,
  { folder, addresses, certificate, settings = [], acls = {} }: EximServerOptions,
): string {
  return `exim_path = ${program}
exim_user = mail
exim_group = mail
spool_directory = ${folder}/spool
log_file_path = ${folder}/spool/%slog
primary_hostname = mx.exim.test
keep_environment =
local_interfaces = ${addresses.join(" : ")}
daemon_smtp_ports = 25
pid_file_path = ${folder}/exim.pid
notifier_socket =
tls_advertise_hosts = *
tls_certificate = ${certificate.chain}
tls_privatekey = ${certificate.key}
chunking_advertise_hosts = *
rfc1413_query_timeout = 0s
${settings.join("\n")}
${POINTS.map((point) => `acl_smtp_${point} = at_${point}`).join("\n")}
begin acl
${POINTS.map((point) => [`at_${point}:`, ...acls[point] ?? [], "  accept"].join("\n")).join("\n")}
begin routers
all:
  driver = accept
  transport = maildir
begin transports
maildir:
  driver = appendfile
  maildir_format
  directory = ${folder}/mail
  create_directory
  envelope_to_add
  user = mail
begin retry
* * F,1h,5m
`;
}
