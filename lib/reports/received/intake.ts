/** From a mail or a file to the reports in it, and into the state database. */

import type { StateDatabase } from "../../state/state_database.ts";
import { attachmentsOf } from "./attachments.ts";
import { parseAggregate } from "./parse_dmarc.ts";
import { parseTlsReport } from "./parse_tls.ts";
import { TooLongError } from "../gzip.ts";
import { keepMoreRows, keepReport, type Received, ROWS_AT_A_TIME } from "./store.ts";
import { MAX_UNPACKED_OCTETS, unpack, type Unpacked } from "./unpack.ts";

/** What was found in one message or file. */
export interface Intake {
  /** Reports that are kept now. */
  readonly kept: readonly Received[];
  /** Reports that were there before. */
  readonly known: number;
  /** What is wrong with the rest, one line for each. */
  readonly problems: readonly string[];
}

/** What taking reports in needs. */
export interface IntakeOptions {
  /** Keeps them. */
  readonly state: StateDatabase;
  /** Whether a domain is ours, or below or above one of ours: reports on others are not kept. */
  readonly isOurs: (domain: string) => boolean;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  /** Lets the event loop do something else. */
  readonly breathe: () => Promise<void>;
}

/** The longest mail or file that is looked into. */
export const MAX_MAIL_OCTETS = 25 * 2 ** 20;

/** Takes in the reports of a file: a mail, or a report as it is, packed or not. Never rejects. */
export async function takeIn(octets: Uint8Array<ArrayBuffer>, options: IntakeOptions): Promise<Intake> {
  const kept: Received[] = [];
  const problems: string[] = [];
  let known = 0;
  let left = MAX_UNPACKED_OCTETS;
  if (octets.length > MAX_MAIL_OCTETS) {
    return { kept, known, problems: [`it is longer than ${MAX_MAIL_OCTETS} octets`] };
  }
  for (const file of isMail(octets) ? attachmentsOf(octets) : [octets]) {
    try {
      for (const unpacked of await unpack(file, left, (octets) => left -= octets)) {
        const received = await parse(unpacked, options);
        const result = options.state.transact((sql) => keepReport(sql, received, Math.floor(options.now() / 1000)));
        if (result === "kept") {
          kept.push(received);
          await keepRest(received, options);
        } else if (result === "known") known++;
        else if (result === "full") problems.push("there is no room for more reports");
        else problems.push("the database cannot be used now");
      }
    } catch (error) {
      problems.push(error instanceof Error ? error.message : String(error));
      // What unpacks to so much would do so again in the next part.
      if (error instanceof TooLongError) break;
    }
  }
  return { kept, known, problems };
}

/** A long report is written in pieces: each holds up the event loop. */
async function keepRest(received: Received, { state, breathe }: IntakeOptions): Promise<void> {
  if (received.kind !== "dmarc") return;
  for (let from = ROWS_AT_A_TIME; from < received.report.rows.length; from += ROWS_AT_A_TIME) {
    await breathe();
    state.transact((sql) => keepMoreRows(sql, received, from));
  }
}

/** A mail begins with a field, a report with what it is packed in, "<" or "{". */
function isMail(octets: Uint8Array): boolean {
  const beginning = new TextDecoder("latin1").decode(octets.subarray(0, 200));
  return /^(?:From |[!-9;-~]{1,80}[ \t]*:)/.test(beginning) && !/^[\s\ufeff]*[<{]/.test(beginning);
}

async function parse({ kind, text }: Unpacked, { isOurs, breathe }: IntakeOptions): Promise<Received> {
  if (kind === "xml") {
    const report = await parseAggregate(text, breathe);
    if (!isOurs(report.policy.domain)) {
      throw new Error(`the report is about ${report.policy.domain}, which is not ours`);
    }
    return { kind: "dmarc", report };
  }
  const report = parseTlsReport(text);
  const domain = report.policies.map(({ domain }) => domain).find(isOurs);
  if (domain === undefined) throw new Error("the report is about no domain of ours");
  return { kind: "tls", report, domain };
}
