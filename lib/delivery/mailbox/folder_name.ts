/**
 * Names of the folders in a mailbox, in the layout that Courier calls Maildir++: each folder is a Maildir beside `new` and
 * `cur`, its name begins with a dot, and dots separate the levels of the hierarchy, e.g. `.Archive.2026`. What is not
 * US-ASCII stands in modified UTF-7 there, as Dovecot writes it; Courier since 2018, and Dovecot where told so, write UTF-8.
 *
 * @see https://www.courier-mta.org/imap/README.maildirquota.html, RFC 3501 §5.1.3
 */

/** The name on the disk of the inbox, which is the mailbox itself. */
export const INBOX_FOLDER = "";

/** Longest file name of common file systems, in octets. */
const MAX_NAME_OCTETS = 255;

const encoder = new TextEncoder();

/**
 * Turns the name of a folder, as people write it, into its name on the disk.
 *
 * @param name E.g. `Archive/2026` or `Archive.2026`; NFC is made of it. `INBOX`, in any case, is the mailbox itself.
 * @returns One path segment that begins with a dot, `INBOX_FOLDER` for the inbox, or undefined where the name is none that
 * is safe: empty, with an empty level (so `..`, too), with control characters or a leading `~`, or too long.
 */
export function folderOnDisk(name: string): string | undefined {
  if (name.toUpperCase() === "INBOX") return INBOX_FOLDER;
  if (name.startsWith("~") || /[\p{Cc}\p{Cs}]/u.test(name)) return undefined;
  const levels = name.normalize("NFC").split(/[./]/);
  if (levels.includes("")) return undefined;
  const folder = `.${levels.map(encodeUtf7).join(".")}`;
  return folder.length > MAX_NAME_OCTETS ? undefined : folder;
}

/**
 * Reads the name of a folder off the disk, the inverse of `folderOnDisk`: levels are separated by dots.
 *
 * @param folder One path segment. What is not the modified UTF-7 of anything is taken for UTF-8.
 * @returns Undefined where it is no folder that `folderOnDisk` could mean.
 */
export function folderName(folder: string): string | undefined {
  if (!folder.startsWith(".") || encoder.encode(folder).length > MAX_NAME_OCTETS) return undefined;
  const rawName = folder.slice(1);
  const name = (decodeUtf7(rawName) ?? rawName).normalize("NFC");
  return folderOnDisk(name) ? name : undefined;
}

/** Modified UTF-7: printable US-ASCII as it is, `&` as `&-`, the rest as UTF-16 in base64 between `&` and `-`. */
function encodeUtf7(text: string): string {
  return text.replace(/&|[^\x20-\x7e]+/g, (part) => part === "&" ? "&-" : `&${encodeBase64(part)}-`);
}

/** Undefined for what `encodeUtf7` would have written in another way: two names must not be one folder. */
function decodeUtf7(encoded: string): string | undefined {
  if (!/^[\x20-\x7e]*$/.test(encoded)) return undefined;
  let isBroken = false;
  const text = encoded.replace(/&([A-Za-z0-9+,]*)(-?)/g, (_, base64: string, end: string) => {
    if (end === "" || base64.length % 4 === 1) isBroken = true;
    return isBroken ? "" : base64 === "" ? "&" : decodeBase64(base64);
  });
  return isBroken || encodeUtf7(text) !== encoded ? undefined : text;
}

function encodeBase64(text: string): string {
  let octets = "";
  for (let at = 0; at < text.length; at++) {
    const unit = text.charCodeAt(at);
    octets += String.fromCharCode(unit >> 8, unit & 0xff);
  }
  return btoa(octets).replace(/=+$/, "").replaceAll("/", ",");
}

function decodeBase64(base64: string): string {
  const octets = atob(base64.replaceAll(",", "/"));
  let text = "";
  for (let at = 0; at + 1 < octets.length; at += 2) {
    text += String.fromCharCode((octets.charCodeAt(at) << 8) | octets.charCodeAt(at + 1));
  }
  return text;
}
