/** Builds remote targets and requests for tests: short time limits, peers on loopback, names from memory. */

import { getLogger } from "@logtape/logtape";
import type { NextHop, Smarthost } from "../../lib/delivery/next_hop.ts";
import { RemoteTarget, type RemoteTargetOptions } from "../../lib/delivery/remote/remote_target.ts";
import type { RemoteHop } from "../../lib/delivery/remote/tls_policy.ts";
import type { DeliveryRequest } from "../../lib/delivery/target.ts";
import { type Content, memoryContent } from "../../lib/mail/content.ts";
import type { Envelope, EnvelopeRecipient } from "../../lib/mail/envelope.ts";
import type { TimeLimits } from "../../lib/smtp/client/time_limits.ts";
import { systemClock } from "../../lib/system/clock.ts";
import { type FakeRecords, FakeResolver } from "./fake_resolver.ts";

/** Limits that no working peer on loopback reaches, and that a silent one reaches soon. */
export const TEST_LIMITS: TimeLimits = {
  connectMs: 5_000,
  greetingMs: 5_000,
  commandMs: 5_000,
  tlsMs: 5_000,
  dataMs: 5_000,
  blockMs: 5_000,
  dotMs: 5_000,
  stopMs: 1_000,
  quitMs: 500,
};

/** A target for MX hosts at `mxPort`, with the names of `zone`. */
export function testTarget(
  zone: Record<string, FakeRecords>,
  options: Partial<RemoteTargetOptions> = {},
): RemoteTarget {
  return new RemoteTarget({
    resolver: new FakeResolver(zone),
    hostname: "client.test",
    clock: systemClock,
    random: () => 0.5,
    logger: getLogger(["posthorn", "delivery"]),
    tls: "opportunistic",
    isOwnAddress: () => false,
    limits: TEST_LIMITS,
    ...options,
  });
}

/** The hop to the MX hosts of a domain. */
export function mxHop(domain: string): NextHop & { kind: "mx" } {
  return { kind: "mx", domain, key: `mx:${domain}` };
}

/** The hop to a configured server; unless said otherwise smtp without TLS to 127.0.0.1. */
export function smarthostHop(smarthost: Partial<Smarthost>): NextHop & { kind: "smarthost" } {
  const full: Smarthost = { scheme: "smtp", host: "127.0.0.1", port: 25, tls: "opportunistic", ...smarthost };
  return { kind: "smarthost", smarthost: full, key: `${full.scheme}://${full.host}:${full.port}` };
}

/** What a test says about a request; the rest is usual. */
export interface RequestParts {
  readonly hop: RemoteHop;
  readonly recipients: readonly (string | EnvelopeRecipient)[];
  readonly content?: string | Content;
  readonly envelope?: Partial<Envelope>;
  readonly signal?: AbortSignal;
}

/** One message from `sender@client.test`, with the trace field `X-Trace: 1`. */
export function testRequest({ hop, recipients, content, envelope, signal }: RequestParts): DeliveryRequest<RemoteHop> {
  const all = recipients.map((recipient) => typeof recipient === "string" ? { address: recipient } : recipient);
  return {
    queueId: "TEST1",
    envelope: {
      reversePath: "sender@client.test",
      arrived: "2026-01-01T00:00:00.000Z",
      body: "7BIT",
      smtpUtf8: false,
      trace: "X-Trace: 1\r\n",
      session: { service: "local" },
      recipients: all,
      ...envelope,
    },
    content: typeof content === "object"
      ? content
      : memoryContent(new TextEncoder().encode(content ?? "Subject: test\r\n\r\nHello\r\n")),
    hop,
    recipients: all,
    signal: signal ?? new AbortController().signal,
  };
}
