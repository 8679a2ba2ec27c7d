/**
 * Reads XML as far as reports need it (XML 1.0, fifth edition): elements and text. There is no DTD, and so no entity but the five
 * that XML itself has: nothing can grow (billion laughs) or be fetched (XXE). Attributes are read and left out.
 */

/** What a document is made of, in order. */
export type XmlToken =
  | { readonly kind: "open"; /** Without a namespace prefix. */ readonly name: string }
  | { readonly kind: "close"; /** As the open one. */ readonly name: string }
  | { readonly kind: "text"; /** At most 4,000 characters, entities replaced. */ readonly text: string };

/** What is no XML, or not ours to read. */
export class XmlError extends Error {
  /** Tells this error from others. */
  override readonly name = "XmlError";
}

const MAX_DEPTH = 20;
/** Of a tag with all its attributes, in characters. */
const MAX_TAG = 4_000;
const MAX_TEXT = 4_000;
const OPEN_TAG = /^([A-Za-z_][\w.:-]{0,99})(?:\s+[A-Za-z_][\w.:-]{0,99}\s*=\s*(?:"[^"<]*"|'[^'<]*'))*\s*(\/?)$/;
const CLOSE_TAG = /^\/([A-Za-z_][\w.:-]{0,99})\s*$/;
const ENTITIES: Readonly<Record<string, string>> = { lt: "<", gt: ">", amp: "&", apos: "'", quot: '"' };

/**
 * Cuts a document into tokens, one after the other, in linear time.
 *
 * @throws {XmlError} While it is read: before the end nobody knows whether the document is right.
 */
export function* xmlTokens(document: string): Generator<XmlToken, void> {
  const open: string[] = [];
  let isRootSeen = false;
  let at = document.startsWith("\ufeff") ? 1 : 0;
  while (at < document.length) {
    const tag = document.indexOf("<", at);
    const end = tag < 0 ? document.length : tag;
    if (end > at) {
      const text = textOf(document, at, end);
      if (open.length > 0) yield { kind: "text", text: replaceEntities(text) };
      else if (/\S/.test(text)) throw new XmlError("There is text outside of the elements");
    }
    if (tag < 0) break;
    const after = afterSpecial(document, tag);
    if (after !== undefined) {
      if (document.startsWith("<![CDATA[", tag)) {
        if (open.length === 0) throw new XmlError("There is text outside of the elements");
        yield { kind: "text", text: textOf(document, tag + 9, after - 3) };
      }
      at = after;
      continue;
    }
    const close = document.indexOf(">", tag);
    if (close < 0 || close - tag > MAX_TAG) throw new XmlError("A tag does not end");
    const content = document.slice(tag + 1, close);
    const [, closed] = CLOSE_TAG.exec(content) ?? [];
    if (closed !== undefined) {
      if (open.pop() !== closed) throw new XmlError(`</${closed}> closes what is not open`);
      yield { kind: "close", name: localName(closed) };
    } else {
      const [, name, slash] = OPEN_TAG.exec(content) ?? [];
      if (name === undefined) throw new XmlError(`<${content.slice(0, 30)}> is no tag`);
      if (open.length === 0 && isRootSeen) throw new XmlError("There is more than one element at the top");
      isRootSeen = true;
      if (open.length >= MAX_DEPTH) throw new XmlError("The elements are nested too deep");
      yield { kind: "open", name: localName(name) };
      if (slash === "/") yield { kind: "close", name: localName(name) };
      else open.push(name);
    }
    at = close + 1;
  }
  if (open.length > 0) throw new XmlError(`<${open.at(-1)}> is not closed`);
  if (!isRootSeen) throw new XmlError("There is no element");
}

/** Where a comment, a processing instruction or a CDATA section ends; undefined where there is none of these. */
function afterSpecial(document: string, at: number): number | undefined {
  const second = document.charCodeAt(at + 1);
  if (second === 0x3f) return endOf(document, at + 2, "?>");
  if (second !== 0x21) return undefined;
  if (document.startsWith("<!--", at)) return endOf(document, at + 4, "-->");
  if (document.startsWith("<![CDATA[", at)) return endOf(document, at + 9, "]]>");
  throw new XmlError("A document type is not read");
}

function endOf(document: string, at: number, mark: string): number {
  const end = document.indexOf(mark, at);
  if (end < 0) throw new XmlError(`"${mark}" is missing`);
  return end + mark.length;
}

function textOf(document: string, start: number, end: number): string {
  return document.slice(start, Math.min(end, start + MAX_TEXT));
}

function replaceEntities(text: string): string {
  if (!text.includes("&")) return text;
  return text.replace(/&(?:#(\d{1,7})|#x([0-9a-f]{1,6})|(\w{1,10}));/gi, (whole, decimal, hex, name) => {
    const code = decimal === undefined ? hex === undefined ? NaN : parseInt(hex, 16) : Number(decimal);
    if (Number.isNaN(code)) return ENTITIES[String(name)] ?? whole;
    return code <= 0x10ffff && (code < 0xd800 || code > 0xdfff) ? String.fromCodePoint(code) : "\ufffd";
  });
}

function localName(name: string): string {
  return name.slice(name.lastIndexOf(":") + 1);
}
