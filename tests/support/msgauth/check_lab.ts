/** Checks of whole messages, as the receiving side makes them: on a resolver and a clock of the test. */

import type { Resolver } from "../../../lib/dns/resolver.ts";
import { type DmarcPolicySettings, makeDmarcPolicy } from "../../../lib/policy/dmarc_policy.ts";
import {
  type CheckedMail,
  type CheckSettings,
  MessageChecks,
  type MessageChecksOptions,
} from "../../../lib/policy/message_checks.ts";
import type { Clock } from "../../../lib/system/clock.ts";
import { FakeClock } from "../fake_clock.ts";
import type { FakeRecords } from "../fake_resolver.ts";
import { NOW_MS } from "./dkim_check.ts";
import { type TestKey, zoneOf } from "./dkim_keys.ts";

/** Where mail of example.org comes from. */
export const SENDING_HOST = "192.0.2.10";
/** Somebody else. */
export const STRANGER = "198.51.100.66";

/** What example.org publishes: `policy` is the rest of its DMARC record, e.g. `p=reject`. */
export function senderZone(policy: string, ...keys: readonly TestKey[]): Record<string, FakeRecords> {
  return {
    "example.org": { TXT: [`v=spf1 ip4:${SENDING_HOST} -all`], A: [SENDING_HOST] },
    "mail.example.org": { TXT: ["v=spf1 a -all"], A: [SENDING_HOST] },
    "10.2.0.192.in-addr.arpa": { PTR: ["mail.example.org"] },
    "_dmarc.example.org": { TXT: [`v=DMARC1; ${policy}`] },
    ...zoneOf(...keys),
  };
}

/** All checks, under the policy of the author domain. */
export function allChecks(policy: Partial<DmarcPolicySettings> = {}, more: Partial<CheckSettings> = {}): CheckSettings {
  const dmarc = makeDmarcPolicy({
    action: "enforce",
    onTemporaryError: "accept",
    trustedForwarders: [],
    trustedSealers: [],
    ...policy,
  });
  return { authservId: "mx.test", spf: true, dkim: true, maySeal: true, dmarc, ...more };
}

/** What {@linkcode beginChecks} may be told. */
export interface CheckWishes {
  readonly resolver: Resolver;
  readonly clock?: Clock;
  readonly settings?: CheckSettings;
  readonly mail?: Partial<CheckedMail>;
}

/** Begins to check a message of example.org that its own host brings. */
export function beginChecks({ resolver, clock = new FakeClock(NOW_MS), settings, mail }: CheckWishes): MessageChecks {
  const options: MessageChecksOptions = {
    resolver,
    clock,
    random: () => 0,
    hostname: "mx.test",
    settings: settings ?? allChecks(),
  };
  return new MessageChecks({
    clientAddress: SENDING_HOST,
    helo: "mail.example.org",
    reversePath: "ann@example.org",
    isSmtpUtf8: false,
    ...mail,
  }, options);
}
