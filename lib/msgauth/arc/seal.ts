/** Seals messages that we send on: the three fields of an ARC set (RFC 8617 §5.1). */

import { joinOctets } from "../../mail/octets.ts";
import { formatResults } from "../authentication_results/format.ts";
import type { AuthenticationResults } from "../authentication_results/results.ts";
import { fieldOctets, fieldsNamed, type IndexedHeader, indexHeader } from "../dkim/header_hash.ts";
import {
  completeSignature,
  formatSignatureField,
  type MessageToSign,
  signedNames,
  type SigningKey,
} from "../dkim/sign.ts";
import { MAX_SIGNATURES } from "../dkim/verify.ts";
import type { ArcFinding } from "../findings.ts";
import { type ChainStatus, MAX_ARC_SETS, readArcChain } from "./sets.ts";

/** What {@linkcode sealArc} seals: the message as it is sent on, and what we found out when it came in. */
export interface MessageToSeal extends Omit<MessageToSign, "keys"> {
  /** What our own Authentication-Results says, the result of ARC among it. */
  readonly results: AuthenticationResults;
  /** The message needed SMTPUTF8. */
  readonly isInternationalized?: boolean;
  /** What the validator said of the chain. */
  readonly chain: ArcFinding;
  /** Whose seal it is. */
  readonly key: SigningKey;
}

/** What a new set says of the chain before it. */
interface SetToMake {
  readonly instance: number;
  readonly status: ChainStatus;
}

const ARC_FIELDS = ["arc-authentication-results", "arc-message-signature", "arc-seal"];
const RELAXED = "relaxed/relaxed";

/**
 * Makes the ARC set with which a message is sent on.
 *
 * A chain that fails is sealed once more, as failed, by a set that covers itself only (RFC 8617 §5.1.2). Nothing is added
 * to a chain that was called failed before or that has 50 sets, nor where only our DNS kept us from judging: the next one can.
 *
 * @returns ARC-Seal, ARC-Message-Signature and ARC-Authentication-Results, folded, each ended by CRLF: to be put in front of
 * the trace and the message. Undefined where the message is to go without.
 */
export async function sealArc(message: MessageToSeal): Promise<string | undefined> {
  const { results, isInternationalized = false, chain, key, nowMs } = message;
  const next = nextSet(chain);
  if (next === undefined) return undefined;
  const { instance, status } = next;
  const encoder = new TextEncoder();
  const header = indexHeader(joinOctets([encoder.encode(message.trace), message.headerSection]));
  const before = status === "pass" ? fieldsOfChain(header) : [];
  if (before === undefined) return undefined;
  const prefix = `i=${instance}`;
  const aar = formatResults(results, { name: "ARC-Authentication-Results", prefix, isInternationalized });
  const common = [["a", key.algorithm], ["d", key.domain], ["s", key.selector], [
    "t",
    String(Math.floor(nowMs / 1000)),
  ]] as const;
  const names = namesToSign(header);
  const unsigned = formatSignatureField("ARC-Message-Signature", [
    ["i", String(instance)],
    ...common,
    ["c", RELAXED],
    ["h", names],
    ["bh", message.bodyHash.toBase64()],
  ]);
  const ams = await completeSignature({ unsigned, header, names, key });
  const unsignedSeal = formatSignatureField("ARC-Seal", [["i", String(instance)], ...common, ["cv", status]]);
  // Fields of one name are taken from the bottom, so the oldest set has to be there (RFC 8617 §5.1.1).
  const scope = [...before, encoder.encode(aar), encoder.encode(ams)];
  const covered = indexHeader(joinOctets(scope.toReversed()));
  const coveredNames = scope.map((_, index) => ARC_FIELDS[index % ARC_FIELDS.length] ?? "");
  const seal = await completeSignature({ unsigned: unsignedSeal, header: covered, names: coveredNames, key });
  return `${seal}${ams}${aar}`;
}

function nextSet({ result, instance = 0, isEnded, isTransient }: ArcFinding): SetToMake | undefined {
  if (isEnded || isTransient || instance >= MAX_ARC_SETS) return undefined;
  return { instance: instance + 1, status: result };
}

/** The ARC fields of a good chain in the order in which a seal covers them; undefined where there is none. */
function fieldsOfChain(header: IndexedHeader): Uint8Array[] | undefined {
  const chain = readArcChain(header);
  if (chain.kind !== "chain") return undefined;
  return chain.sets.flatMap(({ results, signature, seal }) =>
    [results, signature, seal].map((field) => fieldOctets(header, field))
  );
}

/** What DKIM signs, and the DKIM signatures that are there (RFC 8617 §4.1.2). */
function namesToSign(header: IndexedHeader): string[] {
  return [
    ...signedNames(header),
    ...fieldsNamed(header, "dkim-signature").slice(-MAX_SIGNATURES).map(() => "dkim-signature"),
  ];
}
