/**
 * posthorn as a process among bad peers, found by MX through a signed zone: whatever they do, each message arrives once,
 * over the backup MX or at a later attempt, or its sender reads in a report what happened.
 */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { PosthornProcess } from "../support/posthorn_process.ts";
import { type BadPeerPlan, BadPeers } from "../support/interop/bad_peers.ts";
import { DnsLab } from "../support/interop/dns_lab.ts";
import { awkwardMessage } from "../support/interop/messages.ts";
import { Namespace } from "../support/interop/namespace.ts";
import { peerTest } from "../support/interop/peers.ts";
import { sendWithSmtplib } from "../support/interop/smtplib.ts";
import { TemporaryFolder } from "../support/interop/temporary_folder.ts";
import { waitUntil } from "../support/interop/wait.ts";

const ALICE = { address: "alice@posthorn.test", password: "correct horse battery staple" };
const POSTHORN_ADDRESS = "127.0.0.3";
/** How long peers hold a connection on which nothing happens. */
const REST_MS = 12_000;

/** Hosts with a fault and a good host behind them: the message goes there, and the log says why. */
const WITH_BACKUP: Readonly<Record<string, RegExp>> = {
  "greeting-421": /421 4\.3\.0 As asked/,
  "greeting-554": /554 5\.3\.0 As asked/,
  "greeting-drop": /greeting.*connection closed by peer/,
  "greeting-endless": /greeting.*more than 100 lines/,
  "greeting-flood": /greeting.*longer than 4096 octets/,
  "greeting-http": /greeting.*no reply: \\?"HTTP/,
  "greeting-binary": /greeting.*no reply/,
  "greeting-early": /spoke before it was asked/,
  "greeting-silent": /greeting.*connection closed by peer/,
  "greeting-drip": /greeting.*connection closed by peer/,
  "ehlo-450": /450 4\.3\.0 As asked/,
  "ehlo-drop": /EHLO.*connection closed by peer/,
  "ehlo-change": /changed the code within a reply/,
  "ehlo-silent": /EHLO.*connection closed by peer/,
};
/** Hosts with a fault that shows only in the transaction, or that is no obstacle. */
const AT_ONCE: Readonly<Record<string, "backup" | "itself">> = {
  "mail-451": "backup",
  "mail-drop": "backup",
  "mail-endless": "backup",
  "mail-silent": "backup",
  "starttls-454": "itself",
  "starttls-drop": "itself",
  "tls-garbage": "itself",
  "tls-alert": "itself",
  "tls-injection": "itself",
  "quit-drop": "itself",
};
/** Local parts, each at a host of its own with a backup: faults that happen once. */
const BACKED_UP = [
  "rcpt-450",
  "rcpt-drop",
  "rcpt-http",
  "data-451",
  "data-drop",
  "data-wrong",
  "data-early",
  "dot-451",
];
/** The same where only that host may have the message: it gets it again, and nobody else does. */
const TRIED_AGAIN = ["dot-drop", "dot-http", "dot-silent"];
/** Refused for good: reported to the sender, with these words. */
const REFUSED: Readonly<Record<string, RegExp>> = {
  "rcpt-550": /550 5\.3\.0 As asked/,
  "rcpt-nul": /550 5\.1\.1 No such \[2J user/,
  "rcpt-latin1": /550 5\.1\.1 Unbekannter/,
  "data-554": /554 5\.3\.0 As asked/,
  "dot-554": /554 5\.3\.0 As asked/,
};

/** All peers, each with an address of its own, and the zone that names them. */
function plan(): { readonly peers: readonly BadPeerPlan[]; readonly records: readonly string[] } {
  const peers: BadPeerPlan[] = [{ name: "backup", host: "127.0.2.1", faultTimes: 0 }];
  const records = [
    "backup A 127.0.2.1",
    "good MX 10 backup",
    "dead MX 10 dead",
    "dead A 127.0.2.2",
    "dead MX 20 backup",
  ];
  const add = (name: string, options: Partial<BadPeerPlan>, hasBackup: boolean): void => {
    const host = `127.0.1.${peers.length}`;
    peers.push({ name, host, restMs: REST_MS, ...options });
    records.push(`${name} MX 10 mx.${name}`, `mx.${name} A ${host}`);
    if (hasBackup) records.push(`${name} MX 20 backup`);
  };
  for (const fault of [...Object.keys(WITH_BACKUP), ...Object.keys(AT_ONCE)]) add(fault, { fault }, true);
  for (const localPart of [...BACKED_UP, ...TRIED_AGAIN]) add(`once-${localPart}`, { faultTimes: 1 }, true);
  add("always", {}, true);
  // Nobody else takes the mail: it has to wait until the fault is over, or comes back.
  add("healing", { fault: "mail-451", times: 2 }, false);
  add("hopeless", { fault: "mail-451" }, false);
  return { peers, records };
}

peerTest(
  "Among bad peers each message arrives once or is reported, and a slow peer keeps no other mail waiting",
  ["root", "unshare", "nsenter", "ip", "knotd", "keymgr", "kdig", "unbound", "python"],
  async () => {
    await using stack = new AsyncDisposableStack();
    const folder = stack.use(await TemporaryFolder.create({ isPublic: true })).path;
    const { peers: plans, records } = plan();
    const namespace = stack.use(await Namespace.create());
    const lab = stack.use(await DnsLab.start(namespace, folder, records));
    const peers = stack.use(await BadPeers.start(namespace, plans));
    const posthorn = stack.use(
      await PosthornProcess.start({
        prefix: namespace.prefix,
        listeners: [{ service: "mx", host: POSTHORN_ADDRESS, port: 25 }],
        accounts: [ALICE],
        config: {
          hostname: "mx.posthorn.test",
          domains: { "posthorn.test": {} },
          relay_from: ["127.0.0.0/8"],
          queue: { retry: ["1s"], warn_after: "1h", expire_after: "18s" },
        },
      }),
    );
    assertMatch(await lab.ask("dead.test", "MX"), /flags:.* ad[ ;]/i);
    const detail = (): string => `${posthorn.log}\n${peers.log}`;
    const toHosts = [...Object.keys(WITH_BACKUP), ...Object.keys(AT_ONCE), "dead", "healing", "hopeless"];
    const recipients = [
      ...toHosts.map((domain) => `user@${domain}.test`),
      ...[...BACKED_UP, ...TRIED_AGAIN].map((localPart) => `${localPart}@once-${localPart}.test`),
      ...Object.keys(REFUSED).map((localPart) => `${localPart}@always.test`),
      "quick@good.test",
    ];
    const replies = await sendWithSmtplib(
      { prefix: namespace.prefix, host: POSTHORN_ADDRESS, port: 25 },
      recipients.map((to) => ({
        from: ALICE.address,
        to: [[to]],
        content: awkwardMessage({ from: ALICE.address, to, subject: `to ${to}`, is8bit: false }).octets,
      })),
    );
    assertEquals(replies.filter((reply) => !reply.startsWith("250 2.")), []);

    // Those that hold their connections were connected to first, and still do when this one arrives.
    await waitUntil(() => peers.takersOf("quick@good.test").length > 0 || undefined, {
      what: "the quick mail",
      detail,
    });
    for (const slow of ["greeting-silent", "greeting-drip", "ehlo-silent", "mail-silent"]) {
      assertEquals(peers.takersOf(`user@${slow}.test`), [], `${slow} still hangs`);
    }

    await posthorn.waitForEmptyQueue(45_000);
    const places = Object.fromEntries(recipients.map((to) => [to, peers.takersOf(to).join(" ")]));
    const expected = Object.fromEntries(recipients.map((to) => {
      const [localPart = "", domain = ""] = to.replace(/\.test$/, "").split("@");
      if (localPart in REFUSED || domain === "hopeless") return [to, ""];
      if (domain === "healing" || AT_ONCE[domain] === "itself") return [to, domain];
      return [to, TRIED_AGAIN.includes(localPart) ? domain : "backup"];
    }));
    assertEquals(places, expected, detail());
    assertLog(posthorn.log, recipients);
    await assertReports(posthorn, detail);
  },
);

/** One line says how each attempt ended, and one why a host was passed over. */
function assertLog(log: string, recipients: readonly string[]): void {
  const lines = log.split("\n");
  for (const [domain, reason] of Object.entries(WITH_BACKUP)) {
    const why = lines.filter((line) => line.includes(` mx.${domain}.test`) && !line.includes("relayed"));
    assertEquals(why.length, 1, `${domain}:\n${why.join("\n")}`);
    assertMatch(why[0] ?? "", reason);
  }
  const putOff = Object.entries(AT_ONCE).flatMap(([domain, taker]) => taker === "backup" ? [domain] : []);
  for (const domain of [...putOff, ...BACKED_UP.map((localPart) => `once-${localPart}`)]) {
    const why = lines.filter((line) => line.includes(` mx.${domain}.test at `));
    assertEquals(why.length, 1, `${domain}:\n${why.join("\n")}`);
    assertMatch(why[0] ?? "", /put off \S+, the next host is asked: 4\.\d\.\d (4\d\d |Lost the|Cannot understand)/);
  }
  for (const to of recipients) {
    const attempts = lines.filter((line) => new RegExp(`: (relayed to|failed for|delayed for) ${to} via `).test(line));
    const isRepeated = /^dot-(drop|http|silent)@|@healing|@hopeless/.test(to);
    assert(isRepeated ? attempts.length > 1 : attempts.length === 1, `${to}:\n${attempts.join("\n")}`);
    for (const line of attempts) {
      assertMatch(line, / via \S+ \[127\.0\.\d\.\d+:25\] after [\d.]+s, status [245]\.\d\.\d+: ./);
    }
  }
}

/** The sender hears of those that nobody took, and of no other. */
async function assertReports(posthorn: PosthornProcess, detail: () => string): Promise<void> {
  const refused = Object.keys(REFUSED).map((localPart) => `${localPart}@always.test`);
  const expected = [...refused, "user@hopeless.test"].sort();
  const reports = await posthorn.maildir(ALICE.address).waitFor(expected.length, { detail });
  const failed = reports.map(({ text }) => /^Final-Recipient: rfc822; ?(\S+)\r$/m.exec(text)?.[1] ?? "none");
  assertEquals(failed.sort(), expected, detail());
  for (const { text } of reports) {
    assertMatch(text, /^Action: failed\r$/m);
    const [, localPart = ""] = /^Final-Recipient: rfc822; ?([^@]+)@/m.exec(text) ?? [];
    // Long lines are folded.
    assertMatch(
      text.replace(/\r\n[ \t]+/g, " "),
      REFUSED[localPart] ?? /^Diagnostic-Code: smtp; ?451 4\.3\.0 As asked/m,
    );
  }
}
