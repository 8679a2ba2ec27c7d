/**
 * The tables of `data/state.db`: what each version of the schema added, in order. A statement that was released is never
 * changed; a new version is a new entry.
 */

/** Entry n takes a database from version n to n + 1. */
export const MIGRATIONS: readonly string[] = [
  `
  -- What domains have published, and how often mail in their name came with which results (RFC 7489 §7.2). Days are UTC.
  CREATE TABLE dmarc_policy (
    day TEXT NOT NULL, domain TEXT NOT NULL, policy TEXT NOT NULL, rua TEXT NOT NULL,
    PRIMARY KEY (day, domain)
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE dmarc_row (
    day TEXT NOT NULL, domain TEXT NOT NULL, results TEXT NOT NULL, count INTEGER NOT NULL,
    PRIMARY KEY (day, domain, results)
  ) STRICT, WITHOUT ROWID;

  -- What became of TLS with other servers (RFC 8460).
  CREATE TABLE tls_policy (
    day TEXT NOT NULL, domain TEXT NOT NULL, policy TEXT NOT NULL,
    type TEXT NOT NULL, policy_domain TEXT NOT NULL, successes INTEGER NOT NULL, failures INTEGER NOT NULL,
    PRIMARY KEY (day, domain, type, policy_domain)
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE tls_failure (
    day TEXT NOT NULL, domain TEXT NOT NULL, type TEXT NOT NULL, policy_domain TEXT NOT NULL,
    failure TEXT NOT NULL, mx_host TEXT NOT NULL, receiving_ip TEXT NOT NULL, reason TEXT NOT NULL, count INTEGER NOT NULL,
    PRIMARY KEY (day, domain, type, policy_domain, failure, mx_host, receiving_ip)
  ) STRICT, WITHOUT ROWID;

  -- Reports that went out, or that nobody wants.
  CREATE TABLE report_done (
    kind TEXT NOT NULL, day TEXT NOT NULL, domain TEXT NOT NULL,
    PRIMARY KEY (kind, day, domain)
  ) STRICT, WITHOUT ROWID;

  -- Reports that others sent us. Times are seconds since 1970.
  CREATE TABLE received_report (
    id INTEGER PRIMARY KEY, kind TEXT NOT NULL, organization TEXT NOT NULL, report_id TEXT NOT NULL, domain TEXT NOT NULL,
    begin_time INTEGER NOT NULL, end_time INTEGER NOT NULL, received_time INTEGER NOT NULL,
    UNIQUE (kind, organization, report_id, domain)
  ) STRICT;
  CREATE INDEX received_report_end ON received_report (end_time);
  CREATE TABLE received_dmarc (
    report INTEGER NOT NULL REFERENCES received_report (id) ON DELETE CASCADE,
    source_ip TEXT NOT NULL, count INTEGER NOT NULL, disposition TEXT NOT NULL, dkim INTEGER NOT NULL, spf INTEGER NOT NULL,
    header_from TEXT NOT NULL, results TEXT NOT NULL
  ) STRICT;
  CREATE INDEX received_dmarc_report ON received_dmarc (report);
  CREATE TABLE received_tls (
    report INTEGER NOT NULL REFERENCES received_report (id) ON DELETE CASCADE,
    type TEXT NOT NULL, successes INTEGER NOT NULL, failures INTEGER NOT NULL, details TEXT NOT NULL
  ) STRICT;
  CREATE INDEX received_tls_report ON received_tls (report);
  `,
  `
  -- Rows of dmarc_row on a day: counting them each time takes too long.
  CREATE TABLE dmarc_day (day TEXT PRIMARY KEY, row_count INTEGER NOT NULL) STRICT, WITHOUT ROWID;
  INSERT INTO dmarc_day SELECT day, count(*) FROM dmarc_row GROUP BY day;

  -- Who has a report that is not done with. With a queue id it is on its way into the queue, and not known to be there.
  CREATE TABLE report_sent (
    kind TEXT NOT NULL, day TEXT NOT NULL, domain TEXT NOT NULL, destination TEXT NOT NULL, queue_id TEXT NOT NULL,
    PRIMARY KEY (kind, day, domain, destination)
  ) STRICT, WITHOUT ROWID;
  `,
];
