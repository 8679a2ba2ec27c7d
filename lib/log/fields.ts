/** How values of log fields are shown: on one line, with a bound, without control characters, without secrets. */

/** Shown in place of a secret. */
export const HIDDEN = "[hidden]";

const SECRET_NAME = /passw(?:or)?d|passphrase|secret|token|credential|private_?key|api_?key/i;
// Controls, format characters (among them those that turn the direction of text) and line separators: each of them can make
// a line look like another one on a terminal.
const UNSAFE = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu;
/** Most text has nothing else, which is found out ten times as fast. */
const PLAIN = /^[\x20-\x7e]*$/;
const MAX_VALUE_LENGTH = 2000;

/** True when a field of this name never appears in the log. Defence in depth: nobody is to pass one in the first place. */
export function isSecretName(name: string): boolean {
  return SECRET_NAME.test(name);
}

/** Makes text safe for one line of a terminal: `\n`, `\x1b`, `\u{202e}`. */
export function escapeControls(text: string): string {
  if (PLAIN.test(text)) return text;
  return text.replace(UNSAFE, (char) => {
    if (char === "\n") return "\\n";
    if (char === "\r") return "\\r";
    if (char === "\t") return "\\t";
    const code = char.codePointAt(0) ?? 0;
    return code < 0x100 ? `\\x${code.toString(16).padStart(2, "0")}` : `\\u{${code.toString(16)}}`;
  });
}

/** Shows a field as text, at most 2,000 characters of it. Never throws. */
export function showValue(name: string, value: unknown): string {
  if (SECRET_NAME.test(name)) return HIDDEN;
  const text = plainText(value);
  return escapeControls(text.length > MAX_VALUE_LENGTH ? `${text.slice(0, MAX_VALUE_LENGTH)}…` : text);
}

/** What `JSON.stringify` is given for a field: secrets hidden at any depth, long text cut. Never throws. */
export function jsonValue(name: string, value: unknown): unknown {
  if (SECRET_NAME.test(name)) return HIDDEN;
  if (typeof value === "string") {
    return value.length > MAX_VALUE_LENGTH ? `${value.slice(0, MAX_VALUE_LENGTH)}…` : value;
  }
  if (typeof value === "number" || typeof value === "boolean" || value === null) return value;
  if (value instanceof Error) return { name: value.name, message: showError(value), ...stackOf(value) };
  if (typeof value !== "object" || value instanceof Uint8Array) return plainText(value);
  try {
    const text = toJson(value);
    return text.length > MAX_VALUE_LENGTH ? `${text.slice(0, MAX_VALUE_LENGTH)}…` : JSON.parse(text);
  } catch {
    return plainText(value);
  }
}

function plainText(value: unknown): string {
  if (typeof value === "string") return value;
  if (value === undefined || value === null) return "-";
  if (value instanceof Error) return showError(value);
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? "invalid date" : value.toISOString();
  if (value instanceof Uint8Array) return `${value.length} octets`;
  if (typeof value !== "object") return String(value);
  try {
    return toJson(value);
  } catch {
    return "[object that cannot be shown]"; // Refers to itself, or has a getter that throws.
  }
}

function toJson(value: object): string {
  const show = (key: string, part: unknown): unknown =>
    SECRET_NAME.test(key)
      ? HIDDEN
      : part instanceof Error
      ? showError(part)
      : typeof part === "bigint"
      ? String(part)
      : part;
  return JSON.stringify(value, show) ?? "-";
}

/** Name, message and up to three causes; for the errors that only a bug makes, also where it happened. */
function showError(error: Error): string {
  let text = `${error.name}: ${error.message}`;
  if (error instanceof TypeError || error instanceof ReferenceError || error instanceof RangeError) {
    const place = /\n\s+(at .+)/.exec(error.stack ?? "");
    if (place !== null) text += ` (${place[1]})`;
  }
  let cause = error.cause;
  for (let depth = 0; depth < 3 && cause instanceof Error; depth++) {
    text += `; caused by ${cause.name}: ${cause.message}`;
    cause = cause.cause;
  }
  return text;
}

function stackOf(error: Error): { stack?: string } {
  return error.stack === undefined ? {} : { stack: error.stack.slice(0, MAX_VALUE_LENGTH) };
}
