/** Puts the parts of reports together, as far as they are switched on. Without any, the state database is never opened. */

import type { Config } from "../config/config.ts";
import type { DeliveryRequest, DeliveryTarget } from "../delivery/target.ts";
import type { TlsTally } from "../delivery/remote/tls_tally.ts";
import type { Resolver } from "../dns/resolver.ts";
import type { Logger } from "../log/logger.ts";
import { foldAddress } from "../mail/fold.ts";
import { normalizeDomain } from "../mail/mailbox.ts";
import type { DmarcCollector } from "../reports/dmarc/collector.ts";
import { sendDmarcReports } from "../reports/dmarc/send.ts";
import { type IntakeOptions, takeIn } from "../reports/received/intake.ts";
import { ReportWatch } from "../reports/received/watch.ts";
import type { ReportRun } from "../admin/protocol.ts";
import type { Spool } from "../queue/spool.ts";
import { ReportService } from "../reports/report_service.ts";
import { settleDoubts } from "../reports/send_once.ts";
import { queueSubmit, type SubmitOptions } from "../reports/submit.ts";
import { sendTlsReports } from "../reports/tls/send.ts";
import { MIGRATIONS } from "../state/schema.ts";
import { StateDatabase } from "../state/state_database.ts";
import type { Clock } from "../system/clock.ts";

/** What reports are made with. */
export interface ReportSystemOptions {
  /** As it was at the start: what is switched on changes with a restart. */
  readonly config: Config;
  /** The time. */
  readonly clock: Clock;
  /** Of reports. */
  readonly logger: Logger;
  /** For the records of other domains. */
  readonly resolver: Resolver;
  /** Counts TLS with other servers. */
  readonly tlsTally: TlsTally;
  /** Takes the reports that are sent. */
  readonly queue: Pick<SubmitOptions, "enqueue" | "sign"> & { readonly spool: Pick<Spool, "receive" | "load"> };
  /** Fills an array with unpredictable octets. */
  readonly randomOctets: (into: Uint8Array<ArrayBuffer>) => void;
}

/** Reports in a running server. */
export interface ReportSystem extends AsyncDisposable {
  /** Wants to know what became of received mail; absent: it does not. */
  readonly dmarc: DmarcCollector | undefined;
  /** Whether a recipient is an address of reports. */
  isForReports(request: Pick<DeliveryRequest, "recipients">): boolean;
  /** Delivers, and looks into mail that came for the addresses of reports. */
  watching(deliver: DeliveryTarget["deliver"]): DeliveryTarget["deliver"];
  /** Sends what is due of earlier days at once. Waits a minute at most; undefined where no reports are sent. */
  readonly sendNow: (() => Promise<ReportRun>) | undefined;
}

/** An operator waits for so long. */
const RUN_WAIT_MS = 60_000;

/** Opens what is switched on, and starts it. At least one thing must be. */
export async function startReports(options: ReportSystemOptions): Promise<ReportSystem> {
  const { config, clock, logger, tlsTally } = options;
  const { dmarc, tls, receive, keepMs } = config.reports;
  const state = await openState(config, clock, logger);
  await settleDoubts(state, async (queueId) => await options.queue.spool.load(queueId) !== undefined);
  const submit = queueSubmit({ ...options.queue, clock, hostname: config.hostname });
  const sender = { ...config.reports, hostname: config.hostname };
  const sending = { ...options, submit, state, fetch, breathe, sender };
  const service = new ReportService({
    state,
    clock,
    logger,
    random: Math.random,
    keepMs: () => keepMs,
    breathe,
    ...(dmarc.send && { sendDmarc: (today, signal) => sendDmarcReports(sending, today, signal) }),
    ...(tls.send && {
      tls: { tally: tlsTally, send: (today: string, signal: AbortSignal) => sendTlsReports(sending, today, signal) },
    }),
  });
  const intake = intakeOptions(config, state, clock);
  const watch = new ReportWatch({
    addresses: new Set(receive.map(foldAddress)),
    takeIn: (octets) => takeIn(octets, intake),
    logger,
  });
  service.start();
  return {
    dmarc: service.dmarc,
    isForReports: ({ recipients }) => recipients.some((recipient) => watch.isForReports(recipient)),
    watching: (deliver) => receive.length === 0 ? deliver : watch.watching(deliver),
    sendNow: dmarc.send || tls.send ? () => waitForRun(service, clock) : undefined,
    [Symbol.asyncDispose]: async (): Promise<void> => {
      await watch[Symbol.asyncDispose]();
      await service[Symbol.asyncDispose]();
      state[Symbol.dispose]();
    },
  };
}

async function waitForRun(service: ReportService, clock: Clock): Promise<ReportRun> {
  const timer = new AbortController();
  const run = service.sendNow();
  const late = clock.sleep(RUN_WAIT_MS, timer.signal).then(() => undefined, () => undefined);
  const outcomes = await Promise.race([run, late]).finally(() => timer.abort());
  // What is late goes on, and the log says how it ends.
  run.catch(() => {});
  return { isFinished: outcomes !== undefined, outcomes: outcomes ?? [] };
}

/** Lets the event loop do something else. */
function breathe(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve));
}

/** Opens the state database. */
export function openState({ data }: Config, clock: Clock, logger: Logger): Promise<StateDatabase> {
  return StateDatabase.open({ path: `${data}/state.db`, migrations: MIGRATIONS, clock, logger });
}

/**
 * How reports are taken in: those on our domains, and what is below or above them. Reports on TLS under DANE are about the name
 * of the MX host, and mail without a sender comes in the name of our host.
 */
export function intakeOptions(
  { domains, hostname }: Pick<Config, "domains" | "hostname">,
  state: StateDatabase,
  clock: Clock,
): IntakeOptions {
  const names = [...domains.keys(), hostname];
  return {
    state,
    now: () => clock.now(),
    breathe,
    isOurs: (domain) =>
      normalizeDomain(domain) === domain &&
      names.some((name) => name === domain || domain.endsWith(`.${name}`) || name.endsWith(`.${domain}`)),
  };
}
