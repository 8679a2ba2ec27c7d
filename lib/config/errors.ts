/** What is wrong with a configuration file, and where. */

/** One problem at one place. */
export interface ConfigProblem {
  /** As it was named when it was read. */
  readonly file: string;
  /** Counted from 1. */
  readonly line: number;
  /** In UTF-16 code units, as editors count. */
  readonly column: number;
  /** What was expected and what was found; never a secret. */
  readonly message: string;
}

/** Formats a problem as `file:line:column: message`, which editors and terminals understand. */
export function formatProblem({ file, line, column, message }: ConfigProblem): string {
  return `${file}:${line}:${column}: ${message}`;
}

/** All problems of a configuration: its message has one line for each, in the order of the file. */
export class ConfigError extends Error {
  /** The name of the class. */
  override readonly name = "ConfigError";
  /** At least one, sorted by position. */
  readonly problems: readonly ConfigProblem[];

  /** Takes the problems in any order. */
  constructor(problems: readonly ConfigProblem[], options?: ErrorOptions) {
    const sorted = [...problems].sort((a, b) => a.line - b.line || a.column - b.column);
    super(sorted.map(formatProblem).join("\n"), options);
    this.problems = sorted;
  }
}
