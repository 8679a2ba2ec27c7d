/**
 * Exim as a strict receiver: it defers at every stage for a while, takes few recipients, connections and messages, and drops
 * connections while it refuses. Mail arrives in the end, each recipient once, or its sender is told.
 */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { PosthornProcess } from "../support/posthorn_process.ts";
import { TestAuthority } from "../support/interop/certificates.ts";
import { DnsLab } from "../support/interop/dns_lab.ts";
import { type EximPoint, EximServer } from "../support/interop/exim_server.ts";
import { awkwardMessage } from "../support/interop/messages.ts";
import { Namespace } from "../support/interop/namespace.ts";
import { peerTest } from "../support/interop/peers.ts";
import { sendWithSmtplib } from "../support/interop/smtplib.ts";
import { TemporaryFolder } from "../support/interop/temporary_folder.ts";
import { waitUntil } from "../support/interop/wait.ts";

const ALICE = { address: "alice@posthorn.test", password: "correct horse battery staple" };
const POSTHORN_ADDRESS = "127.0.0.3";
const POINTS: readonly EximPoint[] = ["connect", "helo", "mail", "rcpt", "predata", "data"];
/** How long Exim defers, from when it was started. */
const DEFER_SECONDS = 6;
const FEW = "127.0.4.100";
const DROPPING = "127.0.4.101";
const BUSY = "127.0.5.1";

/** The address of a domain that is deferred at a point. */
function addressOf(point: EximPoint): string {
  return `127.0.4.${1 + POINTS.indexOf(point)}`;
}

function acls(untilSeconds: number): Partial<Record<EximPoint, readonly string[]>> {
  const lists = POINTS.map((point): [EximPoint, string[]] => [point, [
    "  defer",
    `    condition = \${if eq{$received_ip_address}{${addressOf(point)}}}`,
    `    condition = \${if <{$tod_epoch}{${untilSeconds}}}`,
    `    message = Not at ${point} yet`,
  ]]);
  // `drop` refuses and closes, whatever the client has still to say.
  const drop = [
    "  drop",
    `    condition = \${if eq{$received_ip_address}{${DROPPING}}}`,
    "    local_parts = nobody",
    "    message = No such person",
  ];
  return Object.fromEntries(lists.map(([point, list]) => [point, point === "rcpt" ? [...list, ...drop] : list]));
}

const user = (domain: string, name: number | string = "user"): string => `${name}@${domain}.test`;
const numbers = (count: number): number[] => Array.from({ length: count }, (_, number) => number);

peerTest(
  "A strict Exim gets every message in the end, each recipient once, and the sender reads who was refused",
  ["root", "unshare", "nsenter", "ip", "knotd", "keymgr", "kdig", "unbound", "openssl", "python", "POSTHORN_EXIM"],
  async () => {
    await using stack = new AsyncDisposableStack();
    const folder = stack.use(await TemporaryFolder.create({ isPublic: true })).path;
    for (const name of ["exim", "busy", "dns", "tls"]) await Deno.mkdir(`${folder}/${name}`);
    const authority = await TestAuthority.create(`${folder}/tls`);
    const certificate = await authority.issue("mx.exim.test", ["DNS:mx.exim.test"]);
    const namespace = stack.use(await Namespace.create());
    const addresses = { ...Object.fromEntries(POINTS.map((point) => [point, addressOf(point)])), few: FEW };
    const all = Object.entries({ ...addresses, dropping: DROPPING, busy: BUSY });
    const records = all.flatMap(([name, address]) => [`${name} MX 10 mx.${name}`, `mx.${name} A ${address}`]);
    stack.use(await DnsLab.start(namespace, `${folder}/dns`, records));
    const posthorn = stack.use(
      await PosthornProcess.start({
        prefix: namespace.prefix,
        listeners: [{ service: "mx", host: POSTHORN_ADDRESS, port: 25 }],
        accounts: [ALICE],
        config: {
          hostname: "mx.posthorn.test",
          domains: { "posthorn.test": {} },
          relay_from: ["127.0.0.0/8"],
          queue: { retry: ["2s"], warn_after: "1h", expire_after: "2h" },
        },
      }),
    );
    const exim = stack.use(
      await EximServer.start({
        namespace,
        folder: `${folder}/exim`,
        addresses: [FEW, DROPPING, ...POINTS.map(addressOf)],
        certificate,
        settings: ["recipients_max = 5", "recipients_max_reject = false"],
        acls: acls(Math.floor(Date.now() / 1000) + DEFER_SECONDS),
      }),
    );
    const busy = stack.use(
      await EximServer.start({
        namespace,
        folder: `${folder}/busy`,
        addresses: [BUSY],
        certificate,
        // Without PIPELINING Exim refuses whoever says something before the answer to the last.
        settings: [
          "smtp_accept_max = 2",
          "smtp_accept_max_per_host = 1",
          "smtp_accept_max_per_connection = 2",
          "pipelining_advertise_hosts =",
        ],
      }),
    );
    const letters = [
      ...POINTS.map((point) => [user(point)]),
      numbers(12).map((number) => user("few", number)),
      ["first", "nobody", "last"].map((name) => user("dropping", name)),
      ...numbers(6).map((number) => [user("busy", number)]),
    ];
    const replies = await sendWithSmtplib(
      { prefix: namespace.prefix, host: POSTHORN_ADDRESS, port: 25 },
      letters.map((to) => ({
        from: ALICE.address,
        to: to.map((address) => [address]),
        content: awkwardMessage({ from: ALICE.address, to: "you", subject: `to ${to[0]}`, is8bit: false }).octets,
      })),
    );
    assertEquals(replies.filter((reply) => !reply.startsWith("250 2.")), []);
    const wanted = letters.flat().filter((to) => !to.startsWith("nobody")).sort();
    const arrived = async (): Promise<string[]> => {
      const messages = [...await exim.maildir.messages(), ...await busy.maildir.messages()];
      return messages.map(({ text }) => /^Envelope-to: (\S+)$/m.exec(text)?.[1] ?? "none").sort();
    };
    await waitUntil(async () => (await arrived()).length >= wanted.length || undefined, {
      what: "all mail",
      timeoutMs: 40_000,
      everyMs: 200,
      detail: () => posthorn.log,
    });
    const logs = `${posthorn.log}\n${await exim.log()}\n${await busy.log()}`;
    assertEquals(await arrived(), wanted, logs);
    await posthorn.waitForEmptyQueue();
    const reports = await posthorn.maildir(ALICE.address).waitFor(1, { detail: () => logs });
    assertEquals(reports.length, 1);
    const report = reports[0]?.text.replace(/\r\n[ \t]+/g, " ") ?? "";
    assertMatch(report, /^Final-Recipient: rfc822; ?nobody@dropping\.test\r$/m);
    assertMatch(report, /^Diagnostic-Code: smtp; ?550 .*No such person/m);
    assertLog(posthorn.log);
    // While it keeps connections, Exim's children go on.
    await posthorn.kill("SIGTERM");
  },
);

function assertLog(log: string): void {
  const lines = log.split("\n");
  for (const point of POINTS) {
    const [first = ""] = lines.filter((line) => line.includes(`delayed for user@${point}.test via `));
    assertMatch(first, new RegExp(`, status 4\\.0\\.0: 451 Not at ${point} yet; next attempt`), point);
  }
  assert(lines.some((line) => /@busy\.test .* 421 .*Too many concurrent SMTP connections/i.test(line)), "421 was met");
  const relayed = lines.filter((line) => line.includes(" relayed to "));
  for (const line of relayed) assertMatch(line, / tls="?TLSv1\.[23]/);
  assertEquals(/synchronization error/.test(log), false);
}
