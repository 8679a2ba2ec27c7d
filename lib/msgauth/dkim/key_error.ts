/** What is wrong with a key of ours. */

/** A key that cannot be made or used; the message names the file or name and says what to do. */
export class DkimKeyError extends Error {
  /** For `catch` across realms and log lines. */
  override readonly name = "DkimKeyError";
}
