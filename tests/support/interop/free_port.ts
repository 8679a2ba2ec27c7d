/** TCP ports for servers under test. */

/** Below the range from which Linux, macOS and Windows take ports of outgoing connections. */
const FIRST_PORT = 20_000;
const LAST_PORT = 31_999;

/** Finds a TCP port on which nobody listens now. Picked at random, so that tests in parallel rarely meet. */
export function freePort(hostname = "127.0.0.1"): number {
  for (let attempt = 0; attempt < 200; attempt++) {
    const port = FIRST_PORT + Math.floor(Math.random() * (LAST_PORT - FIRST_PORT + 1));
    try {
      Deno.listen({ hostname, port }).close();
      return port;
    } catch (error) {
      if (!(error instanceof Deno.errors.AddrInUse)) throw error;
    }
  }
  throw new Error(`Cannot find a free TCP port on ${hostname}`);
}
