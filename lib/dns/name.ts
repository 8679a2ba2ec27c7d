/** Domain names: the text people write and the labels on the wire (RFC 1035 §3.1, §5.1). */

/** Longest label and longest name on the wire, in octets (RFC 1035 §2.3.4). */
const MAX_LABEL_OCTETS = 63;
const MAX_NAME_OCTETS = 255;

/** A text that is no domain name. */
export class DnsNameError extends RangeError {
  /** Tells this error from others. */
  override readonly name = "DnsNameError";
}

/**
 * Encodes a name without compression.
 *
 * @param text With or without final dot; printable US-ASCII, where `\.` and `\\` stand for the octet itself and `\DDD`
 * for the octet with that decimal number.
 * @throws {DnsNameError} For an empty text, an empty label, one above 63 octets, a name above 255 octets, or a character
 * that is not printable US-ASCII.
 */
export function encodeName(text: string): Uint8Array<ArrayBuffer> {
  // Each character makes at most one octet, each octet takes at most four characters.
  if (text.length > MAX_NAME_OCTETS * 4) throw new DnsNameError(`${quoteName(text)} is longer than 255 octets`);
  const octets = new Uint8Array(MAX_NAME_OCTETS + text.length + 2);
  let length = 1;
  let labelStart = 0;
  const endLabel = (): void => {
    const labelOctets = length - labelStart - 1;
    if (labelOctets === 0) throw new DnsNameError(`${quoteName(text)} is no domain name: empty label`);
    if (labelOctets > MAX_LABEL_OCTETS) {
      throw new DnsNameError(`${quoteName(text)} is no domain name: label longer than 63 octets`);
    }
    octets[labelStart] = labelOctets;
    labelStart = length++;
  };
  for (let i = 0; i < text.length; i++) {
    let code = text.charCodeAt(i);
    if (code === 0x2e) {
      endLabel();
      continue;
    }
    if (code === 0x5c) {
      const escape = /^(?:(\d{3})|([^\d]))/.exec(text.slice(i + 1, i + 4));
      code = escape?.[1] !== undefined ? Number(escape[1]) : escape?.[2]?.charCodeAt(0) ?? 256;
      if (code > 255) throw new DnsNameError(`${quoteName(text)} is no domain name: broken escape`);
      i += escape?.[1] !== undefined ? 3 : 1;
    } else if (code < 0x21 || code > 0x7e) {
      throw new DnsNameError(`${quoteName(text)} is no domain name: character that is not printable US-ASCII`);
    }
    octets[length++] = code;
  }
  if (length > labelStart + 1 || labelStart === 0) endLabel();
  if (length > MAX_NAME_OCTETS) throw new DnsNameError(`${quoteName(text)} is longer than 255 octets`);
  return octets.slice(0, length);
}

/** The one spelling by which names are compared: lower case, no final dot, escapes only where they are needed. */
export function normaliseName(text: string): string {
  const octets = encodeName(text);
  const labels: string[] = [];
  for (let at = 0; octets[at]; at += 1 + (octets[at] ?? 0)) {
    labels.push(labelText(octets.subarray(at + 1, at + 1 + (octets[at] ?? 0))));
  }
  return labels.join(".");
}

/** The text of one label, in lower case (RFC 4343 §3: only US-ASCII letters have case), with octets that are no plain text escaped. */
export function labelText(label: Uint8Array): string {
  let text = "";
  for (const octet of label) {
    if (octet >= 0x41 && octet <= 0x5a) text += String.fromCharCode(octet + 0x20);
    else if (octet === 0x2e || octet === 0x5c) text += `\\${String.fromCharCode(octet)}`;
    else if (octet < 0x21 || octet > 0x7e) text += `\\${String(octet).padStart(3, "0")}`;
    else text += String.fromCharCode(octet);
  }
  return text;
}

/** A name from anywhere, made safe and short for a log line. */
export function quoteName(text: string): string {
  return JSON.stringify(text.length > 100 ? `${text.slice(0, 100)}…` : text);
}
