/**
 * A small machine of its own for programs under test: a network with nothing but loopback, where port 25 and port 53
 * are free, and mounts that nobody else sees. Needs root on Linux.
 */

import { programPath } from "./peers.ts";
import { mustRun } from "./command.ts";
import { waitUntil } from "./wait.ts";

/** Messages that wait in a Unix socket. */
const LONG_QUEUE = 1000;

/** The namespace lives as long as a shell in it, which ends when its standard input does, at the latest with the tests. */
export class Namespace implements AsyncDisposable {
  readonly #holder: Deno.ChildProcess;
  /** Words in front of a command that is to run inside. */
  readonly prefix: readonly string[];

  private constructor(holder: Deno.ChildProcess) {
    this.#holder = holder;
    const path = `/proc/${holder.pid}/ns`;
    this.prefix = [programPath("nsenter"), `--net=${path}/net`, `--mount=${path}/mnt`, "--"];
  }

  /** Makes the namespace, with loopback up. */
  static async create(): Promise<Namespace> {
    const holder = new Deno.Command(programPath("unshare"), {
      args: ["--net", "--mount", "cat"],
      stdin: "piped",
      stdout: "null",
      stderr: "null",
    }).spawn();
    const namespace = new Namespace(holder);
    try {
      const own = await Deno.readLink("/proc/self/ns/net");
      await waitUntil(async () => {
        const theirs = await Deno.readLink(`/proc/${holder.pid}/ns/net`);
        // unshare becomes cat once the namespaces are there.
        const name = await Deno.readTextFile(`/proc/${holder.pid}/comm`);
        return theirs !== own && name.trim() === "cat" ? true : undefined;
      }, { what: "a network namespace" });
      await namespace.run([programPath("ip"), "link", "set", "lo", "up"]);
      // Postfix logs to itself over a socket. Ten messages fill it, and then all its processes wait for each other.
      await namespace.run(["sh", "-c", `echo ${LONG_QUEUE} >/proc/sys/net/unix/max_dgram_qlen`]);
      return namespace;
    } catch (error) {
      await namespace[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** Runs a command inside that has to succeed, and returns its standard output. */
  async run(command: readonly string[], options: Parameters<typeof mustRun>[1] = {}): Promise<string> {
    return await mustRun([...this.prefix, ...command], options);
  }

  /** Makes `address` the only resolver that programs inside know. */
  async useResolver(address: string, folder: string): Promise<void> {
    const file = `${folder}/resolv.conf`;
    await Deno.writeTextFile(file, `nameserver ${address}\n`);
    // /etc/resolv.conf may be a link; what it points at is covered.
    await this.run(["mount", "--bind", file, await Deno.realPath("/etc/resolv.conf")]);
  }

  /** Mounts an empty file system of limited size on an existing folder. */
  async mountTmpfs(folder: string, size: string): Promise<void> {
    await this.run(["mount", "-t", "tmpfs", "-o", `size=${size}`, "tmpfs", folder]);
  }

  /** How the test process sees a path of the namespace. */
  seen(path: string): string {
    return `/proc/${this.#holder.pid}/root${path}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#holder.stdin.close();
    await this.#holder.status;
  }
}
