/** `posthorn dkim`: the keys that sign mail, and the records that publish them. */

import { dirname } from "node:path";
import type { Config } from "../config/config.ts";
import { loadConfig } from "../config/load.ts";
import type { Logger } from "../log/logger.ts";
import { normalizeDomain } from "../mail/mailbox.ts";
import { createDkimKeys, dkimKeyPath, dkimPair, dkimRecord, listDkimSelectors } from "../msgauth/dkim/key.ts";
import { DkimKeyError } from "../msgauth/dkim/key_error.ts";
import { systemFiles } from "../system/files.ts";
import { CANNOT_CREATE, DATA_ERROR } from "../system/sysexits.ts";
import { giveFoldersToUser, giveToUser } from "./become_user.ts";
import { CommandError } from "./command_error.ts";
import { UsageError } from "./command_line.ts";
import { processIo } from "./find_config.ts";

/** Makes the keys that the configuration names and that are not there yet; the log says what to publish. */
export async function makeMissingKeys(config: Config, logger: Logger): Promise<void> {
  const folder = keysFolder(config);
  for (const { name: domain, dkim } of config.domains.values()) {
    const existing = await listDkimSelectors(folder, domain, systemFiles);
    for (const selector of dkim) {
      if (dkimPair(selector.toLowerCase()).every((name) => existing.includes(name))) continue;
      for (const made of await createDkimKeys(folder, { domain, selector }, systemFiles)) {
        const path = dkimKeyPath(folder, made);
        logger.info("Made DKIM key {path}; `posthorn dkim list {domain}` prints the record to publish", {
          path,
          domain,
        });
      }
    }
  }
}

/** The same in a running server: keys that cannot be made are an error in the log, and the server goes on. */
export async function makeKeysOnReload(config: Config, logger: Logger): Promise<void> {
  try {
    await makeMissingKeys(config, logger);
  } catch (error) {
    logger.error("Cannot make the DKIM keys that are new in the configuration: {error}", {
      error: error instanceof Error ? error.message : String(error),
    });
  }
}

/**
 * Carries out `dkim create DOMAIN [SELECTOR]` and `dkim list DOMAIN [SELECTOR]`. A selector means the pair of its keys.
 *
 * @returns Zone file lines.
 */
export async function dkim(file: string, words: readonly string[]): Promise<string> {
  const [action, rawDomain, rawSelector, ...more] = words;
  if (rawDomain === undefined || more.length > 0) throw new UsageError("dkim create|list DOMAIN [SELECTOR]");
  const config = await loadConfig(file, processIo);
  const domain = normalizeDomain(rawDomain);
  if (domain === undefined || !config.domains.has(domain)) {
    const ours = [...config.domains.keys()].join(", ");
    throw new CommandError(DATA_ERROR, `"${rawDomain}" is none of our domains (${ours})`);
  }
  switch (action) {
    case "create":
      return await create(config, domain, rawSelector ?? `s${new Date().getFullYear()}`);
    case "list":
      return await list(config, domain, rawSelector);
    default:
      throw new UsageError(`unknown action "${action}": dkim create|list DOMAIN [SELECTOR]`);
  }
}

async function create(config: Config, domain: string, selector: string): Promise<string> {
  checkSelector(config, domain, selector);
  try {
    const folder = keysFolder(config);
    for (const made of await createDkimKeys(folder, { domain, selector }, systemFiles)) {
      const path = dkimKeyPath(folder, made);
      await giveToUser(path, config);
      await giveFoldersToUser([config.data, folder, dirname(dirname(path)), dirname(path)], config);
    }
    return await list(config, domain, selector);
  } catch (error) {
    if (error instanceof DkimKeyError) throw new CommandError(CANNOT_CREATE, error.message, { cause: error });
    throw error;
  }
}

/** A selector that is no DNS name is a mistake of the command line, not of the disk. */
function checkSelector(config: Config, domain: string, selector: string): void {
  try {
    for (const name of dkimPair(selector)) dkimKeyPath(keysFolder(config), { domain, selector: name });
  } catch (error) {
    if (error instanceof DkimKeyError) throw new CommandError(DATA_ERROR, error.message, { cause: error });
    throw error;
  }
}

async function list(config: Config, domain: string, only: string | undefined): Promise<string> {
  const all = await listDkimSelectors(keysFolder(config), domain, systemFiles);
  const selectors = all.filter((name) => only === undefined || dkimPair(only.toLowerCase()).includes(name));
  const lines: string[] = [];
  for (const selector of selectors) lines.push(await record(config, domain, selector));
  return lines.join("\n");
}

async function record(config: Config, domain: string, selector: string): Promise<string> {
  const name = { domain, selector };
  return dkimRecord(name, await Deno.readTextFile(dkimKeyPath(keysFolder(config), name)));
}

function keysFolder({ data }: Config): string {
  return `${data}/keys`;
}
