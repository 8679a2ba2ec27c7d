/** SMTP replies: what the server answers (RFC 5321 §4.2) with an enhanced status code (RFC 2034, RFC 3463). */

/** A reply of one or more lines. */
export interface Reply {
  /** Three-digit code, 200 to 599. */
  readonly code: number;
  /** Enhanced status code, put in front of each line; absent where the standard has none (greeting, EHLO, 354, 334). */
  readonly enhanced?: string;
  /** Text lines without CRLF, at least one; printable US-ASCII, or UTF-8 in an SMTPUTF8 session. */
  readonly lines: readonly string[];
}

/** Makes a reply of one line. */
export function reply(code: number, enhanced: string | undefined, ...lines: [string, ...string[]]): Reply {
  return enhanced === undefined ? { code, lines } : { code, enhanced, lines };
}

/** Formats a reply for the wire, each line ended by CRLF (RFC 5321 §4.2.1). */
export function formatReply({ code, enhanced, lines }: Reply): string {
  const prefix = enhanced === undefined ? "" : `${enhanced} `;
  const last = lines.length - 1;
  let text = "";
  for (let i = 0; i <= last; i++) text += `${code}${i === last ? " " : "-"}${prefix}${lines[i]}\r\n`;
  return text;
}

/** A problem that ends a command with a reply; the one place that turns errors into replies sends it as it is. */
export class SmtpError extends Error {
  /** Stands in front of the message in logs and stack traces. */
  override readonly name = "SmtpError";
  /** What the client is told. */
  readonly reply: Reply;

  /** Takes code, enhanced status code and text of the reply. */
  constructor(code: number, enhanced: string, text: string, options?: ErrorOptions) {
    super(`${code} ${enhanced} ${text}`, options);
    this.reply = reply(code, enhanced, text);
  }
}
