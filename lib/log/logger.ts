/** What the parts of posthorn log through. LogTape's loggers are such; tests may hand in others. */

/** Named values of a record: they stand in the message where it says `{name}`, and in JSON lines by name. */
export type LogFields = Record<string, unknown>;

/** Takes log records of one part of the program. Never secrets, never message content. */
export interface Logger {
  /** For who looks for a fault in posthorn or a peer. */
  debug(message: string, fields?: LogFields): void;
  /** What happens every day: messages, deliveries, refusals. */
  info(message: string, fields?: LogFields): void;
  /** Needs a look by daylight. */
  warning(message: string, fields?: LogFields): void;
  /** Needs a look now: mail waits, or cannot be taken. */
  error(message: string, fields?: LogFields): void;
}
