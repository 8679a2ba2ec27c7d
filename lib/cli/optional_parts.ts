/**
 * Parts that many sites do without. Their code is loaded at the start, and only where the configuration asks for it: what is
 * loaded stays in memory, and takes its time before the first connection. None of these is loaded later, when the files of a running
 * program may have been replaced by those of another version.
 */

import type { Config, ListenerConfig } from "../config/config.ts";
import type { Logger } from "../log/logger.ts";
import type { Clock } from "../system/clock.ts";
import type { WebServer } from "../web/server.ts";
import type { Logins, LoginsOptions } from "./logins.ts";
import type { ReportSystem, ReportSystemOptions } from "./report_system.ts";

const NO_LOGINS: Logins = {
  sasl: { mechanisms: () => [], start: () => undefined },
  update: (): void => {},
  [Symbol.dispose]: (): void => {},
};

/** What sessions log in with: nothing where no listener is for users who submit mail. */
export async function openLogins(options: LoginsOptions): Promise<Logins> {
  if (!options.live().config.listeners.some(({ service }) => service === "submission")) return NO_LOGINS;
  const { makeLogins } = await import("./logins.ts");
  return await makeLogins(options);
}

/** Reports; undefined where none are sent or received. */
export async function openReports(options: ReportSystemOptions): Promise<ReportSystem | undefined> {
  const { dmarc, tls, receive } = options.config.reports;
  if (!dmarc.send && !tls.send && receive.length === 0) return undefined;
  const { startReports } = await import("./report_system.ts");
  return await startReports(options);
}

/** What a web server is made with. */
export interface WebOptions {
  /** Monotonic for time limits, wall clock for the Date field. */
  readonly clock: Clock;
  /** Hears who got a policy. */
  readonly logger: Logger;
  /** As it is now. */
  readonly config: () => Config;
}

/** The web server; undefined where no listener is for it. */
export async function openWeb(
  listeners: readonly ListenerConfig[],
  { clock, logger, config }: WebOptions,
): Promise<WebServer | undefined> {
  if (!listeners.some(({ service }) => service === "web")) return undefined;
  const { WebServer } = await import("../web/server.ts");
  const { stsPolicyOfHost } = await import("../publish/sts_policy.ts");
  const policyOf = (host: string): string | undefined => stsPolicyOfHost(config(), host)?.text;
  return new WebServer({ clock, logger, policyOf, limits: () => config().limits });
}
