/** What `posthorn reports` can be told. */

import { type CommandFlags, UsageError } from "../command_line.ts";

/** What `reports --help` prints. */
export const REPORTS_USAGE = `usage: posthorn [--config FILE] reports [--domain D] [--days N] [--json]
       posthorn [--config FILE] reports import FILE|FOLDER…
       posthorn [--config FILE] reports send [--json]

  reports          who sends in the name of our domains, as others report it (DMARC), and how TLS with us went
    --domain D     of one domain only
    --days N       the last N days; default 30
    --json         for programs
  reports import   takes in reports: mails, XML or JSON, also packed (.gz, .zip); of a Maildir, all its messages
  reports send     has the running server send its reports on ended days (UTC) now, and says what became of each

What comes to the addresses in reports.receive is taken in by the server.`;

/** The flags of `reports`. */
export const REPORTS_FLAGS: CommandFlags = { values: ["domain", "days"], switches: [], usage: REPORTS_USAGE };

/** A command line that makes no sense for `reports`. */
export function usage(message: string): UsageError {
  return new UsageError(message, REPORTS_USAGE);
}
