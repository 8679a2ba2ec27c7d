/**
 * Plays thousands of generated sessions and says how to play one again. The environment decides:
 *
 *     POSTHORN_FUZZ_TIMES   so many times the cases of a campaign; `deno task test` takes half of them
 *     POSTHORN_FUZZ_SEED    another seed is taken each time where it is not set
 *     POSTHORN_FUZZ_CASE    only the case of this number
 */

import { assert } from "@std/assert";
import { Random } from "./random.ts";
import type { SessionCase } from "./session_case.ts";
import { smaller } from "./shrink.ts";
import { Tally } from "./tally.ts";

/** What is played, and what must hold. */
export interface Campaign {
  /** For the command that plays a case again, e.g. `tests/property/session/noise_test.ts`. */
  readonly file: string;
  /** In `deno task test`. */
  readonly cases: number;
  readonly generate: (random: Random) => SessionCase;
  /** Throws where something is wrong; counts what it saw. `random` is the same for the same case, also a smaller one. */
  readonly check: (session: SessionCase, tally: Tally, random: Random) => Promise<void>;
}

/** A case may take so long before it counts as hanging. */
const HANG_MS = 20_000;
/** How long a case that fails is made smaller. */
const SHRINK_MS = 20_000;
/** Memory that may be in use after the last tenth of the cases beyond that after the second. */
const GROWTH_OCTETS = 16 * 1024 * 1024;

/** Plays a campaign. @throws With the smallest case found that fails, and how to play it again. */
export async function run(campaign: Campaign): Promise<Tally> {
  const cases = Math.ceil(campaign.cases * (numberOf("POSTHORN_FUZZ_TIMES") ?? 0.5));
  const seed = numberOf("POSTHORN_FUZZ_SEED") ?? crypto.getRandomValues(new Uint32Array(1))[0] as number;
  const only = numberOf("POSTHORN_FUZZ_CASE");
  say(`${campaign.file}: ${only === undefined ? `${cases} cases` : `case ${only}`}, POSTHORN_FUZZ_SEED=${seed}`);
  const tally = new Tally();
  const watch = new Watch();
  const memory: number[] = [];
  // Only there where V8 was told so (--expose-gc).
  const { gc } = globalThis as { readonly gc?: () => void };
  try {
    for (let index = only ?? 0; index < (only === undefined ? cases : only + 1); index++) {
      const session = campaign.generate(new Random(seed, index));
      const check = (each: SessionCase): Promise<void> =>
        watch.during(() => campaign.check(each, tally, new Random(~seed, index)));
      try {
        await check(session);
      } catch (error) {
        throw await failure({ campaign, seed, index, session, error, check });
      }
      if (gc !== undefined && (index + 1) % Math.ceil(cases / 10) === 0) memory.push(usedOctets(gc));
    }
  } finally {
    watch.stop();
  }
  const [, second = 0] = memory;
  const growth = (memory.at(-1) ?? 0) - second;
  assert(growth < GROWTH_OCTETS, `memory grew by ${growth} octets from the second tenth of the cases to the last`);
  say(`${tally}${memory.length > 0 ? `  memory grew by ${Math.round(growth / 1024)} KiB\n` : ""}`);
  return tally;
}

interface Failed {
  readonly campaign: Campaign;
  readonly seed: number;
  readonly index: number;
  readonly session: SessionCase;
  readonly error: unknown;
  readonly check: (session: SessionCase) => Promise<void>;
}

async function failure({ campaign, seed, index, session, error, check }: Failed): Promise<Error> {
  let smallest = session;
  let cause = error;
  const end = performance.now() + SHRINK_MS;
  for (let isSmaller = true; isSmaller && performance.now() < end;) {
    isSmaller = false;
    for (const candidate of smaller(smallest)) {
      const problem = await check(candidate).then(() => undefined, (error: unknown) => ({ error }));
      if (problem === undefined) continue;
      smallest = candidate;
      cause = problem.error;
      isSmaller = true;
      break;
    }
  }
  const again = `POSTHORN_FUZZ_SEED=${seed} POSTHORN_FUZZ_CASE=${index} deno test --allow-all ${campaign.file}`;
  const text = cause instanceof Error ? cause.message : String(cause);
  return new Error(`${text}\n\nThe case, made smaller:\n${JSON.stringify(smallest)}\n\nAgain:\n${again}\n`, { cause });
}

/** Ends the wait for a case that comes to no end. */
class Watch {
  #giveUp: ((reason: Error) => void) | undefined;
  #sinceMs = 0;
  readonly #timer = setInterval(() => {
    if (performance.now() - this.#sinceMs > HANG_MS) this.#giveUp?.(new Error("The session hangs"));
  }, 1000);

  async during(work: () => Promise<void>): Promise<void> {
    this.#sinceMs = performance.now();
    await new Promise<void>((resolve, reject) => {
      this.#giveUp = reject;
      work().then(resolve, reject);
    });
    this.#giveUp = undefined;
  }

  stop(): void {
    clearInterval(this.#timer);
  }
}

function numberOf(name: string): number | undefined {
  const text = Deno.env.get(name);
  return text === undefined || text === "" ? undefined : Number(text);
}

/** Memory in use after a collection. */
function usedOctets(gc: () => void): number {
  gc();
  const { heapUsed, external } = Deno.memoryUsage();
  return heapUsed + external;
}

/** Written at once: a run that is cut off must have said its seed. */
function say(text: string): void {
  Deno.stderr.writeSync(new TextEncoder().encode(`${text}\n`));
}
