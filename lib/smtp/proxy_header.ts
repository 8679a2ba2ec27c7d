/**
 * The header of the PROXY protocol, version 1 (text) and 2 (binary), with which a proxy says whom it speaks for.
 *
 * @see https://www.haproxy.org/download/2.9/doc/proxy-protocol.txt
 */

import { formatIpAddress, parseIpAddress, unmapped } from "../dns/ip_address.ts";

/** Whom the proxy speaks for. */
export interface ProxiedClient {
  /** One spelling for each address: RFC 5952 §4 for IPv6, and IPv4 where it is mapped into IPv6. */
  readonly host: string;
  /** 0 to 65535. */
  readonly port: number;
}

/** What the octets so far are. */
export type ProxyProgress =
  | { readonly kind: "incomplete" }
  | {
    readonly kind: "complete";
    /** Undefined where the proxy speaks for itself (LOCAL) or for somebody whom it cannot name (UNKNOWN, UNSPEC). */
    readonly client: ProxiedClient | undefined;
    /** Octets of the last piece that belong to the header; those behind are the client's. */
    readonly consumed: number;
  }
  | { readonly kind: "invalid"; /** Fit for a log line. */ readonly reason: string };

/** Section 2.1: the longest line of version 1, CRLF included. */
const V1_MAX_OCTETS = 107;
const V1_START = new TextEncoder().encode("PROXY ");
const V2_SIGNATURE = Uint8Array.of(0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a);
/** Signature, version and command, family and protocol, length. */
const V2_FIXED_OCTETS = 16;
const V2_LOCAL = 0x20;
const V2_PROXY = 0x21;
const V2_TCP4 = 0x11;
const V2_TCP6 = 0x21;

/** Family and protocol → octets of source, destination and their ports. All others are refused (section 2.2). */
const V2_ADDRESS_OCTETS: ReadonlyMap<number, number> = new Map([[0x00, 0], [V2_TCP4, 12], [V2_TCP6, 36]]);
/** What a mail server has no use for, although it is correct. */
const V2_UNUSABLE: ReadonlyMap<number, string> = new Map([
  [0x12, "UDP"],
  [0x22, "UDP"],
  [0x31, "a Unix socket"],
  [0x32, "a Unix socket"],
]);

const CR = 0x0d;
const LF = 0x0a;

const INCOMPLETE: ProxyProgress = { kind: "incomplete" };

/**
 * Reads one header, in pieces of any size. Each octet is judged when it comes, so the result does not depend on the
 * pieces. It keeps 107 octets at most: what follows the addresses in version 2 (TLVs) is counted and passed over.
 */
export class ProxyHeaderParser {
  readonly #head = new Uint8Array(V1_MAX_OCTETS);
  #length = 0;
  /** Octets of version 2 still to pass over; undefined before the addresses are complete. */
  #rest: number | undefined;
  #client: ProxiedClient | undefined;

  /** Takes the next octets. Not to be called again after another result than `incomplete`. */
  push(octets: Uint8Array): ProxyProgress {
    let at = 0;
    for (const octet of octets) {
      if (this.#rest !== undefined) break;
      this.#head[this.#length++] = octet;
      at++;
      const problem = this.#head[0] === CR ? this.#checkV2() : this.#checkV1(octet);
      if (problem !== undefined) return { kind: "invalid", reason: problem };
    }
    if (this.#rest === undefined) return INCOMPLETE;
    const passed = Math.min(this.#rest, octets.length - at);
    this.#rest -= passed;
    return this.#rest > 0 ? INCOMPLETE : { kind: "complete", client: this.#client, consumed: at + passed };
  }

  /** Judges the last octet of version 1; says what is wrong. */
  #checkV1(octet: number): string | undefined {
    const length = this.#length;
    if (length <= V1_START.length) return octet === V1_START[length - 1] ? undefined : "no PROXY header";
    const isAfterCr = this.#head[length - 2] === CR;
    if (isAfterCr !== (octet === LF)) return "PROXY line with a bare CR or LF";
    if (isAfterCr) return this.#readV1(String.fromCharCode(...this.#head.subarray(V1_START.length, length - 2)));
    return length === V1_MAX_OCTETS ? `PROXY line longer than ${V1_MAX_OCTETS} octets` : undefined;
  }

  #readV1(line: string): string | undefined {
    const [protocol, ...values] = line.split(" ");
    // What follows UNKNOWN must be ignored (section 2.1).
    if (protocol !== "UNKNOWN") {
      const octets = protocol === "TCP4" ? 4 : 16;
      if (protocol !== "TCP4" && protocol !== "TCP6") {
        return "PROXY line with another protocol than TCP4, TCP6, UNKNOWN";
      }
      const [source = "", destination = "", sourcePort = "", destinationPort = ""] = values;
      const host = readAddress(source, octets);
      const port = readPort(sourcePort);
      const isWhole = values.length === 4 && readAddress(destination, octets) !== undefined &&
        readPort(destinationPort) !== undefined;
      if (!isWhole || host === undefined || port === undefined) return `PROXY line that is wrong for ${protocol}`;
      this.#client = { host: textOf(host), port };
    }
    this.#rest = 0;
    return undefined;
  }

  /** Judges the last octet of version 2; says what is wrong. */
  #checkV2(): string | undefined {
    const length = this.#length;
    const octet = this.#head[length - 1] ?? 0;
    const command = this.#head[12];
    const family = this.#head[13] ?? 0;
    if (length <= V2_SIGNATURE.length) return octet === V2_SIGNATURE[length - 1] ? undefined : "no PROXY header";
    if (length === 13) {
      return octet === V2_LOCAL || octet === V2_PROXY ? undefined : "PROXY header of an unknown version or command";
    }
    // LOCAL: the proxy itself, for a health check; whatever family it names is ignored (section 2.2).
    if (length === 14 && command === V2_PROXY && !V2_ADDRESS_OCTETS.has(octet)) {
      return `PROXY header for ${V2_UNUSABLE.get(octet) ?? "an unknown family or protocol"}`;
    }
    if (length < V2_FIXED_OCTETS) return undefined;
    const addressOctets = command === V2_LOCAL ? 0 : V2_ADDRESS_OCTETS.get(family) ?? 0;
    const announced = this.#uint16(14);
    if (announced < addressOctets) return "PROXY header too short for its addresses";
    if (length < V2_FIXED_OCTETS + addressOctets) return undefined;
    if (addressOctets > 0) this.#readV2(addressOctets);
    this.#rest = announced - addressOctets;
    return undefined;
  }

  #readV2(addressOctets: number): void {
    const hostOctets = addressOctets === 12 ? 4 : 16;
    const host = this.#head.subarray(V2_FIXED_OCTETS, V2_FIXED_OCTETS + hostOctets);
    this.#client = { host: textOf(host), port: this.#uint16(V2_FIXED_OCTETS + 2 * hostOctets) };
  }

  #uint16(at: number): number {
    return ((this.#head[at] ?? 0) << 8) | (this.#head[at + 1] ?? 0);
  }
}

/** An address of the right family, without a zone. */
function readAddress(text: string, octets: 4 | 16): Uint8Array | undefined {
  const address = text.includes("%") ? undefined : parseIpAddress(text);
  return address?.length === octets ? address : undefined;
}

/** Leading zeros are not permitted (section 2.1). */
function readPort(text: string): number | undefined {
  return /^(?:0|[1-9]\d{0,4})$/.test(text) && Number(text) <= 65_535 ? Number(text) : undefined;
}

/** An IPv4 address that is mapped into IPv6 must not pass for another client. */
function textOf(octets: Uint8Array): string {
  return formatIpAddress(unmapped(octets));
}
