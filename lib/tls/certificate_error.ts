/** What can be wrong with a file of certificates or keys. */

/** A certificate that cannot be used; the message names the file and says what to do. */
export class CertificateError extends Error {
  /** For `catch` across realms and log lines. */
  override readonly name = "CertificateError";
  /** The file at fault. */
  readonly file: string;

  /** Takes the file at fault and the whole message. */
  constructor(file: string, message: string, options?: ErrorOptions) {
    super(message, options);
    this.file = file;
  }
}
