/** The other side of `bulk_reader.ts`: reads one batch of files after the other, each with as few system calls as can be. */

import type { BulkJob, BulkRead } from "./bulk_reader.ts";

/** What the global scope of a thread has, and the types of a main program have not. */
interface ThreadScope {
  onmessage: ((event: MessageEvent<BulkJob>) => void) | null;
  postMessage(answer: BulkRead, transfer: ArrayBuffer[]): void;
}

const scope = globalThis as unknown as ThreadScope;
scope.onmessage = ({ data: { paths, maxOctets } }): void => {
  const buffer = new Uint8Array(paths.length * maxOctets);
  const lengths: number[] = [];
  let end = 0;
  for (const path of paths) {
    const length = readFile(path, buffer.subarray(end, end + maxOctets));
    lengths.push(length);
    end += Math.max(0, length);
  }
  const octets = buffer.slice(0, end);
  scope.postMessage({ octets, lengths }, [octets.buffer]);
};

function readFile(path: string, into: Uint8Array): number {
  try {
    using file = Deno.openSync(path, { read: true });
    let length = 0;
    for (let read: number | null = 1; length < into.length; length += read) {
      read = file.readSync(into.subarray(length));
      if (read === null) return length;
    }
    return -1;
  } catch {
    return -1;
  }
}
