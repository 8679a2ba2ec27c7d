/** The receiving side alone, on a free loopback port: real sockets, a spool in memory, two mailboxes. */

import { SharedMemory } from "../../lib/inbound/header_window.ts";
import { getLogger } from "@logtape/logtape";
import type { ListenerConfig, Service } from "../../lib/config/config.ts";
import type { Logger } from "../../lib/log/logger.ts";
import { bindListener } from "../../lib/inbound/bind.ts";
import { InboundServer } from "../../lib/inbound/server.ts";
import {
  type Authentication,
  DEFAULT_TIMEOUTS,
  type InboundTimeouts,
  type RecipientResolver,
  type Services,
  type Settings,
} from "../../lib/inbound/services.ts";
import type { DirectDelivery } from "../../lib/queue/direct_delivery.ts";
import { RateLimit } from "../../lib/policy/rate_limit.ts";
import { relayBlocks } from "../../lib/policy/relay.ts";
import { buildDirectory } from "../../lib/routing/directory.ts";
import { type Forwarding, resolveRewritten, rewriteSender } from "../../lib/routing/forwarding.ts";
import type { RecipientResolution } from "../../lib/routing/recipient.ts";
import { createSrs } from "../../lib/routing/srs/srs.ts";
import { BARE_POSTMASTER } from "../../lib/smtp/path.ts";
import { type Clock, systemClock } from "../../lib/system/clock.ts";
import type { Room } from "../../lib/system/disk_space.ts";
import { openSocketTurn } from "../../lib/system/socket_turn.ts";
import { type Certificates, loadCertificates } from "../../lib/tls/certificates.ts";
import { makeSelfSigned } from "../../lib/tls/self_signed.ts";
import { canUpgradeServer, upgradeServer } from "../../lib/tls/server_tls.ts";
import { MemorySpool } from "./memory_spool.ts";
import { testLogins } from "./test_logins.ts";

/** What a test may choose. */
export interface InboundFixtureOptions {
  readonly service?: Service;
  readonly tls?: ListenerConfig["tls"];
  readonly binaryMime?: boolean;
  readonly xclientFrom?: readonly string[];
  readonly relayFrom?: readonly string[];
  readonly senders?: Settings["submission"]["senders"];
  readonly rate?: Settings["submission"]["rate"];
  readonly greetDelayMs?: number;
  readonly bareLf?: Settings["submission"]["bareLf"];
  readonly limits?: Partial<Settings["limits"]>;
  readonly timeouts?: Partial<InboundTimeouts>;
  readonly clock?: Clock;
  readonly logger?: Logger;
  readonly proxyProtocol?: readonly string[];
  readonly clientCertificates?: NonNullable<ListenerConfig["clientCertificates"]>;
  /** Whether an operator drains the server; asked each time. */
  readonly isDraining?: () => boolean;
  /** Default: mailboxes hold any amount. */
  readonly quotas?: NonNullable<Services["quotas"]>;
  /** Whether new mail finds room; default: always. */
  readonly room?: Room;
  /** Who is who; default: {@linkcode testResolver}. */
  readonly router?: RecipientResolver;
  /** Message authentication. Default: none. */
  readonly authentication?: Authentication;
  /** Mailboxes that mail goes straight into. Default: all goes through the spool. */
  readonly direct?: DirectDelivery;
  /** The mechanisms to offer; default PLAIN and LOGIN. */
  readonly auth?: readonly string[];
}

/** A running receiving side. */
export interface InboundFixture extends AsyncDisposable {
  readonly port: number;
  readonly spool: MemorySpool;
  readonly server: InboundServer;
}

const directory = buildDirectory({
  hostname: "mx.test",
  domains: new Map([["example.org", { name: "example.org", dkim: [] }]]),
  aliases: new Map(),
  routes: [],
  auth: {},
}, [{ address: "alice@example.org" }]);

/** For this server it is always the 21st of August 2026. */
const forwarding: Forwarding = {
  srs: createSrs({
    secrets: ["a secret of the test"],
    now: () => Date.UTC(2026, 7, 21, 12),
    maxAgeMs: 21 * 86_400_000,
  }),
  isOn: true,
};

/**
 * `alice@example.org` exists, `team@example.org` is an alias for her and somebody elsewhere, `list@example.org` a list of her
 * and another; `loop@example.org` leads to itself, and `bob@example.org` is not.
 */
export const testResolver: RecipientResolver = {
  resolveRecipient(path): RecipientResolution {
    if (path === BARE_POSTMASTER) return { kind: "local", targets: [{ address: "alice@example.org" }] };
    if (path.domain !== "example.org") return { kind: "remote" };
    const rewritten = resolveRewritten(directory, forwarding, path);
    if (rewritten !== undefined) return rewritten;
    switch (path.localPart.toLowerCase()) {
      case "alice":
      case "älice":
        return { kind: "local", targets: [{ address: path.text.toLowerCase() }] };
      case "postmaster":
        return { kind: "local", targets: [{ address: "alice@example.org" }] };
      case "both":
        return { kind: "local", targets: [{ address: "alice@example.org" }, { address: "carla@example.org" }] };
      case "twice":
        return { kind: "local", targets: [{ address: "alice@example.org" }, { address: "alice+x@example.org" }] };
      case "team":
        return {
          kind: "local",
          targets: [
            { address: "alice@example.org" },
            { address: "carol@elsewhere.test", forwardedBy: "team@example.org" },
          ],
        };
      case "list":
        return {
          kind: "local",
          targets: [
            { address: "alice@example.org", reversePath: "owner-list@example.org" },
            { address: "dora@elsewhere.test", forwardedBy: "list@example.org", reversePath: "owner-list@example.org" },
          ],
        };
      case "loop":
        return { kind: "refused", problem: "loop" };
      default:
        return { kind: "unknown" };
    }
  },
  rewriteSender: (reversePath, forwardedBy) => rewriteSender(directory, forwarding, reversePath, forwardedBy),
  isRouted: (domain) => domain.endsWith("routed.test"),
  accountOf: (target) => target.endsWith("@example.org") ? target : undefined,
  takesBinary: (target) => !target.endsWith("@example.org"),
  mayUse: (account, { text }) => text.toLowerCase().replace(/\+[^@]*@/, "@") === account,
};

/** A certificate for `mx.test`, made once for each test process. */
let certificates: Promise<Certificates> | undefined;

const CLIENTS = `${import.meta.dirname}/../fixtures/tls/clients`;

/** Makes certificates for tests; those of `fixtures/tls/clients/ca.pem` count where clients are asked for theirs. */
export function testCertificates(): Promise<Certificates> {
  certificates ??= makeSelfSigned("mx.test", Date.now()).then((pair) =>
    loadCertificates([{ chain: "chain", key: "key" }], {
      read: (path) =>
        path === "ca"
          ? Deno.readTextFile(`${CLIENTS}/ca.pem`)
          : Promise.resolve(path === "chain" ? pair.chain : pair.key),
      ...(canUpgradeServer ? { clientCa: "ca" } : {}), // Deno 2.5 can neither ask for certificates nor read them.
      now: Date.now,
      logger: getLogger(["test"]),
    })
  );
  return certificates;
}

function withAuthentication(authentication: Authentication): Pick<Services, "authentication"> {
  return { authentication: () => authentication };
}

/** Starts a receiving side. The password of alice is `correct horse`. */
export async function startInbound(options: InboundFixtureOptions = {}): Promise<InboundFixture> {
  const spool = new MemorySpool();
  const certificates = await testCertificates();
  const settings: Settings = {
    hostname: "mx.test",
    router: options.router ?? testResolver,
    xclientFrom: relayBlocks(options.xclientFrom ?? []),
    binaryMime: options.binaryMime ?? false,
    relayFrom: relayBlocks(options.relayFrom ?? []),
    mx: options.greetDelayMs === undefined ? {} : { greetDelayMs: options.greetDelayMs },
    submission: {
      senders: options.senders ?? "own",
      bareLf: options.bareLf ?? "refuse",
      ...(options.rate === undefined ? {} : { rate: options.rate }),
    },
    limits: {
      messageOctets: 1_000_000,
      headerOctets: 100_000,
      headerFields: 1000,
      recipients: 5,
      connections: 100,
      connectionsPerIp: 100,
      ...options.limits,
    },
  };
  const socketTurn = await openSocketTurn();
  const server = new InboundServer({
    services: {
      clock: options.clock ?? systemClock,
      logger: options.logger ?? getLogger(["test"]),
      spool,
      rates: new RateLimit(systemClock),
      headerMemory: new SharedMemory(1_000_000),
      ...(options.quotas === undefined ? {} : { quotas: options.quotas }),
      enqueue: () => {},
      flush: () => {},
      isDraining: () => options.isDraining?.() ?? false,
      ...(options.authentication === undefined ? {} : withAuthentication(options.authentication)),
      ...(options.direct === undefined ? {} : { direct: options.direct }),
      ...(options.room === undefined ? {} : { room: options.room }),
      sasl: testLogins(options.auth),
      startTls: (conn, requestsCertificate) =>
        upgradeServer(conn, certificates, { handshakeTimeoutMs: 5000, requestsCertificate }),
    },
    settings: () => settings,
    canStartTls: canUpgradeServer,
    socketTurn,
    timeouts: { ...DEFAULT_TIMEOUTS, ...options.timeouts },
  });
  const listener = await bindListener({
    bind: { kind: "tcp", host: "127.0.0.1", port: 0 },
    service: options.service ?? "mx",
    tls: options.tls ?? "starttls",
    ...(options.proxyProtocol === undefined ? {} : { proxyProtocol: options.proxyProtocol }),
    ...(options.clientCertificates === undefined ? {} : { clientCertificates: options.clientCertificates }),
  }, () => certificates);
  server.serve(listener);
  return {
    port: (listener.addr as Deno.NetAddr).port,
    spool,
    server,
    [Symbol.asyncDispose]: async () => {
      await server.stop(0);
      socketTurn[Symbol.dispose]();
    },
  };
}
