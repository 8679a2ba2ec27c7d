/**
 * Exim as a sending MTA. Debian's package conflicts with postfix: unpack it anywhere, name the program in
 * $POSTHORN_EXIM, and make the system user Debian-exim, without which it does not start. See .ci/run.
 */

import { type CommandResult, runCommand } from "./command.ts";
import { latin1, latin1Octets } from "./maildir.ts";

/** How Exim is to send. */
export interface EximOptions {
  /** For its configuration and spool; others must be able to enter it. */
  readonly folder: string;
  /** Where it sends everything: a port of 127.0.0.1. */
  readonly port: number;
  /** Uses STARTTLS; the certificate is not checked. */
  readonly isTls: boolean;
  /** Default: smtp. */
  readonly protocol?: "smtp" | "lmtp";
}

/** A message on its way. */
export interface EximMessage {
  readonly from: string;
  readonly to: readonly string[];
  readonly octets: Uint8Array<ArrayBuffer>;
}

/** What came of a session with Exim. */
export interface EximSession {
  /** Exim's replies to its client. */
  readonly replies: string;
  /** The first lines of commands and replies between it and the next hop, as Exim's debugging output shows them. */
  readonly dialogue: string;
}

/** -odf: deliver before it returns; the dialogues go to standard error. */
const DELIVER_NOW = ["-d+transport", "-odf"];

/**
 * Sends one message and waits for the attempt to end.
 *
 * @returns The SMTP dialogue as Exim's debugging output shows it.
 */
export async function sendWithExim(options: EximOptions, { from, to, octets }: EximMessage): Promise<string> {
  // -oi: a line with a dot does not end the input.
  const { stderr } = await runExim(options, [...DELIVER_NOW, "-oi", "-f", from, ...to], octets);
  return stderr;
}

/**
 * Speaks SMTP with Exim, which offers everything it can and sends on what it takes.
 *
 * @param commands Without CRLF, from EHLO to the last RCPT.
 * @param content Goes after DATA; dots are stuffed already.
 */
export async function relayThroughExim(
  options: EximOptions,
  commands: readonly string[],
  content: Uint8Array,
): Promise<EximSession> {
  const lines = [...commands, "DATA"].map((line) => latin1(new TextEncoder().encode(`${line}\r\n`)));
  const input = latin1Octets(`${lines.join("")}${latin1(content)}.\r\nQUIT\r\n`);
  const { stdout, stderr } = await runExim(options, [...DELIVER_NOW, "-bs"], input);
  // Indented by two: the side of the transport.
  const dialogue = stderr.split("\n").filter((line) => line.startsWith("  SMTP")).map((line) => line.trim());
  return { replies: stdout, dialogue: dialogue.join("\n") };
}

async function runExim(
  options: EximOptions,
  words: readonly string[],
  stdin: Uint8Array<ArrayBuffer>,
): Promise<CommandResult> {
  // It starts itself anew as an unprivileged user, who may not get at where it lies.
  const program = `${options.folder}/exim4`;
  await Deno.copyFile(Deno.env.get("POSTHORN_EXIM") ?? "", program);
  await Deno.chmod(program, 0o755);
  const config = `${options.folder}/exim.conf`;
  await Deno.writeTextFile(config, configuration(program, options), { mode: 0o644 });
  const command = [program, "-C", config, ...words];
  const result = await runCommand(command, { stdin });
  if (result.code !== 0) {
    throw new Error(`${command.join(" ")}: exit code ${result.code}\n${result.stdout}${result.stderr}`);
  }
  return result;
}

function configuration(program: string, { folder, port, isTls, protocol = "smtp" }: EximOptions): string {
  return `exim_path = ${program}
exim_user = mail
exim_group = mail
spool_directory = ${folder}/exim-spool
log_file_path = ${folder}/exim-spool/%slog
primary_hostname = exim.client.test
keep_environment =
acl_smtp_rcpt = everybody
dsn_advertise_hosts = *
smtputf8_advertise_hosts = *
begin acl
everybody:
  accept
begin routers
all:
  driver = manualroute
  route_list = * 127.0.0.1
  transport = smtp
  self = send
begin transports
smtp:
  driver = smtp
  port = ${port}
  protocol = ${protocol}
  allow_localhost
  hosts_${isTls ? "require" : "avoid"}_tls = *
begin retry
* * F,1h,5m
`;
}
