/** What a signature is made over: the header fields that it names, and itself (RFC 6376 §3.7, §5.4.2). */

import { joinOctets } from "../../mail/octets.ts";
import { type HeaderField, headerFields } from "../../mail/header.ts";
import { type Canonicalization, canonicalizeField } from "./canonicalize.ts";
import { parseTagList, type Tag } from "./tag_list.ts";

const COLON = 58;

/** A header section, its fields found by name. */
export interface IndexedHeader {
  /** The octets of the section. */
  readonly octets: Uint8Array;
  /** All fields from the top. */
  readonly fields: readonly HeaderField[];
  /** The fields of each name, lower case, from the top. */
  readonly byName: ReadonlyMap<string, readonly HeaderField[]>;
}

/** Finds the fields of a header section. @param octets Whole lines; what follows the empty line is left out. */
export function indexHeader(octets: Uint8Array): IndexedHeader {
  const fields: HeaderField[] = [];
  const byName = new Map<string, HeaderField[]>();
  for (const field of headerFields(octets)) {
    const name = latin1(octets.subarray(field.start, field.nameEnd)).toLowerCase();
    fields.push(field);
    const sameName = byName.get(name);
    if (sameName === undefined) byName.set(name, [field]);
    else sameName.push(field);
  }
  return { octets, fields, byName };
}

/** The fields of one name, from the top. @param name In lower case. */
export function fieldsNamed(header: IndexedHeader, name: string): readonly HeaderField[] {
  return header.byName.get(name) ?? [];
}

/** The octets of a field, from its name to its last line end. A view, not a copy. */
export function fieldOctets(header: IndexedHeader, field: HeaderField): Uint8Array {
  return header.octets.subarray(field.start, field.end);
}

/** The value of a field with its folds, octets as Latin-1: what {@linkcode parseTagList} reads, without the last line end. */
export function rawFieldValue(header: IndexedHeader, field: HeaderField): string {
  return withoutLineEnd(latin1(header.octets.subarray(field.valueStart, field.end)));
}

/**
 * Chooses the fields that `h=` names: for a name that stands there several times the lowest field first, then the ones
 * above it; a name without a field that is left stands for nothing (RFC 6376 §5.4.2).
 *
 * @param names In any case, in the order of `h=`.
 */
export function selectFields(header: IndexedHeader, names: Iterable<string>): HeaderField[] {
  const used = new Map<string, number>();
  const selected: HeaderField[] = [];
  for (const rawName of names) {
    const name = rawName.toLowerCase();
    const fields = fieldsNamed(header, name);
    const count = used.get(name) ?? 0;
    const field = fields[fields.length - 1 - count];
    if (field === undefined) continue;
    used.set(name, count + 1);
    selected.push(field);
  }
  return selected;
}

/** What {@linkcode headerHashInput} puts together. */
export interface HeaderHashParts {
  /** Where the fields are. */
  readonly header: IndexedHeader;
  /** The signed fields, in the order of `h=`. */
  readonly fields: readonly HeaderField[];
  /** Of header fields. */
  readonly canonicalization: Canonicalization;
  /** The field of the signature itself, with an empty `b=`; it stands last. */
  readonly signatureField: Uint8Array;
}

/** Puts together the octets that are hashed and signed: canonical fields, the last one without its CRLF (RFC 6376 §3.7). */
export function headerHashInput({ header, fields, canonicalization, signatureField }: HeaderHashParts): Uint8Array {
  const parts = fields.map((field) => canonicalizeField(fieldOctets(header, field), canonicalization));
  parts.push(withoutFinalLineEnd(canonicalizeField(signatureField, canonicalization)));
  return joinOctets(parts);
}

/**
 * Copies the field of a signature and empties its `b=`, white space around the value included (RFC 6376 §3.7: the copy has
 * the tag with an empty value). A field that is no tag list, or has no `b=`, stays as it is.
 *
 * @param field The whole field.
 * @param known The tag `b`, where the field was read before.
 */
export function withEmptySignature(field: Uint8Array, known?: Tag): Uint8Array {
  const valueStart = field.indexOf(COLON) + 1;
  const tag = known ?? findSignatureTag(field.subarray(valueStart));
  if (tag === undefined) return field;
  const start = valueStart + tag.start;
  const end = valueStart + tag.end;
  const emptied = new Uint8Array(field.length - (end - start));
  emptied.set(field.subarray(0, start));
  emptied.set(field.subarray(end), start);
  return emptied;
}

function findSignatureTag(value: Uint8Array): Tag | undefined {
  const list = parseTagList(withoutLineEnd(latin1(value)));
  return list.kind === "tags" ? list.tags.get("b") : undefined;
}

function withoutFinalLineEnd(field: Uint8Array): Uint8Array {
  let end = field.length;
  if (field[end - 1] === 10) end--;
  if (field[end - 1] === 13) end--;
  return field.subarray(0, end);
}

function withoutLineEnd(text: string): string {
  return text.replace(/\r?\n$/, "");
}

/** Octets as Latin-1: one character each. `TextDecoder("latin1")` means windows-1252. */
function latin1(octets: Uint8Array): string {
  let text = "";
  for (let at = 0; at < octets.length; at += 8192) {
    // Spread, `...octets`, takes many times as long.
    text += String.fromCharCode.apply(null, octets.subarray(at, at + 8192) as unknown as number[]);
  }
  return text;
}
