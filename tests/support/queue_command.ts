/** The actions of `posthorn queue` on a spool in memory, in front of a terminal that a test reads and answers for. */

import { getLogger } from "@logtape/logtape";
import { accessTo, type RunningQueue } from "../../lib/admin/queue_access.ts";
import type { QueueContext } from "../../lib/cli/queue/context.ts";
import type { Flags } from "../../lib/cli/queue/options.ts";
import type { Terminal } from "../../lib/cli/queue/terminal.ts";
import type { DestinationStatus } from "../../lib/queue/queue_control.ts";
import { openStoppedQueue } from "../../lib/queue/stopped_queue.ts";
import { openSuspensions } from "../../lib/queue/suspensions.ts";
import { FakeClock } from "./fake_clock.ts";
import { MemoryFiles } from "./memory_files.ts";

/** A terminal that remembers. */
export class FakeTerminal implements Terminal {
  readonly results: string[] = [];
  readonly told: string[] = [];
  readonly questions: string[] = [];
  readonly octets: number[] = [];
  /** What is answered; undefined: nobody is there. */
  answer: boolean | undefined;

  print(line: string): void {
    this.results.push(...line.split("\n"));
  }

  printOctets(octets: Uint8Array): void {
    this.octets.push(...octets);
  }

  complain(line: string): void {
    this.told.push(line);
  }

  confirm(question: string): boolean | undefined {
    if (this.answer !== undefined) this.questions.push(question);
    return this.answer;
  }
}

/** A context with its parts. */
export interface FakeContext extends QueueContext {
  readonly files: MemoryFiles;
  readonly clock: FakeClock;
  readonly terminal: FakeTerminal;
  /** All that was printed, as JSON. */
  json(): unknown;
}

/** What a test may choose. */
export interface FakeContextOptions {
  readonly files?: MemoryFiles;
  readonly now?: string;
  readonly isJson?: boolean;
  readonly server?: Partial<RunningQueue>;
  readonly localAddresses?: readonly string[];
}

/** Makes a context; the spool is `/data/spool`. */
export function fakeContext(options: FakeContextOptions = {}): FakeContext {
  const files = options.files ?? new MemoryFiles();
  const clock = new FakeClock(options.now ?? "2026-01-01T04:00:00Z");
  const terminal = new FakeTerminal();
  const folder = "/data/spool";
  const logger = getLogger(["test"]);
  const server = options.server === undefined ? undefined : fakeServer(options.server);
  return {
    files,
    clock,
    terminal,
    folder,
    isJson: options.isJson ?? false,
    expireAfterMs: 5 * 86_400_000,
    isLocal: (address) => Promise.resolve(options.localAddresses?.includes(address) ?? false),
    running: () => Promise.resolve(server),
    suspensionsOnFile: async () => (await openSuspensions({ folder, files, clock, logger })).list(),
    open: async () => server ?? accessTo(await openStoppedQueue({ folder, files, clock, logger, processId: 4711 })),
    json: () => JSON.parse(terminal.results.join("\n")),
  };
}

/** A running server of which a test says only what matters to it. */
export function fakeServer(more: Partial<RunningQueue>): RunningQueue {
  return {
    change: (_change, ids) => Promise.resolve(ids.map((id) => ({ id, result: "done" as const }))),
    suspend: () => Promise.resolve(true),
    resume: () => Promise.resolve(true),
    suspensions: () => Promise.resolve([]),
    destinations: () => Promise.resolve([]),
    destinationsOf: () => Promise.resolve(new Map()),
    status: () => Promise.resolve({ isDraining: false, active: 0, scheduled: 0 }),
    drain: (isDraining) => Promise.resolve({ isDraining, active: 0, scheduled: 0 }),
    sendReports: () => Promise.resolve({ isFinished: true, outcomes: [] }),
    [Symbol.dispose]: () => {},
    ...more,
  };
}

/** A destination of a running server. */
export function destination(key: string, more: Partial<DestinationStatus> = {}): DestinationStatus {
  return { key, state: "open", running: 0, waiting: 0, concurrency: 20, ...more };
}

/** Flags as the command line gives them. */
export function flags(given: Readonly<Record<string, string | true>> = {}): Flags {
  return new Map(Object.entries(given));
}
