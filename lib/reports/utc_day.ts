/** Days in UTC, which reports are about. */

const DAY_MS = 86_400_000;

/** The day of a time, `2026-01-31`. @param ms Since 1970. */
export function utcDay(ms: number): string {
  return new Date(ms).toISOString().slice(0, 10);
}

/** When a day begins, seconds since 1970. @param day As {@linkcode utcDay} gives it. */
export function daySeconds(day: string): number {
  return Date.parse(`${day}T00:00:00Z`) / 1000;
}

/** The day so many days before. */
export function daysBefore(day: string, count: number): string {
  return utcDay(daySeconds(day) * 1000 - count * DAY_MS);
}

/** Milliseconds from a time to the next day. @param ms Since 1970. */
export function untilNextDay(ms: number): number {
  return DAY_MS - ((ms % DAY_MS) + DAY_MS) % DAY_MS;
}
