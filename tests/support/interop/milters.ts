/**
 * OpenDKIM and OpenDMARC as milters of a Postfix inside a namespace: programs in the foreground, with a configuration in a
 * folder of the test. They ask the resolver of the namespace. OpenDMARC takes any client on 127/8 for one that passes SPF, so
 * that clients need other addresses, which the namespace has to be given. A Postfix uses them with
 * `settings: milterSettings([openDkim, openDmarc])`, in this order, because OpenDMARC reads what OpenDKIM found out.
 *
 * ```ts
 * await using dkim = await startOpenDkim({
 *   namespace, folder: `${folder}/opendkim`, hostname: "mx.postfix.test", keys: [{ domain: "postfix.test", selector: "s1" }],
 *   signsFor: ["198.51.100.9"],
 * });
 * for (const { name, value } of dkim.records) await dns.change(`${name}.`, "TXT", zoneText(value));
 * await using dmarc = await startOpenDmarc({ namespace, folder: `${folder}/opendmarc`, hostname: "mx.postfix.test" });
 * await using postfix = await Postfix.start({ ..., settings: milterSettings([dkim, dmarc]) });
 * ```
 */

import { Daemon } from "./daemon.ts";
import { mustRun } from "./command.ts";
import type { Namespace } from "./namespace.ts";
import { programPath } from "./peers.ts";
import { waitUntil } from "./wait.ts";

const HOST = "127.0.0.1";
const OPENDKIM_PORT = 8891;
const OPENDMARC_PORT = 8893;

/** Where and as whom a milter runs. */
export interface MilterOptions {
  readonly namespace: Namespace;
  /** Is made. */
  readonly folder: string;
  /** The authserv-id of its results: that of the Postfix. */
  readonly hostname: string;
}

/** How OpenDKIM is set up. */
export interface OpenDkimOptions extends MilterOptions {
  /** A key is made for each; mail whose From has the domain is signed with the first one of it. */
  readonly keys?: readonly { readonly domain: string; readonly selector: string }[];
  /** Addresses of clients whose mail is signed; what others send is verified. */
  readonly signsFor?: readonly string[];
  /** More lines for opendkim.conf. */
  readonly settings?: readonly string[];
}

/** How OpenDMARC is set up. */
export interface OpenDmarcOptions extends MilterOptions {
  /** Addresses of clients whose mail is not judged. */
  readonly ignores?: readonly string[];
  /** Refuse what fails under a policy of reject; default: true. */
  readonly rejects?: boolean;
  /** More lines for opendmarc.conf. */
  readonly settings?: readonly string[];
}

/** A TXT record to publish. */
export interface KeyRecord {
  /** In full, without final dot. */
  readonly name: string;
  readonly value: string;
}

/** A milter that runs. */
export interface Milter extends AsyncDisposable {
  /** Where Postfix finds it, e.g. `inet:127.0.0.1:8891`. */
  readonly socket: string;
  /** What publishes the keys of OpenDKIM; none for OpenDMARC. */
  readonly records: readonly KeyRecord[];
  /** What it wrote so far. */
  log(): string;
}

/** Lines of main.cf for a Postfix that asks these, in this order. Mail waits where one does not answer. */
export function milterSettings(milters: readonly Milter[]): readonly string[] {
  return [
    `smtpd_milters = ${milters.map(({ socket }) => socket).join(", ")}`,
    "milter_default_action = tempfail",
    "milter_protocol = 6",
  ];
}

/** The text of a TXT record as a zone file has it: strings of at most 255 octets. */
export function zoneText(value: string): string {
  const strings = value.match(/.{1,255}/gs) ?? [""];
  return strings.map((text) => `"${text.replace(/["\\]/g, "\\$&")}"`).join(" ");
}

/** Makes keys, and starts OpenDKIM, which signs for some clients and verifies for the others. */
export async function startOpenDkim(options: OpenDkimOptions): Promise<Milter> {
  const { folder, hostname, keys = [], signsFor = [], settings = [] } = options;
  await Deno.mkdir(folder);
  const records: KeyRecord[] = [];
  const keyTable: string[] = [];
  for (const { domain, selector } of keys) {
    const name = `${selector}._domainkey.${domain}`;
    records.push({ name, value: await makeKey(`${folder}/${name}.pem`) });
    keyTable.push(`${name} ${domain}:${selector}:${folder}/${name}.pem`);
  }
  const signingTable = [...new Map([...keys].reverse().map(({ domain, selector }) => [domain, selector]))]
    .map(([domain, selector]) => `*@${domain} ${selector}._domainkey.${domain}`);
  await writeLines(`${folder}/keys`, keyTable);
  await writeLines(`${folder}/signing`, signingTable);
  // A list without entries would be all of loopback.
  await writeLines(`${folder}/internal`, signsFor.length > 0 ? signsFor : ["192.0.2.1"]);
  // Its resolver, libunbound, would neither ask loopback nor believe in the domain "test".
  await writeLines(`${folder}/resolver.conf`, [
    "server:",
    "  do-not-query-localhost: no",
    '  module-config: "iterator"',
    '  local-zone: "test." transparent',
    "  cache-max-ttl: 1",
    "  cache-max-negative-ttl: 1",
    "forward-zone:",
    '  name: "."',
    `  forward-addr: ${HOST}`,
  ]);
  await writeLines(`${folder}/opendkim.conf`, [
    "Mode sv",
    "Syslog no",
    `Socket inet:${OPENDKIM_PORT}@${HOST}`,
    `AuthservID ${hostname}`,
    "AlwaysAddARHeader yes",
    "Canonicalization relaxed/relaxed",
    "OversignHeaders From",
    "MinimumKeyBits 1024",
    "RequireSafeKeys no",
    `ResolverConfiguration ${folder}/resolver.conf`,
    `KeyTable file:${folder}/keys`,
    `SigningTable refile:${folder}/signing`,
    `InternalHosts ${folder}/internal`,
    `ExternalIgnoreList ${folder}/internal`,
    ...settings,
  ]);
  return await startMilter(options, "opendkim", OPENDKIM_PORT, records);
}

/** Starts OpenDMARC, which does SPF itself and believes the OpenDKIM of the same name. */
export async function startOpenDmarc(options: OpenDmarcOptions): Promise<Milter> {
  const { folder, hostname, ignores = [], rejects = true, settings = [] } = options;
  await Deno.mkdir(folder);
  await writeLines(`${folder}/ignored`, ignores);
  await writeLines(`${folder}/opendmarc.conf`, [
    "Syslog false",
    `Socket inet:${OPENDMARC_PORT}@${HOST}`,
    `AuthservID ${hostname}`,
    `TrustedAuthservIDs ${hostname}`,
    `RejectFailures ${rejects}`,
    "SPFIgnoreResults true",
    "SPFSelfValidate true",
    "PublicSuffixList /usr/share/publicsuffix/public_suffix_list.dat",
    `IgnoreHosts ${folder}/ignored`,
    ...settings,
  ]);
  return await startMilter(options, "opendmarc", OPENDMARC_PORT, []);
}

async function makeKey(path: string): Promise<string> {
  const openssl = programPath("openssl");
  const made = await mustRun([openssl, ..."genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048".split(" ")]);
  await Deno.writeTextFile(path, made, { mode: 0o600 });
  const publicKey = await mustRun([openssl, "pkey", "-pubout"], { stdin: made });
  return `v=DKIM1; k=rsa; p=${publicKey.replace(/-----[^-]+-----|\s/g, "")}`;
}

async function writeLines(path: string, lines: readonly string[]): Promise<void> {
  await Deno.writeTextFile(path, lines.map((line) => `${line}\n`).join(""));
}

async function startMilter(
  { namespace, folder }: MilterOptions,
  program: "opendkim" | "opendmarc",
  port: number,
  records: readonly KeyRecord[],
): Promise<Milter> {
  const daemon = new Daemon([
    ...namespace.prefix,
    programPath(program),
    "-f",
    program === "opendkim" ? "-x" : "-c",
    `${folder}/${program}.conf`,
  ]);
  try {
    await waitUntil(async () => {
      try {
        await namespace.run(["bash", "-c", `exec 3<>/dev/tcp/${HOST}/${port}`]);
        return true;
      } catch {
        return undefined;
      }
    }, { what: `${program} to listen`, detail: () => daemon.log });
  } catch (error) {
    await daemon[Symbol.asyncDispose]();
    throw error;
  }
  return {
    socket: `inet:${HOST}:${port}`,
    records,
    log: () => daemon.log,
    [Symbol.asyncDispose]: () => daemon[Symbol.asyncDispose](),
  };
}
