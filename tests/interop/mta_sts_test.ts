/**
 * MTA-STS (RFC 8461) with a real web server for the policies, a validating resolver for the records, and Postfix with
 * good and bad certificates: every outcome, then what a kept policy is worth when things change.
 */

import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { type CertificateFiles, TestAuthority } from "../support/interop/certificates.ts";
import { DnsLab } from "../support/interop/dns_lab.ts";
import { Namespace } from "../support/interop/namespace.ts";
import { type Need, peerTest } from "../support/interop/peers.ts";
import { PolicyHost } from "../support/interop/policy_host.ts";
import { Postfix } from "../support/interop/postfix.ts";
import { sendWithSmtplib } from "../support/interop/smtplib.ts";
import { TemporaryFolder } from "../support/interop/temporary_folder.ts";
import { waitUntil } from "../support/interop/wait.ts";
import { PosthornProcess } from "../support/posthorn_process.ts";

const NEEDS: readonly Need[] = [
  "root",
  "unshare",
  "nsenter",
  "ip",
  "postfix",
  "knotd",
  "knotc",
  "keymgr",
  "kdig",
  "unbound",
  "openssl",
  "python",
];
const POSTHORN_ADDRESS = "127.0.0.3";
const POLICY_ADDRESS = "127.0.2.1";
/** `good` has a certificate of an authority that is trusted, `bad` one of another; `plain` has no TLS. */
const SERVERS = { good: "127.0.1.1", bad: "127.0.1.2", plain: "127.0.1.3" };

interface Case {
  /** Also the name of the domain, in `test.`. */
  readonly name: string;
  /** Lines after `version: STSv1`; undefined: there is no file. */
  readonly policy: readonly string[] | undefined;
  /** MX hosts in order: name below the domain, and the server. */
  readonly hosts: readonly (readonly [string, keyof typeof SERVERS])[];
  readonly arrives: boolean;
  /** The log line on its outcome. */
  readonly says: RegExp;
}

const PROVED = / relayed to .*, MTA-STS"/;
const UNDER_TLS = / relayed to .*tls="TLSv1\.3 TLS_\w+"/;
const IN_THE_CLEAR = / relayed to (?!.* tls=)/;
const DAY = "max_age: 86400";

function policy(mode: string, ...mx: readonly string[]): string[] {
  return [`mode: ${mode}`, ...mx.map((name) => `mx: ${name}`), DAY];
}

const CASES: readonly Case[] = [
  {
    name: "enforce",
    policy: policy("enforce", "mx.enforce.test"),
    hosts: [["mx", "good"]],
    arrives: true,
    says: PROVED,
  },
  { name: "wild", policy: policy("enforce", "*.wild.test"), hosts: [["mx", "good"]], arrives: true, says: PROVED },
  {
    name: "wrongmx",
    policy: policy("enforce", "other.wrongmx.test"),
    hosts: [["mx", "good"]],
    arrives: false,
    says: /4\.7\.5: The MTA-STS policy of wrongmx\.test does not name mx\.wrongmx\.test/,
  },
  {
    name: "untrusted",
    policy: policy("enforce", "mx.untrusted.test"),
    hosts: [["mx", "bad"]],
    arrives: false,
    says: /4\.7\.5: Cannot verify the certificate of mx\.untrusted\.test/,
  },
  {
    name: "unnamed",
    policy: policy("enforce", "mx.unnamed.test"),
    hosts: [["mx", "good"]],
    arrives: false,
    says: /4\.7\.5: Cannot verify the certificate of mx\.unnamed\.test/,
  },
  {
    name: "plain",
    policy: policy("enforce", "mx.plain.test"),
    hosts: [["mx", "plain"]],
    arrives: false,
    says: /4\.7\.5: TLS is required by the MTA-STS policy of plain\.test/,
  },
  {
    name: "second",
    policy: policy("enforce", "b.second.test", "c.second.test"),
    hosts: [["a", "good"], ["b", "plain"], ["c", "good"]],
    arrives: true,
    says: / relayed to .* via c\.second\.test .*, MTA-STS"/,
  },
  {
    name: "testgood",
    policy: policy("testing", "mx.testgood.test"),
    hosts: [["mx", "good"]],
    arrives: true,
    says: PROVED,
  },
  {
    name: "testbad",
    policy: policy("testing", "mx.testbad.test"),
    hosts: [["mx", "bad"]],
    arrives: true,
    says: UNDER_TLS,
  },
  { name: "testmx", policy: policy("testing", "other.test"), hosts: [["mx", "bad"]], arrives: true, says: UNDER_TLS },
  {
    name: "testplain",
    policy: policy("testing", "mx.testplain.test"),
    hosts: [["mx", "plain"]],
    arrives: true,
    says: IN_THE_CLEAR,
  },
  { name: "nomode", policy: policy("none"), hosts: [["mx", "bad"]], arrives: true, says: UNDER_TLS },
  { name: "nofile", policy: undefined, hosts: [["mx", "bad"]], arrives: true, says: UNDER_TLS },
  {
    name: "broken",
    policy: ["mode: enforce", "mx: mx.broken.test"],
    hosts: [["mx", "bad"]],
    arrives: true,
    says: UNDER_TLS,
  },
  // The policy host has no certificate for this name, so its policy does not count.
  { name: "badhost", policy: policy("enforce", "x.test"), hosts: [["mx", "bad"]], arrives: true, says: UNDER_TLS },
  {
    name: "changing",
    policy: policy("testing", "mx.changing.test"),
    hosts: [["mx", "bad"]],
    arrives: true,
    says: UNDER_TLS,
  },
  {
    name: "short",
    policy: ["mode: enforce", "mx: mx.short.test", "max_age: 4"],
    hosts: [["mx", "bad"]],
    arrives: false,
    says: /4\.7\.5: Cannot verify/,
  },
];
/** Names that the good certificate has. */
const NAMED = ["mx.enforce", "mx.wild", "mx.wrongmx", "a.second", "c.second", "mx.testgood"];

function zone(): string[] {
  return CASES.flatMap(({ name, hosts }) => [
    ...hosts.flatMap((
      [host, server],
      i,
    ) => [`${name} MX ${i} ${host}.${name}`, `${host}.${name} A ${SERVERS[server]}`]),
    `_mta-sts.${name} TXT "v=STSv1; id=1;"`,
    `mta-sts.${name} A ${POLICY_ADDRESS}`,
  ]);
}

interface World {
  readonly namespace: Namespace;
  readonly lab: DnsLab;
  readonly host: PolicyHost;
  readonly postfix: Postfix;
  readonly posthorn: PosthornProcess;
}

function service(address: string, certificate: CertificateFiles | undefined): string {
  const tls = certificate === undefined
    ? "-o smtpd_tls_security_level=none"
    : `-o smtpd_tls_chain_files=${certificate.key},${certificate.chain}`;
  return `${address}:25 inet n - n - - smtpd ${tls}`;
}

async function startWorld(stack: AsyncDisposableStack): Promise<World> {
  const folder = stack.use(await TemporaryFolder.create({ isPublic: true })).path;
  for (const name of ["postfix", "dns", "tls", "other", "policies"]) await Deno.mkdir(`${folder}/${name}`);
  const authority = await TestAuthority.create(`${folder}/tls`);
  const other = await TestAuthority.create(`${folder}/other`);
  const good = await authority.issue("good", NAMED.map((name) => `DNS:${name}.test`));
  const bad = await other.issue("bad", CASES.map(({ name }) => `DNS:mx.${name}.test`));
  const policyNames = CASES.filter(({ name }) => name !== "badhost").map(({ name }) => `DNS:mta-sts.${name}.test`);
  const namespace = stack.use(await Namespace.create());
  const lab = stack.use(await DnsLab.start(namespace, `${folder}/dns`, zone()));
  const host = stack.use(
    await PolicyHost.start(
      namespace,
      `${folder}/policies`,
      POLICY_ADDRESS,
      await authority.issue("policies", policyNames),
    ),
  );
  for (const { name, policy } of CASES) {
    await host.publish(`${name}.test`, policy === undefined ? undefined : ["version: STSv1", ...policy]);
  }
  const postfix = stack.use(
    await Postfix.start({
      namespace,
      folder: `${folder}/postfix`,
      address: "127.0.0.2",
      hostname: "mx.postfix.test",
      domain: "postfix.test",
      mailboxes: ["bob"],
      certificate: good,
      // Every address leads to the one mailbox.
      settings: ["virtual_mailbox_domains = static:all", "virtual_mailbox_maps = static:bob/"],
      services: [service(SERVERS.good, good), service(SERVERS.bad, bad), service(SERVERS.plain, undefined)],
    }),
  );
  const posthorn = stack.use(
    await PosthornProcess.start({
      prefix: namespace.prefix,
      listeners: [{ service: "mx", host: POSTHORN_ADDRESS, port: 25 }],
      config: {
        hostname: "mx.posthorn.test",
        domains: { "posthorn.test": {} },
        relay_from: ["127.0.0.0/8"],
        queue: { retry: ["1h"], warn_after: "1d", expire_after: "2d" },
      },
      env: { DENO_CERT: authority.file, NODE_EXTRA_CA_CERTS: authority.file },
    }),
  );
  return { namespace, lab, host, postfix, posthorn };
}

/** Sends one message to each domain, and returns the log line on the outcome of each. */
async function send({ namespace, posthorn }: World, names: readonly string[]): Promise<Map<string, string>> {
  const tag = crypto.randomUUID();
  const replies = await sendWithSmtplib(
    { host: POSTHORN_ADDRESS, port: 25, prefix: namespace.prefix },
    names.map((name) => ({
      from: "alice@posthorn.test",
      to: [[`${tag}@${name}.test`]],
      content: new TextEncoder().encode(`Subject: ${name}\r\n\r\nHello\r\n`),
    })),
  );
  assertEquals(replies.filter((reply) => !reply.startsWith("250")), []);
  const lineOf = (name: string): string | undefined =>
    posthorn.log.split("\n").find((line) =>
      line.includes(`${tag}@${name}.test`) && / (?:relayed|delayed|failed) /.test(line)
    );
  await waitUntil(() => names.every((name) => lineOf(name) !== undefined) || undefined, {
    what: "an outcome for every message",
    timeoutMs: 60_000,
    detail: () => posthorn.log,
  });
  return new Map(names.map((name) => [name, lineOf(name) ?? ""]));
}

peerTest(
  "MTA-STS: policies are kept to in every mode, when they change, and when they cannot be fetched",
  NEEDS,
  async () => {
    await using stack = new AsyncDisposableStack();
    const world = await startWorld(stack);
    const { lab, host, postfix, posthorn } = world;

    const lines = await send(world, CASES.map(({ name }) => name));
    for (const { name, says, arrives } of CASES) {
      const line = lines.get(name) ?? "";
      assertMatch(line, says, name);
      assertEquals(/ relayed /.test(line), arrives, line);
    }
    const expected = CASES.filter(({ arrives }) => arrives).map(({ name }) => name).sort();
    const arrived = await postfix.maildir("bob").waitFor(expected.length, { detail: () => posthorn.log });
    assertEquals(arrived.map(({ text }) => /^Subject: (.*)\r?$/m.exec(text)?.[1]).sort(), expected);
    for (
      const line of [
        /warning remote: Cannot fetch the MTA-STS policy of nofile\.test, none is in force: the answer to GET is 404/,
        /warning remote: Cannot fetch the MTA-STS policy of broken\.test, none is in force: it has no max_age/,
        /warning remote: Cannot fetch the MTA-STS policy of badhost\.test, none is in force: mta-sts\.badhost\.test: /,
        /info remote: MTA-STS policy of enforce\.test: enforce, mx mx\.enforce\.test, for 86400 s/,
        /The MTA-STS policy of testmx\.test does not name mx\.testmx\.test/,
      ]
    ) assertMatch(posthorn.log, line);

    // A new id means a new policy: testing becomes enforce.
    await host.publish("changing.test", ["version: STSv1", ...policy("enforce", "mx.changing.test")]);
    await lab.change("_mta-sts.changing", "TXT", '"v=STSv1; id=2;"');
    // The same policy again after a restart, though it cannot be fetched any more and its id has changed.
    await host.publish("untrusted.test", undefined);
    await lab.change("_mta-sts.untrusted", "TXT", '"v=STSv1; id=2;"');
    // No record any more: the kept policy counts as long as it said.
    await lab.change("_mta-sts.plain", "TXT");
    await lab.change("_mta-sts.short", "TXT");
    await posthorn.restart();
    // What was kept in resolvers is forgotten, and the short policy is over.
    await new Promise((resolve) => setTimeout(resolve, 4_500));
    const later = await send(world, ["changing", "untrusted", "plain", "short", "enforce"]);
    assertMatch(later.get("changing") ?? "", /4\.7\.5: Cannot verify the certificate of mx\.changing\.test/);
    assertMatch(later.get("untrusted") ?? "", /4\.7\.5: Cannot verify the certificate of mx\.untrusted\.test/);
    assertStringIncludes(
      posthorn.log,
      "Cannot fetch the MTA-STS policy of untrusted.test, the one from before stays in force",
    );
    assertMatch(later.get("plain") ?? "", /4\.7\.5: TLS is required by the MTA-STS policy of plain\.test/);
    assertMatch(later.get("short") ?? "", UNDER_TLS);
    assertMatch(later.get("enforce") ?? "", PROVED);
    // The policy of enforce.test was fetched once, and came from disk after the restart.
    assertEquals(posthorn.log.split("\n").filter((line) => line.includes("MTA-STS policy of enforce.test:")).length, 1);
  },
);
