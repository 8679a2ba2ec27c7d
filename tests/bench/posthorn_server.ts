/** posthorn for the benchmark: of this checkout, or another version of it. */

import { waitUntil } from "../support/interop/wait.ts";
import { PosthornProcess, runCheckout, startOptions } from "../support/posthorn_process.ts";
import { greets } from "./greeting.ts";
import type { BenchServer, ServerOptions } from "./servers.ts";

/** Whose client is no client of `relay_from`: mail that comes here is checked. */
const STRANGER = "::1";

/** Starts posthorn with the defaults of a small site: all checks, log on. @param program Default: this version. */
export async function startPosthorn(
  { folder, sinkPort, dnsPort, preload }: ServerOptions,
  program?: readonly string[],
): Promise<BenchServer> {
  const posthorn = await PosthornProcess.start({
    listeners: [{ service: "mx" }, { service: "mx", host: STRANGER }],
    accounts: [{ address: "u1@bench.test", password: "correct horse" }],
    dataFolder: `${folder}/data`,
    isStopped: true,
    // Reading the log through a pipe would cost time of the cores that are measured.
    prefix: ["sh", "-c", 'exec "$@" >>"$0" 2>&1', `${folder}/log`],
    ...(program === undefined ? {} : { program }),
    ...(preload === undefined ? {} : { env: { LD_PRELOAD: preload } }),
    config: {
      hostname: "mx.bench.test",
      domains: { "bench.test": {} },
      relay_from: ["127.0.0.0/8"],
      routes: [{ domain: "sink.test", via: `smtp://127.0.0.1:${sinkPort}` }],
      limits: { connections: 20_000, connections_per_ip: 20_000 },
      dns: { servers: [`127.0.0.1:${dnsPort}`] },
    },
  });
  const stop = (): Promise<void> => posthorn[Symbol.asyncDispose]();
  try {
    const [door, checkedDoor] = posthorn.listeners.map(({ host, port }) => ({ hostname: host, port }));
    if (door === undefined || checkedDoor === undefined) throw new TypeError("posthorn has two listeners here");
    const startMs = performance.now();
    posthorn.spawn();
    await waitUntil(() => greets(door.port), {
      what: "posthorn to greet",
      everyMs: 2,
      detail: () => Deno.readTextFileSync(`${folder}/log`),
    });
    const startSeconds = (performance.now() - startMs) / 1000;
    await posthorn.ready();
    const newFolder = `${folder}/data/mail/bench.test/u1/new`;
    return { door, checkedDoor, newFolder, pid: posthorn.pid, startSeconds, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** The words that start another version: an executable, or the sources in a folder with the options of its own task. */
export async function programOf(path: string): Promise<string[]> {
  const absolute = await Deno.realPath(path);
  if ((await Deno.stat(absolute)).isFile) return [absolute];
  const text = await Deno.readTextFile(`${absolute}/deno.json`);
  const task = /"[^"]* run [^"]*main\.ts[^"]* serve"/.exec(text)?.[0];
  if (task === undefined) throw new Error(`No task that runs main.ts in ${absolute}/deno.json`);
  return runCheckout(absolute, startOptions(task));
}
