/** Writes a TLS report as JSON (RFC 8460 §4.4, in the I-JSON of RFC 7493). */

import type { TlsFailureDetails, TlsPolicyResult, TlsReport } from "./tls_report.ts";

/** The report as JSON, ended by a line feed. */
export function composeTlsReport(report: TlsReport): string {
  return JSON.stringify({
    "organization-name": report.organization,
    "date-range": { "start-datetime": dateTime(report.beginSeconds), "end-datetime": dateTime(report.endSeconds) },
    "contact-info": report.contact,
    "report-id": report.reportId,
    policies: report.policies.map(formatPolicy),
  }) + "\n";
}

function formatPolicy({ type, domain, strings, mxHosts, successes, failures, details }: TlsPolicyResult): unknown {
  return {
    policy: {
      "policy-type": type,
      ...(strings.length > 0 && { "policy-string": strings }),
      "policy-domain": domain,
      ...(mxHosts.length > 0 && { "mx-host": mxHosts }),
    },
    summary: { "total-successful-session-count": successes, "total-failure-session-count": failures },
    ...(details.length > 0 && { "failure-details": details.map(formatDetails) }),
  };
}

function formatDetails(
  { resultType, mxHost, receivingIp, sendingIp, count, reason }: TlsFailureDetails,
): unknown {
  return {
    "result-type": resultType,
    ...(sendingIp && { "sending-mta-ip": sendingIp }),
    ...(mxHost && { "receiving-mx-hostname": mxHost }),
    ...(receivingIp && { "receiving-ip": receivingIp }),
    "failed-session-count": count,
    ...(reason && { "additional-information": reason }),
  };
}

/** RFC 3339, without a fraction. */
function dateTime(seconds: number): string {
  return new Date(seconds * 1000).toISOString().replace(".000", "");
}
