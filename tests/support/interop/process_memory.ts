/** What a process costs, as Linux tells it. */

const MEBI = 1024 * 1024;

/** Memory of a process, in octets. */
export interface ProcessMemory {
  /** Everything, with its share of the pages that several processes have mapped (PSS): what ending it would give back. */
  readonly total: number;
  /** What belongs to nobody else and comes from no file: heaps and stacks. */
  readonly own: number;
}

/** Reads the memory of a running process. */
export async function processMemory(pid: number): Promise<ProcessMemory> {
  const text = await Deno.readTextFile(`/proc/${pid}/smaps_rollup`);
  const octets = (field: string): number => {
    const kibi = new RegExp(`^${field}:\\s+(\\d+) kB$`, "m").exec(text)?.[1];
    if (kibi === undefined) throw new Error(`No ${field} of process ${pid} in: ${text}`);
    return Number(kibi) * 1024;
  };
  return { total: octets("Pss"), own: octets("Anonymous") };
}

/** How many files and sockets a process may have open. */
export async function descriptorLimit(pid: number | "self"): Promise<number> {
  const text = await Deno.readTextFile(`/proc/${pid}/limits`);
  const soft = /^Max open files\s+(\d+|unlimited)/m.exec(text)?.[1];
  return soft === "unlimited" ? Infinity : Number(soft ?? 0);
}

/** For figures: 12.3 MiB. */
export function mebi(octets: number): string {
  return `${(octets / MEBI).toFixed(1)} MiB`;
}
