/** What a server and its processes use, as Linux tells it: see proc(5). */

import { pause } from "../support/interop/wait.ts";

/** Memory of all processes of a server, in octets. */
export interface TreeMemory {
  /** With the share of each in the pages that several processes have mapped (PSS). */
  readonly pss: number;
  /** Every page counted in each process that has it (RSS). */
  readonly rss: number;
  /** Pages that come from no file: heaps and stacks. */
  readonly anonymous: number;
}

/** Of /proc/PID/stat: USER_HZ, which is 100 on all common Linux. */
const TICKS_PER_SECOND = 100;

interface Stat {
  readonly pid: number;
  readonly ticks: number;
}

/** A process and its living children; their ended ones are in the times of the parent. */
async function statsOf(parent: number): Promise<Stat[]> {
  const stats: Stat[] = [];
  for await (const { name } of Deno.readDir("/proc")) {
    const stat = /^\d+$/.test(name) ? await Deno.readTextFile(`/proc/${name}/stat`).catch(() => "") : "";
    // The second field is a name in parentheses that may hold anything; 4 is the parent, 14 to 17 are times.
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ").map(Number);
    if (Number(name) !== parent && fields[1] !== parent) continue;
    stats.push({ pid: Number(name), ticks: fields.slice(11, 15).reduce((sum, each) => sum + each, 0) });
  }
  return stats;
}

/** CPU seconds of a process, its living children, and the ended ones, which it waited for. */
export async function cpuSeconds(pid: number): Promise<number> {
  return (await statsOf(pid)).reduce((sum, { ticks }) => sum + ticks, 0) / TICKS_PER_SECOND;
}

/** Whether a process and each of its children have a file mapped, a library for example. */
export async function allHaveMapped(parent: number, file: string): Promise<boolean> {
  const maps = (await statsOf(parent)).map(({ pid }) => Deno.readTextFile(`/proc/${pid}/maps`).catch(() => file));
  return (await Promise.all(maps)).every((text) => text.includes(file));
}

/** Waits until a server stops using CPU, 10 s at most. @returns Its CPU seconds since the start. */
export async function quietCpuSeconds(pid: number): Promise<number> {
  let [last, now] = [-1, await cpuSeconds(pid)];
  for (let look = 0; look < 40 && now - last >= 0.015; look++) {
    await pause(250);
    [last, now] = [now, await cpuSeconds(pid)];
  }
  return now;
}

/** Memory of a process and its children. */
export async function treeMemory(parent: number): Promise<TreeMemory> {
  const sum = { pss: 0, rss: 0, anonymous: 0 };
  for (const { pid } of await statsOf(parent)) {
    const text = await Deno.readTextFile(`/proc/${pid}/smaps_rollup`).catch(() => ""); // It may have ended.
    const octets = (field: string): number =>
      Number(new RegExp(`^${field}:\\s+(\\d+) kB$`, "m").exec(text)?.[1] ?? 0) * 1024;
    sum.pss += octets("Pss");
    sum.rss += octets("Rss");
    sum.anonymous += octets("Anonymous");
  }
  return sum;
}

/** The most anonymous memory that a process has while `work` runs, looked at every 5 ms; in octets. */
export async function peakAnonymous(pid: number, work: Promise<unknown>): Promise<number> {
  let isDone = false;
  const done = work.finally(() => isDone = true);
  let peak = 0;
  while (!isDone) {
    // Cheaper than smaps_rollup, which would stop the process each time.
    const status = await Deno.readTextFile(`/proc/${pid}/status`);
    peak = Math.max(peak, Number(/^RssAnon:\s+(\d+) kB$/m.exec(status)?.[1] ?? 0) * 1024);
    await Promise.race([pause(5), done.catch(() => {})]);
  }
  await done;
  return peak;
}
