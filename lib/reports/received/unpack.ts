/**
 * Gets reports out of what they are packed in: gzip (RFC 1952), zip (APPNOTE.TXT of PKWARE), or nothing. What it is says its
 * beginning, not its name: big reporters are careless with both.
 */

import { inflate, TooLongError } from "../gzip.ts";

/** A report, still as octets. */
export interface Unpacked {
  /** What it looks like. */
  readonly kind: "xml" | "json";
  /** The text, UTF-8 or as an XML declaration says. */
  readonly text: string;
}

/** All reports of one file, or mail, together, unpacked. The largest that a big reporter sends on a small site has some hundred KiB. */
export const MAX_UNPACKED_OCTETS = 10 * 2 ** 20;
const MAX_ENTRIES = 20;
/** The end of a zip file: a record of 22 octets and a comment. */
const MAX_ZIP_END = 22 + 0xffff;

/**
 * Unpacks the reports of a file; none for what is something else.
 *
 * @param onOctets Is told how many octets there were, reports or not.
 * @throws {TooLongError} They have more than `maxOctets` together.
 * @throws {TypeError} The file is damaged.
 */
export async function unpack(
  octets: Uint8Array<ArrayBuffer>,
  maxOctets: number = MAX_UNPACKED_OCTETS,
  onOctets: (octets: number) => void = () => {},
): Promise<readonly Unpacked[]> {
  const files = await filesOf(octets, maxOctets);
  onOctets(files.reduce((sum, { length }) => sum + length, 0));
  return asReports(files);
}

async function filesOf(octets: Uint8Array<ArrayBuffer>, maxOctets: number): Promise<readonly Uint8Array[]> {
  if (octets[0] === 0x1f && octets[1] === 0x8b) return [await inflate(octets, "gzip", maxOctets)];
  if (octets[0] === 0x50 && octets[1] === 0x4b) return await unzip(octets, maxOctets);
  if (octets.length > maxOctets) throw new TooLongError(`It has more than ${maxOctets} octets`);
  return [octets];
}

function asReports(files: readonly Uint8Array[]): readonly Unpacked[] {
  return files.flatMap((file): Unpacked[] => {
    const beginning = new TextDecoder().decode(file.subarray(0, 100)).trimStart();
    if (beginning.startsWith("<")) return [{ kind: "xml", text: decodeXml(file) }];
    return beginning.startsWith("{") ? [{ kind: "json", text: new TextDecoder().decode(file) }] : [];
  });
}

function decodeXml(octets: Uint8Array): string {
  const declaration = new TextDecoder("latin1").decode(octets.subarray(0, 200));
  const [, encoding = ""] = /^\s*<\?xml[^>]*?encoding\s*=\s*["']([\w-]{1,20})["']/i.exec(declaration) ?? [];
  return new TextDecoder(/^(?:iso-8859-1|windows-1252|latin1)$/i.test(encoding) ? "windows-1252" : "utf-8").decode(
    octets,
  );
}

interface ZipEntry {
  readonly method: number;
  readonly packedOctets: number;
  /** Of its local header. */
  readonly offset: number;
}

async function unzip(octets: Uint8Array<ArrayBuffer>, maxOctets: number): Promise<readonly Uint8Array[]> {
  const files: Uint8Array[] = [];
  let left = maxOctets;
  for (const { method, packedOctets, offset } of zipEntries(octets)) {
    const view = viewOf(octets);
    if (offset + 30 > octets.length || view.getUint32(offset, true) !== 0x04034b50) throw damaged();
    // Name and extra field of the local header may differ in length from those of the directory.
    const start = offset + 30 + view.getUint16(offset + 26, true) + view.getUint16(offset + 28, true);
    if (start + packedOctets > octets.length) throw damaged();
    const packed = octets.slice(start, start + packedOctets);
    if (method === 0 && packed.length > left) throw new TooLongError(`It unpacks to more than ${maxOctets} octets`);
    const file = method === 0 ? packed : method === 8 ? await inflate(packed, "deflate-raw", left) : undefined;
    if (file === undefined) continue;
    left -= file.length;
    files.push(file);
  }
  return files;
}

/** Reads the central directory. Its sizes are right where the local headers have none (APPNOTE.TXT §4.4.4). */
function* zipEntries(octets: Uint8Array): Generator<ZipEntry> {
  const view = viewOf(octets);
  let end = octets.length - 22;
  const lowest = Math.max(0, octets.length - MAX_ZIP_END);
  while (end >= lowest && view.getUint32(end, true) !== 0x06054b50) end--;
  if (end < lowest) throw damaged();
  const count = Math.min(MAX_ENTRIES, view.getUint16(end + 10, true));
  let at = view.getUint32(end + 16, true);
  for (let index = 0; index < count; index++) {
    if (at + 46 > octets.length || view.getUint32(at, true) !== 0x02014b50) throw damaged();
    const isEncrypted = (view.getUint16(at + 8, true) & 1) !== 0;
    const nameOctets = view.getUint16(at + 28, true);
    const name = new TextDecoder().decode(octets.subarray(at + 46, at + 46 + nameOctets));
    if (!isEncrypted && /\.(?:xml|json)$/i.test(name)) {
      yield {
        method: view.getUint16(at + 10, true),
        packedOctets: view.getUint32(at + 20, true),
        offset: view.getUint32(at + 42, true),
      };
    }
    at += 46 + nameOctets + view.getUint16(at + 30, true) + view.getUint16(at + 32, true);
  }
}

function viewOf(octets: Uint8Array): DataView {
  return new DataView(octets.buffer, octets.byteOffset, octets.byteLength);
}

function damaged(): TypeError {
  return new TypeError("The zip file is damaged");
}
