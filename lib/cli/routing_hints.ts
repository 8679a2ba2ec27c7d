/** What is allowed in aliases, forwards and lists, and most likely a mistake. */

import type { DeadEnd } from "../routing/dead_ends.ts";
import { MAX_ALIAS_DEPTH, MAX_TARGETS } from "../routing/expansion.ts";
import type { Router } from "../routing/router.ts";

/** Sentences for people, without full stops; empty where all is well. */
export function routingHints(router: Pick<Router, "orphanedLists" | "deadEnds">): readonly string[] {
  return [
    ...router.orphanedLists().map(({ list, owner }) =>
      `The owner of the list ${list} is no mailbox here: ${owner}; reports on its messages will be lost`
    ),
    ...router.deadEnds().map(deadEndText),
  ];
}

function deadEndText(end: DeadEnd): string {
  const { kind, of } = end;
  switch (kind) {
    case "alias":
      return `The alias ${of} names ${end.target}, which is no mailbox here and gets none of its mail`;
    case "forward":
      return `The mailbox ${of} forwards to ${end.target}, which is no mailbox here and gets none of its mail`;
    case "catch-all":
      return `The catch-all of ${of} is no mailbox here: ${end.target}`;
    case "loop":
      return `The alias ${of} only leads round in a circle: its mail is refused`;
    case "depth":
      return `The alias ${of} leads through more than ${MAX_ALIAS_DEPTH} others: its mail is refused`;
    case "size":
      return `The alias ${of} has more than ${MAX_TARGETS} recipients behind it: its mail is refused`;
  }
}
