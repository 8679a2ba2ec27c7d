/** DKIM key records (RFC 6376 §3.6.1): one for each of our keys, with our key in it. */

import { decodeBase64, parseTagList, type Tag } from "../../msgauth/dkim/tag_list.ts";
import type { PublishedRecord } from "../record.ts";
import {
  advice,
  ask,
  type CheckContext,
  type Finding,
  good,
  publish,
  replace,
  shown,
  unknown,
  wrong,
} from "./finding.ts";

/** Compares one key record. */
export async function checkDkimRecord(context: CheckContext, record: PublishedRecord): Promise<Finding> {
  const answer = await ask(context, record.name, "TXT");
  if (answer.kind === "failed") return unknown(record, answer.reason);
  const isInUse = record.importance === "required";
  if (answer.kind !== "found") {
    const meaning = isInUse
      ? "There is no record of a key that signs our mail: receivers take its signatures for broken"
      : "There is no record of this key, so that it signs nothing";
    return (isInUse ? wrong : advice)(record, meaning, publish(record));
  }
  const [text = "", ...more] = answer.records;
  if (more.length > 0) {
    const mend = `Keep one of them: ${record.value}`;
    return wrong(record, `There are ${answer.records.length} records, and receivers take any one of them`, mend);
  }
  const list = parseTagList(text);
  if (list.kind === "malformed") {
    return wrong(record, `${shown(text)} is no key record: ${list.problem}`, replace(record));
  }
  return judge(record, list.tags);
}

function judge(record: PublishedRecord, tags: ReadonlyMap<string, Tag>): Finding {
  const no = (text: string): Finding => wrong(record, text, replace(record));
  const valueOf = (name: string): string | undefined => tags.get(name)?.value.trim();
  const ours = tagsOf(record.value);
  const published = valueOf("p");
  if (valueOf("v") !== undefined && (valueOf("v") !== "DKIM1" || [...tags.keys()][0] !== "v")) {
    return no('The record does not begin with "v=DKIM1"');
  }
  if (published === undefined) return no('The record has no key ("p=")');
  if (published === "") return no('The key is revoked: its "p=" is empty, so that our signatures count for nothing');
  const type = valueOf("k") ?? "rsa";
  if (type !== ours.type) return no(`The record says that the key is of type ${shown(type)}, and ours is ${ours.type}`);
  const [key, own] = [decodeBase64(published), decodeBase64(ours.key)];
  if (key === undefined) return no(cutOff(published, ours.key) ?? 'What stands in "p=" is no base64');
  if (own === undefined || !equal(key, own)) {
    return no(cutOff(published, ours.key) ?? "The record has another key than the one that signs our mail");
  }
  const hashes = valueOf("h")?.split(":").map((hash) => hash.trim());
  if (hashes !== undefined && !hashes.includes("sha256")) {
    return no('The record allows no signatures with sha256 ("h=")');
  }
  const services = valueOf("s")?.split(":").map((service) => service.trim()) ?? ["*"];
  if (!services.includes("*") && !services.includes("email")) {
    return no('The record says that the key is not for mail ("s=")');
  }
  const flags = valueOf("t")?.split(":").map((flag) => flag.trim()) ?? [];
  if (flags.includes("y")) {
    const text =
      'The record says that the domain is only trying DKIM ("t=y"): receivers may treat its mail as not signed';
    return advice(record, text, replace(record));
  }
  return good(record, "Our key");
}

/** Panels that know one string of 255 octets only cut the rest off. */
function cutOff(published: string, own: string): string | undefined {
  if (published.length >= own.length || !own.startsWith(published)) return undefined;
  return `The key is cut off after ${published.length} of ${own.length} characters: it has to be in several strings`;
}

function tagsOf(value: string): { readonly key: string; readonly type: string } {
  const list = parseTagList(value);
  const tags = list.kind === "tags" ? list.tags : new Map<string, Tag>();
  return { key: tags.get("p")?.value ?? "", type: tags.get("k")?.value ?? "rsa" };
}

function equal(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((octet, i) => octet === b[i]);
}
