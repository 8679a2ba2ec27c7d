/** Keys and certificates as PEM, in files that must not be lost or half-written. */

import { type Files, writeAll } from "../system/files.ts";

/** Formats DER as PEM, 64 characters a line (RFC 7468 §2). */
export function toPem(label: string, octets: Uint8Array): string {
  const lines = octets.toBase64().match(/.{1,64}/g) ?? [];
  return `-----BEGIN ${label}-----\n${lines.join("\n")}\n-----END ${label}-----\n`;
}

/** How a file is written. */
export interface PemFileOptions {
  /** Permissions, e.g. 0o600. */
  readonly mode: number;
  /** True: a file of this name may be there and is replaced. False: AlreadyExists is thrown. */
  readonly replace: boolean;
}

/**
 * Writes a file and syncs it and its folder: after a crash the old or the new content is there, never half of it.
 *
 * @throws {Deno.errors.AlreadyExists} When nothing may be replaced and the file is there.
 */
export async function writePemFile(
  files: Files,
  path: string,
  text: string,
  { mode, replace }: PemFileOptions,
): Promise<void> {
  const temporary = `${path}.new`;
  // Left by a crash. It is removed, not written over, because its permissions may be others.
  await files.remove(temporary).catch((error: unknown) => {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  });
  const file = await files.open(temporary, { write: true, createNew: true, mode });
  try {
    await writeAll(file, new TextEncoder().encode(text));
    await file.sync();
  } finally {
    file.close();
  }
  if (!replace) await refuseExisting(files, path, temporary);
  await files.rename(temporary, path);
  await syncFolder(files, path.slice(0, path.lastIndexOf("/")));
}

async function refuseExisting(files: Files, path: string, temporary: string): Promise<void> {
  const isThere = await files.stat(path).then(() => true, (error: unknown) => !(error instanceof Deno.errors.NotFound));
  if (!isThere) return;
  await files.remove(temporary);
  throw new Deno.errors.AlreadyExists(`Cannot write "${path}": the file exists`);
}

async function syncFolder(files: Files, path: string): Promise<void> {
  const folder = await files.open(path, { read: true });
  try {
    await folder.sync();
  } finally {
    folder.close();
  }
}
