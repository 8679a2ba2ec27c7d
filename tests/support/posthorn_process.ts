/**
 * Runs the real program against a configuration of its own in a temporary folder, on free ports of loopback:
 * `deno run … main.ts`, or the executable that $POSTHORN_BINARY names. For tests that kill it, restart it, or let
 * real peers talk to it.
 */

import denoJson from "../../deno.json" with { type: "json" };
import { type CommandOptions, type CommandResult, OutputLines, runCommand } from "./interop/command.ts";
import { freePort } from "./interop/free_port.ts";
import { latin1, Maildir } from "./interop/maildir.ts";
import { waitUntil } from "./interop/wait.ts";
import { accountsText } from "./ready_accounts.ts";

/** What a listener does and where. */
export interface ProcessListener {
  readonly service: "mx" | "submission" | "lmtp" | "web";
  /** Default: what is usual for the service. */
  readonly tls?: "implicit" | "starttls" | "off";
  /** Default 127.0.0.1. */
  readonly host?: string;
  /** Default: a free port. */
  readonly port?: number;
  /** Instead of host and port: the name of a Unix socket in the data folder. */
  readonly socket?: string;
  /** Whether clients are asked for a certificate. Default: no. */
  readonly clientCertificates?: "request" | "require";
  /** Addresses of proxies, which put a PROXY header in front. */
  readonly proxyProtocol?: readonly string[];
}

/** A mailbox to make before the start. */
export interface ProcessAccount {
  readonly address: string;
  readonly password: string;
}

/** What a test wants of the process; everything has a default. */
export interface PosthornOptions {
  /** Keys of the configuration file, over the defaults (which are: hostname, data, listeners, domains, accounts). */
  readonly config?: Readonly<Record<string, unknown>>;
  /** Default: mx, submission, and submission with implicit TLS. */
  readonly listeners?: readonly ProcessListener[];
  /** Default: none. */
  readonly accounts?: readonly ProcessAccount[];
  /** The words that start the program; default {@link posthornCommand}. */
  readonly program?: readonly string[];
  /** Words in front of the program, e.g. `nsenter …` for a network namespace. */
  readonly prefix?: readonly string[];
  /** Environment variables in addition to the inherited ones. */
  readonly env?: Readonly<Record<string, string>>;
  /** How the test process sees a path of the program, where the two differ (mount namespace). */
  readonly seenAs?: (path: string) => string;
  /** The data folder as the program sees it; default `data` in the temporary folder. */
  readonly dataFolder?: string;
  /** Write the configuration and make accounts, but do not start. */
  readonly isStopped?: boolean;
}

/** A listener with its address, which means nothing where it has a socket. */
export interface BoundListener extends ProcessListener {
  readonly host: string;
  readonly port: number;
}

const DEFAULT_LISTENERS: readonly ProcessListener[] = [
  { service: "mx" },
  { service: "submission" },
  { service: "submission", tls: "implicit" },
];
const START_TIMEOUT_MS = 20_000;
const END_TIMEOUT_MS = 15_000;

/** The words that start the program: the compiled one where $POSTHORN_BINARY is set, else this checkout's main.ts. */
export function posthornCommand(): string[] {
  const binary = Deno.env.get("POSTHORN_BINARY");
  if (binary !== undefined && binary !== "") return [binary];
  return runCheckout(`${import.meta.dirname}/../..`, startOptions());
}

/** The words that run the sources of a checkout. @param options Permissions and V8 flags. */
export function runCheckout(root: string, options: readonly string[]): string[] {
  const deno = [Deno.execPath(), "run", "--quiet", "--no-prompt"];
  return [...deno, `--config=${root}/deno.json`, ...options, `${root}/main.ts`];
}

/** Permissions and V8 flags with which `deno task start` runs the program. @param task Of this checkout, by default. */
export function startOptions(task: string = denoJson.tasks.start.command): string[] {
  return task.split(" ").filter((word) => /^--(allow|v8)-/.test(word));
}

function hasDns(config: Readonly<Record<string, unknown>> = {}): boolean {
  return config["dns"] !== undefined && !JSON.stringify(config["dns"]).includes(':9"');
}

/** The program with its folder, configuration and log. Disposing of it kills it and removes the folder. */
export class PosthornProcess implements AsyncDisposable {
  readonly #options: PosthornOptions;
  #child: Deno.ChildProcess | undefined;
  #status: Promise<Deno.CommandStatus> | undefined;
  #output = new OutputLines();
  readonly #earlierLines: string[] = [];
  /** Everything of this process lies below: configuration, accounts, data. */
  readonly folder: string;
  /** The configuration file. */
  readonly configFile: string;
  /** The data folder as the program sees it. */
  readonly dataFolder: string;
  readonly listeners: readonly BoundListener[];

  private constructor(folder: string, options: PosthornOptions) {
    this.#options = options;
    this.folder = folder;
    this.configFile = `${folder}/posthorn.yaml`;
    this.dataFolder = options.dataFolder ?? `${folder}/data`;
    this.listeners = (options.listeners ?? DEFAULT_LISTENERS).map((listener) => ({
      ...listener,
      host: listener.host ?? "127.0.0.1",
      port: listener.port ?? freePort(listener.host ?? "127.0.0.1"),
    }));
  }

  /** Writes the configuration, makes the accounts, starts the program and waits until it listens. */
  static async start(options: PosthornOptions = {}): Promise<PosthornProcess> {
    const folder = await Deno.makeTempDir({ prefix: "posthorn-" });
    const posthorn = new PosthornProcess(folder, options);
    try {
      await posthorn.configure({});
      await posthorn.#makeAccounts(options.accounts ?? []);
      if (options.isStopped !== true) await posthorn.restart();
      return posthorn;
    } catch (error) {
      await posthorn[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** Writes the configuration file anew: the defaults, the keys of `start`, and `changes` on top. */
  async configure(changes: Readonly<Record<string, unknown>>): Promise<void> {
    const config = {
      hostname: "mail.example.org",
      data: this.dataFolder,
      listeners: this.listeners.map(({ service, tls, host, port, socket, proxyProtocol, clientCertificates }) => ({
        bind: socket !== undefined ? `unix:${socket}` : host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`,
        service,
        ...(tls === undefined ? {} : { tls }),
        ...(proxyProtocol === undefined ? {} : { proxy_protocol: proxyProtocol }),
        ...(clientCertificates === undefined ? {} : { client_certificates: clientCertificates }),
      })),
      domains: { "example.org": {} },
      accounts: `${this.folder}/accounts.yaml`,
      // Without a DNS server of the test (port 9 is none), each check would wait for an answer that does not come.
      ...(!hasDns(this.#options.config) && { msgauth: { spf: false, dkim: false } }),
      ...this.#options.config,
      ...changes,
    };
    // JSON is YAML too.
    await Deno.writeTextFile(this.configFile, JSON.stringify(config, null, 2) + "\n");
  }

  /** The command line for a command of the program with this configuration. */
  commandLine(...words: readonly string[]): string[] {
    const { prefix = [], program = posthornCommand() } = this.#options;
    return [...prefix, ...program, "--config", this.configFile, ...words];
  }

  get #env(): Record<string, string> {
    return { NO_COLOR: "1", DENO_NO_UPDATE_CHECK: "1", ...this.#options.env };
  }

  /** Runs another command of the program with this configuration, e.g. `queue list --json`. */
  async run(words: readonly string[], options: CommandOptions = {}): Promise<CommandResult> {
    return await runCommand(this.commandLine(...words), { ...options, env: { ...this.#env, ...options.env } });
  }

  /** What `posthorn user add` leaves behind: the accounts file, and a data folder. */
  async #makeAccounts(accounts: readonly ProcessAccount[]): Promise<void> {
    if (accounts.length === 0) return;
    await Deno.mkdir(this.seen(this.dataFolder), { recursive: true, mode: 0o700 });
    await Deno.writeTextFile(`${this.folder}/accounts.yaml`, await accountsText(accounts), { mode: 0o600 });
  }

  /** Makes a mailbox with the program's own command. */
  async addAccount(address: string, password: string): Promise<void> {
    const { code, stdout, stderr } = await this.run(["user", "add", address], { stdin: `${password}\n` });
    if (code !== 0) throw new Error(`user add ${address}: exit code ${code}\n${stdout}${stderr}`);
  }

  /** Starts the program without waiting for anything. It must not be running. */
  spawn(): void {
    if (this.#child !== undefined) throw new TypeError("posthorn is already running");
    const [program = "", ...args] = this.commandLine("serve");
    this.#earlierLines.push(...this.#output.lines);
    this.#output = new OutputLines();
    this.#child = new Deno.Command(program, {
      args,
      env: this.#env,
      cwd: this.folder,
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    this.#output.follow(this.#child.stdout);
    this.#output.follow(this.#child.stderr);
    this.#status = this.#child.status;
  }

  /** Starts the program (stopping a running one with SIGTERM first) and waits until every listener answers. */
  async restart(): Promise<void> {
    if (this.#child !== undefined) await this.kill("SIGTERM");
    this.spawn();
    await this.ready();
  }

  /** Waits until every listener takes connections; those with a plain greeting must greet. */
  async ready(): Promise<void> {
    let ended: Deno.CommandStatus | undefined;
    this.#status?.then((status) => ended = status);
    for (const listener of this.listeners) {
      await waitUntil(async () => {
        if (ended !== undefined) {
          await this.#output.ended();
          throw new Error(`posthorn ended with code ${ended.code} before it listened\n${this.log}`);
        }
        return await this.#answers(listener) ? true : undefined;
      }, {
        what: `${listener.service} listener on ${listener.socket ?? `port ${listener.port}`}`,
        timeoutMs: START_TIMEOUT_MS,
        detail: () => this.log,
      });
    }
  }

  async #answers(listener: BoundListener): Promise<boolean> {
    const speaksFirst = listener.service !== "web" && listener.tls !== "implicit" &&
      listener.proxyProtocol === undefined;
    const prefix = this.#options.prefix ?? [];
    if (prefix.length > 0 && listener.socket === undefined) {
      const greeting = speaksFirst ? "read -t 5 line <&3" : "true";
      const script = `exec 3<>/dev/tcp/${listener.host}/${listener.port} && ${greeting}`;
      const { code } = await runCommand([...prefix, "bash", "-c", script]);
      return code === 0;
    }
    try {
      using connection = listener.socket === undefined
        ? await Deno.connect({ hostname: listener.host, port: listener.port })
        : await Deno.connect({ transport: "unix", path: this.seen(this.socketPath(listener.socket)) });
      return !speaksFirst || await connection.read(new Uint8Array(512)) !== null;
    } catch (error) {
      const { ConnectionRefused, ConnectionReset, NotFound } = Deno.errors;
      if (error instanceof ConnectionRefused || error instanceof ConnectionReset) return false;
      if (error instanceof NotFound && listener.socket !== undefined) return false;
      throw error;
    }
  }

  /** Sends a signal; resolves with the exit status once the program has ended, which must be soon. */
  async kill(signal: Deno.Signal = "SIGKILL"): Promise<Deno.CommandStatus> {
    if (this.#child === undefined || this.#status === undefined) throw new TypeError("posthorn is not running");
    this.signal(signal);
    const child = this.#child;
    let isLate = false;
    const timer = setTimeout(() => {
      isLate = true;
      child.kill("SIGKILL");
    }, END_TIMEOUT_MS);
    const status = await this.#status;
    clearTimeout(timer);
    this.#child = undefined;
    await this.#output.ended();
    if (isLate) throw new Error(`posthorn did not end within ${END_TIMEOUT_MS} ms of ${signal}\n${this.log}`);
    return status;
  }

  /** Sends a signal and does not wait. */
  signal(signal: Deno.Signal): void {
    try {
      this.#child?.kill(signal);
    } catch (error) {
      if (!(error instanceof TypeError)) throw error; // It has ended by itself.
    }
  }

  /** Process id of the running program. */
  get pid(): number {
    if (this.#child === undefined) throw new TypeError("posthorn is not running");
    return this.#child.pid;
  }

  /** Everything the program wrote since the first start, as one text. */
  get log(): string {
    return [...this.#earlierLines, ...this.#output.lines].join("\n");
  }

  /** Waits until a line that matches was logged since the latest start. */
  async waitForLog(pattern: RegExp, timeoutMs = 15_000): Promise<string> {
    return await waitUntil(() => this.#output.lines.find((line) => pattern.test(line)), {
      what: `a log line like ${pattern}`,
      timeoutMs,
      detail: () => this.log,
    });
  }

  /** Port of the first listener of a kind. */
  port(service: ProcessListener["service"], tls?: ProcessListener["tls"]): number {
    const listener = this.listeners.find((each) => each.service === service && each.tls === tls);
    if (listener === undefined) throw new RangeError(`No listener for ${service}`);
    return listener.port;
  }

  /** Path of a Unix socket of a listener, as the program sees it. */
  socketPath(socket: string): string {
    return `${this.dataFolder}/${socket}`;
  }

  /** The Maildir of a mailbox, as the test process sees it. */
  maildir(address: string): Maildir {
    const at = address.lastIndexOf("@");
    return new Maildir(`${this.seen(this.dataFolder)}/mail/${address.slice(at + 1)}/${address.slice(0, at)}`);
  }

  /** A path of the program as the test process sees it. */
  seen(path: string): string {
    return this.#options.seenAs?.(path) ?? path;
  }

  /** Paths of all files in the queue. */
  async queueFiles(): Promise<string[]> {
    const files: string[] = [];
    const queue = `${this.seen(this.dataFolder)}/spool/queue`;
    for await (const folder of entries(queue)) {
      for await (const file of entries(`${queue}/${folder.name}`)) files.push(`${queue}/${folder.name}/${file.name}`);
    }
    return files.sort();
  }

  /**
   * Waits until a message in the queue has a recipient that was tried without final success.
   *
   * @returns The journal of that message: its spool file after the content.
   */
  async waitForDelay(timeoutMs = 15_000): Promise<string> {
    return await waitUntil(async () => {
      for (const file of await this.queueFiles()) {
        const journal = await journalOf(file);
        if (/"event":\s*"attempt".*"delayed"/.test(journal)) return journal;
      }
      return undefined;
    }, { what: "a delayed delivery", timeoutMs, detail: () => this.log });
  }

  /** Waits until the queue holds nothing. */
  async waitForEmptyQueue(timeoutMs = 15_000): Promise<void> {
    await waitUntil(async () => (await this.queueFiles()).length === 0 ? true : undefined, {
      what: "an empty queue",
      timeoutMs,
      detail: () => this.log,
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child !== undefined) await this.kill("SIGKILL");
    if (Deno.env.get("POSTHORN_KEEP_FOLDERS") === undefined) {
      await Deno.remove(this.folder, { recursive: true });
    }
  }
}

/** Entries of a folder; none where it is missing, or goes while it is read. */
async function* entries(folder: string): AsyncGenerator<Deno.DirEntry> {
  try {
    yield* Deno.readDir(folder);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}

/** A spool file after its content; empty where it went in the meantime. */
async function journalOf(file: string): Promise<string> {
  try {
    const text = latin1(await Deno.readFile(file));
    const head = /^posthorn-spool 1 (\d{12})\n/.exec(text);
    return head === null ? "" : text.slice(head[0].length + Number(head[1]));
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return "";
    throw error;
  }
}
