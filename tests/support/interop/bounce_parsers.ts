/** What the bounce parsers of mailing list software make of a DSN. */

import { mustRun } from "./command.ts";
import { programPath } from "./peers.ts";

/** A recipient as Sisimai understands it. */
export interface SisimaiBounce {
  readonly recipient: string;
  readonly action: string;
  readonly status: string;
  readonly reason: string;
  readonly diagnostic: string;
}

const SISIMAI_SCRIPT = String.raw`
use Sisimai;
for my $bounce (@{ Sisimai->make($ARGV[0]) || [] }) {
  print join("\t", $bounce->recipient->address, map { $bounce->$_ // "" }
    qw(action deliverystatus reason diagnosticcode)), "\n";
}
`;

const FLUFL_SCRIPT = `
import email, sys
from flufl.bounce import all_failures
with open(sys.argv[1], "rb") as file:
    temporary, permanent = all_failures(email.message_from_binary_file(file))
for addresses in (permanent, temporary):
    print(" ".join(address.decode() for address in sorted(addresses)))
`;

/** Reads a file with Perl's Sisimai. */
export async function readWithSisimai(file: string): Promise<SisimaiBounce[]> {
  const output = await mustRun([programPath("perl"), "-e", SISIMAI_SCRIPT, file]);
  return output.split("\n").filter((line) => line !== "").map((line) => {
    const [recipient = "", action = "", status = "", reason = "", diagnostic = ""] = line.split("\t");
    return { recipient, action, status, reason, diagnostic };
  });
}

/** Addresses that failed for good, according to Mailman's flufl.bounce. */
export async function readWithFlufl(file: string): Promise<string[]> {
  return (await readAllWithFlufl(file)).permanent;
}

/** Addresses that failed for good and those that are late, according to Mailman's flufl.bounce. */
export async function readAllWithFlufl(file: string): Promise<{ permanent: string[]; temporary: string[] }> {
  const output = await mustRun([programPath("python"), "-c", FLUFL_SCRIPT, file]);
  const [permanent = [], temporary = []] = output.split("\n").map((line) =>
    line.trim().split(" ").filter((address) => address !== "")
  );
  return { permanent, temporary };
}
