/** Sending one message with the mail clients that people use. */

import { type CommandResult, runCommand } from "./command.ts";
import { dotStuffed, latin1, latin1Octets } from "./maildir.ts";
import { type Need, programPath } from "./peers.ts";

/** How to log in. */
export interface Login {
  /** The last two are for {@linkcode TOKEN_CLIENTS}; their password is a token. */
  readonly mechanism: "PLAIN" | "LOGIN" | "CRAM-MD5" | "SCRAM-SHA-256" | "OAUTHBEARER" | "XOAUTH2";
  readonly username: string;
  readonly password: string;
}

/** One message to send, and how. */
export interface Submission {
  readonly host: string;
  readonly port: number;
  readonly security: "plain" | "starttls" | "implicit";
  /** The CA to verify the server against. */
  readonly caFile: string;
  readonly login?: Login;
  readonly from: string;
  readonly to: string;
  readonly content: Uint8Array<ArrayBuffer>;
  /** Folder for files that the client needs. */
  readonly folder: string;
  /** Words in front of the client, e.g. `nsenter …`. */
  readonly prefix?: readonly string[];
}

/** A client: its name, what it needs, and how it sends. */
export interface MailClient {
  readonly name: string;
  readonly needs: readonly Need[];
  /** What it can log in with, tokens apart. */
  readonly mechanisms: readonly Login["mechanism"][];
  send(submission: Submission): Promise<CommandResult>;
}

const swaks: MailClient = {
  name: "swaks",
  needs: ["swaks", "Net::SSLeay"],
  mechanisms: ["PLAIN", "LOGIN", "CRAM-MD5"],
  async send({ host, port, security, caFile, login, from, to, content, prefix = [] }): Promise<CommandResult> {
    // With --no-data-fixup, swaks sends the octets as they are: dots are ours to stuff and to end with; CRLF is added.
    const data = latin1(dotStuffed(content)) + ".";
    return await runCommand([
      ...prefix,
      programPath("swaks"),
      ...["--server", host, "--port", `${port}`, "--ehlo", "client.example", "--from", from, "--to", to],
      ...(security === "starttls" ? ["--tls"] : security === "implicit" ? ["--tls-on-connect"] : []),
      ...(security === "plain" ? [] : ["--tls-verify", "--tls-ca-path", caFile]),
      ...(login === undefined
        ? []
        : ["--auth", login.mechanism, "--auth-user", login.username, "--auth-password", login.password]),
      ...["--no-data-fixup", "--data", "-"],
    ], { stdin: latin1Octets(data) });
  },
};

const curl: MailClient = {
  name: "curl",
  needs: ["curl"],
  mechanisms: ["PLAIN", "LOGIN", "CRAM-MD5"],
  async send({ host, port, security, caFile, login, from, to, content, prefix = [] }): Promise<CommandResult> {
    return await runCommand([
      ...prefix,
      programPath("curl"),
      ...["--silent", "--show-error", "--verbose", "--max-time", "30"],
      `${security === "implicit" ? "smtps" : "smtp"}://${host}:${port}/client.example`,
      ...(security === "plain" ? [] : ["--ssl-reqd", "--cacert", caFile]),
      ...(login === undefined
        ? []
        : isToken(login)
        ? ["--user", `${login.username}:`, "--oauth2-bearer", login.password]
        : ["--user", `${login.username}:${login.password}`]),
      ...(login === undefined ? [] : ["--login-options", `AUTH=${login.mechanism}`]),
      ...["--mail-from", from, "--mail-rcpt", to, "--upload-file", "-"],
    ], { stdin: content });
  },
};

const msmtp: MailClient = {
  name: "msmtp",
  needs: ["msmtp"],
  mechanisms: ["PLAIN", "LOGIN", "CRAM-MD5", "SCRAM-SHA-256"],
  async send({ host, port, security, caFile, login, from, to, content, folder, prefix = [] }): Promise<CommandResult> {
    const settings = [
      "account default",
      `host ${host}`,
      `port ${port}`,
      "domain client.example",
      `from ${from}`,
      `tls ${security === "plain" ? "off" : "on"}`,
      `tls_starttls ${security === "starttls" ? "on" : "off"}`,
      ...(security === "plain" ? [] : [`tls_trust_file ${caFile}`]),
      ...(login === undefined
        ? ["auth off"]
        : [`auth ${login.mechanism.toLowerCase()}`, `user ${login.username}`, `password ${login.password}`]),
    ];
    const file = `${folder}/msmtprc`;
    await Deno.writeTextFile(file, settings.join("\n") + "\n", { mode: 0o600 });
    // Like sendmail, it takes local line ends.
    const data = latin1Octets(latin1(content).replaceAll("\r\n", "\n"));
    return await runCommand([...prefix, programPath("msmtp"), "--debug", `--file=${file}`, to], { stdin: data });
  },
};

const SMTPLIB_SCRIPT = `
import smtplib, ssl, sys
host, port, security, ca, sender, recipient, mechanism, user, password = sys.argv[1:]
context = ssl.create_default_context(cafile=ca)
kind = {"local_hostname": "client.example", "timeout": 30}
if security == "implicit":
    smtp = smtplib.SMTP_SSL(host, int(port), context=context, **kind)
else:
    smtp = smtplib.SMTP(host, int(port), **kind)
smtp.set_debuglevel(1)
if security == "starttls":
    smtp.starttls(context=context)
smtp.ehlo_or_helo_if_needed()
bearer = {
    "OAUTHBEARER": f"n,a={user},\\1host={host}\\1port={port}\\1auth=Bearer {password}\\1\\1",
    "XOAUTH2": f"user={user}\\1auth=Bearer {password}\\1\\1",
}
if mechanism in bearer:
    def answer(challenge=None):
        if not challenge:
            return bearer[mechanism]
        print("refused:", challenge.decode(), file=sys.stderr)
        return "\\1" if mechanism == "OAUTHBEARER" else ""
    smtp.auth(mechanism, answer, initial_response_ok=True)
elif mechanism:
    smtp.user, smtp.password = user, password
    smtp.auth(mechanism, getattr(smtp, "auth_" + mechanism.lower().replace("-", "_")))
smtp.sendmail(sender, [recipient], sys.stdin.buffer.read(), mail_options=["BODY=8BITMIME"])
smtp.quit()
`;

const smtplib: MailClient = {
  name: "Python smtplib",
  needs: ["python"],
  mechanisms: ["PLAIN", "LOGIN", "CRAM-MD5"],
  async send({ host, port, security, caFile, login, from, to, content, prefix = [] }): Promise<CommandResult> {
    return await runCommand([
      ...prefix,
      programPath("python"),
      ...["-c", SMTPLIB_SCRIPT, host, `${port}`, security, caFile, from, to],
      ...[login?.mechanism ?? "", login?.username ?? "", login?.password ?? ""],
    ], { stdin: content });
  },
};

function isToken({ mechanism }: Login): boolean {
  return mechanism === "OAUTHBEARER" || mechanism === "XOAUTH2";
}

/** Those that log in with a token, too. */
export const TOKEN_CLIENTS: readonly MailClient[] = [curl, msmtp, smtplib];

/** All clients that tests try. */
export const MAIL_CLIENTS: readonly MailClient[] = [swaks, curl, msmtp, smtplib];
