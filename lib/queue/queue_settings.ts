/** Limits and times of the queue that a reload of the configuration may change. */

import type { DestinationLimits } from "./destination.ts";
import type { ScheduleSettings } from "./schedule.ts";

/** The settings in force. */
export interface QueueSettings extends ScheduleSettings {
  /** Deliveries to other hosts at the same time, all destinations together. */
  readonly concurrency: number;
  /** What one destination is allowed, by its name. */
  readonly limitsOf: (destination: string) => DestinationLimits;
}
