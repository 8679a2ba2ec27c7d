/** The parts of a session of the receiving side, as small tests want them. */

import { getLogger } from "@logtape/logtape";
import { freshPatience } from "../../lib/inbound/patience.ts";
import { SharedMemory } from "../../lib/inbound/header_window.ts";
import type { Services, Settings } from "../../lib/inbound/services.ts";
import type { Session } from "../../lib/inbound/session.ts";
import { RateLimit } from "../../lib/policy/rate_limit.ts";
import { systemClock } from "../../lib/system/clock.ts";
import { testResolver } from "./inbound_server.ts";
import { MemorySpool } from "./memory_spool.ts";
import { testLogins } from "./test_logins.ts";

/** A fresh session of a client at 192.0.2.1, with small limits. */
export function testSession(more: Partial<Session> = {}, settings: Partial<Settings> = {}): Session {
  return {
    service: "mx",
    settings: {
      hostname: "mx.test",
      router: testResolver,
      binaryMime: false,
      xclientFrom: [],
      relayFrom: [],
      mx: {},
      submission: { senders: "own", bareLf: "refuse" },
      limits: {
        messageOctets: 2000,
        headerOctets: 2000,
        headerFields: 1000,
        recipients: 3,
        connections: 1,
        connectionsPerIp: 1,
      },
      ...settings,
    },
    clientAddress: "192.0.2.1",
    localAddress: "192.0.2.25",
    isProxy: false,
    forwardedHelo: undefined,
    client: "192.0.2.1:4711",
    mayStartTls: false,
    requestsCertificate: false,
    greeting: undefined,
    tls: undefined,
    login: undefined,
    transaction: undefined,
    spent: freshPatience(systemClock.monotonic()),
    ...more,
  };
}

/** Services without a network and without a queue. */
export function testServices(more: Partial<Services> = {}): Services {
  return {
    clock: systemClock,
    logger: getLogger(["test"]),
    spool: new MemorySpool(),
    rates: new RateLimit(systemClock),
    headerMemory: new SharedMemory(1_000_000),
    enqueue: () => {},
    flush: () => {},
    sasl: testLogins(),
    startTls: () => Promise.reject(new Error("no TLS here")),
    ...more,
  };
}
