/**
 * The secrets of sender rewriting, `data/keys/srs`: one a line, the first one signs, all of them verify. So an operator puts
 * a new line on top, and takes the old one away when the addresses that it signed have expired.
 */

import type { Logger } from "../../log/logger.ts";
import { type Files, parentOf, readSmallText, writeDurable } from "../../system/files.ts";

/** A file of secrets that cannot be used; the message does not name it, and shows nothing of it. */
export class SrsKeyError extends Error {
  /** For `catch` across realms and log lines. */
  override readonly name = "SrsKeyError";
}

/** What reading the secrets needs. */
export interface SrsKeysOptions {
  /** `data/keys/srs` */
  readonly file: string;
  /** Make a secret where there is no file. */
  readonly isMade: boolean;
  /** The disk. */
  readonly files: Files;
  /** Fills with octets that nobody can foresee. */
  readonly randomOctets: (into: Uint8Array<ArrayBuffer>) => void;
  /** Hears of a file that was made, or could not be. */
  readonly logger: Logger;
}

const SECRET_OCTETS = 32;
const MAX_FILE_OCTETS = 64 * 1024;
/** Fewer characters can be guessed from one address that somebody has seen; secrets of other programs may be short. */
const MIN_SECRET_CHARACTERS = 8;

/**
 * Reads the secrets, and makes one where that is wanted and there is none.
 *
 * @returns Empty where there is none: not wanted, or it could not be written. Mail goes on without.
 * @throws {SrsKeyError} The file cannot be read, or has no secret: reports that are on their way would be refused.
 */
export async function srsSecrets(options: SrsKeysOptions): Promise<readonly string[]> {
  const { file, isMade, files } = options;
  let text: string;
  try {
    text = await readSmallText(files, file, MAX_FILE_OCTETS);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return isMade ? await makeSecret(options) : [];
    const reason = error instanceof Error ? error.message : String(error);
    throw new SrsKeyError(`cannot read the secrets of sender rewriting: ${reason}`, { cause: error });
  }
  const secrets = text.split("\n").map((line) => line.trim()).filter((line) => line !== "");
  if (secrets.length > 0 && secrets.every((secret) => secret.length >= MIN_SECRET_CHARACTERS)) return secrets;
  throw new SrsKeyError(
    `expected a secret of ${MIN_SECRET_CHARACTERS} characters or more in each line; without the file a new one is made`,
  );
}

/** A secret that is not on disk signs nothing: after a restart nobody would know what it signed. */
async function makeSecret({ file, files, randomOctets, logger }: SrsKeysOptions): Promise<readonly string[]> {
  const octets = new Uint8Array(SECRET_OCTETS);
  randomOctets(octets);
  const secret = octets.toBase64();
  try {
    await files.makeFolder(parentOf(file), 0o700);
    await writeDurable(files, file, `${secret}\n`, { mode: 0o600, replace: false });
  } catch (error) {
    logger.warning("Cannot write {file}, forwarded mail keeps its sender until the next reload: {error}", {
      file,
      error,
    });
    return [];
  }
  logger.info("Made {file}, the secret of rewritten senders of forwarded mail", { file });
  return [secret];
}
