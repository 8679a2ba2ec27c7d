/** `posthorn check`: every error of the configuration, the accounts and the certificates. */

import { loadAccounts } from "../config/accounts.ts";
import { loadConfig } from "../config/load.ts";
import { getLogger } from "@logtape/logtape";
import { createRouter } from "../routing/router.ts";
import { systemClock } from "../system/clock.ts";
import { systemFiles } from "../system/files.ts";
import { loadCertificates, loadClientAuthorities } from "../tls/certificates.ts";
import { policyGaps } from "./dns/policy_gaps.ts";
import { findOwnUser } from "./become_user.ts";
import { processIo } from "./find_config.ts";
import { readForwarding, scramGap } from "./live.ts";
import { routingHints } from "./routing_hints.ts";

/**
 * Reads all that `serve` reads, and changes nothing.
 *
 * @returns A sentence for people.
 * @throws {ConfigError | CertificateError | PrivilegeError} For what is wrong.
 */
export async function check(file: string): Promise<string> {
  const config = await loadConfig(file, processIo);
  await findOwnUser(config);
  const accounts = await loadAccounts(config, processIo);
  const options = { read: processIo.readText, now: Date.now };
  const [first, ...others] = config.certificates;
  const certificates = first === undefined
    ? undefined
    : await loadCertificates([first, ...others], { ...options, logger: getLogger(["posthorn", "tls"]) });
  if (config.clientCa !== undefined) await loadClientAuthorities(config.clientCa, options);
  await readForwarding(config, {
    files: systemFiles,
    clock: systemClock,
    logger: getLogger(["posthorn"]),
    isMade: false,
  });
  const hint = accounts === undefined ? "; no accounts file yet: `posthorn user add ADDRESS` makes it" : "";
  const gap = scramGap(config, accounts ?? []);
  // Before the first account everything would lead nowhere.
  const hints = accounts === undefined ? [] : routingHints(createRouter(config, accounts));
  return `${file} is right: ${config.domains.size} domain(s), ${accounts?.length ?? 0} account(s), ` +
    `${config.listeners.length} listener(s)${hint}${
      [...gap === undefined ? [] : [gap], ...policyGaps(config, certificates), ...hints].map((line) => `\n${line}`)
        .join("")
    }`;
}
