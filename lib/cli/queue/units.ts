/** Times, durations and sizes as people read them, and text of others. Times are in UTC, as in the log. */

import { escapeControls } from "../../log/fields.ts";

const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/** `14:05 UTC` today, `2 Dec 14:05 UTC` on another day, `2 Dec 2027 14:05 UTC` in another year. */
export function timeText(ms: number, nowMs: number): string {
  const [time, now] = [new Date(ms), new Date(nowMs)];
  if (Number.isNaN(time.getTime())) return "an unknown time";
  const clock = `${time.toISOString().slice(11, 16)} UTC`;
  if (time.toISOString().slice(0, 10) === now.toISOString().slice(0, 10)) return clock;
  const year = time.getUTCFullYear() === now.getUTCFullYear() ? "" : ` ${time.getUTCFullYear()}`;
  return `${time.getUTCDate()} ${MONTHS[time.getUTCMonth()]}${year} ${clock}`;
}

/** As {@linkcode timeText}, with its preposition: `at 14:05 UTC`, `on 2 Dec 14:05 UTC`. */
export function atText(ms: number, nowMs: number): string {
  const text = timeText(ms, nowMs);
  return `${/^\d\d:/.test(text) ? "at" : "on"} ${text}`;
}

/** `40 s`, `12 min`, `3 h`, `5 d`: the largest unit of which there are two at least, rounded down. */
export function durationText(ms: number): string {
  if (ms >= 2 * DAY) return `${Math.floor(ms / DAY)} d`;
  if (ms >= 2 * HOUR) return `${Math.floor(ms / HOUR)} h`;
  if (ms >= 2 * MINUTE) return `${Math.floor(ms / MINUTE)} min`;
  return `${Math.max(0, Math.floor(ms / SECOND))} s`;
}

/** `512 B`, `12 KiB`, `3.4 MiB`. */
export function sizeText(octets: number): string {
  const units = ["KiB", "MiB", "GiB", "TiB"];
  if (octets < 1024) return `${octets} B`;
  let size = octets / 1024;
  let unit = 0;
  while (size >= 1023.95 && unit < units.length - 1) {
    size /= 1024;
    unit++;
  }
  return `${size < 10 ? size.toFixed(1) : Math.round(size)} ${units[unit]}`;
}

/** Text of others, such as a reply of a server, for a terminal: what could move the cursor or worse is shown as `\\x1b`. */
export function printable(text: string): string {
  return escapeControls(text);
}

/** `1 message`, `2 messages`. */
export function countText(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? "" : "s"}`;
}

/** The width of a column for these texts, however many they are: within these bounds as wide as the longest. */
export function columnWidth(texts: readonly string[], least: number, most: number): number {
  return Math.min(most, texts.reduce((width, { length }) => Math.max(width, length), least));
}
