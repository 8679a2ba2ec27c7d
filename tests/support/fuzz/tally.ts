/** Counts what a campaign has seen: whether generated sessions still come as far as they should. */

import type { Judged } from "./judge.ts";

/** Counters by name. */
export class Tally {
  readonly #counts = new Map<string, number>();

  /** So many of a name. */
  count(name: string): number {
    return this.#counts.get(name) ?? 0;
  }

  /** Counts one more, or so many. */
  add(name: string, by = 1): void {
    this.#counts.set(name, this.count(name) + by);
  }

  /** Counts a session: replies as `MAIL 250`, messages as `accepted`. */
  addSession({ answers, accepted }: Judged): void {
    this.add("sessions");
    this.add("accepted", accepted);
    for (const { verb, reply: { code } } of answers) this.add(`${verb} ${code}`);
  }

  /** A table: a line for each verb, with the replies that it had. */
  toString(): string {
    const verbs = new Map<string, string[]>();
    for (const [name, count] of [...this.#counts].sort(([one], [other]) => one < other ? -1 : 1)) {
      const [, verb = name, code] = /^(.*) (\d{3})$/.exec(name) ?? [];
      const cells = verbs.get(verb) ?? [];
      cells.push(code === undefined ? `${count}` : `${code}: ${count}`);
      verbs.set(verb, cells);
    }
    return [...verbs].map(([verb, cells]) => `  ${verb.padEnd(12)} ${cells.join("  ")}\n`).join("");
  }
}
