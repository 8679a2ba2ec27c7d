/** DKIM signatures of generated messages, made and judged by posthorn, dkimpy, Mail::DKIM and mailauth. */

import { assert, assertEquals } from "@std/assert";
import { type DkimPeer, dkimpy, mailauth, mailDkim } from "../support/interop/dkim_peers.ts";
import { peerTest, report } from "../support/interop/peers.ts";
import { octetsOf, signWhole, verifyMessage } from "../support/msgauth/dkim_check.ts";
import { type TestKey, testKey, zoneOf } from "../support/msgauth/dkim_keys.ts";
import { changeMessage, makeMessage, makeNames, pick, type Random } from "../support/msgauth/dkim_messages.ts";
import { signByHand } from "../support/msgauth/signed_by_hand.ts";
import { FakeResolver } from "../support/fake_resolver.ts";
import { seededRandom } from "../support/seeded_random.ts";

const MESSAGES = 1000;
const SEED = Number(Deno.env.get("POSTHORN_FUZZ_SEED") ?? 20261127);
const CANONICALIZATIONS = ["simple/simple", "simple/relaxed", "relaxed/simple", "relaxed/relaxed"];

interface Signed {
  readonly message: string;
  readonly how: string;
}

async function sign(
  message: string,
  random: Random,
  keys: readonly TestKey[],
  peers: readonly DkimPeer[],
): Promise<Signed> {
  const canonicalization = pick(random, CANONICALIZATIONS);
  const names = makeNames(random);
  const signer = pick(random, ["posthorn", "by hand", ...peers.map(({ name }) => name)]);
  const peer = peers.find(({ name }) => name === signer);
  const key = pick(random, keys.filter(({ algorithm }) => peer?.algorithms.includes(algorithm) ?? true));
  const how = `${signer} ${key.algorithm} ${canonicalization} ${names.join(":")}`;
  if (peer !== undefined) {
    const field = await peer.sign(octetsOf(message), { key, canonicalization, names });
    return { how, message: field + message };
  }
  if (signer === "by hand") {
    const tags = { c: canonicalization, h: names.join(":") };
    return { how, message: await signByHand(message, { key, tags, gap: pick(random, [" ", "\r\n\t"]) }) };
  }
  return { how, message: textOf(await signWhole(octetsOf(message), [key], Date.now())) };
}

function textOf(octets: Uint8Array): string {
  return [...octets].map((octet) => String.fromCharCode(octet)).join("");
}

/** What all say about one message that was signed by one or two, and perhaps changed on its way. */
async function compare(
  random: Random,
  keys: readonly TestKey[],
  peers: readonly DkimPeer[],
): Promise<{ readonly results: readonly string[]; readonly differences: readonly string[] }> {
  const records = zoneOf(...keys);
  const zone = Object.fromEntries(Object.entries(records).map(([name, { TXT }]) => [name, TXT.join("")]));
  let { message, how } = await sign(makeMessage(random), random, keys, peers);
  if (random() < 0.25) {
    const second = await sign(message, random, keys, peers);
    message = second.message;
    how += `, then ${second.how}`;
  }
  if (random() < 0.5) {
    const changed = changeMessage(message, random);
    message = changed.message;
    how += `, then ${changed.what}`;
  }
  const findings = await verifyMessage(message, new FakeResolver(records), Date.now());
  const octets = octetsOf(message);
  const verdicts = await Promise.all(peers.map((peer) => peer.verify(octets, zone)));
  const differences: string[] = [];
  for (const [at, { result, algorithm, problem }] of findings.entries()) {
    for (const [peerAt, peer] of peers.entries()) {
      if (!peer.algorithms.includes(algorithm ?? "") || isQuirk(peer, message)) continue;
      const theirs = verdicts[peerAt]?.[at] ?? "nothing";
      if ((result === "pass") === (theirs === "pass")) continue;
      differences.push(
        `${how}: ${result} ${problem ?? ""} here, ${peer.name} says ${theirs}\n${JSON.stringify(message)}`,
      );
    }
  }
  return { results: findings.map(({ result }) => result), differences };
}

/**
 * Bodies without a last CRLF, which SMTP does not have: Mail::DKIM adds none to a simple body (RFC 6376 §3.4.3), and to
 * dkimpy blanks alone are a line, where the blanks go first and nothing is left (§3.4.4).
 */
function isQuirk(peer: DkimPeer, message: string): boolean {
  if (peer.name === "Mail::DKIM") return !message.endsWith("\r\n");
  return peer.name === "dkimpy" && /\r\n\r\n[ \t]+$/.test(message);
}

peerTest("posthorn and others agree on generated messages, whoever signed them", [
  "python",
  "perl",
  "python3-dkim",
  "Mail::DKIM",
], async () => {
  const keys = [await testKey("rsa-sha256", "s1"), await testKey("ed25519-sha256", "s1-ed")];
  await using python = dkimpy();
  await using perl = mailDkim();
  const peers = [python, perl, mailauth];
  const results: string[] = [];
  const differences: string[] = [];
  let count = 0;
  const lane = async (): Promise<void> => {
    while (count < MESSAGES) {
      const compared = await compare(seededRandom(SEED + count++), keys, peers);
      results.push(...compared.results);
      differences.push(...compared.differences);
    }
  };
  await Promise.all(Array.from({ length: 8 }, lane));
  assertEquals(differences.slice(0, 5), [], `${differences.length} differences, seed ${SEED}`);
  const passed = results.filter((result) => result === "pass").length;
  assert(passed > MESSAGES / 2 && results.length - passed > MESSAGES / 5, `${passed} of ${results.length} passed`);
  await report(
    `DKIM: ${MESSAGES} messages, ${results.length} signatures, ${passed} of them pass with all implementations`,
  );
});
