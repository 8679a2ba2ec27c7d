/** Sender rewriting by others: the reference implementation in Perl, and PostSRSd. */

import { mustRun } from "./command.ts";
import { Daemon } from "./daemon.ts";
import { freePort } from "./free_port.ts";
import { programPath } from "./peers.ts";
import { waitUntil } from "./wait.ts";

const PERL = `
use Mail::SRS;
my ($secret, $length, $what, @addresses) = @ARGV;
my $srs = new Mail::SRS(Secret => $secret, $length ? (HashLength => $length) : ());
for (@addresses) {
  my $found = eval { $what eq "reverse" ? $srs->reverse($_) : $srs->forward($_, $what) };
  print defined $found ? $found : "refused", "\\n";
}`;

/** Rewrites senders with Mail::SRS. @param hashLength 0: its default. */
export async function perlForward(
  secret: string,
  hashLength: number,
  domain: string,
  senders: readonly string[],
): Promise<readonly string[]> {
  return await perl(secret, hashLength, domain, senders);
}

/** Reads rewritten senders with Mail::SRS; `refused` where it does not believe them. @param hashLength 0: its default. */
export async function perlReverse(
  secret: string,
  hashLength: number,
  addresses: readonly string[],
): Promise<readonly string[]> {
  return await perl(secret, hashLength, "reverse", addresses);
}

async function perl(secret: string, hashLength: number, what: string, addresses: readonly string[]): Promise<string[]> {
  const output = await mustRun([programPath("perl"), "-e", PERL, secret, `${hashLength}`, what, ...addresses]);
  return output.trimEnd().split("\n");
}

/** A running PostSRSd. */
export class PostSrsd implements AsyncDisposable {
  readonly #daemon: Daemon;
  readonly #ports: { readonly forward: number; readonly reverse: number };

  private constructor(daemon: Daemon, ports: { readonly forward: number; readonly reverse: number }) {
    this.#daemon = daemon;
    this.#ports = ports;
  }

  /** Starts it on free ports. @param secretFile A secret a line. */
  static async start(secretFile: string, domain: string, hashLength: number): Promise<PostSrsd> {
    const ports = { forward: freePort("127.0.0.1"), reverse: freePort("127.0.0.1") };
    const postSrsd = new PostSrsd(
      new Daemon([
        programPath("postsrsd"),
        ...[`-s${secretFile}`, `-d${domain}`, `-n${hashLength}`, `-N${hashLength}`, "-4"],
        ...[`-f${ports.forward}`, `-r${ports.reverse}`],
      ]),
      ports,
    );
    try {
      await waitUntil(async () => {
        const answer = await postSrsd.forward("x@sender.example").catch(() => undefined);
        return answer === undefined ? undefined : true;
      }, { what: "PostSRSd to answer", everyMs: 50, detail: () => postSrsd.#daemon.log });
      return postSrsd;
    } catch (error) {
      await postSrsd[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** The rewritten sender, or the refusal. */
  async forward(sender: string): Promise<string> {
    return await ask(this.#ports.forward, sender);
  }

  /** The sender of a rewritten address, or the refusal. */
  async reverse(address: string): Promise<string> {
    return await ask(this.#ports.reverse, address);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#daemon[Symbol.asyncDispose]();
  }
}

/** One question of the TCP table protocol of Postfix (tcp_table(5)). */
async function ask(port: number, key: string): Promise<string> {
  using connection = await Deno.connect({ hostname: "127.0.0.1", port });
  const quote = (text: string): string => text.replace(/[%\s]/g, (character) => encodeURIComponent(character));
  await connection.write(new TextEncoder().encode(`get ${quote(key)}\n`));
  const buffer = new Uint8Array(1_024);
  const count = await connection.read(buffer) ?? 0;
  const [, code, text = ""] = /^(\d{3}) (.*)\n$/.exec(new TextDecoder().decode(buffer.subarray(0, count))) ?? [];
  return code === "200" ? decodeURIComponent(text) : `${code} ${text}`;
}
