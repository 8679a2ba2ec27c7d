/**
 * A small recursive DNS server on loopback, over UDP and TCP, that answers from a table and misbehaves when told to.
 *
 * ```ts
 * await using dns = await startDnsServer({
 *   "example.test": { MX: [[10, "mx.example.test"]], TXT: ["v=spf1 -all"] },
 *   "mx.example.test": { A: ["127.0.0.1"], TLSA: [[3, 1, 1, digest]], isSecure: true },
 *   "www.example.test": { CNAME: "example.test" },
 *   "down.test": { fault: "servfail" },
 *   "half.test": { MX: [[10, "half.test"]], faults: { A: "timeout" } },
 * });
 * const resolver = new StubResolver({ servers: [dns.address], clock: systemClock });
 * dns.set("example.test", { fault: "nxdomain" }); // from now on
 * dns.count("example.test", "MX"); // queries that came
 * await dns.untilQueried(3);
 * ```
 */

import { createSocket, type Socket } from "node:dgram";
import { decodeMessage, type Question } from "../../lib/dns/message.ts";
import { normaliseName } from "../../lib/dns/name.ts";
import { typeCodes, type WireRecordType } from "../../lib/dns/record_data.ts";
import type { RecordType } from "../../lib/dns/resolver.ts";
import {
  addressData,
  type EncodedRecord,
  encodeRecord,
  encodeResponse,
  flag,
  mxData,
  nameOctets,
  soaData,
  srvData,
  textData,
} from "./dns_encoding.ts";

/** Ways to misbehave. */
export type DnsFault =
  /** Response codes. `nxdomain`: also when there are records. `formerr`: only to a query with EDNS0. */
  | "servfail"
  | "refused"
  | "nxdomain"
  | "formerr"
  /** No answer at all. */
  | "timeout"
  /** TC over UDP, the answer over TCP. */
  | "truncate"
  /** TC over UDP, and the TCP connection is closed in the middle of the answer. */
  | "truncateBroken"
  /** Answers with another id, or to another question, or from another port, and with nothing else. */
  | "wrongId"
  | "wrongQuestion"
  | "wrongPort"
  /** All of these with false data first, then the true answer. */
  | "spoofed"
  /** Random octets; the right id and question, then rubbish. */
  | "garbage"
  | "malformed"
  /** An empty answer by a server that does not resolve for others. */
  | "noRecursion"
  /** The answer comes late. */
  | { readonly delayMs: number };

/** What the server knows about a name. A name with an empty entry exists and has no records. */
export interface DnsEntry {
  readonly A?: readonly string[];
  readonly AAAA?: readonly string[];
  /** Preference and exchange; `[[0, "."]]` is the null MX. */
  readonly MX?: readonly (readonly [preference: number, exchange: string])[];
  /** One text a record; an array is one record of several character-strings. */
  readonly TXT?: readonly (string | readonly string[])[];
  readonly PTR?: readonly string[];
  /** Usage, selector, matching type, data. */
  readonly TLSA?: readonly (readonly [usage: number, selector: number, matchingType: number, data: Uint8Array])[];
  /** Priority, weight, port, target. */
  readonly SRV?: readonly (readonly [priority: number, weight: number, port: number, target: string])[];
  readonly CNAME?: string;
  /** Default: 300; that of negative answers, too. */
  readonly ttlSeconds?: number;
  /** Set AD in answers about this name. */
  readonly isSecure?: boolean;
  /** Answer with the CNAME record alone, so that its target must be asked for. */
  readonly isLazy?: boolean;
  /** For every type. */
  readonly fault?: DnsFault;
  /** For some types. */
  readonly faults?: Partial<Readonly<Record<RecordType, DnsFault>>>;
}

/** Entries by name; `*` stands for every name that has no entry. Other names do not exist. */
export type DnsZone = Readonly<Record<string, DnsEntry>>;

/** A query that came. */
export interface SeenQuery {
  readonly name: string;
  /** Such as `MX`, or the number of another type. */
  readonly type: string;
  readonly transport: "udp" | "tcp";
  readonly id: number;
  readonly sourcePort: number;
  readonly octets: Uint8Array;
}

const typeNames = new Map(Object.entries(typeCodes).map(([name, code]) => [code, name]));

/** Starts a server on a free port of 127.0.0.1. */
export async function startDnsServer(zone: DnsZone = {}): Promise<DnsServer> {
  for (let tries = 1;; tries++) {
    const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    const socket = createSocket("udp4");
    try {
      await new Promise<void>((resolve, reject) => {
        socket.once("error", reject);
        socket.bind(listener.addr.port, "127.0.0.1", resolve);
      });
      return new DnsServer(zone, listener, socket);
    } catch (error) {
      listener.close();
      if (tries === 10) throw error;
    }
  }
}

/** A running server. */
export class DnsServer implements AsyncDisposable {
  /** Free port chosen by the system, for UDP and TCP. */
  readonly port: number;
  /** Every query, oldest first. */
  readonly queries: SeenQuery[] = [];
  readonly #entries = new Map<string, DnsEntry>();
  readonly #listener: Deno.TcpListener;
  readonly #socket: Socket;
  readonly #connections = new Set<Deno.TcpConn>();
  readonly #timers = new Set<ReturnType<typeof setTimeout>>();
  readonly #accepting: Promise<void>;
  readonly #watchers: (() => void)[] = [];
  #isClosed = false;

  /** Use {@linkcode startDnsServer}. */
  constructor(zone: DnsZone, listener: Deno.TcpListener, socket: Socket) {
    for (const [name, entry] of Object.entries(zone)) this.set(name, entry);
    this.port = listener.addr.port;
    this.#listener = listener;
    this.#socket = socket;
    socket.on("message", (octets, from) => this.#onDatagram(octets, from.port));
    this.#accepting = this.#accept();
  }

  /** What `StubResolverOptions.servers` and the configuration take. */
  get address(): { readonly host: string; readonly port: number } {
    return { host: "127.0.0.1", port: this.port };
  }

  /** Sets all about a name, in place of what was known. */
  set(name: string, entry: DnsEntry): void {
    this.#entries.set(name === "*" ? name : normaliseName(name), entry);
  }

  /** Forgets a name: it does not exist any more. */
  remove(name: string): void {
    this.#entries.delete(name === "*" ? name : normaliseName(name));
  }

  /** How many queries came, for all names or one, of all types or one. */
  count(name?: string, type?: RecordType | "CNAME"): number {
    const wanted = name === undefined ? undefined : normaliseName(name);
    return this.queries.filter((query) =>
      (wanted === undefined || query.name === wanted) && (type === undefined || query.type === type)
    ).length;
  }

  /** Waits until as many queries came as `count`, those before the call included. */
  async untilQueried(count = 1): Promise<void> {
    while (this.queries.length < count) {
      await new Promise<void>((resolve) => this.#watchers.push(resolve));
    }
  }

  /** Stops answering and frees the port. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#timers.forEach(clearTimeout);
    this.#listener.close();
    for (const connection of this.#connections) closeQuietly(connection);
    await new Promise<void>((resolve) => this.#socket.close(resolve));
    await this.#accepting;
  }

  #onDatagram(octets: Uint8Array, port: number): void {
    const send = (answer: Uint8Array): void => {
      if (!this.#isClosed) this.#socket.send(answer, port, "127.0.0.1");
    };
    this.#handle(octets, "udp", port, {
      send,
      sendElsewhere: (answer) => {
        const other = createSocket("udp4");
        other.send(answer, port, "127.0.0.1", () => other.close());
      },
    });
  }

  async #accept(): Promise<void> {
    const serving: Promise<void>[] = [];
    try {
      for await (const connection of this.#listener) serving.push(this.#serve(connection));
    } catch {
      // The listener was closed.
    }
    await Promise.all(serving);
  }

  async #serve(connection: Deno.TcpConn): Promise<void> {
    this.#connections.add(connection);
    try {
      for (;;) {
        const length = await readExactly(connection, 2);
        const octets = await readExactly(connection, (length[0] ?? 0) * 256 + (length[1] ?? 0));
        const send = (answer: Uint8Array, length = answer.length): void => {
          connection.write(Uint8Array.from([length >> 8, length & 0xff, ...answer])).catch(() => {});
        };
        const close = (): void => closeQuietly(connection);
        this.#handle(octets, "tcp", connection.remoteAddr.port, { send, sendElsewhere: send, close });
      }
    } catch {
      // The peer or the test closed the connection.
    } finally {
      this.#connections.delete(connection);
      closeQuietly(connection);
    }
  }

  #handle(octets: Uint8Array, transport: "udp" | "tcp", sourcePort: number, peer: Peer): void {
    const { id, questions: [question] } = decodeMessage(octets);
    if (question === undefined) return;
    const type = typeNames.get(question.typeCode) ?? String(question.typeCode);
    this.queries.push({ name: question.name, type, transport, id, sourcePort, octets: Uint8Array.from(octets) });
    for (const wake of this.#watchers.splice(0)) wake();
    const entry = this.#entryOf(question.name);
    const fault = entry?.faults?.[type as RecordType] ?? entry?.fault;
    const hasEdns = octets.length > nameOctets(question.name).length + 16;
    const call: Call = { id, question, hasEdns, transport, peer };
    if (typeof fault !== "object") return this.#misbehave(fault, call);
    this.#later(fault.delayMs, () => this.#misbehave(undefined, call));
  }

  #misbehave(fault: Exclude<DnsFault, object> | undefined, call: Call): void {
    const { id, question, peer, hasEdns } = call;
    const { send, sendElsewhere } = peer;
    const base = { id, question, hasEdns, flags: flag.response | flag.recursion, responseCode: 0 };
    const isTcp = call.transport === "tcp";
    const lie = { ...base, answers: [encodeRecord(question.name, "A", addressData("192.0.2.66"))] };
    const wrongId = (): void => send(encodeResponse({ ...lie, id: id ^ 1 }));
    const wrongQuestion = (): void =>
      send(encodeResponse({ ...lie, question: { ...question, name: `x.${question.name}` } }));
    const truth = (): void => send(encodeResponse(this.#answer(base)));
    switch (fault) {
      case "timeout":
        return;
      case "servfail":
        return send(encodeResponse({ ...base, responseCode: 2 }));
      case "refused":
        return send(encodeResponse({ ...base, responseCode: 5 }));
      case "nxdomain":
        return send(encodeResponse(this.#negative({ ...base, responseCode: 3 })));
      case "formerr":
        return hasEdns ? send(encodeResponse({ ...base, hasEdns: false, responseCode: 1 })) : truth();
      case "noRecursion":
        return send(encodeResponse({ ...base, flags: flag.response }));
      case "truncate":
      case "truncateBroken":
        if (!isTcp) return send(encodeResponse({ ...base, flags: base.flags | flag.truncated }));
        if (fault === "truncate") return truth();
        peer.send(encodeResponse(this.#answer(base)).subarray(0, 9), 400);
        return peer.close?.();
      case "wrongId":
        return wrongId();
      case "wrongQuestion":
        return wrongQuestion();
      case "wrongPort":
        return sendElsewhere(encodeResponse(lie));
      case "garbage":
        return send(crypto.getRandomValues(new Uint8Array(64)));
      case "malformed":
        return send(encodeResponse(lie).subarray(0, -2));
      case "spoofed":
        wrongId();
        wrongQuestion();
        sendElsewhere(encodeResponse(lie));
        send(Uint8Array.of(1));
        return this.#later(20, truth);
      case undefined:
        return truth();
    }
  }

  #later(ms: number, run: () => void): void {
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      run();
    }, ms);
    this.#timers.add(timer);
  }

  #entryOf(name: string): DnsEntry | undefined {
    return this.#entries.get(name) ?? this.#entries.get("*");
  }

  /** The honest answer: records, an alias chain, NODATA or NXDOMAIN. */
  #answer(base: Base): Base {
    const answers: EncodedRecord[] = [];
    const code = base.question.typeCode;
    let isSecure = true;
    let owner = base.question.name;
    for (let links = 0;; links++) {
      const entry = this.#entryOf(owner);
      isSecure &&= entry?.isSecure === true;
      const flags = base.flags | (isSecure ? flag.authentic : 0);
      if (entry === undefined) {
        const responseCode = this.#isParent(owner) ? 0 : 3;
        return this.#negative({ ...base, flags, responseCode, answers });
      }
      if (entry.CNAME !== undefined && code !== typeCodes.CNAME) {
        answers.push(encodeRecord(owner, "CNAME", nameOctets(entry.CNAME), entry.ttlSeconds));
        owner = normaliseName(entry.CNAME);
        if (entry.isLazy || links > 20) return { ...base, flags, answers };
        continue;
      }
      const records = encodeEntry(owner, entry).filter(({ typeCode }) => typeCode === code);
      if (records.length > 0) return { ...base, flags, answers: [...answers, ...records] };
      return this.#negative({ ...base, flags, answers }, entry.ttlSeconds);
    }
  }

  /** True for a name that exists only because there are names below it. */
  #isParent(name: string): boolean {
    return this.#entries.keys().some((known) => known.endsWith(`.${name}`));
  }

  #negative(base: Base, ttlSeconds = 300): Base {
    const zone = base.question.name.split(".").at(-1) ?? "";
    return { ...base, authority: [encodeRecord(zone, "SOA", soaData(ttlSeconds), 3600)] };
  }
}

interface Peer {
  readonly send: (answer: Uint8Array, length?: number) => void;
  readonly sendElsewhere: (answer: Uint8Array) => void;
  readonly close?: () => void;
}

interface Call {
  readonly id: number;
  readonly question: Question;
  readonly hasEdns: boolean;
  readonly transport: "udp" | "tcp";
  readonly peer: Peer;
}

interface Base {
  readonly id: number;
  readonly question: Question;
  readonly hasEdns: boolean;
  readonly flags: number;
  readonly responseCode: number;
  readonly answers?: readonly EncodedRecord[];
  readonly authority?: readonly EncodedRecord[];
}

function encodeEntry(owner: string, entry: DnsEntry): EncodedRecord[] {
  const records: EncodedRecord[] = [];
  const add = (type: WireRecordType, data: Uint8Array | readonly number[]): void => {
    records.push(encodeRecord(owner, type, data, entry.ttlSeconds));
  };
  for (const address of entry.A ?? []) add("A", addressData(address));
  for (const address of entry.AAAA ?? []) add("AAAA", addressData(address));
  for (const [preference, exchange] of entry.MX ?? []) add("MX", mxData(preference, exchange));
  for (const text of entry.TXT ?? []) add("TXT", textData(text));
  for (const host of entry.PTR ?? []) add("PTR", nameOctets(host));
  for (const [usage, selector, matchingType, data] of entry.TLSA ?? []) {
    add("TLSA", [usage, selector, matchingType, ...data]);
  }
  for (const [priority, weight, port, target] of entry.SRV ?? []) add("SRV", srvData(priority, weight, port, target));
  if (entry.CNAME !== undefined) add("CNAME", nameOctets(entry.CNAME));
  return records;
}

async function readExactly(connection: Deno.TcpConn, count: number): Promise<Uint8Array> {
  const octets = new Uint8Array(count);
  for (let filled = 0; filled < count;) {
    const got = await connection.read(octets.subarray(filled));
    if (got === null) throw new Error("Connection ended");
    filled += got;
  }
  return octets;
}

function closeQuietly(connection: Deno.TcpConn): void {
  try {
    connection.close();
  } catch {
    // Closed before.
  }
}
