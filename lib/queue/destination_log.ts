/** What the log says about destinations. */

import type { Logger } from "../log/logger.ts";
import type { Clock } from "../system/clock.ts";
import { type Change, concurrencyOf, type DestinationLimits, type DestinationState } from "./destination.ts";

/** Logs that a destination closed, stays closed, wants less, or takes mail again: one line each. */
export function logChange(
  { logger, clock }: { readonly logger: Logger; readonly clock: Clock },
  destination: string,
  change: Change,
  state: DestinationState,
  limits: DestinationLimits,
): void {
  const { closure, loweredBy } = state;
  if (change === "reopened") {
    logger.info("Destination {destination} takes mail again", { destination });
  } else if (change === "lowered") {
    const fields = {
      destination,
      limit: concurrencyOf(state, limits),
      reason: loweredBy?.text,
    };
    logger.info("Destination {destination} wants less: at most {limit} at a time now: {reason}", fields);
  } else if (closure !== undefined) {
    const waitMs = closure.untilMs - clock.monotonic();
    const probe = new Date(clock.now() + waitMs).toISOString();
    logger.warning(
      "Destination {destination} takes no mail, one message will look again at {probe}: {reason}",
      {
        destination,
        probe,
        reason: closure.reason.text,
      },
    );
  }
}
