/** A logger that keeps what it is told, for tests. */

import type { LogFields, Logger } from "../../lib/log/logger.ts";

/** Keeps each record as one line: `level: message` with its fields filled in. */
export class LogLines implements Logger {
  /** In order. */
  readonly lines: string[] = [];

  debug(message: string, fields?: LogFields): void {
    this.#add("debug", message, fields);
  }
  info(message: string, fields?: LogFields): void {
    this.#add("info", message, fields);
  }
  warning(message: string, fields?: LogFields): void {
    this.#add("warning", message, fields);
  }
  error(message: string, fields?: LogFields): void {
    this.#add("error", message, fields);
  }

  #add(level: string, message: string, fields: LogFields = {}): void {
    this.lines.push(`${level}: ${message.replace(/\{(\w+)\}/g, (_, name: string) => String(fields[name]))}`);
  }
}
