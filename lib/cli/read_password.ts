/** Asks for a new password without showing it. */

import { promptSecret } from "@std/cli/prompt-secret";
import { DATA_ERROR } from "../system/sysexits.ts";
import { CommandError } from "./command_error.ts";

/** Longest line that is read. */
const MAX_OCTETS = 4096;

/**
 * Reads a password: asked for twice on a terminal, else the first line of standard input.
 *
 * @throws {CommandError} Where it is empty, or the two differ.
 */
export async function readNewPassword(): Promise<string> {
  const password = Deno.stdin.isTerminal() ? askTwice() : await firstLine(Deno.stdin);
  if (password === "") throw new CommandError(DATA_ERROR, "the password is empty");
  return password;
}

function askTwice(): string {
  const password = promptSecret("New password: ", { mask: "" }) ?? "";
  const again = promptSecret("Once more: ", { mask: "" }) ?? "";
  if (password !== again) throw new CommandError(DATA_ERROR, "the two passwords differ");
  return password;
}

async function firstLine(input: { read(into: Uint8Array): Promise<number | null> }): Promise<string> {
  const buffer = new Uint8Array(MAX_OCTETS);
  let length = 0;
  while (length < buffer.length && !buffer.subarray(0, length).includes(0x0a)) {
    const octets = await input.read(buffer.subarray(length));
    if (octets === null) break;
    length += octets;
  }
  const [line = ""] = new TextDecoder().decode(buffer.subarray(0, length)).split(/\r?\n/);
  return line;
}
