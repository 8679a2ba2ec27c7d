/** Whether a server is there. */

const PATIENCE_MS = 5_000;

/** Takes note of the banner of a server. @returns True once it greets, undefined while it does not. */
export async function greets(port: number, hostname = "127.0.0.1"): Promise<true | undefined> {
  using connection = await Deno.connect({ hostname, port }).catch(() => undefined);
  if (connection === undefined) return undefined;
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<null>((resolve) => timer = setTimeout(() => resolve(null), PATIENCE_MS));
  try {
    const octets = await Promise.race([connection.read(new Uint8Array(512)).catch(() => null), late]);
    return octets === null ? undefined : true;
  } finally {
    clearTimeout(timer);
  }
}
