/** DKIM by others: dkimpy, Mail::DKIM and mailauth, the first two as programs that are asked a line at a time. */

import { Buffer } from "node:buffer";
import { dkimSign, dkimVerify } from "mailauth";
import type { TestKey } from "../msgauth/dkim_keys.ts";
import { programPath } from "./peers.ts";

/** How a peer signs. */
export interface PeerSigning {
  /** Signs. */
  readonly key: TestKey;
  /** `c=` */
  readonly canonicalization: string;
  /** `h=` */
  readonly names: readonly string[];
}

/** Another implementation. */
export interface DkimPeer extends AsyncDisposable {
  /** For messages of a test. */
  readonly name: string;
  /** Which algorithms it knows. */
  readonly algorithms: readonly string[];
  /** The results of all signatures from the top: `pass`, or what went wrong. @param zone TXT values by name. */
  verify(message: Uint8Array, zone: Readonly<Record<string, string>>): Promise<readonly string[]>;
  /** Gives the DKIM-Signature field, CRLF ended. */
  sign(message: Uint8Array, signing: PeerSigning): Promise<string>;
}

const PYTHON = `
import base64, json, sys, dkim
def serve(request):
    message = base64.b64decode(request["message"])
    if request["do"] == "sign":
        fields = dkim.DKIM(message).sign(request["selector"].encode(), request["domain"].encode(), request["key"].encode(),
            signature_algorithm=request["algorithm"].encode(), include_headers=[n.encode() for n in request["names"]],
            canonicalize=tuple(c.encode() for c in request["canonicalization"].split("/")))
        return base64.b64encode(fields).decode()
    def txt(name, timeout=5):
        return request["zone"].get(name.decode().rstrip(".").lower(), "").encode() or None
    results = []
    for at in range(request["count"]):
        try:
            results.append("pass" if dkim.DKIM(message).verify(at, dnsfunc=txt) else "fail")
        except Exception as error:
            results.append(repr(error))
    return results
for line in sys.stdin:
    try:
        answer = serve(json.loads(line))
    except Exception as error:
        answer = {"error": repr(error)}
    print(json.dumps(answer), flush=True)
`;

const PERL = `
use strict; use warnings; use JSON::PP; use MIME::Base64; use Net::DNS; use Mail::DKIM::Verifier; use Mail::DKIM::Signer;
package Zone { sub new { bless {}, shift } sub errorstring { "NOERROR" } sub send {
  my ($self, $name, $type) = @_;
  my $packet = Net::DNS::Packet->new($name, $type);
  my $text = $self->{zone}{lc $name};
  $packet->push(answer => Net::DNS::RR->new(name => $name, type => "TXT", ttl => 60, txtdata => [$text =~ /(.{1,255})/gs])) if defined $text;
  return $packet;
} }
my $zone = Zone->new; Mail::DKIM::DNS::resolver($zone);
sub serve {
  my $request = shift; my $message = decode_base64($request->{message});
  if ($request->{do} eq "sign") {
    my $key = Mail::DKIM::PrivateKey->load(Data => $request->{key});
    my $signer = Mail::DKIM::Signer->new(Policy => sub {
      my $dkim = shift;
      $dkim->add_signature(Mail::DKIM::Signature->new(Algorithm => $request->{algorithm}, Method => $request->{canonicalization},
        Headers => join(":", @{$request->{names}}), Domain => $request->{domain}, Selector => $request->{selector}, Key => $key));
      return;
    });
    $signer->PRINT($message); $signer->CLOSE;
    return encode_base64($signer->signature->as_string . "\\r\\n", "");
  }
  $zone->{zone} = $request->{zone};
  my $dkim = Mail::DKIM::Verifier->new; $dkim->PRINT($message); $dkim->CLOSE;
  return [map { $_->result eq "pass" ? "pass" : $_->result_detail } $dkim->signatures];
}
$| = 1;
while (my $line = <STDIN>) {
  my $answer = eval { serve(decode_json($line)) };
  print JSON::PP->new->allow_nonref->encode(defined $answer ? $answer : {error => "$@"}), "\\n";
}
`;

/** A program that answers each line of JSON with one. */
class LineProgram implements AsyncDisposable {
  readonly #child: Deno.ChildProcess;
  readonly #writer: WritableStreamDefaultWriter<Uint8Array<ArrayBuffer>>;
  readonly #lines: AsyncIterator<string>;
  #last: Promise<unknown> = Promise.resolve();

  constructor(command: readonly string[]) {
    const [program = "", ...args] = command;
    this.#child = new Deno.Command(program, { args, stdin: "piped", stdout: "piped", stderr: "inherit" }).spawn();
    this.#writer = this.#child.stdin.getWriter();
    this.#lines = linesOf(this.#child.stdout);
  }

  /** Asks, when the questions before have their answers. */
  async ask<T>(question: unknown): Promise<T> {
    const answer = this.#last.then(() => this.#askNow<T>(question));
    this.#last = answer.catch(() => {});
    return await answer;
  }

  async #askNow<T>(question: unknown): Promise<T> {
    await this.#writer.write(new TextEncoder().encode(`${JSON.stringify(question)}\n`));
    const { value } = await this.#lines.next();
    const answer = JSON.parse(value ?? '{"error":"it has ended"}') as T & { readonly error?: string };
    if (answer.error !== undefined) throw new Error(`The program says: ${answer.error}`);
    return answer;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#writer.close().catch(() => {});
    await this.#lines.return?.();
    await this.#child.status;
  }
}

async function* linesOf(stream: ReadableStream<Uint8Array<ArrayBuffer>>): AsyncGenerator<string> {
  let rest = "";
  for await (const text of stream.pipeThrough(new TextDecoderStream())) {
    const lines = (rest + text).split("\n");
    rest = lines.pop() ?? "";
    yield* lines;
  }
}

/** A peer that is a program. */
class ProgramPeer implements DkimPeer {
  readonly name: string;
  readonly algorithms: readonly string[];
  readonly #program: LineProgram;
  readonly #keyOf: (key: TestKey) => string;

  constructor(name: string, algorithms: readonly string[], program: LineProgram, keyOf: (key: TestKey) => string) {
    this.name = name;
    this.algorithms = algorithms;
    this.#program = program;
    this.#keyOf = keyOf;
  }

  async verify(message: Uint8Array, zone: Readonly<Record<string, string>>): Promise<readonly string[]> {
    const count = Buffer.from(message).toString("latin1").match(/^DKIM-Signature:/gim)?.length ?? 0;
    return await this.#program.ask({ do: "verify", message: message.toBase64(), zone, count });
  }

  async sign(message: Uint8Array, { key, ...how }: PeerSigning): Promise<string> {
    const { domain, selector, algorithm } = key;
    const names = { domain, selector, algorithm };
    const field = await this.#program.ask<string>({
      do: "sign",
      message: message.toBase64(),
      key: this.#keyOf(key),
      ...names,
      ...how,
    });
    return Buffer.from(field, "base64").toString("latin1");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#program[Symbol.asyncDispose]();
  }
}

/** dkimpy, of Debian's python3-dkim. */
export function dkimpy(): DkimPeer {
  const program = new LineProgram([programPath("python"), "-c", PYTHON]);
  // An Ed25519 key is a seed for it: the last 32 octets of PKCS#8 (RFC 8410 §7).
  const seedOf = (pem: string): string =>
    Buffer.from(pem.replace(/-.*-|\n/g, ""), "base64").subarray(-32).toString("base64");
  return new ProgramPeer(
    "dkimpy",
    ["rsa-sha256", "ed25519-sha256"],
    program,
    ({ algorithm, pem }) => algorithm === "rsa-sha256" ? pem : seedOf(pem),
  );
}

/** Mail::DKIM, of Debian's libmail-dkim-perl; it knows RSA only. */
export function mailDkim(): DkimPeer {
  const program = new LineProgram([programPath("perl"), "-e", PERL]);
  return new ProgramPeer("Mail::DKIM", ["rsa-sha256"], program, ({ pem }) => pem.replace(/-.*-|\n/g, ""));
}

/** mailauth, of npm. */
export const mailauth: DkimPeer = {
  name: "mailauth",
  algorithms: ["rsa-sha256", "ed25519-sha256"],
  verify: async (message, zone) => {
    const resolver = (name: string): Promise<string[][]> => {
      const text = zone[name.toLowerCase()];
      if (text === undefined) return Promise.reject(Object.assign(new Error("ENOTFOUND"), { code: "ENOTFOUND" }));
      return Promise.resolve([[text]]);
    };
    const { results } = await dkimVerify(Buffer.from(message), { resolver, strict: true });
    return results.map(({ status }) => status.result === "pass" ? "pass" : `${status.result} ${status.comment ?? ""}`);
  },
  sign: async (message, { key, canonicalization, names }) => {
    const { signatures, errors } = await dkimSign(Buffer.from(message), {
      signingDomain: key.domain,
      selector: key.selector,
      privateKey: key.pem,
      algorithm: key.algorithm,
      canonicalization,
      headerList: [...names],
      signTime: new Date(),
    });
    if (errors.length > 0) throw new Error(JSON.stringify(errors));
    return Buffer.from(signatures).toString("latin1");
  },
  [Symbol.asyncDispose]: () => Promise.resolve(),
};
