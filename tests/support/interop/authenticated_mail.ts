/**
 * posthorn and a Postfix with OpenDKIM and OpenDMARC in a small world with real DNS, in which posthorn has published what its
 * own command `dns` prints. Each sends from the address that it listens on.
 */

import { PosthornProcess } from "../posthorn_process.ts";
import { TestAuthority } from "./certificates.ts";
import { mustRun } from "./command.ts";
import { DnsLab } from "./dns_lab.ts";
import { latin1, latin1Octets } from "./maildir.ts";
import { type Milter, milterSettings, startOpenDkim, startOpenDmarc, zoneText } from "./milters.ts";
import { Namespace } from "./namespace.ts";
import { type Need, programPath } from "./peers.ts";
import { Postfix } from "./postfix.ts";
import { TemporaryFolder } from "./temporary_folder.ts";

/** What the world is made with. */
export const WORLD_NEEDS: readonly Need[] = [
  ...["root", "unshare", "nsenter", "ip", "postfix", "opendkim", "opendmarc"] as const,
  ...["knotd", "keymgr", "kdig", "knotc", "unbound", "openssl", "python", "python3-dkim"] as const,
];
/** Public addresses, as far as the programs can tell. */
export const POSTHORN_ADDRESS = "192.0.2.3";
export const POSTFIX_ADDRESS = "198.51.100.9";
/** Nobody lets it send. */
export const STRANGER = "203.0.113.8";
/** Postfix takes mail for everybody from it, and signs it. */
export const SIGNED_CLIENT = "127.0.0.1";
/** Postfix takes mail for everybody from it, as it is. */
export const UNSIGNED_CLIENT = "127.0.0.7";
/** Of the account `alice@posthorn.test`. */
export const PASSWORD = "a secret of Alice";

const SPF = `"v=spf1 ip4:${POSTFIX_ADDRESS} -all"`;
const RECORDS = [
  "postfix MX 10 mx.postfix",
  `mx.postfix A ${POSTFIX_ADDRESS}`,
  ...["postfix", "mx.postfix", "plain", "soft", "strict"].map((domain) => `${domain} TXT ${SPF}`),
  '_dmarc.postfix TXT "v=DMARC1; p=reject; rua=mailto:bob@postfix.test"',
  '_dmarc.soft TXT "v=DMARC1; p=quarantine"',
  '_dmarc.strict TXT "v=DMARC1; p=reject; rua=mailto:bob@postfix.test"',
];

/** The running servers. */
export interface AuthenticatedMail {
  readonly namespace: Namespace;
  readonly dns: DnsLab;
  readonly postfix: Postfix;
  readonly posthorn: PosthornProcess;
  /** TXT records by name in full, those of posthorn and those of OpenDKIM. */
  readonly texts: Readonly<Record<string, string>>;
  /** What `posthorn dns` printed. */
  readonly zone: string;
  /** All logs. */
  detail(): Promise<string>;
}

/** Starts all servers. @param stack Ends them. @param config Of posthorn, in addition. */
export async function startAuthenticatedMail(
  stack: AsyncDisposableStack,
  config: Readonly<Record<string, unknown>>,
): Promise<AuthenticatedMail> {
  const folder = stack.use(await TemporaryFolder.create({ isPublic: true })).path;
  for (const name of ["postfix", "dns", "tls"]) await Deno.mkdir(`${folder}/${name}`);
  const authority = await TestAuthority.create(`${folder}/tls`);
  const namespace = stack.use(await Namespace.create());
  for (const address of [POSTHORN_ADDRESS, STRANGER]) {
    await namespace.run([programPath("ip"), "address", "add", `${address}/32`, "dev", "lo"]);
  }
  const certificate = await authority.issue("mail", ["DNS:mail.posthorn.test"]);
  const posthorn = stack.use(
    await PosthornProcess.start({
      prefix: namespace.prefix,
      listeners: [
        { service: "mx", host: POSTHORN_ADDRESS, port: 25 },
        { service: "submission", host: "0.0.0.0", port: 587 },
        { service: "submission", tls: "implicit", host: "0.0.0.0", port: 465 },
      ],
      accounts: [{ address: "alice@posthorn.test", password: PASSWORD }],
      config: {
        hostname: "mail.posthorn.test",
        tls: { certificates: [certificate] },
        domains: { "posthorn.test": { dkim: ["s1"] } },
        delivery: { source: [POSTHORN_ADDRESS], ipv6: "off" },
        dns: { servers: ["127.0.0.1:53"] },
        queue: { retry: ["1s"], warn_after: "1h", expire_after: "2h" },
        ...config,
      },
      env: { DENO_CERT: authority.file },
      isStopped: true,
    }),
  );
  const keys = await mustRun(posthorn.commandLine("dkim", "create", "posthorn.test", "s1"));
  const zone = (await mustRun(posthorn.commandLine("dns", "posthorn.test"), { env: { NO_COLOR: "1" } }))
    .replace(/^; (.* IN TLSA )/m, "$1");
  const reverse = POSTHORN_ADDRESS.split(".").reverse().join(".");
  const dns = stack.use(
    await DnsLab.start(namespace, `${folder}/dns`, [...RECORDS, ...zone.split("\n")], [
      `${reverse}.in-addr.arpa. PTR mail.posthorn.test.`,
    ]),
  );
  const hostname = "mx.postfix.test";
  const openDkim = stack.use(
    await startOpenDkim({
      namespace,
      folder: `${folder}/opendkim`,
      hostname,
      keys: ["postfix.test", "plain.test", "soft.test"].map((domain) => ({ domain, selector: "k1" })),
      signsFor: [SIGNED_CLIENT],
    }),
  );
  for (const { name, value } of openDkim.records) await dns.change(`${name}.`, "TXT", zoneText(value));
  const openDmarc = stack.use(
    await startOpenDmarc({
      namespace,
      folder: `${folder}/opendmarc`,
      hostname,
      ignores: [SIGNED_CLIENT, UNSIGNED_CLIENT],
    }),
  );
  const postfix = stack.use(await startPostfix(namespace, folder, authority, [openDkim, openDmarc]));
  await posthorn.restart();
  return {
    namespace,
    dns,
    postfix,
    posthorn,
    zone,
    texts: { ...textsOf(keys), ...Object.fromEntries(openDkim.records.map(({ name, value }) => [name, value])) },
    detail: async () => [await postfix.log(), openDkim.log(), openDmarc.log(), posthorn.log].join("\n"),
  };
}

async function startPostfix(
  namespace: Namespace,
  folder: string,
  authority: TestAuthority,
  milters: readonly Milter[],
): Promise<Postfix> {
  return await Postfix.start({
    namespace,
    folder: `${folder}/postfix`,
    address: POSTFIX_ADDRESS,
    hostname: "mx.postfix.test",
    domain: "postfix.test",
    mailboxes: ["bob", "carol"],
    certificate: await authority.issue("mx.postfix.test", ["DNS:mx.postfix.test"]),
    settings: milterSettings(milters),
  });
}

/** The values of TXT records of a zone file, by name without final dot. */
function textsOf(zone: string): Record<string, string> {
  const lines = zone.matchAll(/^(\S+)\. +(?:\d+ +)?IN +TXT +(.*)$/gm);
  return Object.fromEntries(
    lines.map(([, name = "", value = ""]) => [name, value.replace(/[()]|"\s*"|^\s*"|"\s*$/g, "")]),
  );
}

/** Who sends what to whom, and from which address. */
export interface SentMail {
  /** Address of the client. */
  readonly client: string;
  /** Default: posthorn, as a server of others; `submission`: posthorn, as its user Alice, by STARTTLS. */
  readonly to?: "posthorn" | "postfix" | "submission";
  readonly from: string;
  readonly recipient: string;
  readonly content: string | Uint8Array;
  /** By BDAT in chunks of so many octets; default: DATA. */
  readonly chunkOctets?: number;
}

const SCRIPT = `
import json, smtplib, ssl, sys
mail = json.loads(sys.argv[1])
content = sys.stdin.buffer.read()
smtp = smtplib.SMTP(mail["host"], mail["port"], local_hostname="client.test", timeout=40, source_address=(mail["client"], 0))
smtp.ehlo()
if mail["port"] == 587:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    smtp.starttls(context=context)
    smtp.login("alice@posthorn.test", mail["password"])
smtp.mail(mail["from"], ["BODY=8BITMIME"])
smtp.rcpt(mail["recipient"])
size = mail["chunkOctets"]
if size:
    for at in range(0, len(content), size):
        chunk = content[at:at + size]
        last = " LAST" if at + len(chunk) == len(content) else ""
        smtp.sock.sendall(f"BDAT {len(chunk)}{last}\\r\\n".encode() + chunk)
        reply = smtp.getreply()
else:
    reply = smtp.data(content)
print(reply[0], reply[1].decode())
smtp.quit()
`;

/** Sends a message, and returns the last reply. */
export async function sendMail({ namespace }: Pick<AuthenticatedMail, "namespace">, mail: SentMail): Promise<string> {
  const { to = "posthorn", content, chunkOctets = 0, ...rest } = mail;
  const host = to === "postfix" ? POSTFIX_ADDRESS : POSTHORN_ADDRESS;
  const port = to === "submission" ? 587 : 25;
  const words = JSON.stringify({ host, port, chunkOctets, password: PASSWORD, ...rest });
  const stdin = typeof content === "string" ? latin1Octets(content) : new Uint8Array(content);
  return await namespace.run([programPath("python"), "-c", SCRIPT, words], { stdin });
}

/** A message; `more` are fields, CRLF ended. */
export function messageFrom(from: string, subject: string, body = "Hello\r\n", more = ""): string {
  return [
    `From: <${from}>`,
    "To: <someone@else.test>",
    `Subject: ${subject}`,
    "Date: Fri, 27 Nov 2026 10:00:00 +0000",
    `Message-ID: <${crypto.randomUUID()}@client.test>`,
    `${more}`,
    body,
  ].join("\r\n");
}

/** The Authentication-Results fields of a message from the top, unfolded. */
export function resultsIn(message: Uint8Array): readonly string[] {
  const [header = ""] = latin1(message).split("\r\n\r\n");
  return header.replace(/\r\n[ \t]+/g, " ").split("\r\n").filter((line) => line.startsWith("Authentication-Results:"));
}
