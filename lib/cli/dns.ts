/** `posthorn dns`: the records that a domain of ours needs, and whether DNS has them. */

import { getLogger } from "@logtape/logtape";
import type { Config } from "../config/config.ts";
import { loadConfig } from "../config/load.ts";
import { makeStsFetch } from "../delivery/remote/mta_sts_fetch.ts";
import { normalizeDomain } from "../mail/mailbox.ts";
import { checkSpf } from "../msgauth/spf/check.ts";
import { checkRecords } from "../publish/check/check.ts";
import type { Finding, SpfQuestion } from "../publish/check/finding.ts";
import { type PublishedRecord, recordsOf, textStrings, zoneLine } from "../publish/record.ts";
import { sectionsOf } from "../publish/sections.ts";
import type { Site } from "../publish/site.ts";
import { zoneText } from "../publish/zone_text.ts";
import { systemClock } from "../system/clock.ts";
import { DATA_ERROR, OK } from "../system/sysexits.ts";
import { CommandError } from "./command_error.ts";
import { UsageError } from "./command_line.ts";
import { checkReport } from "./dns/check_report.ts";
import { DNS_USAGE } from "./dns/flags.ts";
import { gatherSite } from "./dns/gather_site.ts";
import { publicAddresses } from "./dns/public_address.ts";
import { processIo } from "./find_config.ts";
import { makeResolver } from "./resolver.ts";

/** What `dns` was called with. */
export interface DnsCall {
  /** The configuration file; looked for only where there is something to do. */
  readonly findFile: () => Promise<string>;
  /** The words behind `dns`. */
  readonly words: readonly string[];
  /** Its flags. */
  readonly flags: ReadonlyMap<string, string | true>;
  /** `--json`. */
  readonly isJson: boolean;
}

/** All lookups and fetches together. */
const CHECK_LIMIT_MS = 120_000;

/**
 * Carries out `dns DOMAIN`.
 *
 * @returns What goes to standard output, and the exit code.
 * @throws {CommandError} For a domain that is none of ours, or an address that is none.
 */
export async function dns(call: DnsCall): Promise<{ readonly text: string; readonly exitCode: number }> {
  const [rawDomain, ...more] = call.words;
  if (rawDomain === undefined || more.length > 0) throw new UsageError("dns DOMAIN", DNS_USAGE);
  const addresses = namedAddresses(call.flags.get("address"));
  const config = await loadConfig(await call.findFile(), processIo);
  const domain = normalizeDomain(rawDomain);
  if (domain === undefined || !config.domains.has(domain)) {
    throw new CommandError(
      DATA_ERROR,
      `"${rawDomain}" is none of our domains (${[...config.domains.keys()].join(", ")})`,
    );
  }
  const interfaces = (): string[] => Deno.networkInterfaces().map(({ address }) => address);
  const site = await gatherSite(config, { domain, addresses, interfaces });
  if (call.flags.has("check")) return checkReport(domain, await compare(config, site), call.isJson);
  const sections = sectionsOf(site);
  const text = call.isJson ? JSON.stringify(recordsOf(sections).map(asJson), null, 2) : zoneText(domain, sections);
  return { text, exitCode: OK };
}

/** Private addresses are refused: nobody elsewhere could use a record of one. */
function namedAddresses(flag: string | true | undefined): readonly string[] | undefined {
  if (typeof flag !== "string") return undefined;
  const texts = flag.split(",").map((text) => text.trim()).filter((text) => text !== "");
  const found = texts.map((text) => publicAddresses([text]));
  const strange = texts.filter((_, i) => found[i]?.length === 0);
  if (strange.length > 0 || texts.length === 0) {
    throw new CommandError(DATA_ERROR, `--address: "${strange.join(", ")}" is no address that others can reach`);
  }
  return publicAddresses(texts);
}

async function compare(config: Config, site: Site): Promise<readonly Finding[]> {
  const logger = getLogger(["posthorn", "dns"]);
  const { resolver, isTrusted } = await makeResolver({ config, io: processIo, clock: systemClock, logger });
  const signal = AbortSignal.timeout(CHECK_LIMIT_MS);
  const spf: SpfQuestion = (identity, domain, ip) =>
    checkSpf({
      identity,
      ip,
      helo: identity === "helo" ? domain : config.hostname,
      reversePath: identity === "helo" ? "" : `postmaster@${domain}`,
      receiver: config.hostname,
      resolver,
      clock: systemClock,
      signal,
    });
  const fetchPolicy = makeStsFetch({ resolver, clock: systemClock });
  return await checkRecords({ site, resolver, isTrusted, checkSpf: spf, fetchPolicy, signal });
}

function asJson(record: PublishedRecord): Record<string, unknown> {
  const strings = record.type === "TXT" ? { strings: textStrings(record.value) } : {};
  return { ...record, ...strings, line: zoneLine(record) };
}
