/** The single values that a configuration holds: pure readers of text, and the types made of them. */

import { isIP } from "node:net";
import { foldAddress } from "../mail/fold.ts";
import { hasUsualLength, normalizeDomain, parseMailbox } from "../mail/mailbox.ts";
import { parseCidr } from "../policy/cidr.ts";
import type { SpaceLimit } from "../system/disk_space.ts";
import { scalar, type Type } from "./schema.ts";

/** A host and where given its port. */
export interface HostPort {
  /** Without brackets. */
  readonly host: string;
  /** 1 to 65535. */
  readonly port?: number;
}

const DURATION_UNITS_MS: Readonly<Record<string, number>> = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };
const SIZE_UNITS: Readonly<Record<string, number>> = { "": 1, KiB: 2 ** 10, MiB: 2 ** 20, GiB: 2 ** 30 };
/** Longer ones are mistakes, and stay far from the limits of timers and dates. */
const MAX_DURATION_MS = 366 * 86_400_000;

/** Reads `90s`, `15m`, `4h` or `5d`; one second to a year. */
export function parseDuration(text: string): number | undefined {
  const [, count, unit = ""] = /^(\d{1,9})([smhd])$/.exec(text) ?? [];
  const ms = Number(count) * (DURATION_UNITS_MS[unit] ?? NaN);
  return ms > 0 && ms <= MAX_DURATION_MS ? ms : undefined;
}

/** Reads `500/1h`: a number from 1 on, and the duration that it is for. */
export function parseRate(text: string): { readonly count: number; readonly perMs: number } | undefined {
  const [, digits, time = ""] = /^([1-9]\d{0,8})\/(\w+)$/.exec(text) ?? [];
  const perMs = parseDuration(time);
  return perMs === undefined ? undefined : { count: Number(digits), perMs };
}

/** Reads the date `2026-12-31` as its first moment in UTC, milliseconds since 1970. */
export function parseDay(text: string): number | undefined {
  const ms = /^\d{4}-\d\d-\d\d$/.test(text) ? Date.parse(`${text}T00:00:00Z`) : NaN;
  // Date.parse takes the 31st of February for the 3rd of March.
  return !Number.isNaN(ms) && new Date(ms).toISOString().startsWith(text) ? ms : undefined;
}

/** Reads `512KiB`, `50MiB`, `2GiB` or octets without a unit. */
export function parseSize(text: string): number | undefined {
  const [, count, unit = ""] = /^(\d{1,12})(KiB|MiB|GiB)?$/.exec(text) ?? [];
  const octets = Number(count) * (SIZE_UNITS[unit] ?? NaN);
  return Number.isSafeInteger(octets) && octets > 0 ? octets : undefined;
}

/** Reads what has to stay free: a size, `5%` (up to 90%), or 0 for nothing. */
export function parseFreeSpace(text: string): SpaceLimit | undefined {
  if (/^0%?$/.test(text)) return { octets: 0 };
  const [, number] = /^(\d{1,2}(?:\.\d{1,2})?)%$/.exec(text) ?? [];
  if (number !== undefined) return +number > 0 && +number <= 90 ? { percent: +number } : undefined;
  const octets = parseSize(text);
  return octets === undefined ? undefined : { octets };
}

/** Writes a size as {@linkcode parseSize} reads it, in the largest unit without a fraction. */
export function formatSize(octets: number): string {
  const unit = ["GiB", "MiB", "KiB"].find((name) => octets % (SIZE_UNITS[name] ?? NaN) === 0);
  return unit === undefined || octets === 0 ? `${octets}` : `${octets / (SIZE_UNITS[unit] ?? 1)}${unit}`;
}

/** Reads `host`, `host:port`, `192.0.2.1:25`, `[2001:db8::1]` or `[2001:db8::1]:25`. */
export function parseHostPort(text: string): HostPort | undefined {
  const [, v6, name, port] = /^(?:\[([^\]]+)\]|([^:[\]]+))(?::(\d{1,5}))?$/.exec(text) ?? [];
  const host = v6 === undefined
    ? parseHost(name ?? "")
    : isIP(v6) === 6 && !v6.includes("%")
    ? v6.toLowerCase()
    : undefined;
  if (host === undefined || (port !== undefined && !isPort(port))) return undefined;
  return port === undefined ? { host } : { host, port: Number(port) };
}

/**
 * Reads a fully qualified host name in A-label form: at least two labels, without underscores (RFC 5321 §2.3.5,
 * RFC 1123 §2.1). The last label has a letter, so that an address is none.
 */
export function parseHostName(text: string): string | undefined {
  const name = normalizeDomain(text);
  return name !== undefined && /^[a-z0-9.-]+\.[a-z0-9-]*[a-z][a-z0-9-]*$/.test(name) ? name : undefined;
}

/** Reads a path; it is not resolved. */
export function parsePath(text: string): string | undefined {
  return text === "" || text.includes("\0") ? undefined : text;
}

/** A name (also of one label, as `localhost`) or an IPv4 address. */
function parseHost(text: string): string | undefined {
  return isIP(text) === 4 ? text : /^[\d.]+$/.test(text) ? undefined : normalizeDomain(text);
}

function isPort(text: string): boolean {
  return Number(text) >= 1 && Number(text) <= 65_535;
}

/** Any text but the empty one. */
export function text(expects: string): Type<string> {
  return scalar({ expects, parse: (value) => value === "" ? undefined : value });
}

/** Text that no error message shows. */
export function secret(expects: string): Type<string> {
  return scalar({ expects, parse: (value) => value === "" ? undefined : value, isSecret: () => true });
}

/** Text that matches a pattern. */
export function matching(pattern: RegExp, expects: string): Type<string> {
  return scalar({ expects, parse: (value) => pattern.test(value) ? value : undefined });
}

/** One of some words. */
export function oneOf<const W extends string>(...words: readonly W[]): Type<W> {
  return scalar({ expects: `one of ${words.join(", ")}`, parse: (value) => words.find((word) => word === value) });
}

/** A whole number in a range. */
export function count(minimum: number, maximum: number): Type<number> {
  return scalar({
    expects: `a whole number from ${minimum} to ${maximum}`,
    written: "number",
    parse: (value) => /^\d{1,15}$/.test(value) && +value >= minimum && +value <= maximum ? +value : undefined,
  });
}

/** True or false, without quotes. */
export const yesOrNo: Type<boolean> = scalar({
  expects: "true or false",
  written: "number",
  parse: (value) => value === "true" ? true : value === "false" ? false : undefined,
});

/** A path as it is written; a relative one is relative to the folder of the file. */
export const path: Type<string> = scalar({ expects: "a path", parse: parsePath });

/** A duration in milliseconds. */
export const duration: Type<number> = scalar({
  expects: "a duration such as 90s, 15m, 4h or 5d",
  written: "either",
  parse: parseDuration,
});

/** A duration in milliseconds, not longer than another. */
export function durationUpTo(maximumMs: number, expects: string): Type<number> {
  return scalar({
    expects,
    written: "either",
    parse: (text) => {
      const ms = parseDuration(text);
      return ms !== undefined && ms <= maximumMs ? ms : undefined;
    },
  });
}

/** A number in a duration. */
export const rate: Type<{ readonly count: number; readonly perMs: number }> = scalar({
  expects: "a number and a duration such as 500/1h",
  parse: parseRate,
});

/** A day, as its first moment in UTC. */
export const day: Type<number> = scalar({ expects: "a date such as 2026-12-31", written: "either", parse: parseDay });

/** A size in octets. */
export const size: Type<number> = scalar({
  expects: "a size such as 512KiB, 50MiB or 2GiB",
  written: "either",
  parse: parseSize,
});

/** What has to stay free of a disk. */
export const freeSpace: Type<SpaceLimit> = scalar({
  expects: "a size such as 100MiB, a part of the disk such as 5%, or 0",
  written: "either",
  parse: parseFreeSpace,
});

/** The octets that a mailbox may hold; 0: no limit. */
export const storageLimit: Type<number> = scalar({
  expects: 'a size such as 500MiB or 2GiB, or "none"',
  written: "either",
  parse: (text) => isNoLimit(text) ? 0 : parseSize(text),
});

/** The number of messages that a mailbox may hold; 0: no limit. */
export const messageLimit: Type<number> = scalar({
  expects: 'a number of messages such as 100000, or "none"',
  written: "either",
  parse: (text) => isNoLimit(text) ? 0 : /^[1-9]\d{0,8}$/.test(text) ? Number(text) : undefined,
});

/** `0` is what `maildirsize` and Dovecot say. */
function isNoLimit(text: string): boolean {
  return text === "none" || text === "0";
}

/** A part of a whole, in percent. */
export const percentage: Type<number> = scalar({
  expects: "a percentage from 1% to 100%",
  parse: (text) => /^(?:[1-9]\d?|100)%$/.test(text) ? Number(text.slice(0, -1)) : undefined,
});

/** A fully qualified host name. */
export const hostName: Type<string> = scalar({
  expects: 'a fully qualified host name such as "mail.example.org"',
  parse: parseHostName,
});

/** A mail domain in A-label form and lower case. */
export const domainName: Type<string> = scalar({
  expects: 'a domain such as "example.org"',
  parse: (value) => isIP(value) === 0 ? normalizeDomain(value) : undefined,
});

/** A mailbox of any domain, in canonical text. */
export const mailbox: Type<string> = scalar({
  expects: 'a mailbox such as "alice@example.org"',
  parse: (value) => parseMailbox(value)?.text,
});

/** A mailbox of ours, folded; its local part is one that every server takes, and a name for a folder. */
export const ourMailbox: Type<string> = scalar({
  expects: mailbox.expects,
  parse: (value) => {
    const parsed = parseMailbox(value);
    return parsed === undefined || !hasUsualLength(parsed.localPart) ? undefined : foldAddress(parsed.text);
  },
});

/** An address or a CIDR block; kept as text. */
export const cidr: Type<string> = scalar({
  expects: 'an address or a CIDR block such as "192.0.2.0/24" or "2001:db8::/32", without bits behind the prefix',
  parse: (value) => parseCidr(value) === undefined ? undefined : value,
});

/** The address of a DNS server; the port is 53 where it is not given. */
export const dnsServer: Type<{ readonly host: string; readonly port: number }> = scalar({
  expects: 'the address of a DNS server such as "127.0.0.1:53" or "[::1]:53"',
  parse: (value) => {
    const server = parseHostPort(value);
    return server === undefined || isIP(server.host) === 0 ? undefined : { host: server.host, port: server.port ?? 53 };
  },
});
