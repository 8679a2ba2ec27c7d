/** The words and flags of `posthorn queue`, taken apart and checked. */

import { isIP } from "node:net";
import { parseReason } from "../../admin/api.ts";
import { parseDuration } from "../../config/values.ts";
import { normalizeDomain } from "../../mail/mailbox.ts";
import { parsePattern } from "../../queue/suspensions.ts";
import { REPLY_CLASSES } from "../../queue/spool_json.ts";
import { UsageError } from "../command_line.ts";
import type { Filter } from "./filter.ts";
import { type QUEUE_SWITCHES, QUEUE_USAGE, type QUEUE_VALUES } from "./flags.ts";
import type { SortKey } from "./sorting.ts";

/** Any flag of `queue`. */
export type QueueFlag = (typeof QUEUE_VALUES)[number] | (typeof QUEUE_SWITCHES)[number];
/** Flags as given: the value, or true. */
export type Flags = ReadonlyMap<string, string | true>;

/** Flags that say which messages. */
export const FILTER_FLAGS: readonly QueueFlag[] = [
  "domain",
  "recipient",
  "sender",
  "destination",
  "state",
  "older-than",
  "newer-than",
  "reply",
  "class",
];

const STATES = ["waiting", "held", "delivered", "relayed", "expanded", "failed"] as const;
const SORT_KEYS: readonly SortKey[] = ["arrived", "next", "size", "attempts", "sender", "domain"];
/** Told to the sender where the operator gives no reason. */
const DEFAULT_REASON = "Given up by the administrator of this mail system";

/** Refuses flags that an action does not have. @throws {UsageError} */
export function checkFlags(action: string, flags: Flags, allowed: readonly QueueFlag[]): void {
  for (const name of flags.keys()) {
    if (!allowed.some((flag) => flag === name)) throw usage(`queue ${action} does not take --${name}`);
  }
}

/** Reads the flags that say which messages. @throws {UsageError} */
export function readFilter(flags: Flags): Filter {
  const domain = valueOf(flags, "domain");
  const recipient = valueOf(flags, "recipient");
  const sender = valueOf(flags, "sender");
  const destination = valueOf(flags, "destination");
  const reply = valueOf(flags, "reply");
  const state = oneOf(flags, "state", STATES);
  const replyClass = oneOf(flags, "class", REPLY_CLASSES);
  const olderThanMs = durationOf(flags, "older-than");
  const newerThanMs = durationOf(flags, "newer-than");
  return {
    ...(domain !== undefined && { domain: readDomain(domain) }),
    ...(recipient !== undefined && { recipient: readAddress("recipient", recipient) }),
    ...(sender !== undefined && { sender: readAddress("sender", sender) }),
    ...(destination !== undefined && { destination }),
    ...(state !== undefined && { state }),
    ...(olderThanMs !== undefined && { olderThanMs }),
    ...(newerThanMs !== undefined && { newerThanMs }),
    ...(reply !== undefined && { reply }),
    ...(replyClass !== undefined && { replyClass }),
  };
}

/** Reads `--sort`; the order of arrival where it is absent. @throws {UsageError} */
export function readSort(flags: Flags): SortKey {
  return oneOf(flags, "sort", SORT_KEYS) ?? "arrived";
}

/** Reads `--limit`. @throws {UsageError} */
export function readLimit(flags: Flags): number | undefined {
  const text = valueOf(flags, "limit");
  if (text === undefined) return undefined;
  if (!/^[1-9]\d{0,8}$/.test(text)) throw usage(`--limit needs a number from 1 on, not "${text}"`);
  return Number(text);
}

/** Reads `--reason` of `fail`, which the sender will see. @throws {UsageError} */
export function readFailReason(flags: Flags): string {
  const reason = readReason(flags) ?? DEFAULT_REASON;
  if (reason === "") throw usage("--reason needs a text: it is what the sender reads");
  return reason;
}

/** Reads `--reason`; undefined where it is absent. @throws {UsageError} */
export function readReason(flags: Flags): string | undefined {
  const text = valueOf(flags, "reason");
  if (text === undefined) return undefined;
  const reason = parseReason(text);
  if (reason === undefined) throw usage("--reason needs one line of at most 500 characters");
  return reason;
}

/** Reads the one pattern of `suspend` and `resume`. @throws {UsageError} */
export function readPattern(action: string, words: readonly string[]): string {
  const [text, ...more] = words;
  const pattern = text === undefined || more.length > 0 ? undefined : parsePattern(text);
  if (pattern === undefined) {
    throw usage(`queue ${action} needs one pattern: a destination, a domain, "*.domain" or "*"`);
  }
  return pattern;
}

/** A wrong use of `queue`; the usage of `queue` is shown with it. */
export function usage(message: string): UsageError {
  return new UsageError(message, QUEUE_USAGE);
}

function valueOf(flags: Flags, name: QueueFlag): string | undefined {
  const value = flags.get(name);
  // Without a value, as in `--sender --yes`, nothing must be taken for one.
  if (value === "") throw usage(`--${name} needs a value${name === "sender" ? "; the null reverse-path is <>" : ""}`);
  return typeof value === "string" ? value : undefined;
}

function oneOf<T extends string>(flags: Flags, name: QueueFlag, choices: readonly T[]): T | undefined {
  const value = valueOf(flags, name);
  if (value === undefined) return undefined;
  const found = choices.find((choice) => choice.toLowerCase() === value.toLowerCase());
  if (found === undefined) throw usage(`--${name} is one of ${choices.join(", ")}, not "${value}"`);
  return found;
}

function durationOf(flags: Flags, name: QueueFlag): number | undefined {
  const value = valueOf(flags, name);
  if (value === undefined) return undefined;
  const ms = parseDuration(value);
  if (ms === undefined) throw usage(`--${name} needs a duration such as 90s, 15m, 4h or 5d, not "${value}"`);
  return ms;
}

function readDomain(text: string): string {
  const [, star = "", name = ""] = /^(\*\.)?(.*)$/s.exec(text) ?? [];
  const domain = name.startsWith("[") ? name.toLowerCase() : isIP(name) === 0 ? normalizeDomain(name) : undefined;
  if (domain === undefined) throw usage(`--domain needs a domain such as example.org or *.example.org, not "${text}"`);
  return star + domain;
}

/** An address as people copy it, with or without brackets; `<>` is the null reverse-path. */
function readAddress(name: "recipient" | "sender", text: string): string {
  const address = text.replace(/^<(.*)>$/s, "$1");
  if (address === "" && name === "sender") return address;
  if (!address.includes("@")) throw usage(`--${name} needs an address or @domain, not "${text}"`);
  return address;
}
