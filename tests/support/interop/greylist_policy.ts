/**
 * A policy server for Postfix (SMTPD_POLICY_README) that greylists: who is new is told to come back, and is let in later
 * than a second after. Started by tests as a program of its own, with address and port as its arguments.
 */

const WAIT_MS = 1_000;
const [hostname = "127.0.0.1", port = "10023"] = Deno.args;
const firstMs = new Map<string, number>();

function actionFor(request: string): string {
  const value = (name: string): string => new RegExp(`^${name}=(.*)$`, "m").exec(request)?.[1] ?? "";
  const triplet = `${value("client_address")} ${value("sender")} ${value("recipient")}`;
  const seenMs = firstMs.get(triplet);
  if (seenMs === undefined) firstMs.set(triplet, performance.now());
  return performance.now() - (seenMs ?? Infinity) > WAIT_MS ? "DUNNO" : "DEFER_IF_PERMIT Greylisted, come back later";
}

/** A request is lines up to an empty one, and so is an answer. */
async function serve(connection: Deno.Conn): Promise<void> {
  const writer = connection.writable.getWriter();
  let text = "";
  for await (const piece of connection.readable.pipeThrough(new TextDecoderStream())) {
    const requests = (text + piece).split("\n\n");
    text = requests.pop() ?? "";
    for (const request of requests) {
      await writer.write(new TextEncoder().encode(`action=${actionFor(request)}\n\n`));
    }
  }
}

for await (const connection of Deno.listen({ hostname, port: Number(port) })) serve(connection).catch(() => {});
