/** Python's smtplib as a client that uses the parameters of MAIL and RCPT, and Python's reader of reports. */

import { mustRun } from "./command.ts";
import { programPath } from "./peers.ts";

/** Where to send, and as whom. */
export interface SmtplibServer {
  /** Default 127.0.0.1. */
  readonly host?: string;
  readonly port: number;
  /** TLS from the first octet, with a certificate of this CA; default: no TLS. */
  readonly caFile?: string;
  readonly login?: { readonly address: string; readonly password: string };
  /** Words in front of the client, e.g. `nsenter ...`. */
  readonly prefix?: readonly string[];
}

/** One transaction. */
export interface SmtplibMessage {
  readonly from: string;
  /** Parameters of MAIL, e.g. `BY=3;R`. */
  readonly mail?: readonly string[];
  /** The address, and the parameters of RCPT. */
  readonly to: readonly (readonly [address: string, ...parameters: string[]])[];
  readonly content: Uint8Array<ArrayBuffer>;
  /** Send the content by BDAT in chunks of so many octets; default: by DATA. */
  readonly chunkOctets?: number;
}

const SEND_SCRIPT = `
import json, smtplib, ssl, sys
server, messages = json.loads(sys.argv[1])
arguments = {"host": server["host"], "port": server["port"], "local_hostname": "client.example", "timeout": 30}
if "caFile" in server:
    smtp = smtplib.SMTP_SSL(context=ssl.create_default_context(cafile=server["caFile"]), **arguments)
else:
    smtp = smtplib.SMTP(**arguments)
def show(reply):
    print(reply[0], reply[1].decode().replace("\\n", " "))
    return reply[0]
smtp.ehlo_or_helo_if_needed()
if "login" in server:
    smtp.login(server["login"]["address"], server["login"]["password"])
for message in messages:
    content = sys.stdin.buffer.read(message["octets"])
    show(smtp.mail(message["from"], message["mail"]))
    taken = [show(smtp.rcpt(address, options)) for address, *options in message["to"]]
    if 250 not in taken:
        smtp.rset()
    elif message["chunkOctets"]:
        for at in range(0, len(content), message["chunkOctets"]):
            chunk = content[at:at + message["chunkOctets"]]
            last = " LAST" if at + len(chunk) == len(content) else ""
            smtp.sock.sendall(f"BDAT {len(chunk)}{last}\\r\\n".encode() + chunk)
            reply = smtp.getreply()
        show(reply)
    else:
        show(smtp.data(content))
smtp.quit()
`;

/**
 * Sends messages over one connection.
 *
 * @returns The replies to MAIL, to each RCPT and to the end of the content, those of all messages one after the other.
 */
export async function sendWithSmtplib(
  { prefix = [], host = "127.0.0.1", ...server }: SmtplibServer,
  messages: readonly SmtplibMessage[],
): Promise<string[]> {
  const plans = messages.map(({ content, mail = [], chunkOctets = 0, ...message }) => ({
    ...message,
    mail,
    chunkOctets,
    octets: content.length,
  }));
  const contents = messages.flatMap(({ content }) => [content]);
  const stdin = new Uint8Array(await new Blob(contents).arrayBuffer());
  const words = ["-c", SEND_SCRIPT, JSON.stringify([{ ...server, host }, plans])];
  const output = await mustRun([...prefix, programPath("python"), ...words], { stdin });
  return output.trimEnd().split("\n");
}

/** A report as Python's email package reads it. */
export interface ParsedReport {
  /** The fields about the message, names in lower case. */
  readonly message: Readonly<Record<string, string>>;
  /** Those about each recipient. */
  readonly recipients: readonly Readonly<Record<string, string>>[];
  /** Media type of the part that shows the message. */
  readonly originalType: string;
}

const REPORT_SCRIPT = `
import email, email.policy, json, sys
with open(sys.argv[1], "rb") as file:
    report = email.message_from_binary_file(file, policy=email.policy.default)
assert report.get_content_type() == "multipart/report", report.get_content_type()
assert report.get_param("report-type") == "delivery-status"
words, status, original = report.iter_parts()
blocks = [{name.lower(): str(value) for name, value in block.items()} for block in status.get_payload()]
print(json.dumps({"message": blocks[0], "recipients": blocks[1:], "originalType": original.get_content_type()}))
`;

/** Reads a DSN. @throws {Error} Where the file is none. */
export async function readWithPython(file: string): Promise<ParsedReport> {
  return JSON.parse(await mustRun([programPath("python"), "-c", REPORT_SCRIPT, file]));
}
