/** A web server for MTA-STS policies inside a namespace, on port 443: what a name serves is the content of a file. */

import type { CertificateFiles } from "./certificates.ts";
import { Daemon } from "./daemon.ts";
import type { Namespace } from "./namespace.ts";
import { programPath } from "./peers.ts";
import { waitUntil } from "./wait.ts";

const SCRIPT = `
import http.server, os, ssl, sys
folder, address, chain, key = sys.argv[1:]
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        name = self.headers["Host"]
        path = os.path.join(folder, os.path.basename(name))
        if self.path != "/.well-known/mta-sts.txt" or not os.path.exists(path):
            return self.send_error(404)
        content = open(path, "rb").read()
        self.send_response(200)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)
server = http.server.ThreadingHTTPServer((address, 443), Handler)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(chain, key)
server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
print("listening", flush=True)
server.serve_forever()
`;

/** The running server. */
export class PolicyHost implements AsyncDisposable {
  readonly #folder: string;
  readonly #server: Daemon;

  private constructor(folder: string, server: Daemon) {
    this.#folder = folder;
    this.#server = server;
  }

  /** Starts it and waits until it listens. @param folder Exists, and is used by nobody else. */
  static async start(
    namespace: Namespace,
    folder: string,
    address: string,
    { chain, key }: CertificateFiles,
  ): Promise<PolicyHost> {
    const words = [programPath("python"), "-u", "-c", SCRIPT, folder, address, chain, key];
    const server = new Daemon([...namespace.prefix, ...words]);
    const host = new PolicyHost(folder, server);
    try {
      await waitUntil(() => server.log.includes("listening") || undefined, {
        what: "the policy host",
        detail: () => server.log,
      });
      return host;
    } catch (error) {
      await host[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** Sets the policy of a domain; undefined: 404. */
  async publish(domain: string, lines: readonly string[] | undefined): Promise<void> {
    const path = `${this.#folder}/mta-sts.${domain}`;
    if (lines !== undefined) return await Deno.writeTextFile(path, lines.join("\r\n") + "\r\n");
    await Deno.remove(path).catch((error: unknown) => {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    });
  }

  /** Every request so far, one a line. */
  get log(): string {
    return this.#server.log;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server[Symbol.asyncDispose]();
  }
}
