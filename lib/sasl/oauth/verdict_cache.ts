/** Remembers for a moment which tokens were good, so that a client with many connections is asked about once. */

import { createHash } from "node:crypto";
import type { Clock } from "../../system/clock.ts";
import type { TokenValidator, TokenVerdict } from "./validator.ts";

/** How much is remembered. */
export interface VerdictCacheOptions {
  /** For how long, and whether the token has expired meanwhile. */
  readonly clock: Pick<Clock, "now" | "monotonic">;
  /** Tokens remembered. Default 10,000, some 2 MiB; the oldest goes first. */
  readonly maxEntries?: number;
}

/** A token that was withdrawn is good for this much longer. */
const MAX_AGE_MS = 60_000;

interface Entry {
  readonly verdict: TokenVerdict;
  /** Monotonic. */
  readonly untilMs: number;
}

/** Wraps a validator. Only good tokens are remembered, by their SHA-256, for a minute or until they expire. */
export function withVerdictCache(
  validator: TokenValidator,
  { clock, maxEntries = 10_000 }: VerdictCacheOptions,
): TokenValidator {
  const entries = new Map<string, Entry>();
  return {
    validate: async (token) => {
      const key = createHash("sha256").update(token).digest("base64");
      const known = entries.get(key);
      if (known !== undefined && clock.monotonic() < known.untilMs) return known.verdict;
      entries.delete(key);
      const verdict = await validator.validate(token);
      if (verdict.kind !== "valid") return verdict;
      const untilExpiryMs = verdict.expiresAtMs === undefined ? MAX_AGE_MS : verdict.expiresAtMs - clock.now();
      const ageMs = Math.min(MAX_AGE_MS, untilExpiryMs);
      if (ageMs <= 0) return verdict;
      entries.delete(key); // Two sessions may have asked at once: the newer answer goes to the end.
      entries.set(key, { verdict, untilMs: clock.monotonic() + ageMs });
      // A Map keeps its order of insertion.
      if (entries.size > maxEntries) entries.delete(entries.keys().next().value ?? "");
      return verdict;
    },
  };
}
