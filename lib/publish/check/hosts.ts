/** MX records, the hosts that they name, and the names of our addresses. */

import { formatIpAddress, parseIpAddress } from "../../dns/ip_address.ts";
import type { RecordData } from "../../dns/resolver.ts";
import { reverseName } from "../../dns/reverse_name.ts";
import type { PublishedRecord } from "../record.ts";
import { recordsOf } from "../record.ts";
import { sectionsOf } from "../sections.ts";
import type { Site } from "../site.ts";
import {
  advice,
  ask,
  type CheckContext,
  type Finding,
  good,
  publish,
  recordsIn,
  replace,
  unknown,
  wrong,
} from "./finding.ts";

/** A change of a record that is kept for longer takes longer than most people expect. */
const LONG_TTL_SECONDS = 2 * 86_400;
/** Hosts and names that are looked at of one record set; no site has more. */
const MAX_NAMES = 20;

/** What the checks of the hosts found out besides their findings. */
export interface HostFacts {
  /** Hosts that live MX records name. */
  readonly exchanges: readonly string[];
  /** Addresses that our mail comes from: those configured or known here, else those that our name has in DNS. */
  readonly senders: readonly string[];
}

/** Compares MX and everything behind them. */
export async function checkHosts(context: CheckContext): Promise<{ findings: Finding[]; facts: HostFacts }> {
  const { site } = context;
  const findings: Finding[] = [];
  const answer = await ask(context, site.domain, "MX");
  const place = { name: site.domain, type: "MX" };
  const records = mxRecords(site);
  const mend = `Publish: ${records.map(lineOf).join("; ")}`;
  let exchanges: readonly string[] = [];
  if (answer.kind === "failed") findings.push(unknown(place, answer.reason));
  else if (answer.kind === "noName") {
    const text = "The domain does not exist in DNS, so nobody can send to it";
    findings.push(
      wrong(place, text, "Register and delegate it, or wait until its new zone is known; then publish its records"),
    );
  } else if (answer.kind === "noData") {
    findings.push(
      wrong(place, "There is no MX record, so mail goes to the address of the domain itself, if it has one", mend),
    );
  } else {
    exchanges = exchangesOf(answer.records);
    findings.push(...compareMx(site, answer.records, exchanges, mend), ...timeToLive(place, answer.ttlSeconds));
    if (context.isTrusted && !answer.isSecure) findings.push(unsigned(place));
  }
  for (const host of exchanges.slice(0, MAX_NAMES)) findings.push(...await checkExchange(context, host));
  const own = await checkOwnAddresses(context);
  const known = [...site.addresses, ...site.otherSources];
  const senders = known.length > 0 ? known : own.addresses;
  findings.push(...own.findings);
  for (const address of senders.slice(0, MAX_NAMES)) findings.push(await checkPointer(context, address));
  return { findings, facts: { exchanges, senders } };
}

function mxRecords(site: Site): readonly PublishedRecord[] {
  return recordsOf(sectionsOf(site)).filter(({ type }) => type === "MX");
}

function lineOf(record: PublishedRecord): string {
  return publish(record).replace("Publish: ", "");
}

function exchangesOf(records: readonly RecordData["MX"][]): readonly string[] {
  const ordered = records.toSorted((a, b) => a.preference - b.preference);
  return [...new Set(ordered.map(({ exchange }) => oneName(exchange)).filter((name) => name !== ""))];
}

function oneName(name: string): string {
  return name.toLowerCase().replace(/\.$/, "");
}

function compareMx(
  site: Site,
  records: readonly RecordData["MX"][],
  exchanges: readonly string[],
  mend: string,
): readonly Finding[] {
  const place = { name: site.domain, type: "MX" };
  if (exchanges.length === 0) {
    return [
      wrong(
        place,
        'The record "0 ." says that the domain accepts no mail (RFC 7505)',
        mend.replace("Publish", "Publish in its place"),
      ),
    ];
  }
  const missing = site.hosts.filter((host) => !exchanges.includes(host));
  const strange = exchanges.filter((host) => !site.hosts.includes(host));
  if (missing.length === site.hosts.length) {
    return [
      wrong(
        place,
        `Mail for the domain goes to other hosts: ${strange.join(", ")}`,
        mend.replace("Publish", "Publish in their place"),
      ),
    ];
  }
  const findings: Finding[] = [];
  if (missing.length > 0) findings.push(wrong(place, `${missing.join(", ")} is not among the MX hosts`, mend));
  if (strange.length > 0) {
    const way = `Remove its record, or name it in domains.${site.domain}.mx if it takes mail for the domain`;
    findings.push(
      wrong(place, `${strange.join(", ")} is an MX host, too, and the configuration does not name it`, way),
    );
  }
  if (records.some(({ exchange }) => oneName(exchange) === "")) {
    findings.push(
      wrong(place, 'A null MX (".") stands beside other records, where it means nothing', "Remove it (RFC 7505 §3)"),
    );
  }
  return findings.length > 0 ? findings : [good(place, exchanges.join(", "))];
}

function timeToLive(place: { name: string; type: string }, ttlSeconds: number): readonly Finding[] {
  if (ttlSeconds === 0) {
    return [advice(place, "Its TTL is 0, so that every message costs a lookup", "Give it an hour: 3600")];
  }
  if (ttlSeconds <= LONG_TTL_SECONDS) return [];
  const days = Math.round(ttlSeconds / 8_640) / 10;
  return [
    advice(place, `Its TTL is ${days} days, and so long a change takes`, "Give it an hour, or a day: 3600 or 86400"),
  ];
}

function unsigned(place: { name: string; type: string }): Finding {
  const text =
    "The zone is not signed (DNSSEC), so that nobody can tell forged answers, and DANE cannot protect mail to it";
  return advice(place, text, "Switch DNSSEC on where the domain is hosted, if they can do that");
}

/** RFC 5321 §5.1, RFC 2181 §10.3: a host has addresses of its own. */
async function checkExchange(context: CheckContext, host: string): Promise<readonly Finding[]> {
  const place = { name: host, type: "A" };
  if (parseIpAddress(host) !== undefined) {
    return [
      wrong(
        { name: host, type: "MX" },
        "An MX record names an address, where only the name of a host may stand",
        "Name the host",
      ),
    ];
  }
  const alias = await ask(context, host, "CNAME");
  if (alias.kind === "found") {
    const text = `The MX host is an alias (CNAME) of ${
      shownName(alias.records[0])
    }, which servers may refuse (RFC 2181 §10.3)`;
    return [wrong({ name: host, type: "CNAME" }, text, "Give it A and AAAA records, or name the other host in MX")];
  }
  // Our own addresses are compared further on.
  if (host === context.site.hostname) return [];
  const answers = await Promise.all([ask(context, host, "A"), ask(context, host, "AAAA")]);
  if (answers.some(({ kind }) => kind === "found")) return [];
  const failed = answers.find((answer) => answer.kind === "failed");
  if (failed !== undefined) return [unknown(place, failed.reason)];
  return [
    wrong(
      place,
      "The MX host has no address, so nobody can connect to it",
      "Publish an A record, or remove the MX record",
    ),
  ];
}

async function checkOwnAddresses(
  context: CheckContext,
): Promise<{ findings: Finding[]; addresses: readonly string[] }> {
  const { site } = context;
  const place = { name: site.hostname, type: "A" };
  const answers = await Promise.all([ask(context, site.hostname, "A"), ask(context, site.hostname, "AAAA")]);
  const found = answers.flatMap((answer) => recordsIn(answer)).map(oneSpelling);
  const failed = answers.find((answer) => answer.kind === "failed");
  if (failed !== undefined) return { findings: [unknown(place, failed.reason)], addresses: found };
  if (found.length === 0) {
    const mend = site.addresses.length === 0
      ? "Publish A and AAAA records of this server"
      : publishAddresses(site, site.addresses);
    return {
      findings: [wrong(place, "Our host name has no address, so nobody can connect to it", mend)],
      addresses: [],
    };
  }
  const missing = site.addresses.filter((address) => !found.includes(address));
  const strange = site.addresses.length === 0 ? [] : found.filter((address) => !site.addresses.includes(address));
  const findings: Finding[] = [];
  if (missing.length > 0) {
    findings.push(
      wrong(place, `Our host name does not lead to ${missing.join(", ")}`, publishAddresses(site, missing)),
    );
  }
  if (strange.length > 0) {
    const mend = "Remove the record; where this server is reached there, say so with --address";
    findings.push(
      wrong(place, `Our host name leads to ${strange.join(", ")}, too, which is no address of this machine`, mend),
    );
  }
  return { findings: findings.length > 0 ? findings : [good(place, found.join(", "))], addresses: found };
}

function publishAddresses({ hostname }: Site, addresses: readonly string[]): string {
  const lines = addresses.map((address) => `${hostname}. 3600 IN ${address.includes(":") ? "AAAA" : "A"} ${address}`);
  return `Publish: ${lines.join("; ")}`;
}

/** Whether the name of an address leads back to it (RFC 1912 §2.1), and is the one in our greeting. */
async function checkPointer(context: CheckContext, address: string): Promise<Finding> {
  const { hostname } = context.site;
  const place = { name: reverseName(address), type: "PTR" };
  const record: PublishedRecord = { ...place, type: "PTR", value: `${hostname}.`, purpose: "", importance: "required" };
  const whose = `${address} is given the name ${hostname} by whoever gave us the address`;
  const pointers = await ask(context, place.name, "PTR");
  if (pointers.kind === "failed") return unknown(place, pointers.reason);
  if (pointers.kind !== "found") {
    return wrong(
      place,
      `${address} has no name (PTR), and big receivers refuse its mail`,
      `${publish(record)}; ${whose}`,
    );
  }
  const names = pointers.records.slice(0, MAX_NAMES).map(oneName);
  const type = address.includes(":") ? "AAAA" : "A";
  const back: string[] = [];
  for (const name of names) {
    const answer = await ask(context, name, type);
    if (answer.kind === "failed") return unknown({ name, type }, answer.reason);
    if (recordsIn(answer).map(oneSpelling).includes(address)) back.push(name);
  }
  if (back.includes(hostname)) return good(place, `${address} is ${hostname}`);
  const [other] = back;
  if (other !== undefined) {
    const text = `The name of ${address} is ${
      shownName(other)
    }, and our greeting says ${hostname}: some receivers mind`;
    return advice(place, text, `${replace(record)}; ${whose}`);
  }
  if (names.includes(hostname)) {
    const text = `The name of ${address} is ${hostname}, which does not lead back to it: big receivers refuse its mail`;
    return wrong(place, text, `Publish: ${hostname}. 3600 IN ${type} ${address}`);
  }
  const text = `The name of ${address} is ${
    shownName(names[0])
  }, which does not lead back to it: big receivers refuse its mail`;
  return wrong(place, text, `${replace(record)}; ${whose}`);
}

function shownName(name = ""): string {
  return name.replace(/[^\x21-\x7e]/g, "?");
}

function oneSpelling(address: string): string {
  const octets = parseIpAddress(address);
  return octets === undefined ? address : formatIpAddress(octets);
}
