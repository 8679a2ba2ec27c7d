/** The flags of `posthorn dns`. */

import type { CommandFlags } from "../command_line.ts";

/** What `dns --help` prints. */
export const DNS_USAGE = `usage: posthorn [--config FILE] dns DOMAIN [--check] [--address IP,IP…] [--json]

  prints the records to publish for a domain of ours, as lines of a zone file
  --check            compares them with live DNS, and says what to mend
  --address IP,IP…   the addresses that others reach this server at, where they are not those of its interfaces (NAT)
  --json             for programs: an array of records; with --check an object with the findings

Exit codes of --check: 0 nothing is wrong, 65 something is, 69 DNS did not answer all questions.`;

/** The flags of `dns`. */
export const DNS_FLAGS: CommandFlags = { values: ["address"], switches: ["check"], usage: DNS_USAGE };
