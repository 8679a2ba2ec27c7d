/** Canonical bodies, computed plainly on a whole body in memory: what the streaming ones are compared with. */

import type { Canonicalization } from "../../../lib/msgauth/dkim/canonicalize.ts";

/** RFC 6376 §3.4.3 and §3.4.4 with regular expressions. @param body Octets as Latin-1. */
export function plainCanonicalBody(body: string, canonicalization: Canonicalization): string {
  if (canonicalization === "simple") return body.replace(/(?:\r\n)*$/, "") + "\r\n";
  const lines = body.split("\r\n").map((line) => line.replace(/[ \t]+/g, " ").replace(/ $/, ""));
  while (lines.at(-1) === "") lines.pop();
  return lines.map((line) => `${line}\r\n`).join("");
}
