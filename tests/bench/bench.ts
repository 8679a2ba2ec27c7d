/** What all parts of the benchmark share: its folder, its DNS, who takes part, and what was asked for. */

import { type DnsServer, startDnsServer } from "../support/dns_server.ts";
import { runCommand } from "../support/interop/command.ts";
import { findProgram } from "../support/interop/peers.ts";
import { type BenchServer, type Contestant, contestants } from "./servers.ts";
import { TOOLS } from "./sink.ts";

/** How much is measured. */
export interface BenchOptions {
  /** Runs of each server; figures are their medians. */
  readonly runs: number;
  /** How long a run takes, about. */
  readonly seconds: number;
  /** Names of rows, or parts of them; default: all. */
  readonly rows?: readonly string[];
  /** Another version of posthorn: its checkout or its executable. */
  readonly against?: string;
}

/** What of {@link startDnsServer} the checks find: the stranger may send. */
const RECORDS = {
  "client.test": { TXT: ["v=spf1 ip6:::1 -all"] },
  "_dmarc.client.test": { TXT: ["v=DMARC1; p=reject"] },
} as const;

/** The benchmark while it runs; disposing of it removes what the servers wrote. */
export class Bench implements AsyncDisposable {
  readonly #folder: string;
  readonly #dns: DnsServer;

  private constructor(
    folder: string,
    dns: DnsServer,
    readonly contestants: readonly Contestant[],
    readonly options: BenchOptions,
  ) {
    this.#folder = folder;
    this.#dns = dns;
  }

  /** Makes the folder, on a disk: /tmp is memory on many systems, and fsync free of charge there. */
  static async open(options: BenchOptions): Promise<Bench> {
    const list = await contestants(options.against);
    const folder = await Deno.makeTempDir({ dir: Deno.env.get("TMPDIR") ?? "/var/tmp", prefix: "posthorn-bench-" });
    await Deno.chmod(folder, 0o755);
    await runCommand(["chattr", "+T", folder]); // ext4: block groups of its own for each server. Others refuse: fine.
    return new Bench(folder, await startDnsServer(RECORDS), list, options);
  }

  /** A new, empty folder, which other users may enter. */
  async newFolder(): Promise<string> {
    const folder = await Deno.makeTempDir({ dir: this.#folder });
    await Deno.chmod(folder, 0o755);
    return folder;
  }

  /** Starts a server in a folder of its own. */
  async start(contestant: Contestant, sinkPort: number, preload?: string): Promise<BenchServer> {
    const folder = await this.newFolder();
    const options = { folder, sinkPort, dnsPort: this.#dns.port };
    return await contestant.start(preload === undefined ? options : { ...options, preload });
  }

  /** Whether a row was asked for: by its name, or by words of it that follow each other; `*` is any one word. */
  wants(name: string): boolean {
    return this.options.rows?.some((row) => {
      const pattern = row.split("*").map((part) => part.replace(/[^\w-]/g, "\\$&")).join("[^-]*");
      return new RegExp(`(^|-)${pattern}(-|$)`).test(name);
    }) ?? true;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#dns[Symbol.asyncDispose]();
    await Deno.remove(this.#folder, { recursive: true });
  }
}

/** What keeps the benchmark from running here, with its mend. */
export async function obstacle(): Promise<string | undefined> {
  if (Deno.build.os !== "linux") return "it needs Linux, and Postfix from the distribution";
  const isThere = await Promise.all(Object.values(TOOLS).map((path) => Deno.stat(path).then(() => true, () => false)));
  if (findProgram("postfix") === undefined || isThere.includes(false)) {
    return "Postfix with its smtp-source and smtp-sink is missing: apt-get install postfix (it need not be set up)";
  }
  return Deno.uid() === 0 ? undefined : "only root can start Postfix: run it with sudo";
}
