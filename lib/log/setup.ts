/** Sets up logging: LogTape's loggers below `posthorn`, one line for each record, to standard error. */

import { configureSync, type LogLevel, type LogRecord, resetSync } from "@logtape/logtape";
import { jsonFormatter, type LineFormatter, textFormatter } from "./format.ts";
import { LineWriter } from "./line_writer.ts";

/** Section `log` of the configuration. */
export interface LogSettings {
  /** The lowest level that is written. */
  readonly level: "debug" | "info" | "warning" | "error";
  /** Lines for people or for programs. */
  readonly format: "text" | "json";
}

/** The log while the program runs. */
export interface Log extends AsyncDisposable {
  /** Takes other settings, at a reload. */
  configure(settings: LogSettings): void;
  /** Writes what waits. To be awaited before `Deno.exit`, also when an unexpected error ends the program. */
  flush(): Promise<void>;
}

/**
 * Starts logging. Called once, from main; LogTape's configuration is one for the whole program.
 *
 * @param output Where lines go; `Deno.stderr`.
 */
export function startLog(settings: LogSettings, output: { write(octets: Uint8Array): Promise<number> }): Log {
  let format = formatterOf(settings);
  const writer = new LineWriter({ output, lostLine: (count) => format(lostRecord(count)) });
  apply(settings.level, format, writer);
  return {
    configure: (changed): void => {
      format = formatterOf(changed);
      apply(changed.level, format, writer);
    },
    flush: () => writer.flush(),
    [Symbol.asyncDispose]: async (): Promise<void> => {
      resetSync();
      await writer.flush();
    },
  };
}

function formatterOf({ format }: LogSettings): LineFormatter {
  return format === "json" ? jsonFormatter() : textFormatter();
}

/** What the log says of its own gap. */
function lostRecord(count: number): LogRecord {
  const rawMessage = "{count} log lines were lost here: the output was not read fast enough";
  const common = { category: ["posthorn", "log"], level: "warning", timestamp: Date.now() } as const;
  return { ...common, rawMessage, message: [rawMessage], properties: { count } };
}

function apply(level: LogSettings["level"], format: LineFormatter, writer: LineWriter): void {
  configureSync({
    reset: true,
    sinks: { lines: (record) => writer.add(formatSafely(format, record), isUrgent(record.level)) },
    loggers: [
      { category: "posthorn", lowestLevel: level, sinks: ["lines"] },
      { category: ["logtape", "meta"], lowestLevel: "warning", sinks: ["lines"] },
    ],
  });
}

/** A field whose getter throws must not break what it is logged from. */
function formatSafely(format: LineFormatter, record: LogRecord): string {
  try {
    return format(record);
  } catch (error) {
    return `${new Date().toISOString()} error log: Cannot format a log record: ${
      error instanceof Error ? error.name : "?"
    }`;
  }
}

function isUrgent(level: LogLevel): boolean {
  return level === "error" || level === "fatal";
}
