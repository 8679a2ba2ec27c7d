/** A command that could not do its work, with the exit code to end with. */

/** Thrown by commands; the message is for the person at the terminal. */
export class CommandError extends Error {
  /** Stands in front of the message in logs and stack traces. */
  override readonly name = "CommandError";
  /** One of sysexits.h. */
  readonly exitCode: number;

  /** Takes the exit code and what to tell. */
  constructor(exitCode: number, message: string, options?: ErrorOptions) {
    super(message, options);
    this.exitCode = exitCode;
  }
}
