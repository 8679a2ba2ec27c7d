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
