/**
 * ARC against dkimpy, Mail::DKIM and mailauth: chains of one to five sets, made by turns by them and by us, and then changed in one place
 * or not at all. Everybody validates everything, and the verdicts are compared.
 */

import { assert, assertEquals } from "@std/assert";
import { generateKeyPairSync } from "node:crypto";
import { type MessageToSeal, sealArc } from "../../lib/msgauth/arc/seal.ts";
import { ArcValidator } from "../../lib/msgauth/arc/validate.ts";
import { BodyHasher } from "../../lib/msgauth/dkim/body_hash.ts";
import { indexHeader } from "../../lib/msgauth/dkim/header_hash.ts";
import { dkimTxtValue, readPrivateKey } from "../../lib/msgauth/dkim/private_key.ts";
import { SIGNED_BODY, type SigningKey } from "../../lib/msgauth/dkim/sign.ts";
import type { ArcFinding } from "../../lib/msgauth/findings.ts";
import { fieldsOf } from "../support/arc_sealer.ts";
import { FakeResolver } from "../support/fake_resolver.ts";
import { ARC_PEERS, type ArcJob, type ArcPeer } from "../support/interop/arc_peers.ts";
import { latin1Octets } from "../support/interop/maildir.ts";
import { peerTest, report } from "../support/interop/peers.ts";
import { seededRandom } from "../support/seeded_random.ts";

const MESSAGES = 120;
const MAX_SETS = 5;
const SEED = 8617;
const AUTHOR = "author.example";
const NEEDS = ARC_PEERS.flatMap(({ needs }) => needs);

type Random = () => number;

/** A sealing domain. */
interface Sealer {
  readonly domain: string;
  readonly selector: string;
  readonly pem: string;
  readonly key: SigningKey;
}

/** A message on its way; `history` names who sealed it, and what was changed, for people. */
interface Sample {
  text: string;
  readonly history: string[];
}

function pick<T>(random: Random, values: readonly T[]): T {
  const value = values[Math.floor(random() * values.length)];
  assert(value !== undefined);
  return value;
}

async function makeSealer(domain: string, modulusLength: number): Promise<Sealer> {
  const { privateKey } = generateKeyPairSync("rsa", { modulusLength });
  const pem = privateKey.export({ type: "pkcs1", format: "pem" }).toString();
  const selector = `s${modulusLength}`;
  return { domain, selector, pem, key: { domain, selector, ...await readPrivateKey(pem) } };
}

/** A message that is awkward in some ways: folds, blanks, fields that repeat, 8-bit octets, no final line end. */
function makeMessage(random: Random, index: number): string {
  const optional = [
    "Received: from a by b;\r\n\tFri, 27 Nov 2026 10:00:00 +0000",
    "To: all@list.example,\r\n  other@list.example",
    "Cc: x@y.example",
    "Reply-To:jo@author.example",
    "Subject: \t some   words\r\n\t\tgo  on ",
    "Subject: caf\xc3\xa9 \xff",
    "MIME-Version: 1.0",
    'Content-Type: multipart/mixed;\r\n boundary="=_x"',
    "List-Id: <list.list.example>",
    "Comments:",
    "comments: twice",
    "DKIM-Signature: v=1; a=rsa-sha256; d=author.example; s=x; h=from; bh=AAAA; b=AAAA",
    "X-Long: " + "word ".repeat(40).trim(),
  ].filter(() => random() < 0.5);
  const header = [
    ...optional.slice(0, 4),
    `From: Jo <jo@${AUTHOR}>`,
    `Message-ID: <${index}@${AUTHOR}>`,
    "Date: Fri, 27 Nov 2026 10:00:00 +0000",
    ...optional.slice(4),
  ];
  const line = (): string =>
    pick(random, ["", " ", "\t", "text", "two  words ", " lead", ".", "-- ", "\xe4\xf6 \t\xfc", "From x"]);
  const body = Array.from({ length: Math.floor(random() * 12) }, line).map((text) => `${text}\r\n`).join("");
  return `${header.join("\r\n")}\r\n\r\n${body}`;
}

async function validate(text: string, resolver: FakeResolver): Promise<ArcFinding> {
  const [headerSection, body] = split(text);
  const validator = new ArcValidator(indexHeader(headerSection), { resolver, nowMs: Date.now() });
  const hasher = new BodyHasher(validator.bodyHashes);
  hasher.push(body);
  return await validator.finish(hasher);
}

async function seal(text: string, sealer: Sealer, chain: ArcFinding): Promise<string> {
  const [headerSection, body] = split(text);
  const hasher = new BodyHasher([SIGNED_BODY]);
  hasher.push(body);
  const { sha256: bodyHash = new Uint8Array() } = hasher.hash(SIGNED_BODY);
  const results: MessageToSeal["results"] = {
    authservId: `mx.${sealer.domain}`,
    results: [
      { method: "arc", result: chain.result, properties: [] },
      { method: "dmarc", result: "pass", properties: [{ type: "header", name: "from", value: AUTHOR }] },
    ],
  };
  const { key } = sealer;
  const set = await sealArc({ headerSection, trace: "", bodyHash, results, chain, key, nowMs: Date.now() });
  return `${set ?? ""}${text}`;
}

function split(text: string): readonly [headerSection: Uint8Array<ArrayBuffer>, body: Uint8Array<ArrayBuffer>] {
  const end = text.indexOf("\r\n\r\n") + 2;
  return [latin1Octets(text.slice(0, end)), latin1Octets(text.slice(end + 2))];
}

/** Changes of a message on its way, by name: those that a chain survives, and those that it does not. */
const MUTATIONS: Readonly<Record<string, (text: string, random: Random) => string>> = {
  "nothing": (text) => text,
  "trace fields in front": (text) => `Received: by c\r\nReturn-Path: <x@y.example>\r\n${text}`,
  "blanks at line ends of the body": (text) => inBody(text, (body) => body.replaceAll(/(?<=\S)\r\n/g, " \t\r\n")),
  "empty lines at the end": (text) => `${text}\r\n\r\n`,
  "names in upper case": (text) => text.replace(/^(?:arc-[a-z-]+|subject|date)(?=:)/gim, (name) => name.toUpperCase()),
  "other folds": (text) => text.replace(/^(Date|Message-ID|ARC-Seal): /gim, "$1:\r\n  \t"),
  "fields in reverse order": (text) => {
    const names = fieldsOf(text).map((field) => field.slice(0, field.indexOf(":")).toLowerCase());
    // Only where no field that is signed is there twice.
    const isSimple = new Set(names.filter((name) => !name.startsWith("arc-"))).size ===
      names.filter((name) => !name.startsWith("arc-")).length;
    return isSimple ? `${fieldsOf(text).toReversed().join("")}${text.slice(text.indexOf("\r\n\r\n") + 2)}` : text;
  },
  "a letter of the body": (text) => inBody(text, (body) => `x${body}`),
  "another From": (text) => text.replace(/^From: Jo/m, "From: Joe"),
  "a second From": (text) => text.replace(/^From: Jo/m, "From: x@evil.example\r\nFrom: Jo"),
  "another Date": (text) => text.replace(/^Date: Fri/m, "Date: Sat"),
  "results of a set": (text, random) =>
    inField(text, random, "authentication-results", (field) => field.replace("dmarc=pass", "dmarc=fail")),
  "a tag more in a message signature": (text, random) =>
    inField(text, random, "message-signature", (field) => field.replace(/(?<=i=\d;)/, " w=1;")),
  "a tag more in a seal": (text, random) =>
    inField(text, random, "seal", (field) => field.replace(/(?<=i=\d;)/, " w=1;")),
  "a field less": (text, random) => inField(text, random, "[a-z-]+", () => ""),
  "a field twice": (text, random) => inField(text, random, "(?:seal|message-signature)", (field) => field + field),
  "status of a seal": (text, random) =>
    inField(text, random, "seal", (field) => field.replace(/cv=(none|pass)/, "cv=fail")),
  "instance of a seal": (text, random) => inField(text, random, "seal", (field) => field.replace(/i=\d/, "i=9")),
  "another selector": (text, random) => inField(text, random, "seal", (field) => field.replace(/\bs=s/, "s=t")),
  "h= in a seal": (text, random) => inField(text, random, "seal", (field) => field.replace(/(?<=i=\d;)/, " h=from;")),
};
/** Who judges otherwise than the RFCs ask, and so need not agree. */
const DIFFERENT: Readonly<Record<string, readonly string[]>> = {
  // It takes fields of one name from the bottom, so that sets have to stand in their order.
  "fields in reverse order": ["dkimpy"],
  // They have no defence against a From that is not signed (RFC 6376 §8.15); dkimpy fails the chain as we do.
  "a second From": ["Mail::DKIM", "mailauth"],
};
/** What a chain survives; all others have to break it. */
const HARMLESS = Object.keys(MUTATIONS).slice(0, 7);

function inBody(text: string, change: (body: string) => string): string {
  const start = text.indexOf("\r\n\r\n") + 4;
  return text.slice(0, start) + change(text.slice(start));
}

function inField(text: string, random: Random, name: string, change: (field: string) => string): string {
  const pattern = new RegExp(`^arc-${name}:`, "i");
  const fields = fieldsOf(text).filter((field) => pattern.test(field));
  const field = pick(random, fields);
  return text.replace(field, () => change(field));
}

peerTest(
  `ARC chains made by dkimpy, Mail::DKIM, mailauth and us by turns are judged alike by all, ${MESSAGES} of them`,
  NEEDS,
  async () => {
    const random = seededRandom(SEED);
    const sealers = await Promise.all([["one.example", 1024], ["two.example", 1280], ["three.example", 2048]].map(
      ([domain, bits]) => makeSealer(String(domain), Number(bits)),
    ));
    const records = Object.fromEntries(
      sealers.map(({ domain, selector, pem }) => [`${selector}._domainkey.${domain}`, dkimTxtValue(pem)]),
    );
    const resolver = new FakeResolver(
      Object.fromEntries(Object.entries(records).map(([name, value]) => [name, { TXT: [value] }])),
    );
    const samples: Sample[] = Array.from(
      { length: MESSAGES },
      (_, index) => ({ text: makeMessage(random, index), history: [] }),
    );
    for (let round = 0; round < MAX_SETS; round++) {
      await sealRound(samples.filter((_, index) => index % MAX_SETS >= round), { random, sealers, records, resolver });
    }
    for (const sample of samples) {
      const name = random() < 0.3 ? "nothing" : pick(random, Object.keys(MUTATIONS));
      sample.text = MUTATIONS[name]?.(sample.text, random) ?? sample.text;
      sample.history.push(name);
    }
    await compare(samples, records, resolver);
  },
);

interface World {
  readonly random: Random;
  readonly sealers: readonly Sealer[];
  readonly records: Readonly<Record<string, string>>;
  readonly resolver: FakeResolver;
}

/** Adds a set to each message, by one of the three. */
async function sealRound(samples: readonly Sample[], { random, sealers, records, resolver }: World): Promise<void> {
  const batches = new Map<ArcPeer, { readonly sample: Sample; readonly job: ArcJob }[]>();
  for (const sample of samples) {
    const sealer = pick(random, sealers);
    const peer = ARC_PEERS[Math.floor(random() * (ARC_PEERS.length + 1))];
    const chain = await validate(sample.text, resolver);
    assert(chain.result === "none" || chain.result === "pass", `${sample.history}: ${chain.problem}\n${sample.text}`);
    sample.history.push(peer?.name ?? "posthorn");
    if (peer === undefined) {
      sample.text = await seal(sample.text, sealer, chain);
      continue;
    }
    const { domain, selector, pem: key } = sealer;
    const common = { op: "seal", status: chain.result, server: `mx.${domain}`, author: AUTHOR } as const;
    const job: ArcJob = { ...common, domain, selector, key, message: sample.text };
    batches.set(peer, [...batches.get(peer) ?? [], { sample, job }]);
  }
  await Promise.all(Array.from(batches, async ([peer, batch]) => {
    const sets = await peer.run(records, batch.map(({ job }) => job));
    for (const [index, { sample }] of batch.entries()) {
      const set = sets[index] ?? "";
      assertEquals(fieldsOf(`${set}\r\n`).length, 3, `${peer.name}: ${set}`);
      sample.text = set + sample.text;
    }
  }));
}

async function compare(
  samples: readonly Sample[],
  records: Readonly<Record<string, string>>,
  resolver: FakeResolver,
): Promise<void> {
  const jobs = samples.map(({ text }): ArcJob => ({ op: "validate", message: text }));
  const theirs = await Promise.all(ARC_PEERS.map((peer) => peer.run(records, jobs)));
  const counts = { pass: 0, fail: 0, none: 0 };
  const differences: string[] = [];
  for (const [index, { text, history }] of samples.entries()) {
    const { result, problem } = await validate(text, resolver);
    counts[result]++;
    const mutation = history.at(-1) ?? "";
    const isHarmless = HARMLESS.includes(mutation);
    const all = ARC_PEERS.map(({ name }, at) => `${name} ${theirs[at]?.[index]}`);
    if (isHarmless !== (result === "pass") || all.some((verdict) => isOther(verdict, result, mutation))) {
      differences.push(`${history.join(", ")}: posthorn ${result} ${problem ?? ""}; ${all.join("; ")}`);
    }
  }
  await report(`ARC: ${samples.length} messages, ${JSON.stringify(counts)}, ${differences.length} differences`);
  assert(counts.pass > MESSAGES / 4 && counts.fail > MESSAGES / 4, JSON.stringify(counts));
  assertEquals(differences, []);
}

function isOther(verdict: string, result: string, mutation: string): boolean {
  return !verdict.includes(` ${result} `) && !DIFFERENT[mutation]?.some((name) => verdict.startsWith(`${name} `));
}
