/** Postfix as the server in front: it hands mail to posthorn by LMTP, over TCP and a Unix socket, and by SMTP. */

import { assertEquals, assertMatch } from "@std/assert";
import { TestAuthority } from "../support/interop/certificates.ts";
import { traceFieldsBefore } from "../support/interop/maildir.ts";
import { awkwardMessage } from "../support/interop/messages.ts";
import { Namespace } from "../support/interop/namespace.ts";
import { type Need, peerTest, programPath } from "../support/interop/peers.ts";
import { Postfix } from "../support/interop/postfix.ts";
import { TemporaryFolder } from "../support/interop/temporary_folder.ts";
import { PosthornProcess } from "../support/posthorn_process.ts";

const NEEDS: readonly Need[] = ["root", "unshare", "nsenter", "ip", "postfix", "openssl", "python"];
const BOB = "bob@postfix.test";
const POSTFIX_ADDRESS = "127.0.0.2";
const POSTHORN_ADDRESS = "127.0.0.3";
/** One domain for each way to posthorn, with the `with` clause to expect. */
const WAYS = [
  { domain: "tcp.test", protocol: "LMTP" },
  { domain: "socket.test", protocol: "LMTP" },
  { domain: "smtp.test", protocol: "ESMTPS" },
];
const alice = (domain: string): string => `alice@${domain}`;
const nobody = (domain: string): string => `nobody@${domain}`;

/** Sends standard input to several recipients, and asks for reports. */
const SCRIPT = `
import smtplib, sys
smtp = smtplib.SMTP("${POSTFIX_ADDRESS}", 25, local_hostname="client.example", timeout=30)
smtp.sendmail("${BOB}", sys.argv[1:], sys.stdin.buffer.read(),
  mail_options=["BODY=8BITMIME", "RET=HDRS", "ENVID=Our+2BNumber"], rcpt_options=["NOTIFY=SUCCESS,FAILURE"])
smtp.quit()
`;

peerTest(
  "Postfix hands over by LMTP, on TCP and a Unix socket, and by SMTP; each recipient is reported on once",
  NEEDS,
  async () => {
    await using folder = await TemporaryFolder.create({ isPublic: true });
    for (const name of ["postfix", "tls", "data"]) await Deno.mkdir(`${folder.path}/${name}`);
    const authority = await TestAuthority.create(`${folder.path}/tls`);
    await using namespace = await Namespace.create();
    await using posthorn = await PosthornProcess.start({
      prefix: namespace.prefix,
      dataFolder: `${folder.path}/data`,
      listeners: [
        { service: "mx", host: POSTHORN_ADDRESS, port: 25 },
        { service: "lmtp", host: POSTHORN_ADDRESS, port: 24 },
        { service: "lmtp", socket: "lmtp.sock" },
      ],
      accounts: WAYS.map(({ domain }) => ({ address: alice(domain), password: "correct horse battery staple" })),
      config: {
        hostname: "mx.posthorn.test",
        domains: Object.fromEntries(WAYS.map(({ domain }) => [domain, {}])),
        routes: [{ domain: "*", via: `smtp://${POSTFIX_ADDRESS}:25` }],
        queue: { retry: ["1s"], warn_after: "1h", expire_after: "2h" },
      },
    });
    const transports = [
      `tcp.test=lmtp:inet:${POSTHORN_ADDRESS}:24`,
      `socket.test=lmtp:unix:${posthorn.socketPath("lmtp.sock")}`,
      `smtp.test=smtp:[${POSTHORN_ADDRESS}]:25`,
    ];
    await using postfix = await Postfix.start({
      namespace,
      folder: `${folder.path}/postfix`,
      address: POSTFIX_ADDRESS,
      hostname: "mx.postfix.test",
      domain: "postfix.test",
      mailboxes: ["bob"],
      certificate: await authority.issue("mx.postfix.test", ["DNS:mx.postfix.test"]),
      settings: [`transport_maps = inline:{ ${transports.join(" ")} }`],
      services: ["lmtp unix - - n - - lmtp"],
    });
    const message = awkwardMessage({ from: BOB, to: alice("tcp.test"), subject: "from Postfix by LMTP" });
    const recipients = WAYS.flatMap(({ domain }) => [alice(domain), nobody(domain)]);
    await namespace.run([programPath("python"), "-c", SCRIPT, ...recipients], { stdin: message.octets });

    const log = await postfix.log();
    const detail = (): string => `${log}\n${posthorn.log}`;
    for (const { domain, protocol } of WAYS) {
      const [arrived] = await posthorn.maildir(alice(domain)).waitFor(1, { detail });
      const trace = traceFieldsBefore(message.octets, arrived?.octets ?? new Uint8Array());
      assertMatch(trace.find((field) => field.startsWith("Received:")) ?? "", new RegExp(` with ${protocol} `), domain);
    }
    const inbox = await postfix.maildir("bob").waitFor(4, { detail });
    // Who delivers reports success, RFC 3461 section 6.1: that is posthorn. Postfix reports who was refused, all at once.
    const lines = inbox.map(({ text }) => {
      const about = values(text, "Original-Recipient").sort();
      return `${values(text, "Reporting-MTA")} on ${values(text, "Original-Envelope-Id")}: ${about} ${
        values(text, "Action")
      }`;
    });
    assertEquals(lines.sort(), [
      "mx.postfix.test on Our+Number: nobody@smtp.test,nobody@socket.test,nobody@tcp.test failed,failed,failed",
      "mx.posthorn.test on Our+Number: alice@smtp.test delivered",
      "mx.posthorn.test on Our+Number: alice@socket.test delivered",
      "mx.posthorn.test on Our+Number: alice@tcp.test delivered",
    ]);
  },
);

/** The values of a field of the report, without their type. */
function values(text: string, field: string): string[] {
  const lines = text.matchAll(new RegExp(`^${field}: *(?:[\\w-]+; *)?(.*?)\\r?$`, "gmi"));
  return Array.from(lines, ([, value = ""]) => value);
}
