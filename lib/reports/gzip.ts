/** Packing, and unpacking within a bound. @see RFC 1952 */

/** What would unpack to more than was allowed. */
export class TooLongError extends Error {
  /** Tells this error from others. */
  override readonly name = "TooLongError";
}

/** Packs a text that is made while it is packed, so that it is never there as a whole. Rejects as `pieces` does. */
export async function gzipPieces(pieces: AsyncIterable<string>): Promise<Uint8Array<ArrayBuffer>> {
  const packed = ReadableStream.from(pieces).pipeThrough(new TextEncoderStream())
    .pipeThrough(new CompressionStream("gzip"));
  return new Uint8Array(await new Response(packed).arrayBuffer());
}

/** Packs octets. */
export async function gzip(octets: Uint8Array<ArrayBuffer>): Promise<Uint8Array<ArrayBuffer>> {
  const packed = new Blob([octets]).stream().pipeThrough(new CompressionStream("gzip"));
  return new Uint8Array(await new Response(packed).arrayBuffer());
}

/**
 * Unpacks octets, and stops where the result gets longer than `maxOctets`: a few kilobytes can stand for gigabytes.
 *
 * @throws {TooLongError}
 * @throws {TypeError} What is packed is damaged.
 */
export async function inflate(
  octets: Uint8Array<ArrayBuffer>,
  format: "gzip" | "deflate-raw",
  maxOctets: number,
): Promise<Uint8Array<ArrayBuffer>> {
  const reader = new Blob([octets]).stream().pipeThrough(new DecompressionStream(format)).getReader();
  const pieces: Uint8Array[] = [];
  let length = 0;
  try {
    for (let step = await reader.read(); !step.done; step = await reader.read()) {
      length += step.value.length;
      if (length > maxOctets) throw new TooLongError(`It unpacks to more than ${maxOctets} octets`);
      pieces.push(step.value);
    }
  } finally {
    // What was not read must not go on in the background. It fails where reading failed.
    await reader.cancel().catch(() => {});
  }
  const all = new Uint8Array(length);
  let at = 0;
  for (const piece of pieces) {
    all.set(piece, at);
    at += piece.length;
  }
  return all;
}
