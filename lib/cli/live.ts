/** What the configuration means to a running server; a reload replaces it as a whole, or not at all. */

import { loadAccounts } from "../config/accounts.ts";
import type { Account, Config, QuotaLimits } from "../config/config.ts";
import { ConfigError } from "../config/errors.ts";
import { loadConfig } from "../config/load.ts";
import type { ConfigIo } from "../config/source.ts";
import { effectiveLimits } from "../delivery/quota/limits.ts";
import type { Logger } from "../log/logger.ts";
import type { Settings } from "../inbound/services.ts";
import { relayBlocks } from "../policy/relay.ts";
import type { Forwarding } from "../routing/forwarding.ts";
import { createRouter, type Router } from "../routing/router.ts";
import { SrsKeyError, srsSecrets } from "../routing/srs/keys.ts";
import { createSrs } from "../routing/srs/srs.ts";
import { accountsWithoutVerifier } from "../sasl/scram/verifier.ts";
import type { Clock } from "../system/clock.ts";
import type { Files } from "../system/files.ts";
import { CertificateError } from "../tls/certificate_error.ts";
import { type Certificates, loadCertificates } from "../tls/certificates.ts";
import { ensureSelfSigned } from "../tls/self_signed_files.ts";
import { routingHints } from "./routing_hints.ts";
import { fileStamp, StampingIo } from "./watched_files.ts";

/** One reading of configuration, accounts and certificates. */
export interface Live {
  /** As read, with defaults filled in and paths made absolute. */
  readonly config: Config;
  /** Made from this configuration and the accounts file together. */
  readonly router: Router;
  /** How much the mailbox of an account, named by its canonical address, may hold; undefined: any amount. */
  readonly limitsOf: (account: string) => QuotaLimits | undefined;
  /** In the order of the file. */
  readonly accounts: readonly Account[];
  /** The files that accounts and aliases were read from, and what they looked like just before (`fileStamp`). */
  readonly watchedFiles: ReadonlyMap<string, string>;
  /** Of all accounts that have one. */
  readonly passwordHashes: readonly string[];
  /** SCRAM verifiers of all accounts that have one. */
  readonly scramVerifiers: readonly string[];
  /** False where there was no accounts file. */
  readonly hasAccounts: boolean;
  /** Whether all accounts that have a password can log in with SCRAM, too. */
  readonly canScram: boolean;
  /** Those read at the start with the rights of root; a reload reads them again. */
  readonly certificates: Certificates;
  /** What a new session takes; old sessions keep theirs. */
  readonly settings: Settings;
}

/** What reading needs. */
export interface LiveOptions {
  /** The configuration file, as it was named. */
  readonly file: string;
  /** Reads the configuration, accounts, certificates and what `!file` names. */
  readonly io: ConfigIo;
  /** Writes the self-signed certificate and the secret of rewritten senders, where they are made. */
  readonly files: Files;
  /** Whether a certificate or a rewritten sender is valid is judged by its wall clock. */
  readonly clock: Clock;
  /** Warns of certificates that expire. */
  readonly logger: Logger;
  /** Tells what keeps accounts, aliases and forwards from working as they were meant; absent: `logger` does. */
  readonly accountsLogger?: Logger;
}

/**
 * Reads what belongs to a configuration: accounts and certificates.
 *
 * @param certificates Where they were read before, with the rights of root.
 * @throws {ConfigError} For the accounts and the secrets of rewritten senders.
 * @throws {CertificateError} For a certificate or its key.
 */
export async function loadLive(config: Config, options: LiveOptions, certificates?: Certificates): Promise<Live> {
  const live = await assemble(
    { config, stamps: new Map() },
    options,
    () => certificates ?? readCertificates(config, options),
  );
  return logHints(live, options);
}

/**
 * Reads everything again. Certificates that could be read as root only stay in use as they are.
 *
 * @throws {ConfigError | CertificateError} As {@linkcode loadLive}; also for the configuration, and where the accounts
 * file is gone.
 */
export async function reloadLive(options: LiveOptions, old: Live): Promise<Live> {
  const io = new StampingIo(options.io, options.files);
  const config = await loadConfig(options.file, io);
  const live = await assemble({ config, stamps: io.stamps }, options, async () => {
    try {
      return await readCertificates(config, options, old.certificates);
    } catch (error) {
      const isUnchanged = tlsFilesOf(config) === tlsFilesOf(old.config);
      if (!(error instanceof CertificateError && error.cause instanceof Deno.errors.PermissionDenied && isUnchanged)) {
        throw error;
      }
      options.logger.warning("{reason}; those read at the start stay in use: a renewed one needs a restart", {
        reason: error.message,
      });
      return old.certificates;
    }
  });
  return logHints(stillWithAccounts(live, old), options);
}

/**
 * Reads the accounts again, and the aliases where a file that they include has changed. All else stays as it is.
 *
 * @throws {ConfigError} For the accounts; also where their file is gone, or empty as it is while an editor writes it anew.
 * Where an included file has changed, for the configuration, too.
 */
export async function reloadAccounts(options: LiveOptions, old: Live): Promise<Live> {
  const { config, stamps } = await withNewAliases(old, options);
  const read = await readAccounts(config, options, stamps);
  const live = stillWithAccounts({ ...old, config, ...read, settings: { ...old.settings, router: read.router } }, old);
  const { accountsFile: file } = config;
  if (live.accounts.length > 0 || old.accounts.length === 0 || (await options.io.readText(file)).trim() !== "") {
    return logHints(live, options, old);
  }
  const message = `the accounts file is empty; "{}" in it says that there are no mailboxes any more`;
  throw new ConfigError([{ file, line: 1, column: 1, message }]);
}

/** The configuration, and what the files that it includes looked like just before they were read. */
interface StampedConfig {
  readonly config: Config;
  readonly stamps: ReadonlyMap<string, string>;
}

async function withNewAliases({ config, watchedFiles }: Live, options: LiveOptions): Promise<StampedConfig> {
  for (const path of config.includeFiles) {
    if (await fileStamp(options.files, path) === watchedFiles.get(path)) continue;
    const io = new StampingIo(options.io, options.files);
    const { aliases, includeFiles } = await loadConfig(options.file, io);
    return { config: { ...config, aliases, includeFiles }, stamps: io.stamps };
  }
  return { config, stamps: watchedFiles };
}

function stillWithAccounts(live: Live, old: Live): Live {
  if (live.hasAccounts || !old.hasAccounts) return live;
  // Without it every mailbox would be unknown, and what waits for them in the queue would bounce.
  const message = "cannot read the accounts file: no such file; it was there before";
  throw new ConfigError([{ file: live.config.accountsFile, line: 1, column: 1, message }]);
}

/** More lines than these would hide others; `posthorn check` prints them all. */
const MAX_HINTS = 20;

async function assemble(
  { config, stamps }: StampedConfig,
  options: LiveOptions,
  certificates: () => Certificates | Promise<Certificates>,
): Promise<Live> {
  const read = await readAccounts(config, options, stamps);
  return {
    config,
    ...read,
    certificates: await certificates(),
    settings: {
      hostname: config.hostname,
      router: read.router,
      xclientFrom: relayBlocks(config.xclientFrom),
      binaryMime: config.binaryMime,
      relayFrom: relayBlocks(config.relayFrom),
      mx: config.mx,
      submission: config.submission,
      limits: config.limits,
    },
  };
}

/** Looks limits up in memory: they are asked for at each recipient and delivery. */
function limitsOf({ octets, messages }: QuotaLimits, accounts: readonly Account[]): Live["limitsOf"] {
  const defaults = { ...(octets !== undefined && { octets }), ...(messages !== undefined && { messages }) };
  const usual = effectiveLimits(defaults);
  const own = new Map<string, QuotaLimits | undefined>();
  for (const { address, quota } of accounts) {
    if (quota !== undefined) own.set(address, effectiveLimits(defaults, quota));
  }
  return (account) => own.has(account) ? own.get(account) : usual;
}

/**
 * What depends on the accounts. All files that are read here are watched for changes from then on, and those that the
 * configuration includes.
 *
 * @param stamps Of included files, where they are known.
 */
async function readAccounts(
  config: Config,
  options: LiveOptions,
  stamps: ReadonlyMap<string, string>,
): Promise<Omit<Live, "config" | "certificates" | "settings">> {
  const { io, files } = options;
  const stamping = new StampingIo(io, files);
  const found = await loadAccounts(config, stamping);
  const accounts = found ?? [];
  const watchedFiles = new Map(stamping.stamps);
  for (const path of config.includeFiles) watchedFiles.set(path, stamps.get(path) ?? await fileStamp(files, path));
  const router = createRouter(config, accounts, await readForwarding(config, options));
  return {
    router,
    limitsOf: limitsOf(config.mailboxes.quota, accounts),
    accounts,
    watchedFiles,
    passwordHashes: accounts.flatMap(({ passwordHash }) => passwordHash ?? []),
    scramVerifiers: accounts.flatMap(({ scram }) => scram ?? []),
    hasAccounts: found !== undefined,
    canScram: accountsWithoutVerifier(accounts).length === 0,
  };
}

/** Says what is most likely a mistake in what is used from now on; @param old What was said of this is not said again. */
function logHints(live: Live, { logger: usual, accountsLogger: logger = usual }: LiveOptions, old?: Live): Live {
  const scram = scramGap(live.config, live.accounts);
  const isNews = old === undefined || scramGap(old.config, old.accounts) !== scram;
  if (scram !== undefined && isNews) logger.info("{note}", { note: scram });
  const known = new Set(old === undefined ? [] : hintsOf(old));
  const hints = hintsOf(live).filter((hint) => !known.has(hint));
  for (const hint of hints.slice(0, MAX_HINTS)) logger.warning("{hint}", { hint });
  const count = hints.length - MAX_HINTS;
  if (count > 0) logger.warning("{count} more of this kind: `posthorn check` prints them all", { count });
  return live;
}

/** Before there are accounts everything would lead nowhere. */
function hintsOf({ router, hasAccounts }: Live): readonly string[] {
  return hasAccounts ? routingHints(router) : [];
}

/**
 * Reads the secrets of rewritten senders.
 *
 * @param options `isMade`: make one where there is none; default: where senders are rewritten.
 * @returns Undefined where there are none.
 * @throws {ConfigError} They cannot be used.
 */
export async function readForwarding(
  { data, forwarding: { srs: isOn, domain, maxAgeMs } }: Config,
  options: Pick<LiveOptions, "files" | "clock" | "logger" | "accountsLogger"> & { readonly isMade?: boolean },
): Promise<Forwarding | undefined> {
  const { files, clock, accountsLogger: logger = options.logger, isMade = isOn } = options;
  const file = `${data}/keys/srs`;
  try {
    const secrets = await srsSecrets({ file, isMade, files, randomOctets, logger });
    if (secrets.length === 0) return undefined;
    const srs = createSrs({ secrets, now: () => clock.now(), maxAgeMs });
    return { srs, isOn, ...(domain === undefined ? {} : { domain }) };
  } catch (error) {
    if (!(error instanceof SrsKeyError)) throw error;
    throw new ConfigError([{ file, line: 1, column: 1, message: error.message }], { cause: error });
  }
}

function randomOctets(into: Uint8Array<ArrayBuffer>): void {
  crypto.getRandomValues(into);
}

/** The files that certificates are read from, to compare two readings of the configuration. */
function tlsFilesOf({ certificates, clientCa = "" }: Config): string {
  return JSON.stringify([certificates, clientCa]);
}

/** Reads the certificates of the configuration; without any, makes a self-signed one where there is none yet. */
export async function readCertificates(
  config: Config,
  { io, files, clock, logger }: LiveOptions,
  previous?: Certificates,
): Promise<Certificates> {
  const nowMs = clock.now();
  const read = io.readText;
  const [first, ...others] = config.certificates;
  const selfSigned = { folder: `${config.data}/keys`, hostname: config.hostname, nowMs, files, read, logger };
  const now = (): number => clock.now();
  const options = { read, clientCa: config.clientCa, previous, now, logger };
  return await loadCertificates([first ?? await ensureSelfSigned(selfSigned), ...others], options);
}

/** Says why SCRAM is not offered, where it is the fault of accounts; undefined where it is not. */
export function scramGap({ auth }: Config, accounts: readonly Account[]): string | undefined {
  const [first, ...others] = accountsWithoutVerifier(accounts);
  const { mechanisms, dovecot } = auth;
  if (first === undefined || dovecot !== undefined || mechanisms?.some((name) => name.startsWith("SCRAM-")) === false) {
    return undefined;
  }
  const who = others.length === 0 ? `${first.address} has` : `${first.address} and ${others.length} more have`;
  return `SCRAM is not offered: ${who} no usable SCRAM verifier; \`posthorn user password\` makes it`;
}
