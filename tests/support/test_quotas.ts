/** Quotas of a mailbox in memory, for tests of sessions. */

import { getLogger } from "@logtape/logtape";
import { effectiveLimits } from "../../lib/delivery/quota/limits.ts";
import { MailboxQuotas } from "../../lib/delivery/quota/mailbox_quotas.ts";
import { parseMaildirsize } from "../../lib/delivery/quota/maildirsize.ts";
import type { Services } from "../../lib/inbound/services.ts";
import { FakeClock } from "./fake_clock.ts";
import { MemoryFiles } from "./memory_files.ts";

/**
 * Makes the mailbox of alice; and of her second one, alice+x; others have no quota.
 *
 * @param text E.g. `defer 1000S,10C 900 3`: what happens when it is full, its limits as in the quota file, and what it holds.
 */
export function testQuotas(text: string): NonNullable<Services["quotas"]> {
  const [whenFull, first, octets, messages] = text.split(" ");
  const file = `${first}\n${octets} ${messages}\n`;
  const limits = effectiveLimits(parseMaildirsize(file)?.definition ?? {});
  if (limits === undefined) throw new Error(`no quota: ${text}`);
  const files = new MemoryFiles();
  const quotas = new MailboxQuotas({
    mailRoot: "/mail",
    files,
    clock: new FakeClock(),
    logger: getLogger(["test"]),
    hostname: "mx.test",
    randomOctets: (into) => void crypto.getRandomValues(into),
    limitsOf: (account) => account.startsWith("alice") ? limits : undefined,
    settings: () => ({ whenFull: whenFull === "refuse" ? "refuse" : "defer", warnAt: [] }),
  });
  const ready = Promise.all(["alice", "alice+x"].map(async (name) => {
    await files.makeFolder(`/mail/example.org/${name}/tmp`);
    files.overwrite(`/mail/example.org/${name}/maildirsize`, new TextEncoder().encode(file));
  }));
  return {
    applyTo: (account) => quotas.applyTo(account),
    check: async (...args) => {
      await ready;
      return await quotas.check(...args);
    },
  };
}
