/** `posthorn serve`: from the configuration to a running server, and to its end. */

import { getLogger } from "@logtape/logtape";
import { makeApi } from "../admin/api.ts";
import { AdminServer } from "../admin/server.ts";
import type { Config, ListenerConfig } from "../config/config.ts";
import { loadConfig } from "../config/load.ts";
import { bindListener, type BoundListener, formatBind } from "../inbound/bind.ts";
import type { Logger } from "../log/logger.ts";
import { startLog } from "../log/setup.ts";
import { systemClock } from "../system/clock.ts";
import { type Files, systemFiles } from "../system/files.ts";
import { LocalFolders, systemFileSystemType } from "../system/local_folders.ts";
import { blockingCalls, quickFiles } from "../system/quick_files.ts";
import type { Certificates } from "../tls/certificates.ts";
import { canUpgradeServer } from "../tls/server_tls.ts";
import type { WebServer } from "../web/server.ts";
import { watchAccounts } from "./accounts_watch.ts";
import { becomeUser, giveDataFolder } from "./become_user.ts";
import { watchCertificates } from "./certificate_watch.ts";
import { makeKeysOnReload, makeMissingKeys } from "./dkim_keys.ts";
import { processIo } from "./find_config.ts";
import { type Live, type LiveOptions, loadLive, readCertificates, reloadLive } from "./live.ts";
import { type MailSystem, makeMailSystem } from "./mail_system.ts";
import { openWeb } from "./optional_parts.ts";
import { makeFirstMailbox, quickStartText } from "./quick_start.ts";
import { VERSION } from "./version.ts";

/** Running sessions and deliveries get this long at the end. With what aborted deliveries take, it stays below 10 s. */
const GRACE_MS = 3_000;

const logger = (part: string): Logger => getLogger(["posthorn", part]);

/** Quick on the disks of this machine. */
function filesOfMachine(): Files {
  const folders = new LocalFolders({ readType: systemFileSystemType, clock: systemClock });
  return quickFiles({
    files: systemFiles,
    calls: blockingCalls,
    clock: systemClock,
    isLocal: (folder) => folders.isLocal(folder),
  });
}

/**
 * Runs the server until SIGTERM or SIGINT.
 *
 * @param file The configuration.
 * @param print Takes what a person who starts it by hand wants to read.
 * @throws {ConfigError | CertificateError | BindError} Before anything runs.
 */
export async function serve(file: string, print: (text: string) => void): Promise<void> {
  const first = await loadConfig(file, processIo);
  await using log = startLog(first.log, Deno.stderr);
  const server = logger("server");
  server.info("posthorn {version} starts with {file}", { version: VERSION, file: first.file });
  const options: LiveOptions = {
    file,
    io: processIo,
    files: filesOfMachine(),
    clock: systemClock,
    logger: logger("tls"),
    accountsLogger: logger("accounts"),
  };
  const hangup = onHangup();
  await systemFiles.makeFolder(first.data, 0o700);
  await giveDataFolder(first);
  // Keys of a real site may be readable by root only. Old Deno needs a certificate to bind a socket for TLS.
  const isEarly = first.certificates.length > 0 || !canUpgradeServer;
  const early = isEarly ? await readCertificates(first, options) : undefined;
  let certificates = early;
  const listeners = await bindAll(first, () => bound(certificates), server);
  await becomeUser(first, server);
  const password = await makeFirstMailbox(first, processIo, systemFiles, systemClock);
  await makeMissingKeys(first, server);
  let live = await loadLive(first, options, early);
  certificates = live.certificates;
  const system = await makeMailSystem({ ...options, live: () => live, logger });
  const admin = await openAdmin(first, system, logger("admin"));
  const web = await openWeb(first.listeners, { clock: systemClock, logger: logger("web"), config: () => live.config });
  await writeProcessId(`${first.data}/posthorn.pid`, server);
  hangup.reload(async () => {
    const before = live;
    const next = await reloaded(options, before, system, server);
    // Where it failed, certificates that were renewed meanwhile stay.
    if (next !== before) {
      live = next;
      await makeKeysOnReload(next.config, server);
      system.updateAuthentication(next.config);
    }
    certificates = live.certificates;
    log.configure(live.config.log);
  });
  using _watch = watchRenewals(options, () => live, (renewed) => {
    live = { ...live, certificates: renewed };
    certificates = renewed;
  });
  using _accounts = watchMailboxes({ ...options, logger: logger("accounts") }, () => live, (read) => live = read);
  const greet = (): void => {
    const hint = quickStartText(live.config, password);
    if (hint !== undefined) print(hint);
  };
  await run({ system, admin, web }, listeners, server, greet);
  await Deno.remove(`${first.data}/posthorn.pid`).catch(() => {});
  server.info("posthorn stopped");
}

/** Answers operators' commands. Without it mail goes on all the same: whatever is wrong with the socket, the log says it. */
async function openAdmin(
  { admin: { socket } }: Config,
  { control, queue, drain, reports }: MailSystem,
  adminLogger: Logger,
): Promise<AsyncDisposable> {
  if (socket !== undefined) {
    const sendReports = reports?.sendNow;
    const size = (): typeof queue.size => queue.size;
    const api = makeApi({ control, size, drain, logger: adminLogger, ...(sendReports && { sendReports }) });
    try {
      return await AdminServer.open({ path: socket, api, clock: systemClock, logger: adminLogger });
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      adminLogger.error("{reason}; going on without: `posthorn queue` cannot change what the server works on", {
        reason,
      });
    }
  }
  return { [Symbol.asyncDispose]: () => Promise.resolve() };
}

/** Looks for renewed certificates until it is disposed of; where Deno cannot show them anyway, never. */
function watchRenewals(
  { files, io, clock, logger }: LiveOptions,
  live: () => Live,
  use: (certificates: Certificates) => void,
): Disposable {
  const end = new AbortController();
  if (canUpgradeServer) {
    watchCertificates({ live, use, files, read: io.readText, clock, logger }, end.signal);
  }
  return { [Symbol.dispose]: () => end.abort() };
}

/** Looks for changed accounts until it is disposed of. */
function watchMailboxes(options: LiveOptions, live: () => Live, use: (live: Live) => void): Disposable {
  const end = new AbortController();
  watchAccounts({ ...options, live, use }, end.signal);
  return { [Symbol.dispose]: () => end.abort() };
}

/** Takes SIGHUP from now on: passed over until there is something to do, and then one reload at a time, in order. */
function onHangup(): { reload(action: () => Promise<void>): void } {
  let action: (() => Promise<void>) | undefined;
  let last = Promise.resolve();
  Deno.addSignalListener("SIGHUP", () => {
    if (action !== undefined) last = last.then(action);
  });
  return { reload: (wanted) => action = wanted };
}

/** For scripts. A full disk must not keep the server from starting: delivering is what empties it. */
async function writeProcessId(file: string, server: Logger): Promise<void> {
  try {
    await Deno.writeTextFile(file, `${Deno.pid}\n`);
  } catch (error) {
    server.warning("Cannot write {file}, going on without: {error}", { file, error });
  }
}

/** What serves. */
interface Parts {
  readonly system: MailSystem;
  readonly admin: AsyncDisposable;
  readonly web: WebServer | undefined;
}

/** Serves until a signal ends it. */
async function run(
  { system, admin, web }: Parts,
  listeners: readonly BoundListener[],
  server: Logger,
  greet: () => void,
): Promise<void> {
  const end = Promise.withResolvers<string>();
  const onEnd = ["SIGTERM", "SIGINT"].map((name) => ({ name, handler: () => end.resolve(name) } as const));
  for (const { name, handler } of onEnd) Deno.addSignalListener(name as Deno.Signal, handler);
  try {
    for (const listener of listeners) {
      if (listener.config.service === "web") web?.serve(listener);
      else system.inbound.serve(listener);
      server.info("Listening on {address} for {service}", {
        address: formatBind(listener.config.bind),
        service: serviceText(listener.config),
      });
    }
    system.queue.start().catch((error) => server.error("Cannot start the queue: {error}", { error }));
    greet();
    const signal = await end.promise;
    server.info("{signal}: finishing what runs", { signal });
    await Promise.all([admin[Symbol.asyncDispose](), web?.[Symbol.asyncDispose]()]);
    await system.stop(GRACE_MS);
  } finally {
    for (const { name, handler } of onEnd) Deno.removeSignalListener(name as Deno.Signal, handler);
  }
}

async function bindAll(
  config: Config,
  certificates: () => Certificates,
  server: Logger,
): Promise<BoundListener[]> {
  const bound: BoundListener[] = [];
  try {
    for (const listener of config.listeners) bound.push(await bindListener(listener, certificates));
  } catch (error) {
    for (const listener of bound) listener.close();
    throw error;
  }
  if (!canUpgradeServer && config.listeners.some(({ tls }) => tls === "starttls")) {
    server.warning("STARTTLS is not offered: Deno {version} cannot do it, Deno 2.8 and later can", {
      version: Deno.version.deno,
    });
  }
  return bound;
}

/** No connection is accepted before the certificates are there. */
function bound(certificates: Certificates | undefined): Certificates {
  if (certificates === undefined) throw new TypeError("No certificates yet");
  return certificates;
}

function serviceText({ service, tls }: ListenerConfig): string {
  return tls === "implicit" ? `${service}, implicit TLS` : service;
}

/** Reads everything again; where something is wrong, all stays as it was. */
async function reloaded(options: LiveOptions, old: Live, system: MailSystem, server: Logger): Promise<Live> {
  try {
    const live = await reloadLive(options, old);
    system.update(live.config);
    for (const key of restartKeys(old.config, live.config)) {
      server.warning("The change of {key} takes effect after a restart", { key });
    }
    server.info("Configuration, accounts and certificates were read again");
    return live;
  } catch (error) {
    server.error("Cannot reload, everything stays as it was: {error}", {
      error: (error instanceof Error ? error.message : String(error)).replaceAll("\n", "; "),
    });
    return old;
  }
}

/** Keys that are looked at once, at the start. */
function restartKeys(old: Config, now: Config): string[] {
  const keys = ["hostname", "data", "user", "listeners", "dnsServers", "reports", "admin"] as const;
  const changed: string[] = keys.filter((key) => JSON.stringify(old[key]) !== JSON.stringify(now[key]));
  const delivery = {
    tls: "delivery.tls",
    ipv6: "delivery.ipv6",
    source: "delivery.source",
    connectionMessages: "delivery.connection_messages",
    connectionIdleMs: "delivery.connection_idle",
  } as const;
  for (const [key, name] of Object.entries(delivery) as [keyof typeof delivery, string][]) {
    if (JSON.stringify(old.delivery[key]) !== JSON.stringify(now.delivery[key])) changed.push(name);
  }
  return changed;
}
