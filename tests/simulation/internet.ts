/**
 * An internet to deliver to: domains on sites of very different size, of which some are down for hours or days, some
 * greylist, some take few connections, one is slow, and one never answers.
 */

import type { Outcome } from "../../lib/mail/outcome.ts";
import type { DeliveryRequest } from "../../lib/delivery/target.ts";
import type { Clock } from "../../lib/system/clock.ts";

const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** What a site is like. */
export type SiteKind = "healthy" | "outages" | "greylisting" | "narrow" | "slow" | "dead";

/** An MX site. */
export interface Site {
  readonly name: string;
  readonly kind: SiteKind;
  /** Of a delivery, in the middle. */
  readonly latencyMs: number;
  /** Connections beyond this number are answered with 421. */
  readonly connections: number;
  /** When nobody answers: from and to, monotonic milliseconds. */
  readonly outages: readonly (readonly [number, number])[];
  /** Now, and the most at a time. */
  open: number;
  mostOpen: number;
  /** Attempts, and those that were refused because they were too many. */
  attempts: number;
  refusals: number;
}

/** How large it is. */
export interface InternetOptions {
  readonly domains: number;
  readonly sites: number;
  /** How long mail comes. */
  readonly days: number;
  readonly clock: Clock;
  readonly random: () => number;
}

/** What becomes of one recipient, whenever its site talks to us. */
export type Fate = "fine" | "unknown" | "full";

/** The internet. */
export class Internet {
  readonly sites: readonly Site[];
  readonly #options: InternetOptions;
  readonly #siteOf: readonly Site[];
  /** For each domain, the sum of the weights up to it. */
  readonly #weights: readonly number[];
  /** Greylisted mail, by queue id: when it was seen first. */
  readonly #seen: Map<string, number> = new Map();
  /** Told of each recipient that was taken or refused for good. */
  onFinal: (address: string, isTaken: boolean) => void = () => {};

  constructor(options: InternetOptions) {
    this.#options = options;
    this.sites = Array.from({ length: options.sites }, (_, number) => makeSite(number, options));
    // The first domain of each site is its own, as large as it; the others are small, and mostly on large sites.
    this.#siteOf = Array.from({ length: options.domains }, (_, domain) => {
      const number = domain < options.sites ? domain : Math.floor(options.sites * options.random() ** 3);
      return this.#site(number);
    });
    let sum = 0;
    this.#weights = Array.from({ length: options.domains }, (_, domain) => sum += 1 / (domain + 1));
  }

  /** A domain by chance: the larger, the more often. */
  domain(): string {
    const wanted = this.#options.random() * (this.#weights.at(-1) ?? 0);
    let low = 0;
    let high = this.#weights.length - 1;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#weights[middle] ?? 0) < wanted) low = middle + 1;
      else high = middle;
    }
    return `d${low}.example`;
  }

  /** The site that a domain is on. */
  siteOf(domain: string): Site {
    const site = this.#siteOf[Number(/^d(\d+)\.example$/.exec(domain)?.[1])];
    if (site === undefined) throw new Error(`There is no domain "${domain}"`);
    return site;
  }

  /** True while nobody answers there. */
  isDown(site: Site): boolean {
    const nowMs = this.#options.clock.monotonic();
    return site.outages.some(([fromMs, toMs]) => fromMs <= nowMs && nowMs < toMs);
  }

  /** An attempt. */
  async deliver(request: DeliveryRequest): Promise<readonly Outcome[]> {
    const { hop, signal, recipients } = request;
    if (hop.kind !== "mx") throw new TypeError("Only MX hops lead to the internet");
    const site = this.siteOf(hop.domain);
    site.attempts++;
    site.mostOpen = Math.max(site.mostOpen, ++site.open);
    try {
      const outcome = await this.#talk(site, request);
      return recipients.map(({ address }) => outcome ?? this.#answer(site, address));
    } catch (error) {
      if (!signal.aborted) throw error;
      return recipients.map(() => delayed(site, "4.4.2", "Interrupted"));
    } finally {
      site.open--;
    }
  }

  /** What is said to the whole message, if anything is. */
  async #talk(site: Site, { queueId, signal }: DeliveryRequest): Promise<Outcome | undefined> {
    const { clock, random } = this.#options;
    if (this.isDown(site)) {
      // Half of them refuse the connection, and half do not answer at all.
      await clock.sleep(site.name.length % 2 === 0 ? 100 : 30 * SECOND, signal);
      return { ...delayed(site, "4.4.1", "Connection timed out"), destination: "down" };
    }
    if (site.open > site.connections) {
      site.refusals++;
      await clock.sleep(site.latencyMs / 4, signal);
      return { ...delayed(site, "4.3.2", "421 4.3.2 Too many connections", true), destination: "pushback" };
    }
    await clock.sleep(site.latencyMs * (0.5 + random()), signal);
    return site.kind === "greylisting" ? this.#greylist(site, queueId) : undefined;
  }

  #greylist(site: Site, queueId: string): Outcome | undefined {
    const nowMs = this.#options.clock.monotonic();
    const seenMs = this.#seen.get(queueId);
    if (seenMs !== undefined && nowMs - seenMs >= 5 * MINUTE) {
      this.#seen.delete(queueId);
      return undefined;
    }
    if (seenMs === undefined) this.#seen.set(queueId, nowMs);
    return {
      ...delayed(site, "4.7.1", "450 4.7.1 Greylisted, try again in 5 minutes", true),
      replyClass: "greylisting",
    };
  }

  #answer(site: Site, address: string): Outcome {
    const fate = fateOf(address);
    if (fate === "full") {
      return { ...delayed(site, "4.2.2", "452 4.2.2 Mailbox full", true), replyClass: "mailboxFull" };
    }
    const isTaken = fate === "fine";
    this.onFinal(address, isTaken);
    const text = isTaken ? "250 2.0.0 Taken" : "550 5.1.1 No such user";
    const action = isTaken ? "relayed" : "failed";
    return { action, status: text.slice(4, 9), text, isRemoteReply: true, remoteMta: site.name };
  }

  #site(number: number): Site {
    const site = this.sites[number];
    if (site === undefined) throw new Error(`There is no site ${number}`);
    return site;
  }
}

/** The local part says what becomes of it: `fine17`, `unknown18`, `full19`. */
function fateOf(address: string): Fate {
  return address.startsWith("fine") ? "fine" : address.startsWith("full") ? "full" : "unknown";
}

function delayed({ name }: Site, status: string, text: string, isRemoteReply = false): Outcome {
  return { action: "delayed", status, text, isRemoteReply, remoteMta: name };
}

/** Site 0, the largest, and those that senders are on are healthy; the others by their number. */
function makeSite(number: number, { random, days }: InternetOptions): Site {
  const kind = kindOf(number);
  const outages: [number, number][] = [];
  if (kind === "dead") outages.push([0, Infinity]);
  if (kind === "outages") {
    for (let count = 1 + Math.floor(random() * 3); count > 0; count--) {
      const fromMs = random() * days * DAY;
      // From a quarter of an hour to three days, mostly short.
      outages.push([fromMs, fromMs + 15 * MINUTE + 3 * DAY * random() ** 4]);
    }
  }
  return {
    name: `mx${number}.site.example`,
    kind,
    latencyMs: kind === "slow" ? 60 * SECOND : 150 + 2_000 * random() ** 3,
    connections: kind === "narrow" ? 2 + Math.floor(random() * 7) : Infinity,
    outages,
    open: 0,
    mostOpen: 0,
    attempts: 0,
    refusals: 0,
  };
}

function kindOf(number: number): SiteKind {
  if (number === 7) return "dead";
  if (number === 5) return "slow";
  switch (number % 10) {
    case 2:
    case 3:
      return "outages";
    case 4:
      return "narrow";
    case 6:
      return "greylisting";
    default:
      return "healthy";
  }
}
