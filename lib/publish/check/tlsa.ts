/** TLSA records of our host (RFC 7672): whether they fit the certificate that servers get to see. */

import { matchesTlsa, tlsaText, usableTlsa } from "../../tls/dane/tlsa.ts";
import type { RecordData } from "../../dns/resolver.ts";
import type { Site } from "../site.ts";
import { advice, ask, type CheckContext, type Finding, good, unknown, wrong } from "./finding.ts";

/** Compares the records. */
export async function checkTlsa(context: CheckContext): Promise<readonly Finding[]> {
  const { site, isTrusted } = context;
  const place = { name: `_25._tcp.${site.hostname}`, type: "TLSA" };
  const answer = await ask(context, place.name, "TLSA");
  if (answer.kind === "failed") {
    // RFC 7672 §2.1.2: servers that keep to DANE do not send while this lasts.
    const mend =
      "Mend the name servers of the zone: they must answer questions about TLSA, also where there is no such record";
    return [{ ...unknown(place, answer.reason), mend }];
  }
  if (answer.kind !== "found") return isTrusted && answer.isSecure ? [proposal(site)] : [];
  const findings: Finding[] = [judge(site, answer.records)];
  if (!isTrusted) {
    const text =
      "Whether the records are signed (DNSSEC) is not known: the resolver does not validate, or not on this machine";
    findings.push(advice(place, text, "Name a validating resolver on this machine in dns.servers, such as unbound"));
  } else if (!answer.isSecure) {
    findings.push(
      advice(place, "The records have no effect, because the zone is not signed (DNSSEC)", "Have it signed"),
    );
  }
  return findings;
}

function proposal({ hostname, certificate }: Site): Finding {
  const place = { name: `_25._tcp.${hostname}`, type: "TLSA" };
  const text = "The zone is signed, so that a TLSA record could protect mail to us (DANE)";
  if (certificate.kind === "none") {
    return advice(place, `${text}; there is none to propose, because ${certificate.reason}`);
  }
  const line = `${place.name}. 3600 IN TLSA 3 1 1 ${certificate.keyHash}`;
  return advice(place, text, `Where the key stays the same when the certificate is renewed, publish: ${line}`);
}

function judge({ hostname, certificate }: Site, records: readonly RecordData["TLSA"][]): Finding {
  const place = { name: `_25._tcp.${hostname}`, type: "TLSA" };
  const texts = records.slice(0, 5).map(tlsaText).join(", ");
  if (usableTlsa(records).length === 0) {
    const text =
      `${texts}: none of these can be used for mail (RFC 7672 §3.1), so that TLS is demanded and nothing is proved`;
    return wrong(place, text, "Use 3 1 1, or remove them");
  }
  if (certificate.kind === "none") {
    return unknownFit(place, `${texts}: whether they fit is not known here, because ${certificate.reason}`);
  }
  if (usableTlsa(records).some((record) => matchesTlsa(record, certificate.certificate))) return good(place, texts);
  if (usableTlsa(records).some(({ usage }) => usage === 2)) {
    return unknownFit(place, `${texts}: whether the authority of our certificate is one of these is not looked at`);
  }
  const text = `${texts}: our certificate fits none of these, so that servers that keep to DANE do not send to us`;
  return wrong(
    place,
    text,
    `Publish: ${place.name}. 3600 IN TLSA 3 1 1 ${certificate.keyHash}; keep the old ones for two days`,
  );
}

function unknownFit({ name, type }: { name: string; type: string }, text: string): Finding {
  return { kind: "unknown", name, type, text, mend: "Compare them by hand: openssl s_client -starttls smtp" };
}
