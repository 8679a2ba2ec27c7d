/** The records by which mail programs of users find their server. */

import type { PublishedRecord, RecordSection } from "./record.ts";
import type { Site } from "./site.ts";

/** SRV records of submission (RFC 6186 §3.1, RFC 8314 §5.1). There is no IMAP server here, so its record is a remark. */
export function clientSection({ domain, hostname, submission }: Site): RecordSection {
  const srv = (
    service: string,
    port: number,
    purpose: string,
    importance: PublishedRecord["importance"],
  ): PublishedRecord => ({
    name: `_${service}._tcp.${domain}`,
    type: "SRV",
    value: `0 1 ${port} ${hostname}.`,
    purpose,
    importance,
  });
  const { implicit, starttls } = submission;
  const remarks = ["Where an IMAP server on this host keeps the mailboxes, publish _imaps, too."];
  if (implicit === undefined && starttls === undefined) {
    remarks.unshift("No listener of service submission can be reached from elsewhere, so there is no record of it.");
  }
  return {
    title: "Mail programs of users find their server by these.",
    records: [
      ...(implicit === undefined ? [] : [
        srv("submissions", implicit, "where users submit mail, TLS from the first octet", "recommended"),
      ]),
      ...(starttls === undefined ? [] : [
        srv("submission", starttls, "where users submit mail, with STARTTLS", "recommended"),
      ]),
      srv("imaps", 993, "where users read mail", "optional"),
    ],
    remarks,
  };
}
