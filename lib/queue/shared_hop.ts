/** The hop that a message waits for as a whole. */

import type { Route } from "./attempt.ts";
import { isPending, isUnreported } from "./journal.ts";
import type { QueuedMessage } from "./spool.ts";

/** The key of the one hop that all pending recipients share; empty where they share none. */
export function sharedHop({ envelope, recipients }: QueuedMessage, route: Route): string {
  let shared = "";
  for (const state of recipients) {
    if (isUnreported(state)) return "";
    if (!isPending(state)) continue;
    const address = envelope.recipients[state.index]?.address ?? "";
    const hop = remoteHop(route, address, state.fallback !== undefined);
    if (hop === undefined || (shared !== "" && shared !== hop)) return "";
    shared = hop;
  }
  return shared;
}

/** The key of the hop to another host; undefined where there is none. What is wrong with a route shows at the attempt. */
function remoteHop(route: Route, address: string, isOnFallback: boolean): string | undefined {
  try {
    const decision = route(address, { isOnFallback });
    return decision.kind === "hop" && decision.hop.kind !== "maildir" ? decision.hop.key : undefined;
  } catch {
    return undefined;
  }
}
