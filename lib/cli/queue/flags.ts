/** The flags of `posthorn queue`, apart from what reads them: taking a command line apart needs no more of it. */

import { REPLY_CLASSES } from "../../queue/spool_json.ts";
import type { CommandFlags } from "../command_line.ts";

/** Flags with a value. */
export const QUEUE_VALUES = [
  "domain",
  "recipient",
  "sender",
  "destination",
  "state",
  "older-than",
  "newer-than",
  "reply",
  "class",
  "limit",
  "sort",
  "reason",
] as const;
/** Flags without. */
export const QUEUE_SWITCHES = ["reverse", "totals", "all", "yes", "dry-run", "raw", "content", "off"] as const;

/** What `posthorn queue` prints. */
export const QUEUE_USAGE = `usage: posthorn queue ACTION

  list [FILTER…] [--sort arrived|next|size|attempts|sender|domain] [--reverse] [--limit N] [--json]
  list --totals [FILTER…] [--json]    messages by destination
  show ID [--json]                    envelope, history, header; --raw: the message as it is sent, --content: as it came
  why ID [--recipient R] [--json]     what each recipient waits for, and until when
  retry | hold | release | remove  ID… | FILTER… | --all   [--yes] [--dry-run] [--json]
  fail  ID… | FILTER… | --all  [--reason TEXT]  [--yes] [--dry-run] [--json]     gives up; the sender gets a report
  suspend PATTERN [--reason TEXT]     no delivery to a destination, a domain, *.domain or * until it is resumed
  resume PATTERN
  suspensions [--json]
  destinations [--json]               what the running server thinks of each destination
  drain [--off]                       takes no new mail, tries all that waits, and shows what is left

FILTER: --domain D  --recipient R  --sender S  --destination SITE  --state waiting|held|failed|delivered|relayed|expanded
        --older-than 4h  --newer-than 30m  --reply TEXT  --class CLASS
Classes of replies: ${REPLY_CLASSES.join(", ")}.
More than one message is changed only after a question, or with --yes. --dry-run shows what would be done.`;

/** The flags of `queue`. */
export const QUEUE_FLAGS: CommandFlags = { values: QUEUE_VALUES, switches: QUEUE_SWITCHES, usage: QUEUE_USAGE };
