/** Puts the parts of a running server together: from accepted connections over the queue to the next hop. */

import type { Logger } from "../log/logger.ts";
import { forwarded } from "../delivery/forwarded.ts";
import { MaildirTarget } from "../delivery/maildir.ts";
import { type Filing, quarantineFiling, subaddressFiling } from "../delivery/mailbox/filing.ts";
import { MailboxQuotas } from "../delivery/quota/mailbox_quotas.ts";
import { MtaSts } from "../delivery/remote/mta_sts.ts";
import { makeStsFetch } from "../delivery/remote/mta_sts_fetch.ts";
import { StsStore } from "../delivery/remote/mta_sts_store.ts";
import { RemoteTarget } from "../delivery/remote/remote_target.ts";
import type { TlsResults } from "../delivery/remote/tls_results.ts";
import { TlsTally } from "../delivery/remote/tls_tally.ts";
import type { DeliveryRequest } from "../delivery/target.ts";
import { WebhookTarget } from "../delivery/webhook/webhook_target.ts";
import type { Resolver } from "../dns/resolver.ts";
import type { Config } from "../config/config.ts";
import type { ConfigIo } from "../config/source.ts";
import { HANDSHAKE_TIMEOUT_MS } from "../inbound/bind.ts";
import { SharedMemory } from "../inbound/header_window.ts";
import { InboundServer } from "../inbound/server.ts";
import { domainOf } from "../mail/mailbox.ts";
import type { Outcome } from "../mail/outcome.ts";
import { directDelivery, type OpenMailbox } from "../queue/direct_delivery.ts";
import { limitsByRules } from "../queue/destination_rules.ts";
import { openFileSpool } from "../queue/file_spool.ts";
import type { QueueControl } from "../queue/queue_control.ts";
import { openSuspensions } from "../queue/suspensions.ts";
import { RateLimit } from "../policy/rate_limit.ts";
import { queueSubmit } from "../reports/submit.ts";
import { dsnReporter } from "../queue/reporter.ts";
import { SteadyClock } from "../queue/steady_clock.ts";
import type { QueueSettings } from "../queue/queue_settings.ts";
import { QueueRunner } from "../queue/runner.ts";
import { openBulkReader } from "../system/bulk_reader.ts";
import type { Clock } from "../system/clock.ts";
import type { Room } from "../system/disk_space.ts";
import { EndOfTurn } from "../system/end_of_turn.ts";
import type { Files } from "../system/files.ts";
import { FolderSync } from "../system/folder_sync.ts";
import { openSocketTurn } from "../system/socket_turn.ts";
import { canJudgePeers } from "../tls/peer_chain.ts";
import { canUpgradeServer, upgradeServer } from "../tls/server_tls.ts";
import { MailAuthentication } from "./authentication.ts";
import type { Live } from "./live.ts";
import { makeLogins } from "./logins.ts";
import { openReports, type ReportSystem } from "./report_system.ts";
import { diskRooms } from "./disk_rooms.ts";
import { isOwnAddress } from "./own_addresses.ts";
import { makeResolver } from "./resolver.ts";

/** What the parts are made from. */
export interface MailSystemOptions {
  /** The configuration now; a reload changes what it returns. */
  readonly live: () => Live;
  /** Reads the password files and the system's list of DNS servers. */
  readonly io: ConfigIo;
  /** Below it are spool and mailboxes. */
  readonly files: Files;
  /** Shared: all time limits and schedules follow it. */
  readonly clock: Clock;
  /** The logger of a part of the program, e.g. `queue`. */
  readonly logger: (part: string) => Logger;
}

/** A server that is ready to take connections. */
export interface MailSystem {
  /** Bound listeners are handed to its `serve`. */
  readonly inbound: InboundServer;
  /** Delivers nothing before its `start`. */
  readonly queue: QueueRunner;
  /** Reports on mail and TLS (RFC 7489, RFC 8460); undefined: none are sent or received. */
  readonly reports: ReportSystem | undefined;
  /** The queue as operators see it. */
  readonly control: QueueControl;
  /** Whether an operator wants no new mail to be taken; may be set. */
  readonly drain: { isDraining: boolean };
  /** Takes a new configuration to the parts that keep some of it. */
  update(config: Config): void;
  /** Takes it to the checks and signatures, once the keys that it names are there. */
  updateAuthentication(config: Config): void;
  /** Ends sessions and deliveries, waiting for what runs up to `graceMs`, and closes everything. */
  stop(graceMs: number): Promise<void>;
}

const randomOctets = (into: Uint8Array<ArrayBuffer>): void => void crypto.getRandomValues(into);

/** Opens the spool and makes all parts; nothing runs yet. */
export async function makeMailSystem(options: MailSystemOptions): Promise<MailSystem> {
  const { live, io, files, clock, logger } = options;
  const { config } = live();
  const spool = await openFileSpool({
    folder: `${config.data}/spool`,
    files,
    clock,
    logger: logger("spool"),
    randomOctets,
    processId: Deno.pid,
    openBulkReader,
    memoryOctets: MESSAGE_MEMORY_OCTETS,
  });
  const suspensions = await openSuspensions({
    folder: `${config.data}/spool`,
    files,
    clock,
    logger: logger("queue"),
  });
  const folderSync = new FolderSync(files);
  const rooms = diskRooms({ config: () => live().config, clock, logger: logger("disk") });
  const delivery = await makeDelivery(options, folderSync, rooms?.mail);
  const authentication = await MailAuthentication.start(config, {
    resolver: delivery.resolver,
    files,
    clock,
    logger: logger("dkim"),
    random: Math.random,
  });
  const reports = await openReports({
    config,
    clock,
    logger: logger("reports"),
    resolver: delivery.resolver,
    tlsTally: delivery.tlsTally,
    randomOctets,
    submit: queueSubmit({
      spool,
      clock,
      hostname: config.hostname,
      enqueue: (message) => queue.enqueue(message),
      sign: (content) => authentication.signOwn(content),
    }),
  });
  const deliver = reports?.watching(delivery.deliver) ?? delivery.deliver;
  // Ages are measured by it: a wall clock that is set wrong for a while must not give up all mail as too old.
  const steady = new SteadyClock({ clock, logger: logger("queue") });
  const queue: QueueRunner = new QueueRunner({
    spool,
    clock: steady,
    logger: logger("queue"),
    route: (address, history) => live().router.nextHop(address, history),
    destinationOf: (hop, signal) =>
      hop.kind === "maildir" || hop.kind === "webhook" ? hop.key : delivery.remote.destinationOf(hop, signal),
    deliver,
    reporter: dsnReporter({
      spool,
      clock: steady,
      hostname: config.hostname,
      randomOctets,
      expireAfterMs: () => live().config.queue.expireAfterMs,
      sign: (content) => authentication.signOwn(content),
      senderBehind: (address) => live().router.senderBehind(address),
      expand: (address) => live().router.reportTargets(address),
    }),
    suspensions,
    settings: queueSettings(config, clock),
    random: Math.random,
  });
  const logins = await makeLogins({ live, io, files, clock, logger: logger("login"), randomOctets, fetch });
  const socketTurn = await openSocketTurn().catch((error: Error) => {
    logger("smtp").warning("Clients that talk before the greeting are not noticed: {error}", { error: error.message });
    return undefined;
  });
  const drain = { isDraining: false };
  const stopping = new AbortController();
  const inbound = new InboundServer({
    endOfTurn: new EndOfTurn(),
    services: {
      isDraining: () => drain.isDraining,
      ...(rooms === undefined ? {} : { room: rooms.spool }),
      clock,
      logger: logger("smtp"),
      spool,
      rates: new RateLimit(clock),
      quotas: delivery.quotas,
      enqueue: (message) => queue.enqueue(message),
      authentication: () => ({
        ...authentication.current(),
        note: ({ findings, decision }, { clientAddress, reversePath }): void =>
          reports?.dmarc?.note({
            findings,
            clientAddress,
            envelopeFrom: domainOf(reversePath),
            disposition: decision.disposition,
            reasons: decision.override === undefined ? [] : [decision.override],
          }),
      }),
      headerMemory: new SharedMemory(HEADER_MEMORY_OCTETS),
      direct: directDelivery({
        route: (address, history) => live().router.nextHop(address, history),
        deliver,
        // What may be a report is read when it is there, from memory or the spool: it goes the usual way.
        openMailbox: async (request) => reports?.isForReports(request) ? undefined : await delivery.open(request),
        clock,
        logger: logger("queue"),
        signal: stopping.signal,
      }),
      flush: (domain, isTree) => queue.flush(domain, isTree),
      sasl: logins.sasl,
      startTls: (conn, requestsCertificate) =>
        upgradeServer(conn, live().certificates, { handshakeTimeoutMs: HANDSHAKE_TIMEOUT_MS, requestsCertificate }),
    },
    settings: () => live().settings,
    canStartTls: canUpgradeServer,
    ...(socketTurn === undefined ? {} : { socketTurn }),
  });
  return {
    inbound,
    queue,
    reports,
    control: queue.control,
    drain,
    update: (config) => {
      queue.update(queueSettings(config, clock));
      logins.update(config);
    },
    updateAuthentication: (config) => void authentication.update(config),
    stop: async (graceMs) => {
      await Promise.all([inbound.stop(graceMs), queue.drain(graceMs)]);
      stopping.abort(new Error("The server stops"));
      logins[Symbol.dispose]();
      authentication[Symbol.dispose]();
      socketTurn?.[Symbol.dispose]();
      await delivery[Symbol.asyncDispose]();
      await reports?.[Symbol.asyncDispose]();
      await folderSync[Symbol.asyncDispose]();
      await spool[Symbol.asyncDispose]();
    },
  };
}

/**
 * What checks find out stands in front of a message, and is known when all of it has passed: one that is still in memory then
 * goes straight into its mailbox, a longer one through the spool.
 */
const MESSAGE_MEMORY_OCTETS = 1024 * 1024;
/** For header sections of more than 64 KiB, of all sessions together. */
const HEADER_MEMORY_OCTETS = 32 * 1024 * 1024;

/** Puts what is quarantined into Junk, unless its header is to say so only. */
function inFolders({ live }: MailSystemOptions, filing: Filing): Filing {
  const junk = quarantineFiling(filing);
  return (message, recipient) =>
    live().config.msgauth.quarantine === "junk" ? junk(message, recipient) : filing(message, recipient);
}

interface Delivery extends AsyncDisposable {
  readonly resolver: Resolver;
  readonly quotas: MailboxQuotas;
  readonly remote: RemoteTarget;
  readonly tlsTally: TlsTally;
  deliver(request: DeliveryRequest): Promise<readonly Outcome[]>;
  readonly open: OpenMailbox;
}

async function makeDelivery(options: MailSystemOptions, folderSync: FolderSync, room?: Room): Promise<Delivery> {
  const { live, files, clock, logger } = options;
  const { config } = live();
  const quotas = new MailboxQuotas({
    mailRoot: `${config.data}/mail`,
    files,
    clock,
    logger: logger("maildir"),
    hostname: config.hostname,
    randomOctets,
    limitsOf: (account) => live().limitsOf(account),
    settings: () => live().config.mailboxes.quota,
  });
  const maildir = new MaildirTarget({
    quotas,
    mailRoot: `${config.data}/mail`,
    files,
    clock,
    hostname: config.hostname,
    pid: Deno.pid,
    folderSync,
    logger: logger("maildir"),
    lineEndings: () => live().config.mailboxes.lineEndings,
    ...(room === undefined ? {} : { room }),
    filing: inFolders(
      options,
      subaddressFiling({
        files,
        detailOf: (address) => {
          const { config, router } = live();
          return config.mailboxes.subaddressFolders ? router.detailOf(address) : undefined;
        },
      }),
    ),
    cleansTmp: true,
  });
  const webhook = new WebhookTarget({ fetch, clock, logger: logger("webhook") });
  const interfaces = (): string[] => Deno.networkInterfaces().map(({ address }) => address);
  const { resolver, isTrusted } = await makeResolver({ config, io: options.io, clock, logger: logger("dns") });
  const tlsTally = new TlsTally({ clock });
  const mtaSts = config.delivery.mtaSts ? makeMtaSts(options, resolver, tlsTally) : undefined;
  if (config.delivery.dane && isTrusted && !canJudgePeers) {
    logger("remote").warning("DANE needs Deno 2.8 or later: TLSA records of other servers are not looked at");
  }
  const remote = new RemoteTarget({
    resolver,
    hostname: config.hostname,
    clock,
    random: Math.random,
    logger: logger("remote"),
    tls: config.delivery.tls,
    usesDane: config.delivery.dane && isTrusted,
    ...(mtaSts === undefined ? {} : { mtaSts }),
    results: tlsTally,
    ipv6: config.delivery.ipv6,
    ...(config.delivery.source && { source: config.delivery.source }),
    ownAddresses: interfaces,
    pool: { maxTransactions: config.delivery.connectionMessages, idleMs: config.delivery.connectionIdleMs },
    isOwnAddress: (host, port) => isOwnAddress(live().config.listeners, interfaces, host, port),
  });
  return {
    resolver,
    quotas,
    remote,
    tlsTally,
    deliver: forwarded((request) => {
      const { hop } = request;
      if (hop.kind === "maildir") return maildir.deliver({ ...request, hop });
      return hop.kind === "webhook" ? webhook.deliver({ ...request, hop }) : remote.deliver({ ...request, hop });
    }, logger("queue")),
    open: async (request) => {
      const { hop } = request;
      return hop.kind === "maildir" ? await maildir.open({ ...request, hop }) : undefined;
    },
    [Symbol.asyncDispose]: async (): Promise<void> => {
      await maildir[Symbol.asyncDispose]();
      await mtaSts?.[Symbol.asyncDispose]();
      await remote[Symbol.asyncDispose]();
    },
  };
}

function makeMtaSts(
  { live, files, clock, logger }: MailSystemOptions,
  resolver: Resolver,
  results: TlsResults,
): MtaSts {
  const log = logger("remote");
  const store = new StsStore({ files, folder: `${live().config.data}/mta-sts`, logger: log });
  return new MtaSts({ resolver, fetch: makeStsFetch({ resolver, clock }), store, clock, logger: log, results });
}

function queueSettings({ queue, delivery, destinations }: Config, clock: Clock): QueueSettings {
  const { concurrency, perDestination } = delivery;
  return {
    ...queue,
    concurrency,
    limitsOf: (name) => ({
      ...limitsByRules(destinations, perDestination, name, clock.now()),
      // Who wants one message tried again so soon does not want all of them to wait for longer.
      ...(queue.retryMs[0] !== undefined && { firstPauseMs: queue.retryMs[0] }),
      longestPauseMs: Math.max(...queue.retryMs),
    }),
  };
}
