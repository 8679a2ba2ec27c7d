/** The public vectors of DKIM beside the repository; where they are not there, tests say so and do nothing. */

const FOLDER = new URL("../../../../shared/vectors/", import.meta.url);

/** Whether they are there. */
export const hasVectors = await Deno.stat(FOLDER).then(() => true, () => false);

/** A vector as octets. */
export function vector(name: string): Promise<Uint8Array<ArrayBuffer>> {
  return Deno.readFile(new URL(name, FOLDER));
}

/** A vector as text. */
export function vectorText(name: string): Promise<string> {
  return Deno.readTextFile(new URL(name, FOLDER));
}

/** The keys of the messages, for a `FakeResolver`. */
export async function vectorZone(): Promise<Record<string, { TXT: string[] }>> {
  const keys = JSON.parse(await vectorText("dkim-keys.json")) as Record<string, string>;
  return Object.fromEntries(Object.entries(keys).map(([name, text]) => [name, { TXT: [text] }]));
}
