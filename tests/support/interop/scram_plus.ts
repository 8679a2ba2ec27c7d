/**
 * A client of SCRAM-SHA-256-PLUS with tls-server-end-point, in Python: mail clients have SCRAM-PLUS with other types of
 * channel binding only. It hashes the certificate that it sees itself.
 */

import { type CommandResult, runCommand } from "./command.ts";
import { programPath } from "./peers.ts";

const SCRIPT = `
import base64, hashlib, hmac, os, smtplib, ssl, sys
host, port, ca, user, password, binding = sys.argv[1:]
smtp = smtplib.SMTP(host, int(port), "client.example", timeout=30)
smtp.set_debuglevel(1)
smtp.starttls(context=ssl.create_default_context(cafile=ca))
smtp.ehlo()
seen = hashlib.sha256(smtp.sock.getpeercert(binary_form=True)).digest()
gs2 = "p=%s,," % binding
bare = "n=%s,r=%s" % (user, base64.b64encode(os.urandom(18)).decode())
b64 = lambda text: base64.b64encode(text.encode()).decode()
mac = lambda key, text: hmac.new(key, text.encode(), "sha256").digest()
code, reply = smtp.docmd("AUTH", "SCRAM-SHA-256-PLUS " + b64(gs2 + bare))
if code != 334:
    sys.exit("%d %s" % (code, reply.decode()))
first = base64.b64decode(reply).decode()
fields = dict(part.split("=", 1) for part in first.split(","))
salted = hashlib.pbkdf2_hmac("sha256", password.encode(), base64.b64decode(fields["s"]), int(fields["i"]))
client_key = mac(salted, "Client Key")
final = "c=%s,r=%s" % (base64.b64encode(gs2.encode() + seen).decode(), fields["r"])
signed = ",".join([bare, first, final])
proof = bytes(a ^ b for a, b in zip(client_key, mac(hashlib.sha256(client_key).digest(), signed)))
code, reply = smtp.docmd(b64(final + ",p=" + base64.b64encode(proof).decode()))
if code != 334:
    sys.exit("%d %s" % (code, reply.decode()))
expected = "v=" + base64.b64encode(mac(mac(salted, "Server Key"), signed)).decode()
if base64.b64decode(reply).decode() != expected:
    sys.exit("the server does not prove itself")
print("%d %s" % (smtp.docmd("")[0], "logged in"))
`;

/** Logs in after STARTTLS; exit code 0 when the server has proved itself, too. Otherwise its last reply is in stderr. */
export function loginWithScramPlus(
  { host, port, caFile, username, password, binding = "tls-server-end-point" }: {
    readonly host: string;
    readonly port: number;
    readonly caFile: string;
    readonly username: string;
    readonly password: string;
    /** Name of the channel binding. */
    readonly binding?: string;
  },
): Promise<CommandResult> {
  return runCommand([programPath("python"), "-c", SCRIPT, host, `${port}`, caFile, username, password, binding]);
}
