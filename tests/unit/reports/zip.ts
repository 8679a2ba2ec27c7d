/** Writes zip files for tests. */

export interface ZipFile {
  readonly name: string;
  readonly octets: Uint8Array<ArrayBuffer>;
  /** As they are, not deflated. */
  readonly isStored?: boolean;
}

async function deflate(octets: Uint8Array<ArrayBuffer>): Promise<Uint8Array> {
  const stream = new Blob([octets]).stream().pipeThrough(new CompressionStream("deflate-raw"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

/** Sizes are in the directory only, as of programs that write while they pack. */
export async function zip(files: readonly ZipFile[]): Promise<Uint8Array<ArrayBuffer>> {
  const local: number[] = [];
  const directory: number[] = [];
  const u16 = (n: number): number[] => [n & 0xff, n >> 8 & 0xff];
  const u32 = (n: number): number[] => [...u16(n & 0xffff), ...u16(n >>> 16)];
  for (const { name, octets, isStored = false } of files) {
    const data = isStored ? octets : await deflate(octets);
    const nameOctets = [...new TextEncoder().encode(name)];
    const method = isStored ? 0 : 8;
    const offset = local.length;
    local.push(...u32(0x04034b50), ...u16(20), ...u16(8), ...u16(method), ...u32(0), ...u32(0), ...u32(0), ...u32(0));
    local.push(...u16(nameOctets.length), ...u16(0), ...nameOctets);
    for (const octet of data) local.push(octet);
    directory.push(...u32(0x02014b50), ...u16(20), ...u16(20), ...u16(8), ...u16(method), ...u32(0), ...u32(0));
    directory.push(...u32(data.length), ...u32(octets.length), ...u16(nameOctets.length), ...u16(0), ...u16(0));
    directory.push(...u16(0), ...u16(0), ...u32(0), ...u32(offset), ...nameOctets);
  }
  const end = [...u32(0x06054b50), ...u32(0), ...u16(files.length), ...u16(files.length)];
  return new Uint8Array([...local, ...directory, ...end, ...u32(directory.length), ...u32(local.length), ...u16(0)]);
}
