/**
 * Conversation scripts, as in RFC 5321 appendix D. One step a line:
 *
 *     # the first comment is the name of the test
 *     @service submission        options of the server: service, tls, recipients, octets, relay, senders, bareLf,
 *                                auth (mechanisms), rate (a day)
 *     @quota defer 1000S,9C 900 3  alice's mailbox: what happens when it is full, its limits, and the octets and messages in it
 *     @header 1000 10            at most so many octets and fields in a header section
 *     @domains a.test b.test=a.test   our domains; the second is another name of the first. With it, routing is the real one
 *     @accounts {"a@a.test": {}} the accounts file, as one line of YAML
 *     C: EHLO client.test        sent with CRLF
 *     C! "raw\noctets"           sent as the JSON string says, in UTF-8
 *     S: 250 2.0.0 OK            exactly this reply line
 *     S~ ^250 2.0.0 Queued       a reply line that matches
 *     S* ^250                    a reply of any length, whose last line matches
 *     @offers SIZE 100, !AUTH    the last reply of S*, to EHLO, has this extension, and does not have that
 *     TLS                        the client does a TLS handshake
 *     END                        the server closes the connection
 *     @accepted 1                so many messages were accepted
 *     @envelope a@b -> c@d, e@f  envelope of the last one; `by` says who forwards, `from` the reverse-path of a recipient
 *     @dsn ret=HDRS notify=delay what its envelope keeps of the DSN parameters; `|` where recipients differ
 *     @received from x ([y])     the first line of its Received field
 *     @fields Received, Date     the fields put in front of it, by name
 *     M: Subject: x              its content, line by line
 */

import { assertEquals, assertMatch } from "@std/assert";
import { connect, type TLSSocket } from "node:tls";
import { createConnection, type Socket } from "node:net";
import { loadAccounts } from "../../lib/config/accounts.ts";
import type { Service } from "../../lib/config/config.ts";
import { loadConfig } from "../../lib/config/load.ts";
import type { ConfigIo } from "../../lib/config/source.ts";
import type { RecipientResolver } from "../../lib/inbound/services.ts";
import { createRouter } from "../../lib/routing/router.ts";
import { testQuotas } from "./test_quotas.ts";
import { type InboundFixture, type InboundFixtureOptions, startInbound } from "./inbound_server.ts";

/** One parsed script. */
export interface Script {
  readonly name: string;
  readonly options: InboundFixtureOptions;
  /** What `@domains` and `@accounts` say. */
  readonly site: Site;
  readonly needsTls: boolean;
  readonly steps: readonly { readonly line: number; readonly kind: string; readonly text: string }[];
}

/** Domains and accounts of a script. */
export interface Site {
  readonly domains?: string;
  readonly accounts?: string;
}

/** The real routing, for a script that has domains of its own. */
async function routerOf({ domains, accounts = "{}" }: Site): Promise<RecipientResolver | undefined> {
  if (domains === undefined) return undefined;
  const text = JSON.stringify({
    hostname: "mx.test",
    domains: Object.fromEntries(
      domains.split(" ").map((entry) => {
        const [name, aliasOf] = entry.split("=");
        return [name, aliasOf === undefined ? {} : { alias_of: aliasOf }];
      }),
    ),
  });
  const files: Record<string, string> = { "/posthorn.yaml": text, "/accounts.yaml": accounts };
  const io: ConfigIo = { readText: (path) => Promise.resolve(files[path] ?? ""), env: () => undefined };
  const config = await loadConfig("/posthorn.yaml", io);
  return createRouter(config, await loadAccounts(config, io) ?? []);
}

/** Reads a script; throws where it is malformed. */
export function parseScript(text: string, file: string): Script {
  const options: Record<string, unknown> = {};
  const site: Record<string, string> = {};
  const steps: { line: number; kind: string; text: string }[] = [];
  let name: string | undefined;
  for (const [index, raw] of text.split("\n").entries()) {
    if (raw.trim() === "") continue;
    if (raw.startsWith("#")) {
      name ??= raw.slice(1).trim();
      continue;
    }
    const [, kind, rest] = /^(C:|C!|S:|S~|S\*|M:|TLS|END|@\w+) ?(.*)$/.exec(raw) ?? [];
    if (kind === undefined || rest === undefined) throw new Error(`${file}:${index + 1}: no step: ${raw}`);
    if (kind === "@domains" || kind === "@accounts") site[kind.slice(1)] = rest;
    else if (!readOption(options, kind, rest)) steps.push({ line: index + 1, kind, text: rest });
  }
  if (name === undefined) throw new Error(`${file}: no name`);
  return {
    name,
    options,
    site,
    needsTls: steps.some(({ kind, text }) => kind === "TLS" || (kind !== "C:" && /STARTTLS|\^250 S$/.test(text))),
    steps,
  };
}

function readOption(options: Record<string, unknown>, kind: string, text: string): boolean {
  const limits = (options["limits"] ?? {}) as Record<string, number>;
  switch (kind) {
    case "@service":
      options["service"] = text as Service;
      return true;
    case "@tls":
      options["tls"] = text;
      return true;
    case "@xclient":
      options["xclientFrom"] = text.split(" ");
      return true;
    case "@binary":
      options["binaryMime"] = text === "on";
      return true;
    case "@relay":
      options["relayFrom"] = text.split(" ");
      return true;
    case "@rate":
      options["rate"] = { count: Number(text), perMs: 86_400_000 };
      return true;
    case "@auth":
      options["auth"] = text.split(" ");
      return true;
    case "@bareLf":
      options["bareLf"] = text;
      return true;
    case "@senders":
      options["senders"] = text;
      return true;
    case "@recipients":
      options["limits"] = { ...limits, recipients: Number(text) };
      return true;
    case "@quota":
      options["quotas"] = testQuotas(text);
      return true;
    case "@header": {
      const [headerOctets, headerFields] = text.split(" ").map(Number);
      options["limits"] = { ...limits, headerOctets, headerFields };
      return true;
    }
    case "@octets":
      options["limits"] = { ...limits, messageOctets: Number(text) };
      return true;
    default:
      return false;
  }
}

/** Plays a script against a server of its own. */
export async function play(script: Script, file: string): Promise<void> {
  const router = await routerOf(script.site);
  await using server = await startInbound({ ...script.options, ...(router === undefined ? {} : { router }) });
  await using client = await Client.connect(server.port);
  for (const { line, kind, text } of script.steps) {
    try {
      await step(client, server, kind, text);
    } catch (error) {
      throw new Error(`${file}:${line}: ${error instanceof Error ? error.message : error}`, { cause: error });
    }
  }
  const expected = script.steps.filter(({ kind }) => kind === "M:").map(({ text }) => `${text}\r\n`).join("");
  if (expected !== "") {
    assertEquals(new TextDecoder().decode(server.spool.messages.at(-1)?.content.inMemory), expected, file);
  }
  assertEquals(server.spool.openReceptions, 0, `${file}: a reception was left open`);
}

async function step(client: Client, server: InboundFixture, kind: string, text: string): Promise<void> {
  switch (kind) {
    case "C:":
      return client.send(`${text}\r\n`);
    case "C!":
      return client.send(JSON.parse(text) as string);
    case "S:":
      return assertEquals(await client.line(), text);
    case "S~":
      return assertMatch(await client.line(), new RegExp(text));
    case "S*":
      return assertMatch((await client.reply()).at(-1) ?? "", new RegExp(text));
    case "@offers": {
      const lines = client.lastReply.slice(1).map((line) => line.slice(4));
      for (const wanted of text.split(", ")) {
        const keyword = wanted.replace(/^!/, "");
        const isThere = lines.some((line) => line === keyword || line.startsWith(`${keyword} `));
        assertEquals(isThere, keyword === wanted, `${wanted}; offered are ${lines.join(", ")}`);
      }
      return;
    }
    case "TLS":
      return await client.startTls();
    case "END":
      return assertEquals(await client.line(), "(closed)");
    case "@accepted":
      return assertEquals(server.spool.messages.length, Number(text));
    case "@envelope": {
      const { reversePath, recipients } = server.spool.messages.at(-1)?.envelope ?? {};
      return assertEquals(
        `${reversePath} -> ${
          recipients?.map(({ address, isExpanded, list, reversePath, forwardedBy }) =>
            address + (isExpanded ? (list === "itself" ? " list" : " expanded") : "") +
            (forwardedBy === undefined ? "" : ` by ${forwardedBy}`) +
            (reversePath === undefined ? "" : ` from ${reversePath}`)
          ).join(", ")
        }`,
        text,
      );
    }
    case "@dsn": {
      const { envid, ret, recipients = [] } = server.spool.messages.at(-1)?.envelope ?? {};
      const kept = recipients.map(({ orcpt, notify }) =>
        Object.entries({ envid, ret, orcpt, notify }).filter(([, value]) => value !== undefined)
          .map(([key, value]) => `${key}=${value}`).join(" ")
      );
      return assertEquals([...new Set(kept)].join(" | "), text);
    }
    case "@received": {
      const { trace = "" } = server.spool.messages.at(-1)?.envelope ?? {};
      return assertEquals(/^Received: ([^\r]*)\r/.exec(trace)?.[1], text);
    }
    case "@fields": {
      const { trace = "" } = server.spool.messages.at(-1)?.envelope ?? {};
      return assertEquals(Array.from(trace.matchAll(/^[^\s:]+(?=:)/gm), String).join(", "), text);
    }
    case "M:":
      return;
    default:
      throw new Error(`unknown step ${kind}`);
  }
}

/** A client that sends what it is told and hands out reply lines. */
export class Client implements AsyncDisposable {
  #socket: Socket | TLSSocket;
  #buffer = "";
  #isClosed = false;
  #wake = (): void => {};
  /** What {@linkcode reply} read last. */
  lastReply: readonly string[] = [];

  private constructor(socket: Socket) {
    this.#socket = socket;
    this.#listen();
  }

  /** Connects to a loopback port. */
  static async connect(port: number): Promise<Client> {
    const socket = createConnection(port, "127.0.0.1");
    await new Promise((resolve, reject) => socket.once("connect", resolve).once("error", reject));
    socket.setNoDelay(true);
    return new Client(socket);
  }

  /** Sends text as UTF-8. */
  send(text: string): void {
    this.#socket.write(text);
  }

  /** The next reply line without CRLF; `(closed)` at the end of the connection. Waits at most 5 s. */
  async line(): Promise<string> {
    const deadline = performance.now() + 5000;
    for (;;) {
      const end = this.#buffer.indexOf("\r\n");
      if (end >= 0) {
        const line = this.#buffer.slice(0, end);
        this.#buffer = this.#buffer.slice(end + 2);
        return line;
      }
      if (this.#isClosed) return "(closed)";
      if (performance.now() > deadline) throw new Error("no reply within 5 s");
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, 5100);
        this.#wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
  }

  /** All lines of one reply. */
  async reply(): Promise<string[]> {
    const lines = [await this.line()];
    while (lines.at(-1)?.[3] === "-") lines.push(await this.line());
    this.lastReply = lines;
    return lines;
  }

  /** Does a TLS handshake without checking the certificate. */
  async startTls(): Promise<void> {
    this.#socket.removeAllListeners();
    const plain = this.#socket as Socket;
    const socket = connect({ socket: plain, rejectUnauthorized: false, servername: "mx.test" });
    await new Promise((resolve, reject) => socket.once("secureConnect", resolve).once("error", reject));
    this.#socket = socket;
    this.#listen();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#isClosed) return;
    const closed = new Promise((resolve) => this.#socket.once("close", resolve));
    this.#socket.destroy();
    await closed;
  }

  #listen(): void {
    this.#socket.on("data", (octets: Uint8Array) => {
      this.#buffer += new TextDecoder().decode(octets);
      this.#wake();
    });
    const closed = (): void => {
      this.#isClosed = true;
      this.#wake();
    };
    this.#socket.on("end", closed).on("close", closed).on("error", closed);
  }
}
