/**
 * Postfix as a strict receiver: it greylists, takes few recipients, connections or errors, demands TLS, screens, and refuses
 * at every stage. Mail arrives over the next MX or at a later attempt, or its sender is told.
 */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { PosthornProcess } from "../support/posthorn_process.ts";
import { TestAuthority } from "../support/interop/certificates.ts";
import { Daemon } from "../support/interop/daemon.ts";
import { DnsLab } from "../support/interop/dns_lab.ts";
import type { MaildirMessage } from "../support/interop/maildir.ts";
import { awkwardMessage } from "../support/interop/messages.ts";
import { Namespace } from "../support/interop/namespace.ts";
import { peerTest } from "../support/interop/peers.ts";
import { Postfix } from "../support/interop/postfix.ts";
import { sendWithSmtplib } from "../support/interop/smtplib.ts";
import { TemporaryFolder } from "../support/interop/temporary_folder.ts";
import { waitUntil } from "../support/interop/wait.ts";

const ALICE = { address: "alice@posthorn.test", password: "correct horse battery staple" };
const POSTHORN_ADDRESS = "127.0.0.3";
const POSTFIX_ADDRESS = "127.0.0.2";
const POLICY = "inet:127.0.0.1:10023";

/** Refusals by Postfix's access maps: the restriction list for each stage. */
const STAGES: Readonly<Record<string, string>> = {
  client: "smtpd_client_restrictions = check_client_access",
  helo: "smtpd_helo_restrictions = check_client_access",
  sender: "smtpd_sender_restrictions = check_client_access",
  rcpt: "smtpd_recipient_restrictions = check_client_access",
  data: "smtpd_data_restrictions = check_client_access",
  end: "smtpd_end_of_data_restrictions = check_client_access",
};
/** A refusal at these is about the host, whatever its code: the next one is asked. */
const ABOUT_HOST = ["client", "helo"];

/** Ways of being strict: settings of a service of its own on port 25. */
const STRICT: Readonly<Record<string, readonly string[]>> = {
  greylist: [`smtpd_recipient_restrictions = check_policy_service ${POLICY}`],
  few: ["smtpd_recipient_limit = 5"],
  small: ["message_size_limit = 1000"],
  encrypted: ["smtpd_tls_security_level = encrypt"],
  stepwise: ["smtpd_discard_ehlo_keywords = pipelining"],
  plain: ["smtpd_discard_ehlo_keywords = pipelining,8bitmime,dsn,size,smtputf8,enhancedstatuscodes,starttls,chunking"],
  nervous: ["smtpd_hard_error_limit = 1", "smtpd_soft_error_limit = 1", "smtpd_error_sleep_time = 0"],
  busy: ["smtpd_client_connection_count_limit = 1", "smtpd_client_event_limit_exceptions ="],
};

interface Site {
  readonly domain: string;
  readonly address: string;
  readonly service: string;
  readonly hasBackup: boolean;
}

function sites(): Site[] {
  const all: Site[] = [];
  const add = (domain: string, settings: readonly string[], hasBackup: boolean): void => {
    const address = `127.0.3.${all.length + 1}`;
    const options = settings.map((setting) => ` -o { ${setting} }`).join("");
    all.push({ domain, address, service: `${address}:25 inet n - n - - smtpd${options}`, hasBackup });
  };
  for (const [domain, settings] of Object.entries(STRICT)) add(domain, settings, false);
  for (const [stage, list] of Object.entries(STAGES)) {
    for (const code of ["450 4.7.25", "550 5.7.25"]) {
      const refusal = `${list} static:{${code} Not at ${stage}}`;
      add(`${stage}${code.slice(0, 3)}`, [refusal, "smtpd_delay_reject = no"], true);
    }
  }
  const address = "127.0.3.100";
  all.push({ domain: "screened", address, service: `${address}:25 inet n - n - 1 postscreen`, hasBackup: false });
  return all;
}

peerTest(
  "A strict Postfix gets every message in the end, each recipient once, or the sender reads why not",
  ["root", "unshare", "nsenter", "ip", "postfix", "knotd", "keymgr", "kdig", "unbound", "openssl", "python"],
  async () => {
    await using stack = new AsyncDisposableStack();
    const folder = stack.use(await TemporaryFolder.create({ isPublic: true })).path;
    for (const name of ["postfix", "dns", "tls"]) await Deno.mkdir(`${folder}/${name}`);
    const authority = await TestAuthority.create(`${folder}/tls`);
    const namespace = stack.use(await Namespace.create());
    const all = sites();
    const records = [
      `mx.postfix A ${POSTFIX_ADDRESS}`,
      ...all.flatMap(({ domain, address, hasBackup }) => [
        `${domain} MX 10 mx.${domain}`,
        `mx.${domain} A ${address}`,
        ...(hasBackup ? [`${domain} MX 20 mx.postfix`] : []),
      ]),
    ];
    stack.use(await DnsLab.start(namespace, `${folder}/dns`, records));
    const policy = `${import.meta.dirname}/../support/interop/greylist_policy.ts`;
    stack.use(new Daemon([...namespace.prefix, Deno.execPath(), "run", "--quiet", "--no-check", "-A", policy]));
    const postfix = stack.use(
      await Postfix.start({
        namespace,
        folder: `${folder}/postfix`,
        address: POSTFIX_ADDRESS,
        hostname: "mx.postfix.test",
        domain: "postfix.test",
        mailboxes: [],
        certificate: await authority.issue("mx.postfix.test", ["DNS:mx.postfix.test"]),
        settings: [
          `virtual_mailbox_domains = ${all.map(({ domain }) => `${domain}.test`).join(" ")}`,
          // Everybody but nobody has a mailbox, and all the same one.
          "virtual_mailbox_maps = regexp:{ {!/^nobody/ all/} }",
          "postscreen_access_list =",
          "postscreen_greet_wait = 1s",
          "postscreen_greet_action = enforce",
          "postscreen_pipelining_enable = yes",
          "postscreen_pipelining_action = enforce",
          "postscreen_non_smtp_command_enable = yes",
        ],
        services: [
          ...all.map(({ service }) => service),
          "smtpd     pass - - n - - smtpd",
          "tlsproxy  unix - - n - 0 tlsproxy",
          "dnsblog   unix - - n - 0 dnsblog",
        ],
      }),
    );
    const posthorn = stack.use(
      await PosthornProcess.start({
        prefix: namespace.prefix,
        listeners: [{ service: "mx", host: POSTHORN_ADDRESS, port: 25 }],
        accounts: [ALICE],
        config: {
          hostname: "mx.posthorn.test",
          domains: { "posthorn.test": {} },
          relay_from: ["127.0.0.0/8"],
          queue: { retry: ["1s"], warn_after: "1h", expire_after: "2h" },
        },
      }),
    );
    const letters = all.flatMap(({ domain }) => lettersTo(domain));
    const replies = await sendWithSmtplib(
      { prefix: namespace.prefix, host: POSTHORN_ADDRESS, port: 25 },
      letters.map((to) => ({
        from: ALICE.address,
        to: to.map((address) => [address]),
        content: awkwardMessage({ from: ALICE.address, to: "you", subject: `to ${to[0]}`, is8bit: false }).octets,
      })),
    );
    assertEquals(replies.filter((reply) => !reply.startsWith("250 2.")), []);
    await posthorn.waitForEmptyQueue(40_000).catch(async (error) => {
      throw new Error(`${error}\n${await postfix.log()}`);
    });
    const log = await postfix.log();
    const detail = (): string => `${posthorn.log}\n${log}`;

    const wanted = letters.flat().filter((to) => !isRefused(to)).sort();
    const arrived = (): Promise<MaildirMessage[]> => postfix.maildir("all").messages();
    await waitUntil(async () => (await arrived()).length >= wanted.length || undefined, { what: "all mail", detail });
    const recipients = (await arrived()).map(({ text }) => /^X-Original-To: (\S+)$/m.exec(text)?.[1] ?? "none").sort();
    assertEquals(recipients, wanted, detail());
    await assertReports(posthorn, letters.flat().filter(isRefused), detail);
    assertLog(posthorn.log, log);
  },
);

/** The recipients of each message for a domain. */
function lettersTo(domain: string): string[][] {
  const user = (name: number | string): string => `${name}@${domain}.test`;
  switch (domain) {
    case "few":
      return [Array.from({ length: 12 }, (_, number) => user(`u${number}`))];
    case "nervous":
      return [["nobody1", "nobody2", "user"].map(user)];
    case "busy":
      return Array.from({ length: 8 }, (_, number) => [user(`u${number}`)]);
    default:
      return [[user("user")]];
  }
}

function isRefused(recipient: string): boolean {
  const [localPart = "", domain = ""] = recipient.replace(/\.test$/, "").split("@");
  const stage = domain.replace(/550$/, "");
  return localPart.startsWith("nobody") || domain === "small" || (stage !== domain && !ABOUT_HOST.includes(stage));
}

async function assertReports(
  posthorn: PosthornProcess,
  expected: readonly string[],
  detail: () => string,
): Promise<void> {
  const pattern = /^Final-Recipient: rfc822; ?(\S+)\r$/gm;
  const failed = async (): Promise<string[]> =>
    (await posthorn.maildir(ALICE.address).messages()).flatMap(({ text }) => [...text.matchAll(pattern)])
      .map(([, recipient = ""]) => recipient).sort();
  await waitUntil(async () => (await failed()).length >= expected.length || undefined, { what: "all reports", detail });
  assertEquals(await failed(), [...expected].sort(), detail());
  for (const { text } of await posthorn.maildir(ALICE.address).messages()) {
    const unfolded = text.replace(/\r\n[ \t]+/g, " ");
    const [, stage] = /^Final-Recipient: rfc822; ?user@(\w+)550\.test\r$/m.exec(unfolded) ?? [];
    if (stage !== undefined) {
      assertMatch(unfolded, new RegExp(`^Diagnostic-Code: smtp; ?550 5\\.7\\.25 .*Not at ${stage}`, "m"));
    }
  }
}

function assertLog(posthorn: string, postfix: string): void {
  const lines = posthorn.split("\n");
  const attempts = (recipient: string): string[] =>
    lines.filter((line) => new RegExp(`: (relayed to|failed for|delayed for) [^>]*\\b${recipient} .*via `).test(line));
  assertMatch(attempts("user@greylist\\.test")[0] ?? "", /delayed for .* status 4\.7\.1: 450 4\.7\.1 .*Greylisted/);
  assertMatch(attempts("user@screened\\.test")[0] ?? "", /delayed for .* status 4\.3\.2: 450 4\.3\.2 /);
  assertMatch(attempts("user@encrypted\\.test")[0] ?? "", /relayed to .* tls="?TLSv1\.3/);
  for (const stage of ABOUT_HOST) {
    for (const code of [450, 550]) {
      const why = lines.filter((line) => line.includes(` mx.${stage}${code}.test at `));
      assertEquals(why.length, 1, why.join("\n"));
      assertMatch(why[0] ?? "", new RegExp(`${code} [45]\\.7\\.25 .*Not at ${stage}`));
    }
  }
  // 12 recipients in transactions of 5.
  const sizes = [...postfix.matchAll(/nrcpt=(\d+) /g)].map(([, count]) => Number(count));
  assertEquals(sizes.filter((count) => count > 1).sort(), [2, 5, 5]);
  assert(/421 4\.7\.0 .*(too many errors|too many connections)/i.test(posthorn), "421 was met");
}
