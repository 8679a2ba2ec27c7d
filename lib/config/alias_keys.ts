/** The schema of an entry of `aliases`: mailboxes, or a mapping that may name files of them and an owner. */

import { isMap } from "yaml";
import { type Located, located, object, oneOrMore, optional, type Type } from "./schema.ts";
import type { Node, Source } from "./source.ts";
import * as value from "./values.ts";

/** An entry of `aliases` as it stands in the file. */
export interface AliasDraft {
  /** Canonical forward-paths; may be none where files are named. */
  readonly members: readonly string[];
  /** Paths as written, of files with more of them. */
  readonly include: readonly Located<string>[];
  /** Makes it a list; absent: the convention of `owner-` decides. */
  readonly owner?: Located<string>;
}

/** What stands for an entry that is wrong, so that its key still counts. */
export const NO_ALIAS: AliasDraft = { members: [], include: [] };

const members = oneOrMore(value.mailbox, "mailboxes");

const mapping = object({
  members: optional("members", members, "Mailboxes, here or elsewhere."),
  include: optional(
    "include",
    oneOrMore(located(value.path), "paths"),
    "Files with more of them, one a line; # begins a comment.",
  ),
  owner: optional(
    "owner",
    located(value.mailbox),
    "Makes it a list: the mailbox that its messages come from, and that reports go to. Default: owner-NAME, if that exists.",
  ),
});

/** An entry of `aliases`. */
export const alias: Type<AliasDraft> = {
  expects: members.expects,
  ...(mapping.fields === undefined ? {} : { fields: mapping.fields }),
  read(rawNode: Node, source: Source, path: string): AliasDraft | undefined {
    const node = source.resolve(rawNode);
    if (node === undefined) return undefined;
    if (!isMap(node)) {
      const short = members.read(node, source, path);
      return short === undefined ? undefined : { members: short, include: [] };
    }
    const read = mapping.read(node, source, path);
    if (read === undefined) return undefined;
    const { include = [], owner } = read;
    if (!node.has("members") && !node.has("include")) {
      return void source.report(node, `${path}: expected "members" or "include", found neither`);
    }
    return { members: read.members ?? [], include, ...(owner === undefined ? {} : { owner }) };
  },
};
