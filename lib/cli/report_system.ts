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
import { ReportService } from "../reports/report_service.ts";
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
  readonly queue: Pick<SubmitOptions, "spool" | "enqueue" | "sign">;
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
}

/** Opens what is switched on, and starts it. At least one thing must be. */
export async function startReports(options: ReportSystemOptions): Promise<ReportSystem> {
  const { config, clock, logger, tlsTally } = options;
  const { dmarc, tls, receive, keepMs } = config.reports;
  const state = await openState(config, clock, logger);
  const submit = queueSubmit({ ...options.queue, clock, hostname: config.hostname });
  const sending = { ...options, submit, state, fetch, sender: { ...config.reports, hostname: config.hostname } };
  const service = new ReportService({
    state,
    clock,
    logger,
    random: Math.random,
    keepMs: () => keepMs,
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
    [Symbol.asyncDispose]: async (): Promise<void> => {
      await watch[Symbol.asyncDispose]();
      await service[Symbol.asyncDispose]();
      state[Symbol.dispose]();
    },
  };
}

/** Opens the state database. */
export function openState({ data }: Config, clock: Clock, logger: Logger): Promise<StateDatabase> {
  return StateDatabase.open({ path: `${data}/state.db`, migrations: MIGRATIONS, clock, logger });
}

/** How reports are taken in: those on our domains, and what is below or above them. */
export function intakeOptions({ domains }: Config, state: StateDatabase, clock: Clock): IntakeOptions {
  const names = [...domains.keys()];
  return {
    state,
    now: () => clock.now(),
    breathe: () => new Promise((resolve) => setTimeout(resolve)),
    isOurs: (domain) =>
      normalizeDomain(domain) === domain &&
      names.some((name) => name === domain || domain.endsWith(`.${name}`) || name.endsWith(`.${domain}`)),
  };
}
