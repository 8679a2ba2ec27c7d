/** The content of a message: the octets after DATA as received, dot-unstuffed, CRLF line ends kept. */

/** Content that can be read from the start any number of times, in pieces. */
export interface Content {
  /** Exact length in octets. */
  readonly octets: number;
  /** The whole content where it is small and still in memory: saves reading it back from disk. */
  readonly inMemory?: Uint8Array;
  /** Reads it in order. A piece is valid only until the next one is asked for. */
  chunks(): AsyncIterable<Uint8Array>;
}

/** What a message needs of those who carry it: 7-bit lines, 8-bit lines (RFC 6152), or octets of any kind (RFC 3030). */
export type ContentKind = "7bit" | "8bit" | "binary";

/** RFC 5321 §4.5.3.1.6, without CRLF. */
const MAX_LINE_OCTETS = 998;

/**
 * Looks at what the content is, whatever its sender declared. It is binary where it has a NUL, a CR or LF alone, a line of
 * more than 998 octets, or a last line without CRLF.
 */
export async function contentKind(content: Content): Promise<ContentKind> {
  let kind: ContentKind = "7bit";
  let lineOctets = 0;
  let isAfterCr = false;
  for await (const chunk of content.inMemory === undefined ? content.chunks() : [content.inMemory]) {
    for (const octet of chunk) {
      if (isAfterCr !== (octet === 0x0a) || octet === 0) return "binary";
      isAfterCr = octet === 0x0d;
      if (octet === 0x0a) lineOctets = 0;
      else if (!isAfterCr && ++lineOctets > MAX_LINE_OCTETS) return "binary";
      if (octet > 0x7f) kind = "8bit";
    }
  }
  return isAfterCr || lineOctets > 0 ? "binary" : kind;
}

/** Content held in memory. */
export function memoryContent(octets: Uint8Array): Content {
  return {
    octets: octets.length,
    inMemory: octets,
    async *chunks(): AsyncGenerator<Uint8Array> {
      yield await Promise.resolve(octets);
    },
  };
}
