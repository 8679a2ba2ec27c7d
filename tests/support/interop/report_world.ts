/**
 * Two posthorns that report to each other, in a small world with real DNS and a clock that can be moved: `mail.a.test` counts and
 * sends, `mail.b.test` is asked about its domains and reads what it is told.
 */

import { PosthornProcess } from "../posthorn_process.ts";
import { TestAuthority } from "./certificates.ts";
import { type CommandResult, mustRun, runCommand } from "./command.ts";
import { Daemon } from "./daemon.ts";
import { DnsLab } from "./dns_lab.ts";
import { latin1Octets, type MaildirMessage } from "./maildir.ts";
import { Namespace } from "./namespace.ts";
import { type Need, programPath } from "./peers.ts";
import { ShiftedClock } from "./shifted_clock.ts";
import { TemporaryFolder } from "./temporary_folder.ts";
import { waitUntil } from "./wait.ts";

/** What the world is made with. */
export const REPORT_WORLD_NEEDS: readonly Need[] = [
  ...["root", "unshare", "nsenter", "ip", "knotd", "keymgr", "kdig", "knotc", "unbound"] as const,
  ...["openssl", "python", "libfaketime", "xmllint"] as const,
];

const [A, B, PLAIN, COLLECTOR] = ["192.0.2.1", "192.0.2.2", "192.0.2.4", "192.0.2.5"];
/** Nobody lets it send. */
export const STRANGER = "203.0.113.8";
const PASSWORD = "a secret of everybody";
/** Of B, with reports to an address of B that has to agree to it, and has. */
export const CROWD: readonly string[] = Array.from({ length: 6 }, (_, index) => `d${index}.test`);

const RECORDS = [
  ...["agreed", "silent", "vendor", "gone"].map((name) => `${name} MX 10 mail.b`),
  "plain MX 5 mx.plain",
  `mx.plain A ${PLAIN}`,
  "dane MX 5 mx.dane",
  `mx.dane A ${B}`,
  `_25._tcp.mx.dane TLSA 3 1 1 ${"0".repeat(64)}`,
  `collector A ${COLLECTOR}`,
  '_dmarc.agreed TXT "v=DMARC1; p=none; rua=mailto:rua@vendor.test"',
  'agreed.test._report._dmarc.vendor TXT "v=DMARC1"',
  '_dmarc.silent TXT "v=DMARC1; p=none; rua=mailto:rua@vendor.test"',
  ...["gone.test", ...CROWD].map((domain) => `${domain}._report._dmarc.b TXT "v=DMARC1"`),
  '_dmarc.gone TXT "v=DMARC1; p=none; rua=mailto:nobody@b.test"',
  ...CROWD.map((domain) => `_dmarc.${domain.slice(0, -5)} TXT "v=DMARC1; p=none; rua=mailto:dmarc@b.test"`),
  '_smtp._tls.plain TXT "v=TLSRPTv1; rua=mailto:tls@b.test"',
  '_smtp._tls.dane TXT "v=TLSRPTv1; rua=https://collector.test/tls"',
];

/** The running servers. */
export interface ReportWorld {
  readonly clock: ShiftedClock;
  readonly a: PosthornProcess;
  readonly b: PosthornProcess;
  /** The folder in which the https server puts the body of each request, and the media type beside it. */
  readonly collected: string;
  /** Sends a message, and returns the last reply. */
  send(mail: WorldMail): Promise<string>;
  /** Both logs. */
  detail(): string;
}

/** Who sends what to whom. */
export interface WorldMail {
  /** `a` and `b`: as a user of that server, who logs in; otherwise a client with this address, to A. */
  readonly as: "a" | "b" | typeof STRANGER;
  /** In envelope and From field. */
  readonly from: string;
  readonly to: string;
  readonly subject: string;
  /** Instead of a message made from the above. */
  readonly content?: Uint8Array<ArrayBuffer>;
}

/** Starts all servers. @param stack Ends them. @param reports The section `reports` of A. */
export async function startReportWorld(
  stack: AsyncDisposableStack,
  reports: Readonly<Record<string, unknown>>,
): Promise<ReportWorld> {
  const folder = stack.use(await TemporaryFolder.create({ isPublic: true })).path;
  for (const name of ["dns", "tls", "collected"]) await Deno.mkdir(`${folder}/${name}`);
  const namespace = stack.use(await Namespace.create());
  for (const address of [A, B, PLAIN, COLLECTOR, STRANGER]) {
    await namespace.run([programPath("ip"), "address", "add", `${address}/32`, "dev", "lo"]);
  }
  const authority = await TestAuthority.create(`${folder}/tls`);
  const clock = await ShiftedClock.startAt(["b", "a"].map((name) => `${folder}/clock-${name}`), "22:00");
  const common = { namespace, authority, clock, folder };
  const a = stack.use(await prepare(common, { name: "a", address: A, reports, accounts: ["alice", "postmaster"] }));
  const b = stack.use(
    await prepare(common, {
      name: "b",
      address: B,
      reports: { receive: ["dmarc@b.test", "tls@b.test", "rua@vendor.test"] },
      accounts: ["bob", "dmarc", "tls", "postmaster"],
      more: ["agreed.test", "silent.test", "vendor.test", "plain.test", "dane.test", ...CROWD],
    }),
  );
  const zones = await Promise.all([zoneOf(a, "a.test"), zoneOf(b, "b.test")]);
  // What each asks for stands in its own zone.
  const ruas = [
    '_dmarc.b.test. TXT "v=DMARC1; p=reject; rua=mailto:dmarc@b.test"',
    '_smtp._tls.b.test. TXT "v=TLSRPTv1; rua=mailto:tls@b.test"',
  ];
  stack.use(
    await DnsLab.start(namespace, `${folder}/dns`, [...RECORDS, ...zones.flat(), ...ruas], [A, B].map(reverseOf)),
  );
  stack.use(await startCollector(common));
  for (const posthorn of [a, b]) await posthorn.restart();
  return {
    clock,
    a,
    b,
    collected: `${folder}/collected`,
    send: (mail) => send(namespace, mail),
    detail: () => `${a.log}\n--- B\n${b.log}`,
  };
}

interface Common {
  readonly namespace: Namespace;
  readonly authority: TestAuthority;
  readonly clock: ShiftedClock;
  readonly folder: string;
}

interface Site {
  readonly name: "a" | "b";
  readonly address: string;
  readonly reports: Readonly<Record<string, unknown>>;
  /** Local parts. */
  readonly accounts: readonly string[];
  /** Further domains. */
  readonly more?: readonly string[];
}

/** Makes a posthorn with its keys; it does not run yet. */
async function prepare({ namespace, authority, clock, folder }: Common, site: Site): Promise<PosthornProcess> {
  const { name, address, reports, accounts, more = [] } = site;
  const domain = `${name}.test`;
  const certificate = await authority.issue(name, [`DNS:mail.${domain}`, `DNS:mta-sts.${domain}`]);
  const posthorn = await PosthornProcess.start({
    prefix: namespace.prefix,
    listeners: [
      { service: "mx", host: address, port: 25 },
      { service: "submission", host: address, port: 587 },
      ...name === "b" ? [{ service: "web", tls: "implicit", host: address, port: 443 } as const] : [],
      ...name === "b" ? [{ service: "mx", tls: "off", host: PLAIN, port: 25 } as const] : [],
    ],
    config: {
      hostname: `mail.${domain}`,
      tls: { certificates: [certificate] },
      domains: {
        [domain]: { dkim: ["s1"], ...name === "b" && { mta_sts: "enforce" } },
        ...Object.fromEntries(more.map((one) => [one, { catch_all: `bob@${domain}` }])),
      },
      aliases: name === "b" ? { "rua@vendor.test": "bob@b.test" } : {},
      delivery: { source: [address], ipv6: "off" },
      dns: { servers: ["127.0.0.1:53"] },
      queue: { retry: ["10m"], warn_after: "9h", expire_after: "2d" },
      reports,
    },
    env: { DENO_CERT: authority.file, NODE_EXTRA_CA_CERTS: authority.file, ...clock.envOf(`${folder}/clock-${name}`) },
    isStopped: true,
  });
  await mustRun(posthorn.commandLine("dkim", "create", domain, "s1"));
  for (const local of accounts) {
    await mustRun(posthorn.commandLine("user", "add", `${local}@${domain}`), { stdin: `${PASSWORD}\n` });
  }
  return posthorn;
}

/** What `posthorn dns` prints, without the records that say who wants reports, and without the address of another name. */
async function zoneOf(posthorn: PosthornProcess, domain: string): Promise<string[]> {
  const printed = await mustRun(posthorn.commandLine("dns", domain), { env: { NO_COLOR: "1" } });
  const isElse = (line: string): boolean => /^(?:_dmarc|_smtp\._tls)\.b\./.test(line) || line.endsWith(` A ${PLAIN}`);
  return printed.split("\n").filter((line) => !isElse(line));
}

function reverseOf(address: string): string {
  return `${address.split(".").toReversed().join(".")}.in-addr.arpa. PTR mail.${address === A ? "a" : "b"}.test.`;
}

const COLLECTOR_SCRIPT = `
import http.server, os, ssl, sys
folder, address, chain, key = sys.argv[1:]
class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        name = os.path.join(folder, f"{len(os.listdir(folder))}.json.gz")
        open(name, "wb").write(body)
        print("POST", self.path, self.headers["Content-Type"], flush=True)
        self.send_response(201)
        self.end_headers()
server = http.server.ThreadingHTTPServer((address, 443), Handler)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(chain, key)
server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
print("listening", flush=True)
server.serve_forever()
`;

async function startCollector({ namespace, authority, folder }: Common): Promise<Daemon> {
  const { chain, key } = await authority.issue("collector", ["DNS:collector.test"]);
  const words = [programPath("python"), "-c", COLLECTOR_SCRIPT, `${folder}/collected`, COLLECTOR ?? "", chain, key];
  const server = new Daemon([...namespace.prefix, ...words]);
  await waitUntil(() => server.log.includes("listening") || undefined, {
    what: "the collector",
    detail: () => server.log,
  });
  return server;
}

const SEND_SCRIPT = `
import json, smtplib, ssl, sys
mail = json.loads(sys.argv[1])
content = sys.stdin.buffer.read()
smtp = smtplib.SMTP(mail["host"], mail["port"], local_hostname="client.test", timeout=40, source_address=(mail["client"], 0))
smtp.ehlo()
if mail["port"] == 587:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    smtp.starttls(context=context)
    smtp.login(mail["from"], mail["password"])
smtp.mail(mail["from"], [])
reply = smtp.rcpt(mail["to"])
if reply[0] == 250:
    reply = smtp.data(content)
print(reply[0], reply[1].decode())
smtp.quit()
`;

async function send(namespace: Namespace, { as, from, to, subject, content }: WorldMail): Promise<string> {
  const isUser = as === "a" || as === "b";
  const words = {
    host: as === "b" ? B : A,
    port: isUser ? 587 : 25,
    client: isUser ? "127.0.0.1" : as,
    from,
    to,
    password: PASSWORD,
  };
  const text = [
    `From: <${from}>`,
    `To: <${to}>`,
    `Subject: ${subject}`,
    "Date: Fri, 27 Nov 2026 10:00:00 +0000",
    `Message-ID: <${crypto.randomUUID()}@client.test>`,
    "",
    "Hello",
    "",
  ].join("\r\n");
  const command = [programPath("python"), "-c", SEND_SCRIPT, JSON.stringify(words)];
  return await namespace.run(command, { stdin: content ?? latin1Octets(text) });
}

/** Runs a command of a posthorn, by the right time. */
export function runOf(posthorn: PosthornProcess, ...words: readonly string[]): Promise<CommandResult> {
  return runCommand(posthorn.commandLine(...words), { env: { NO_COLOR: "1" } });
}

/** The messages of a mailbox that have this in their subject. */
export async function withSubject(
  posthorn: PosthornProcess,
  address: string,
  subject: RegExp,
): Promise<readonly MaildirMessage[]> {
  const all = await posthorn.maildir(address).messages().catch(() => []);
  return all.filter(({ text }) => subject.test(/^Subject: (.*(?:\r\n[ \t].*)*)/m.exec(text)?.[1] ?? ""));
}
