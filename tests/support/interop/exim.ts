/** Exim as a sending MTA. Debian's package conflicts with postfix: unpack it anywhere and name it in $POSTHORN_EXIM. */

import { runCommand } from "./command.ts";

/** How Exim is to send. */
export interface EximOptions {
  /** For its configuration and spool; others must be able to enter it. */
  readonly folder: string;
  /** Where it sends everything: a port of 127.0.0.1. */
  readonly port: number;
  /** Uses STARTTLS; the certificate is not checked. */
  readonly isTls: boolean;
}

/** A message on its way. */
export interface EximMessage {
  readonly from: string;
  readonly to: readonly string[];
  readonly octets: Uint8Array<ArrayBuffer>;
}

/**
 * Sends one message and waits for the attempt to end.
 *
 * @returns The SMTP dialogue as Exim's debugging output shows it.
 */
export async function sendWithExim(options: EximOptions, { from, to, octets }: EximMessage): Promise<string> {
  const program = Deno.env.get("POSTHORN_EXIM") ?? "exim4";
  const config = `${options.folder}/exim.conf`;
  await Deno.writeTextFile(config, configuration(program, options), { mode: 0o644 });
  // -odf: deliver before it returns; -oi: a line with a dot does not end the input.
  const command = [program, "-C", config, "-d+transport", "-odf", "-oi", "-f", from, ...to];
  const { code, stdout, stderr } = await runCommand(command, { stdin: octets });
  if (code !== 0) throw new Error(`${command.join(" ")}: exit code ${code}\n${stdout}${stderr}`);
  return stderr;
}

function configuration(program: string, { folder, port, isTls }: EximOptions): string {
  return `exim_path = ${program}
exim_user = mail
exim_group = mail
spool_directory = ${folder}/exim-spool
log_file_path = ${folder}/exim-spool/%slog
primary_hostname = exim.client.test
keep_environment =
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
  allow_localhost
  hosts_${isTls ? "require" : "avoid"}_tls = *
begin retry
* * F,1h,5m
`;
}
