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
  /** At least one, file after file, sorted by position in each. */
  readonly problems: readonly ConfigProblem[];

  /** Takes the problems of each file in any order. */
  constructor(problems: readonly ConfigProblem[], options?: ErrorOptions) {
    const files = [...new Set(problems.map(({ file }) => file))];
    const sorted = [...problems].sort((a, b) =>
      files.indexOf(a.file) - files.indexOf(b.file) || a.line - b.line || a.column - b.column
    );
    super(sorted.map(formatProblem).join("\n"), options);
    this.problems = sorted;
  }
}
