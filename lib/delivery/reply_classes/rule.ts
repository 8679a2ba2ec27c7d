/** The form of the rules that tell what a reply is about. They are data: each has its samples, and a test tries them all. */

import type { ReplyClass } from "../../mail/outcome.ts";

/** One rule. */
export interface ReplyRule {
  /** Whose replies it is for: a service, a program, or a practice that many share. */
  readonly receiver: string;
  /** What its replies are about. */
  readonly replyClass: ReplyClass;
  /**
   * Looked for in a reply as one line, such as `550 5.1.1 <@>: no such user`, in which addresses are written as `@`. So
   * that no reply can take long, it has no `*`, `+` or other repetition without a small bound, and repeats no group.
   */
  readonly pattern: RegExp;
  /** Replies of this kind as they were sent or are documented; at least one. */
  readonly samples: readonly string[];
}

/** A rule as it stands in a table: class, pattern, samples. */
export type RuleRow = readonly [ReplyClass, RegExp, ...samples: readonly [string, ...string[]]];

/** Makes the rules of one receiver. */
export function rulesOf(receiver: string, rows: readonly RuleRow[]): readonly ReplyRule[] {
  return rows.map(([replyClass, pattern, ...samples]) => ({ receiver, replyClass, pattern, samples }));
}
