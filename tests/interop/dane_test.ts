/**
 * DANE (RFC 7672) against Postfix with many certificates, by a signed zone and a validating resolver: every kind of TLSA
 * record, good and bad. One message goes to each domain, and either arrives or waits; the log says why.
 */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { canJudgePeers } from "../../lib/tls/peer_chain.ts";
import {
  type CertificateFiles,
  forgeKey,
  makeExpired,
  TestAuthority,
  tlsaData,
} from "../support/interop/certificates.ts";
import { DnsLab } from "../support/interop/dns_lab.ts";
import { Namespace } from "../support/interop/namespace.ts";
import { type Need, peerTest } from "../support/interop/peers.ts";
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
  "keymgr",
  "kdig",
  "unbound",
  "openssl",
  "python",
];
const POSTHORN_ADDRESS = "127.0.0.3";
/** Where the servers with their certificates are; `plain` has no TLS. */
const SERVERS = { good: "127.0.1.1", old: "127.0.1.2", plain: "127.0.1.3", forged: "127.0.1.4", late: "127.0.1.5" };

/** One domain: the records of its zone, and what must become of mail for it. */
interface Case {
  /** Also the name of the domain, in `test.`. */
  readonly name: string;
  /** Besides `NAME MX 10 mx.NAME`, names relative to `test.`; the MX record is left out where the records have one. */
  readonly records: readonly string[];
  /** The log line on its outcome; `arrives` says whether the message got there. */
  readonly arrives: boolean;
  readonly says: RegExp;
}

const BY_DANE = /, DANE\b/;
const WITHOUT_PROOF = /relayed(?!.*, DANE\b)/;

interface Certificates {
  readonly good: CertificateFiles;
  readonly old: CertificateFiles;
  readonly forged: CertificateFiles;
  readonly late: CertificateFiles;
  readonly ca: string;
}

/** A host at a server with TLSA records, `name A address` and `_25._tcp.name TLSA …`. */
function host(name: string, address: string, ...tlsa: readonly string[]): string[] {
  return [`${name} A ${address}`, ...tlsa.map((data) => `_25._tcp.${name} TLSA ${data}`)];
}

async function makeCases({ good, old, late, ca }: Certificates): Promise<readonly Case[]> {
  const cases: Case[] = [];
  const add = (name: string, arrives: boolean, says: RegExp, records: readonly string[]): number =>
    cases.push({ name, arrives, says, records });
  for (const [usage, file] of [[3, good.chain], [2, ca]] as const) {
    for (const selector of [0, 1]) {
      for (const type of [0, 1, 2]) {
        const name = `u${usage}${selector}${type}`;
        add(name, true, BY_DANE, host(`mx.${name}`, SERVERS.good, await tlsaData(usage, selector, type, file)));
      }
    }
  }
  const right = await tlsaData(3, 1, 1, good.chain);
  const wrong = await tlsaData(3, 1, 1, ca);
  const authority = await tlsaData(2, 1, 1, ca);
  const pkix = `1${right.slice(1)}`;
  add("rollover", true, BY_DANE, host("mx.rollover", SERVERS.good, wrong, right));
  add("mismatch", false, /4\.7\.5.* fits no TLSA record/, host("mx.mismatch", SERVERS.good, wrong));
  add("ended", true, BY_DANE, host("mx.ended", SERVERS.old, await tlsaData(3, 1, 1, old.chain)));
  add("stolen", false, /4\.7\.5.* did not prove that it has the key/, host("mx.stolen", SERVERS.forged, right));
  add("wrongname", false, /4\.7\.5.* names none of mx\.elsewhere\.test, wrongname\.test/, [
    "wrongname MX 10 mx.elsewhere",
    ...host("mx.elsewhere", SERVERS.good, authority),
  ]);
  // The certificate names the domain, not the host.
  add("domainname", true, BY_DANE, ["domainname MX 10 mx.elsewhere"]);
  add("late", false, /4\.7\.5.* ended on /, host("mx.late", SERVERS.late, authority));
  add("lateself", true, BY_DANE, host("mx.lateself", SERVERS.late, await tlsaData(3, 0, 1, late.chain)));
  add("pkix", true, WITHOUT_PROOF, host("mx.pkix", SERVERS.good, pkix));
  add("pkixplain", false, /4\.7\.5.*TLS is required by the TLSA records/, host("mx.pkixplain", SERVERS.plain, pkix));
  add("unknowntype", true, WITHOUT_PROOF, host("mx.unknowntype", SERVERS.good, `3 1 9 ${wrong.slice(6)}`));
  add("unusedtoo", true, BY_DANE, host("mx.unusedtoo", SERVERS.good, pkix, right));
  add("plain", false, /4\.7\.5.*TLS is required by the TLSA records/, host("mx.plain", SERVERS.plain, right));
  add("second", true, BY_DANE, [
    "second MX 10 a.second",
    "second MX 20 b.second",
    ...host("a.second", SERVERS.good, wrong),
    ...host("b.second", SERVERS.good, right),
  ]);
  add("alias", true, BY_DANE, ["mx.alias CNAME mx.u311"]);
  add("aliasown", true, BY_DANE, [
    "mx.aliasown CNAME bare.aliasown",
    `bare.aliasown A ${SERVERS.good}`,
    `_25._tcp.mx.aliasown TLSA ${right}`,
  ]);
  add("aliasout", false, /4\.7\.5.* fits no TLSA record/, [
    "mx.aliasout CNAME mx.insecure",
    `_25._tcp.mx.aliasout TLSA ${wrong}`,
  ]);
  add("shared", true, BY_DANE, [
    `mx.shared A ${SERVERS.good}`,
    "_25._tcp.mx.shared CNAME shared-tlsa",
    `shared-tlsa TLSA ${right}`,
  ]);
  const unknown = /4\.7\.5.*its TLSA records cannot be looked up/;
  add("bogus-tlsa", false, unknown, [`mx.bogus-tlsa A ${SERVERS.good}`, "_25._tcp.mx.bogus-tlsa CNAME tlsa.bogus"]);
  add("lame-tlsa", false, unknown, [`mx.lame-tlsa A ${SERVERS.good}`, "_25._tcp.mx.lame-tlsa CNAME tlsa.lame."]);
  add("bogus", false, /4\.4\.3/, []);
  add("insecure", true, WITHOUT_PROOF, []);
  add("mixed", true, WITHOUT_PROOF, ["mixed MX 10 mx.insecure"]);
  add("none", true, WITHOUT_PROOF, host("mx.none", SERVERS.good));
  add("implicit", true, BY_DANE, [`implicit A ${SERVERS.good}`, `_25._tcp.implicit TLSA ${right}`]);
  return cases;
}

function zoneOf(cases: readonly Case[]): string[] {
  return cases.flatMap(({ name, records }) => {
    const hasOwn = name === "implicit" || name === "insecure" || name === "bogus" ||
      records.some((record) => record.startsWith(`${name} MX `));
    return hasOwn ? records : [`${name} MX 10 mx.${name}`, ...records];
  });
}

/** A service of Postfix with a certificate of its own. */
function service(address: string, certificate: CertificateFiles | undefined): string {
  const tls = certificate === undefined
    ? "-o smtpd_tls_security_level=none"
    : `-o smtpd_tls_chain_files=${certificate.key},${certificate.chain}`;
  return `${address}:25 inet n - n - - smtpd ${tls}`;
}

peerTest("DANE: mail goes to hosts that fit their TLSA records and waits for all others", NEEDS, async () => {
  if (!canJudgePeers) return;
  await using stack = new AsyncDisposableStack();
  const folder = stack.use(await TemporaryFolder.create({ isPublic: true })).path;
  for (const name of ["postfix", "dns", "tls"]) await Deno.mkdir(`${folder}/${name}`);
  const authority = await TestAuthority.create(`${folder}/tls`);
  const named = ["u200", "u201", "u202", "u210", "u211", "u212", "late"].map((name) => `DNS:mx.${name}.test`);
  const good = await authority.issue("good", [...named, "DNS:domainname.test"]);
  const certificates: Certificates = {
    good,
    old: await makeExpired(`${folder}/tls`, "old"),
    forged: await forgeKey(`${folder}/tls`, good),
    late: await authority.issueExpired("late", ["DNS:mx.late.test"]),
    ca: authority.file,
  };
  const cases = await makeCases(certificates);
  const namespace = stack.use(await Namespace.create());
  const wrong = await tlsaData(3, 1, 1, authority.file);
  const lab = stack.use(
    await DnsLab.start(namespace, `${folder}/dns`, zoneOf(cases), [], {
      insecure: ["@ MX 10 mx", `mx A ${SERVERS.good}`, `_25._tcp.mx TLSA ${wrong}`],
      bogus: ["@ MX 10 mx", `mx A ${SERVERS.good}`, `tlsa TLSA ${wrong}`],
    }),
  );
  const { old, forged, late } = certificates;
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
      services: [
        service(SERVERS.good, good),
        service(SERVERS.old, old),
        service(SERVERS.plain, undefined),
        service(SERVERS.forged, forged),
        service(SERVERS.late, late),
      ],
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
    }),
  );
  const replies = await sendWithSmtplib(
    { host: POSTHORN_ADDRESS, port: 25, prefix: namespace.prefix },
    cases.map(({ name }) => ({
      from: "alice@posthorn.test",
      to: [[`x@${name}.test`]],
      content: new TextEncoder().encode(`Subject: ${name}\r\n\r\nHello\r\n`),
    })),
  );
  assertEquals(replies.filter((reply) => !reply.startsWith("250")), []);
  const lineOf = (name: string): string | undefined =>
    posthorn.log.split("\n").find((line) => line.includes(`x@${name}.test`) && /relayed|delayed|failed/.test(line));
  await waitUntil(() => cases.every(({ name }) => lineOf(name) !== undefined) || undefined, {
    what: "an outcome for every message",
    timeoutMs: 60_000,
    detail: () => `${cases.filter(({ name }) => lineOf(name) === undefined).map(({ name }) => name)}\n${posthorn.log}`,
  });
  for (const { name, says, arrives } of cases) {
    const line = lineOf(name) ?? "";
    assertMatch(line, says, name);
    assertEquals(/ relayed /.test(line), arrives, line);
  }
  const expected = cases.filter(({ arrives }) => arrives).map(({ name }) => name).sort();
  const arrived = await postfix.maildir("bob").waitFor(expected.length, { detail: () => posthorn.log });
  assertEquals(arrived.map(({ text }) => /^Subject: (.*)\r?$/m.exec(text)?.[1]).sort(), expected);
  // Nothing that waits went out in the clear.
  for (const { text } of arrived) assertMatch(text, /using TLSv1\.[23] with cipher/);
  assert((await lab.ask("_25._tcp.mx.u311.test", "TLSA")).includes("TLSA"));
});
