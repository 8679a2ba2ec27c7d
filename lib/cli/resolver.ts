/** The resolver that the configuration names. */

import type { Config } from "../config/config.ts";
import type { ConfigIo } from "../config/source.ts";
import { DnsCache } from "../dns/cache.ts";
import { CachingResolver } from "../dns/caching_resolver.ts";
import type { Resolver } from "../dns/resolver.ts";
import { isLocalServer } from "../dns/server.ts";
import { StubResolver } from "../dns/stub_resolver.ts";
import { systemServers } from "../dns/system_servers.ts";
import type { Logger } from "../log/logger.ts";
import type { Clock } from "../system/clock.ts";

/** What it is made from. */
export interface ResolverParts {
  /** Names the servers; without any, the system's list does. */
  readonly config: Pick<Config, "dnsServers" | "isDnsValidating">;
  /** Reads the system's list of servers. */
  readonly io: Pick<ConfigIo, "readText">;
  /** For time limits and what is kept. */
  readonly clock: Clock;
  /** Of the category `dns`. */
  readonly logger: Logger;
}

/** A resolver with a cache; `isTrusted`: what its servers say about DNSSEC is believed. */
export async function makeResolver(
  { config: { dnsServers, isDnsValidating }, io, clock, logger }: ResolverParts,
): Promise<{ readonly resolver: Resolver; readonly isTrusted: boolean }> {
  const servers = dnsServers.length > 0 ? dnsServers : await systemServers(io.readText);
  const isTrusted = isDnsValidating ?? servers.every(isLocalServer);
  const resolver = new StubResolver({ servers, clock, logger, isTrusted });
  return { resolver: new CachingResolver({ resolver, cache: new DnsCache({ clock }) }), isTrusted };
}
