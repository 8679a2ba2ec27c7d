/**
 * A sealer of its own for tests, apart from `lib/`: it signs whatever it is told to, also what no honest sealer would, so that
 * a test can be sure that a chain fails for one reason only.
 *
 * ```ts
 * const sealer = new ArcSealer({ domain: "list.example", selector: "s1" });
 * const resolver = new FakeResolver(sealer.zone);
 * const text = sealer.seal(sealer.seal(MESSAGE));                         // a chain of two sets
 * const bad = sealer.seal(MESSAGE, { seal: { cv: "pass" } });             // correctly signed, and wrong
 * ```
 */

import { Buffer } from "node:buffer";
import { createHash, createPublicKey, generateKeyPairSync, type KeyObject, sign } from "node:crypto";
import type { FakeRecords } from "./fake_resolver.ts";

/** Tags to set, or to leave out, of a field that is otherwise as it should be. */
export type TagChanges = Readonly<Record<string, string | undefined>>;

/** How a set differs from what it should be; everything is signed after the change. */
export interface SealChanges {
  /** Default: one more than the highest that the message has. */
  readonly instance?: number;
  /** The value of ARC-Authentication-Results behind `i=…;`. */
  readonly results?: string;
  /** The whole value of ARC-Authentication-Results. */
  readonly rawResults?: string;
  /** Tags of ARC-Message-Signature. */
  readonly signature?: TagChanges;
  /** Tags of ARC-Seal. */
  readonly seal?: TagChanges;
  /** What stands between the tags; default: `; `. */
  readonly separator?: string;
  /** Fields of the set to leave out when all is signed. */
  readonly omitted?: readonly ("results" | "signature" | "seal")[];
  /** The seal covers its own set only (RFC 8617 §5.1.2). */
  readonly isAlone?: boolean;
}

const ARC_FIELDS = ["arc-authentication-results", "arc-message-signature", "arc-seal"];
const SIGNED = "From:To:Subject:Date:Message-ID";

/** One sealing domain and its key. */
export class ArcSealer {
  readonly #key: KeyObject;
  readonly #domain: string;
  readonly #selector: string;
  /** What a resolver has to know. */
  readonly zone: Record<string, FakeRecords>;

  /** Makes a key. @param options.bits Of an RSA key, absent: Ed25519. */
  constructor(
    { domain, selector, bits }: { readonly domain: string; readonly selector: string; readonly bits?: number },
  ) {
    this.#domain = domain;
    this.#selector = selector;
    this.#key = bits === undefined
      ? generateKeyPairSync("ed25519").privateKey
      : generateKeyPairSync("rsa", { modulusLength: bits }).privateKey;
    const [type, data] = this.#publicData();
    this.zone = { [`${selector}._domainkey.${domain}`]: { TXT: [`v=DKIM1; k=${type}; p=${data}`] } };
  }

  #publicData(): readonly [string, string] {
    const spki = Buffer.from(createPublicKey(this.#key).export({ type: "spki", format: "der" }));
    return this.#isRsa ? ["rsa", spki.toString("base64")] : ["ed25519", spki.subarray(-32).toString("base64")];
  }

  get #isRsa(): boolean {
    return this.#key.asymmetricKeyType === "rsa";
  }

  /** The private key in PEM, for other sealers. */
  get pem(): string {
    return this.#key.export({ type: "pkcs8", format: "pem" }).toString();
  }

  /** Puts a set in front of a message. @param message Lines end with CRLF. */
  seal(message: string, changes: SealChanges = {}): string {
    const fields = fieldsOf(message);
    const instance = changes.instance ?? 1 + Math.max(0, ...fields.map(instanceOf));
    const results = `ARC-Authentication-Results: ${
      changes.rawResults ?? `i=${instance}; ${changes.results ?? "mx.example; dmarc=pass header.from=author.example"}`
    }\r\n`;
    const common = {
      i: `${instance}`,
      a: this.#isRsa ? "rsa-sha256" : "ed25519-sha256",
      d: this.#domain,
      s: this.#selector,
      t: "1790000000",
    };
    const body = message.slice(message.indexOf("\r\n\r\n") + 4);
    const signature = this.#signed("ARC-Message-Signature", {
      tags: { ...common, c: "relaxed/relaxed", h: SIGNED, bh: bodyHash(body), b: "", ...changes.signature },
      separator: changes.separator,
      canonicalization: (changes.signature?.c ?? "relaxed").startsWith("simple") ? "simple" : "relaxed",
      over: (tags) => selected(fields, tags.h ?? ""),
    });
    const omitted = changes.omitted ?? [];
    const own = [omitted.includes("results") ? "" : results, omitted.includes("signature") ? "" : signature];
    const before = changes.isAlone ? [] : arcFieldsInOrder(fields);
    const seal = this.#signed("ARC-Seal", {
      tags: { ...common, cv: instance === 1 ? "none" : "pass", b: "", ...changes.seal },
      separator: changes.separator,
      canonicalization: "relaxed",
      over: () => [...before, ...own.filter((field) => field !== "")],
    });
    return `${omitted.includes("seal") ? "" : seal}${own[1]}${own[0]}${message}`;
  }

  #signed(name: string, { tags, separator = "; ", canonicalization, over }: {
    readonly tags: TagChanges;
    readonly separator: string | undefined;
    readonly canonicalization: "simple" | "relaxed";
    readonly over: (tags: TagChanges) => readonly string[];
  }): string {
    const form = canonicalization === "simple" ? (field: string): string => field : relaxed;
    // The signature stands last, so that what is signed is the field without it.
    const { b, ...others } = tags;
    const list = Object.entries(others).filter(([, value]) => value !== undefined).map(([tag, value]) =>
      `${tag}=${value}`
    );
    if (b === undefined) return `${name}: ${list.join(separator)}\r\n`;
    const empty = `${name}: ${[...list, "b="].join(separator)}`;
    const input = Buffer.from(`${over(tags).map(form).join("")}${form(`${empty}\r\n`).slice(0, -2)}`, "latin1");
    const made = this.#isRsa
      ? sign("sha256", input, this.#key)
      : sign(null, createHash("sha256").update(input).digest(), this.#key);
    return `${empty}${b === "" ? made.toString("base64") : b}\r\n`;
  }
}

/** The header fields of a message, each with its folds and its line end. */
export function fieldsOf(message: string): string[] {
  const header = message.slice(0, message.indexOf("\r\n\r\n") + 2);
  return header.match(/[^\r\n]+\r\n(?:[ \t][^\r\n]*\r\n)*/g) ?? [];
}

/** SHA-256 of a body in relaxed canonical form, base64. */
export function bodyHash(body: string): string {
  const text = body.replace(/[ \t]+/g, " ").replace(/ \r\n/g, "\r\n").replace(/(?:\r\n)*$/, "");
  return createHash("sha256").update(Buffer.from(text === "" ? "" : `${text}\r\n`, "latin1")).digest("base64");
}

function relaxed(field: string): string {
  const colon = field.indexOf(":");
  const value = field.slice(colon + 1).replaceAll("\r\n", "").replace(/[ \t]+/g, " ").trim();
  return `${field.slice(0, colon).trim().toLowerCase()}:${value}\r\n`;
}

function nameOf(field: string): string {
  return field.slice(0, field.indexOf(":")).trim().toLowerCase();
}

function instanceOf(field: string): number {
  return ARC_FIELDS.includes(nameOf(field)) ? Number(/[:;\s]i\s*=\s*(\d+)/.exec(field)?.[1] ?? 0) : 0;
}

function selected(fields: readonly string[], h: string): string[] {
  const left = [...fields];
  const found: string[] = [];
  for (const name of h.split(":").map((each) => each.trim().toLowerCase())) {
    const at = left.findLastIndex((field) => nameOf(field) === name);
    if (at >= 0) found.push(...left.splice(at, 1));
  }
  return found;
}

function arcFieldsInOrder(fields: readonly string[]): string[] {
  const rank = (field: string): number => instanceOf(field) * 3 + ARC_FIELDS.indexOf(nameOf(field));
  return fields.filter((field) => ARC_FIELDS.includes(nameOf(field))).sort((a, b) => rank(a) - rank(b));
}
