/** `posthorn reports`: what others report about mail in our name, and about TLS with us; and what we report. */

import process from "node:process";
import type { Config } from "../config/config.ts";
import { loadConfig } from "../config/load.ts";
import { normalizeDomain } from "../mail/mailbox.ts";
import { type Intake, MAX_MAIL_OCTETS, takeIn } from "../reports/received/intake.ts";
import { countReceived, sumDmarc, sumDomains, sumTls } from "../reports/received/store.ts";
import type { StateDatabase } from "../state/state_database.ts";
import { systemClock } from "../system/clock.ts";
import { DATA_ERROR, OK, UNAVAILABLE } from "../system/sysexits.ts";
import { becomeOwner } from "./become_user.ts";
import { CommandError } from "./command_error.ts";
import { processIo } from "./find_config.ts";
import { ProcessTerminal, type Terminal } from "./queue/terminal.ts";
import { usage } from "./reports/options.ts";
import { intakeOptions, openState } from "./report_system.ts";
import { sendReports } from "./reports/send.ts";
import { dmarcLines, type Overview, tlsLines } from "./reports/table.ts";

/** What `reports` was called with. */
export interface ReportsCall {
  /** The configuration file; looked for only where there is something to do. */
  readonly findFile: () => Promise<string>;
  /** The words behind `reports`. */
  readonly words: readonly string[];
  /** Its flags. */
  readonly flags: ReadonlyMap<string, string | true>;
  /** `--json`. */
  readonly isJson: boolean;
}

const DAY_SECONDS = 86_400;

/**
 * Carries out `reports`, `reports import` and `reports send`. Run by root, it becomes the owner of the data folder first.
 *
 * @returns The exit code.
 */
export async function reports({ findFile, words, flags, isJson }: ReportsCall): Promise<number> {
  using terminal = new ProcessTerminal();
  const [action, ...paths] = words;
  if (action !== undefined && action !== "import" && action !== "send") throw usage(`unknown action "${action}"`);
  const days = daysOf(flags.get("days"));
  const config = await loadConfig(await findFile(), processIo);
  await becomeOwner(config.data, process);
  if (action === "send") {
    if (paths.length > 0) throw usage(`unexpected "${paths.join(" ")}" after reports send`);
    return await sendReports({ config, clock: systemClock, terminal, isJson });
  }
  using state = await openOrFail(config);
  if (action === "import") {
    if (paths.length === 0) throw usage("reports import FILE|FOLDER…");
    return await importAll(paths, config, state, terminal);
  }
  const domain = domainOfFlag(flags.get("domain"));
  const sinceSeconds = Math.floor(systemClock.now() / 1000) - days * DAY_SECONDS;
  const filter = { sinceSeconds, ...(domain === undefined ? {} : { domain }) };
  const overview = state.read((sql): Overview => ({
    reports: countReceived(sql, filter),
    domains: sumDomains(sql, filter),
    dmarc: sumDmarc(sql, filter),
    tls: sumTls(sql, filter),
  }));
  if (overview === undefined) throw unusable(config);
  print(overview, { terminal, isJson, days });
  return OK;
}

function print(
  overview: Overview,
  { terminal, isJson, days }: { readonly terminal: Terminal; readonly isJson: boolean; readonly days: number },
): void {
  if (isJson) return terminal.print(JSON.stringify(overview, null, 2));
  if (overview.dmarc.length + overview.tls.length === 0) {
    return terminal.complain(
      `There are no reports of the last ${days} days. They come to the addresses in reports.receive, or by reports import`,
    );
  }
  for (const line of [...dmarcLines(overview), ...tlsLines(overview.tls)]) terminal.print(line);
}

function daysOf(flag: string | true | undefined): number {
  if (flag === undefined) return 30;
  if (typeof flag !== "string" || !/^[1-9]\d{0,3}$/.test(flag)) throw usage("--days needs a number of days, e.g. 30");
  return Number(flag);
}

function domainOfFlag(flag: string | true | undefined): string | undefined {
  if (flag === undefined) return undefined;
  const domain = typeof flag === "string" ? normalizeDomain(flag) : undefined;
  if (domain === undefined) throw usage("--domain needs a domain, e.g. example.org");
  return domain;
}

async function openOrFail(config: Config): Promise<StateDatabase> {
  const problems: string[] = [];
  const note = (_message: string, fields: Record<string, unknown> = {}): void => {
    problems.push(String(fields["reason"] ?? ""));
  };
  const logger = { debug: note, info: note, warning: note, error: note };
  const state = await openState(config, systemClock, logger);
  if (state.transact(() => true) === undefined) throw unusable(config, problems[0]);
  return state;
}

function unusable({ data }: Config, reason?: string): CommandError {
  return new CommandError(UNAVAILABLE, `Cannot use ${data}/state.db${reason === undefined ? "" : `: ${reason}`}`);
}

async function importAll(
  paths: readonly string[],
  config: Config,
  state: StateDatabase,
  terminal: Terminal,
): Promise<number> {
  const options = intakeOptions(config, state, systemClock);
  const sum = { kept: 0, known: 0, failed: 0 };
  for await (const path of filesIn(paths)) {
    const { kept, known, problems } = await importFile(path, (octets) => takeIn(octets, options));
    sum.kept += kept.length;
    sum.known += known;
    const isEmpty = kept.length + known + problems.length === 0;
    if (isEmpty || problems.length > 0) sum.failed++;
    for (const problem of isEmpty ? ["there is no report in it"] : problems) terminal.complain(`${path}: ${problem}`);
  }
  terminal.print(`${sum.kept} reports taken in, ${sum.known} were there before, ${sum.failed} files with problems`);
  return sum.failed > 0 ? DATA_ERROR : OK;
}

async function importFile(
  path: string,
  take: (octets: Uint8Array<ArrayBuffer>) => Promise<Intake>,
): Promise<Intake> {
  try {
    const { size } = await Deno.stat(path);
    if (size > MAX_MAIL_OCTETS) return { kept: [], known: 0, problems: ["it is too long"] };
    return await take(await Deno.readFile(path));
  } catch (error) {
    return { kept: [], known: 0, problems: [error instanceof Error ? error.message : String(error)] };
  }
}

/** The files named, those in folders named, and those in `new` and `cur` of a Maildir. */
async function* filesIn(paths: readonly string[], isNested = false): AsyncGenerator<string> {
  for (const path of paths) {
    const isFolder = await Deno.stat(path).then(({ isDirectory }) => isDirectory, () => false);
    if (!isFolder) {
      yield path;
      continue;
    }
    for await (const { name, isFile, isDirectory } of Deno.readDir(path)) {
      if (isFile && !name.startsWith(".")) yield `${path}/${name}`;
      else if (isDirectory && !isNested && ["new", "cur"].includes(name)) yield* filesIn([`${path}/${name}`], true);
    }
  }
}
