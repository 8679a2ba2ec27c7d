/** XCLIENT (Postfix, XCLIENT_README): tells a server that trusts us which client a message came from. */

import net from "node:net";
import type { Reply } from "../reply.ts";
import { encodeXtext } from "../xtext.ts";
import type { SmtpConnection } from "./connection.ts";

/** The client, as far as it is known. */
export interface ClientFacts {
  /** Its IP address. */
  readonly address?: string;
  /** What it said in EHLO, HELO or LHLO. */
  readonly helo?: string;
  /** Whether it said EHLO or LHLO. */
  readonly isExtended: boolean;
  /** The account that logged in. */
  readonly login?: string;
}

/** RFC 5321 §4.5.3.1.4, without CRLF. */
const MAX_LINE = 510;
const UNKNOWN = "[UNAVAILABLE]";

/**
 * Writes the commands: one, or more where the values are long.
 *
 * @param offered The attributes that the server knows, from its answer to EHLO; others are left out.
 */
export function xclientCommands(client: ClientFacts, offered: readonly string[]): readonly string[] {
  const { address, helo, login } = client;
  const known: readonly (readonly [name: string, value: string])[] = [
    // We look no names up: without one of its own the server would keep ours.
    ["NAME", UNKNOWN],
    ["ADDR", address === undefined ? UNKNOWN : net.isIPv6(address) ? `IPV6:${address}` : address],
    ["PORT", UNKNOWN],
    ["PROTO", client.isExtended ? "ESMTP" : "SMTP"],
    ["HELO", helo ?? UNKNOWN],
    ["LOGIN", login ?? UNKNOWN],
  ];
  const lines: string[] = [];
  let line = "XCLIENT";
  for (const [name, value] of known) {
    if (!offered.includes(name)) continue;
    const attribute = ` ${name}=${encodeValue(value)}`;
    if (line.length + attribute.length > MAX_LINE && line !== "XCLIENT") {
      lines.push(line);
      line = "XCLIENT";
    }
    line += attribute;
  }
  return line === "XCLIENT" ? lines : [...lines, line];
}

/**
 * Says XCLIENT, and EHLO again, where the server offers XCLIENT. The new EHLO is that of the client: for Postfix it counts
 * more than the attribute HELO, and nginx does the same.
 *
 * @returns Undefined where the server goes on, or does not offer it; else the reply that refuses.
 */
export async function introduceClient(connection: SmtpConnection, client: ClientFacts): Promise<Reply | undefined> {
  const commands = xclientCommands(client, connection.extensions.xclient ?? []);
  for (const command of commands) {
    const reply = await connection.command(command);
    if (reply.code !== 220) return reply;
  }
  if (commands.length === 0) return undefined;
  const isSafe = client.helo !== undefined && /^[!-~]{1,255}$/.test(client.helo);
  const hello = await connection.hello(isSafe ? client.helo : undefined);
  return hello.code === 250 ? undefined : hello;
}

/** The server decodes xtext; brackets of an address literal stay as they are. */
function encodeValue(value: string): string {
  return encodeXtext(value.toWellFormed().replace(/[^!-~]/gu, (character) => utf8AsLatin1(character)));
}

/** The octets of UTF-8, one character for each, so that xtext can hold them. */
function utf8AsLatin1(character: string): string {
  return String.fromCharCode(...new TextEncoder().encode(character));
}
