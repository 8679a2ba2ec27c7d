/** Looks for aliases, forwards and catch-alls that lead nowhere: mail to them is refused, or somebody gets none of it. */

import { domainOf, parseMailbox } from "../mail/mailbox.ts";
import type { Directory } from "./directory.ts";
import type { ExpansionProblem } from "./expansion.ts";
import { type RecipientResolution, resolveRecipient } from "./recipient.ts";

/** Something of the configuration that leads nowhere. */
export type DeadEnd =
  /** Somebody of a domain of ours who does not exist. */
  | { readonly kind: "alias" | "forward" | "catch-all"; readonly of: string; readonly target: string }
  /** An alias whose mail is refused. */
  | { readonly kind: ExpansionProblem; readonly of: string };

/** Recipients that are looked at, in a few tenths of a second; aliases of aliases of thousands could take minutes. */
const MAX_LOOKS = 20_000;

/** Finds dead ends, in the order of configuration and accounts. Of targets elsewhere only delivery can tell. */
export function deadEnds(directory: Directory): readonly DeadEnd[] {
  const known = new Map<string, RecipientResolution["kind"]>();
  let looks = 0;
  const resolve = (address: string): RecipientResolution | undefined => {
    const mailbox = looks < MAX_LOOKS ? parseMailbox(address) : undefined;
    if (mailbox === undefined) return undefined;
    const resolved = resolveRecipient(directory, mailbox);
    looks += resolved.kind === "local" ? resolved.targets.length : 1;
    known.set(address, resolved.kind);
    return resolved;
  };
  const nobodies = (kind: "alias" | "forward" | "catch-all", of: string, targets: readonly string[]): DeadEnd[] =>
    targets.filter((target) => directory.domains.has(domainOf(target)))
      .filter((target) => (known.get(target) ?? resolve(target)?.kind) === "unknown")
      .map((target) => ({ kind, of, target }));
  return [
    ...[...directory.aliases].flatMap(([of, { targets }]): DeadEnd[] => {
      const resolved = resolve(of);
      return [
        ...(resolved?.kind === "refused" ? [{ kind: resolved.problem, of }] : []),
        ...nobodies("alias", of, targets),
      ];
    }),
    ...[...directory.accounts].flatMap(([of, { forward }]) => nobodies("forward", of, forward?.to ?? [])),
    ...[...directory.domains].flatMap(([of, { catchAll }]) =>
      catchAll === undefined ? [] : nobodies("catch-all", of, [catchAll])
    ),
  ];
}
