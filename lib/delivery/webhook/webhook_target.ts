/**
 * Delivers to an application: one HTTP POST for a message and the recipients that lead there, signed by the Standard
 * Webhooks specification. Its answer counts for all of them. What a receiver has to do is in docs/handover.md.
 */

import { TimeLimitError } from "../../dns/time_limit.ts";
import type { Logger } from "../../log/logger.ts";
import type { Outcome } from "../../mail/outcome.ts";
import type { Fetch } from "../../sasl/oauth/fetch_json.ts";
import type { Clock } from "../../system/clock.ts";
import type { NextHop } from "../next_hop.ts";
import type { DeliveryRequest, DeliveryTarget } from "../target.ts";
import { webhookForm } from "./form.ts";
import { answerOutcome, earlyOutcome, faultOutcome, timeoutOutcome } from "./outcomes.ts";
import { ContentError, postMessage } from "./post.ts";

/** The next hop that is an application. */
export type WebhookHop = Extract<NextHop, { kind: "webhook" }>;

/** What delivery to applications needs. */
export interface WebhookTargetOptions {
  /** Checks the certificates of https servers, and keeps connections. */
  readonly fetch: Fetch;
  /** For the time limit, and the time that is signed. */
  readonly clock: Clock;
  /** Takes what senders are not told. */
  readonly logger: Logger;
  /** How long nothing may move before a request is given up; default 60 s. */
  readonly idleMs?: number;
}

const STOPPED: Outcome = { action: "delayed", status: "4.3.2", text: "server is shutting down", isRemoteReply: false };
const UNREADABLE: Outcome = {
  action: "delayed",
  status: "4.3.0",
  text: "The message cannot be read on our side",
  isRemoteReply: false,
};
const DEFAULT_IDLE_MS = 60_000;

/** The target for hops of kind `webhook`. How many deliveries run at once is up to the caller. */
export class WebhookTarget implements DeliveryTarget<WebhookHop> {
  readonly #options: Required<WebhookTargetOptions>;

  /** Connects to nothing yet. */
  constructor(options: WebhookTargetOptions) {
    this.#options = { idleMs: DEFAULT_IDLE_MS, ...options };
  }

  /** Tries once, with one request for all recipients; never rejects. */
  async deliver(request: DeliveryRequest<WebhookHop>): Promise<readonly Outcome[]> {
    const outcome = await this.#deliverOnce(request);
    return request.recipients.map(() => outcome);
  }

  async #deliverOnce(request: DeliveryRequest<WebhookHop>): Promise<Outcome> {
    const { queueId, content, signal, hop: { key, webhook: { url, secret } } } = request;
    const { logger, idleMs } = this.#options;
    const host = new URL(url).hostname;
    try {
      const form = webhookForm(request, secret);
      const { answer, isSent } = await postMessage({ url, secret, form, content }, this.#options, signal);
      const outcome = answerOutcome(answer, host);
      return outcome.action === "delivered" && !isSent ? earlyOutcome(answer, host) : outcome;
    } catch (error) {
      if (signal.aborted) return STOPPED;
      if (error instanceof ContentError) {
        logger.error("{queueId}: delivery to {hop} broke off: {error}", { queueId, hop: key, error });
        return UNREADABLE;
      }
      return error instanceof TimeLimitError ? timeoutOutcome(idleMs, host) : faultOutcome(error, host);
    }
  }
}
