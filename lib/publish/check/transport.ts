/** TLS-RPT, and MTA-STS: the record, the policy that can be fetched, and whether the two fit our MX hosts. */

import { namesMx, parseStsPolicy, stsRecordId } from "../../delivery/remote/mta_sts_policy.ts";
import type { PublishedRecord } from "../record.ts";
import type { Site } from "../site.ts";
import { STS_PATH, stsHost } from "../sts_policy.ts";
import {
  advice,
  ask,
  type CheckContext,
  type Finding,
  good,
  publish,
  replace,
  shown,
  unknown,
  wrong,
} from "./finding.ts";

/** `tlsrpt-record`, as far as it matters: the version, and places that are addresses or web servers (RFC 8460 §3). */
const TLS_REPORTS = /^v=TLSRPTv1\s*;\s*rua=(.*?)\s*;?\s*$/;

/** Compares the TLS-RPT record. */
export async function checkTlsReports(context: CheckContext, record: PublishedRecord): Promise<Finding> {
  const answer = await ask(context, record.name, "TXT");
  if (answer.kind === "failed") return unknown(record, answer.reason);
  const all = answer.kind === "found" ? answer.records : [];
  const texts = all.filter((text) => text.startsWith("v=TLSRPTv1"));
  const [text] = texts;
  if (text === undefined) {
    if (all[0] !== undefined) return wrong(record, `${shown(all[0])} is no TLS-RPT record`, replace(record));
    return advice(record, "Nobody reports to us that TLS to our hosts failed", publish(record));
  }
  if (texts.length > 1) {
    return wrong(
      record,
      `There are ${texts.length} TLS-RPT records, and so none counts (RFC 8460 §3)`,
      "Keep one of them",
    );
  }
  const places = TLS_REPORTS.exec(text)?.[1]?.split(",").map((place) => place.trim()) ?? [];
  const isRight = places.length > 0 &&
    places.every((place) => /^(?:mailto:[^@\s]+@[a-z0-9.-]+|https:\/\/\S+)$/i.test(place));
  return isRight
    ? good(record, shown(text))
    : wrong(record, `${shown(text)} cannot be read: receivers report nowhere`, replace(record));
}

/** Compares the record of MTA-STS and fetches the policy as other servers do. */
export async function checkSts(context: CheckContext, exchanges: readonly string[]): Promise<readonly Finding[]> {
  const { domain, sts } = context.site;
  const place = { name: `_mta-sts.${domain}`, type: "TXT" };
  const answer = await ask(context, place.name, "TXT");
  if (answer.kind === "failed") return [unknown(place, answer.reason)];
  const texts = answer.kind === "found" ? answer.records.filter((text) => text.startsWith("v=STSv1")) : [];
  const mend = sts === undefined ? undefined : `Publish: ${place.name}. 3600 IN TXT "v=STSv1; id=${sts.id}"`;
  if (texts.length === 0) {
    if (mend !== undefined) {
      return [
        wrong(place, "There is no MTA-STS record, so nobody asks for our policy", mend),
        ...await checkPolicy(context, exchanges),
      ];
    }
    const text = "There is no MTA-STS policy: mail to us can be kept from TLS by those on its way";
    return [advice(place, text, `See docs/dns.md: domains.${domain}.mta_sts: testing, and a listener of service web`)];
  }
  return [judgeRecord(context.site, texts, mend), ...await checkPolicy(context, exchanges)];
}

function judgeRecord({ domain, sts }: Site, texts: readonly string[], publishMend: string | undefined): Finding {
  const place = { name: `_mta-sts.${domain}`, type: "TXT" };
  const mend = publishMend?.replace("Publish", "Publish in its place") ?? "Remove it, or correct it";
  if (texts.length > 1) {
    return wrong(place, `There are ${texts.length} MTA-STS records, and so none counts (RFC 8461 §3.1)`, mend);
  }
  const id = stsRecordId(texts);
  if (id === undefined) {
    return wrong(place, `${shown(texts[0] ?? "")} cannot be read: the id has to be letters and digits`, mend);
  }
  if (sts === undefined) {
    const text = `The record says that there is a policy (id ${id}), and domains.${domain}.mta_sts does not`;
    return advice(
      place,
      text,
      `Where somebody else serves it, all is well; else see docs/dns.md on how to take a policy back`,
    );
  }
  if (id === sts.id) return good(place, `Our policy, id ${id}`);
  return wrong(
    place,
    `The id is ${id}, and that of our policy ${sts.id}: those who know an older policy keep it`,
    mend,
  );
}

async function checkPolicy(context: CheckContext, exchanges: readonly string[]): Promise<readonly Finding[]> {
  const { domain, sts } = context.site;
  const place = { name: `${stsHost(domain)}${STS_PATH}`, type: "HTTPS" };
  const [v4, v6] = [await ask(context, stsHost(domain), "A"), await ask(context, stsHost(domain), "AAAA")];
  const failed = v4.kind === "failed" ? v4 : v6;
  if (v4.kind !== "found" && v6.kind !== "found" && failed.kind === "failed") return [unknown(place, failed.reason)];
  const fetched = await context.fetchPolicy(domain, context.signal);
  if (fetched.kind === "failed") {
    return [wrong(place, `The policy cannot be fetched: ${fetched.reason}`, fetchMend(context.site, fetched.failure))];
  }
  const reading = parseStsPolicy(fetched.text);
  if (reading.kind === "invalid") return [wrong(place, `It is no policy: ${reading.reason}`, serveMend(context.site))];
  const { policy } = reading;
  const findings: Finding[] = [];
  if (sts !== undefined && linesOf(fetched.text) !== linesOf(sts.text)) {
    const text = `Another policy is served than the configuration says: ${shown(policy.lines.join(" | "), 300)}`;
    findings.push(wrong(place, text, serveMend(context.site)));
  }
  const strangers = policy.mode === "none" ? [] : exchanges.filter((host) => !namesMx(policy, host));
  if (strangers.length > 0) {
    const effect = policy.mode === "enforce" ? "no mail is sent to them" : "reports will say so";
    const text = `The policy does not name the MX hosts ${strangers.join(", ")}: ${effect}`;
    findings.push(wrong(place, text, `Name all MX hosts in domains.${domain}.mx, or remove their MX records`));
  }
  return findings.length > 0 ? findings : [good(place, `A policy of mode ${policy.mode} that names the MX hosts`)];
}

function fetchMend({ domain, hostname, sts }: Site, failure: string): string {
  const host = stsHost(domain);
  if (failure === "sts-webpki-invalid") {
    return `Get a certificate for ${host} from a public authority, and put it into tls.certificates, or into the proxy in front`;
  }
  const listener = sts?.isServed === false ? '; and have a listener { bind: "[::]:443", service: web }' : "";
  return `Publish: ${host}. 3600 IN CNAME ${hostname}.; let port 443 of it lead to a listener of service web${listener}`;
}

function serveMend({ sts, domain }: Site): string {
  if (sts?.isServed === true) {
    return `Reload posthorn (SIGHUP), or correct the server that answers for ${stsHost(domain)}`;
  }
  return `Correct the server that answers for ${stsHost(domain)}`;
}

function linesOf(text: string): string {
  return text.split(/\r?\n/).map((line) => line.trim()).filter((line) => line !== "").join("\n");
}
