/**
 * Five days of mail through the queue, and as many more until the last message is gone; see `simulation.ts` and
 * `internet.ts` for what happens in them.
 *
 * POSTHORN_SIMULATION_MESSAGES sets how many messages (default: 50,000; `deno task test:simulation` with 1,000,000 takes
 * some minutes), POSTHORN_SIMULATION_SEED the seed (default: 1).
 */

import { assert, assertEquals } from "@std/assert";
import { report } from "../support/interop/peers.ts";
import { Internet, type Site } from "./internet.ts";
import { type Delays, type Figures, MAX_ACTIVE, PER_DESTINATION, simulate } from "./simulation.ts";

const DAYS = 5;
/** Half an hour between two looks at a destination that is down, after the first few: 48 a day. */
const MOST_PROBES_A_DAY = 50;

function setting(name: string, otherwise: number): number {
  const text = Deno.env.get(name);
  return text === undefined ? otherwise : Number(text);
}

const messages = setting("POSTHORN_SIMULATION_MESSAGES", 50_000);
const seed = setting("POSTHORN_SIMULATION_SEED", 1);

Deno.test(`${messages} messages over ${DAYS} days, with seed ${seed}, all end delivered or reported`, async () => {
  const figures = await simulate({ messages, seed, days: DAYS });
  for (const line of figureLines(figures)) await report(line);

  assertEquals(figures.errors, []);
  assertEquals([figures.left, figures.leftInMemory], [0, 0], "messages left in the spool, and in memory");
  assertEquals([figures.lost, figures.contradictions, figures.deliveredTwice], [0, 0, 0]);
  assertEquals(figures.delivered + figures.reported + figures.silent, figures.recipients);

  for (const { name, mostOpen } of figures.sites) {
    assert(mostOpen <= PER_DESTINATION, `${mostOpen} connections to ${name} at a time`);
  }
  for (const site of figures.sites) checkPoliteness(site, figures);

  assert(figures.mostActive <= MAX_ACTIVE + messages / 20, `${figures.mostActive} messages at work at a time`);
  for (const delays of [figures.healthy, figures.healthyInFlood]) {
    assert(delays.count > messages / 1_000);
    assert(delays.median < 3, `mail for sites that are well took ${delays.median} s in the middle`);
    assert(delays.most < 120, `and 1% of it took more than ${delays.most} s`);
  }
});

/** A dead site is looked at now and then, and one that takes few connections is not pressed for more. */
function checkPoliteness({ name, kind, attempts, refusals }: Site, { endedDays }: Figures): void {
  if (kind === "dead") {
    // The first ones run at the same time, and the queue is started twice.
    const most = MOST_PROBES_A_DAY * endedDays + 2 * PER_DESTINATION;
    assert(attempts <= most, `${attempts} attempts at ${name}, which never answers`);
  }
  if (kind === "narrow") assert(refusals <= 50 + attempts / 5, `${refusals} of ${attempts} refused by ${name}`);
}

function figureLines(figures: Figures): readonly string[] {
  const { recipients, delivered, reported, silent, reports, attempts, postponed, loads } = figures;
  const { mostActive, mostQueued, healthy, healthyInFlood, endedDays, wallSeconds, peakHeapMib } = figures;
  const dead = figures.sites.filter(({ kind }) => kind === "dead").reduce((sum, site) => sum + site.attempts, 0);
  const narrow = figures.sites.filter(({ kind }) => kind === "narrow");
  const refused = narrow.reduce((sum, { refusals }) => sum + refusals, 0);
  const pressed = narrow.reduce((sum, site) => sum + site.attempts, 0);
  const busiest = Math.max(...figures.sites.map(({ mostOpen }) => mostOpen));
  return [
    `Queue: ${recipients} recipients: ${delivered} delivered, ${reported} reported, ${silent} failed and nobody to be told`,
    `reports: ${Object.entries(reports).map(([kind, count]) => `${count} ${kind}`).join(", ")}`,
    `attempts: ${attempts}, of them ${dead} at the dead site; ${postponed} postponed; ${loads} messages read back`,
    `refused with 421 by sites that take few connections: ${refused} of ${pressed}`,
    `at most: ${busiest} connections to one site, ${mostActive} messages at work, ${mostQueued} in the queue`,
    `delay at sites that are well: ${delayText(healthy)}; while large sites get the mail of an outage: ` +
    delayText(healthyInFlood),
    `${endedDays.toFixed(1)} days took ${wallSeconds.toFixed(1)} s and at most ${peakHeapMib.toFixed(0)} MiB of heap`,
  ];
}

function delayText({ count, median, most }: Delays): string {
  return `median ${median.toFixed(2)} s, 99% ${most.toFixed(1)} s (${count})`;
}

Deno.test("the simulated internet has sites of all kinds, and large sites have many domains", () => {
  const clock = { now: () => 0, monotonic: () => 0, sleep: () => Promise.resolve() };
  let turn = 0;
  const random = (): number => (turn = (turn + 0.618034) % 1);
  const internet = new Internet({ domains: 2_000, sites: 300, days: DAYS, clock, random });
  assertEquals(new Set(internet.sites.map(({ kind }) => kind)).size, 6);
  const domains: Map<string, number> = new Map();
  for (let number = 0; number < 2_000; number++) {
    const { name } = internet.siteOf(`d${number}.example`);
    domains.set(name, (domains.get(name) ?? 0) + 1);
  }
  assertEquals(domains.size, 300);
  assert(Math.max(...domains.values()) > 50);
});
