/** Reads the files of mailboxes that entries of `aliases` include. */

import { resolve } from "node:path";
import { parseMailbox } from "../mail/mailbox.ts";
import type { AliasDraft } from "./alias_keys.ts";
import type { ConfigProblem } from "./errors.ts";
import type { Entry } from "./schema.ts";
import { type ConfigIo, quote, reasonOf, type Source } from "./source.ts";

/** What the files say. */
export interface Includes {
  /** By absolute path, in the order in which they are named: canonical forward-paths. */
  readonly files: ReadonlyMap<string, readonly string[]>;
  /** What is wrong in the files themselves. */
  readonly problems: readonly ConfigProblem[];
}

/** Of one file; who names a program or a picture wants no more. */
const MAX_PROBLEMS = 20;

/**
 * Reads each file once. One that cannot be read, and an entry that has nobody in it in the end, is noted where it stands in
 * the configuration.
 */
export async function readIncludes(
  aliases: readonly Entry<AliasDraft>[],
  source: Source,
  io: ConfigIo,
): Promise<Includes> {
  const read = new Map<string, MemberFile>();
  for (const { key, at, value: { members, include } } of aliases) {
    const ofAlias: MemberFile[] = [];
    for (const { value, at: where } of include) {
      const path = resolve(source.folder, value);
      const file = read.get(path) ?? await readMembers(path, io);
      read.set(path, file);
      ofAlias.push(file);
      if (file.reason === undefined) continue;
      source.report(where, `aliases.${key}.include: cannot read ${quote(value)}: ${file.reason}`);
    }
    const isEmpty = members.length === 0 && ofAlias.every(({ mailboxes }) => mailboxes.length === 0);
    const isRight = ofAlias.every(({ reason, problems }) => reason === undefined && problems.length === 0);
    // A file that is written at this moment may be empty: mail for nobody would be refused for good.
    if (isEmpty && isRight && ofAlias.length > 0) {
      source.report(at, `aliases.${key}: expected one or more mailboxes, found files without any`);
    }
  }
  return {
    files: new Map([...read].map(([path, { mailboxes }]) => [path, mailboxes])),
    problems: [...read.values()].flatMap(({ problems }) => problems),
  };
}

interface Members {
  readonly mailboxes: readonly string[];
  readonly problems: readonly ConfigProblem[];
}

interface MemberFile extends Members {
  /** Why it cannot be read. */
  readonly reason?: string;
}

async function readMembers(path: string, io: ConfigIo): Promise<MemberFile> {
  let text: string;
  try {
    text = await io.readText(path);
  } catch (error) {
    return { mailboxes: [], problems: [], reason: reasonOf(error) };
  }
  return parseMembers(path, text);
}

/**
 * Reads a file of mailboxes: one a line, blanks around it, empty lines, and comments from `#` at the start of a line or after
 * a blank. Lines may end with CRLF.
 */
function parseMembers(file: string, text: string): Members {
  const mailboxes: string[] = [];
  const problems: ConfigProblem[] = [];
  let count = 0;
  for (const [index, raw] of text.replace(/^\ufeff/, "").split("\n").entries()) {
    const entry = raw.replace(/(?:^|\s)#.*$/s, "").trim();
    if (entry === "") continue;
    // What is no UTF-8 was read as U+FFFD, which would be a character like others.
    const mailbox = entry.includes("\ufffd") ? undefined : parseMailbox(entry)?.text;
    if (mailbox !== undefined) mailboxes.push(mailbox);
    else if (++count <= MAX_PROBLEMS) {
      const message = `expected a mailbox such as "alice@example.org", found ${quote(entry)}`;
      problems.push({ file, line: index + 1, column: raw.length - raw.trimStart().length + 1, message });
    }
  }
  const last = problems.at(-1);
  if (last !== undefined && count > MAX_PROBLEMS) {
    problems.push({ ...last, message: `and ${count - MAX_PROBLEMS} more lines that are no mailboxes` });
  }
  return { mailboxes, problems };
}
