/** Logs in at a smarthost (RFC 4954). Whether it may, in the clear, its caller decides. */

import { Buffer } from "node:buffer";
import type { Reply } from "../reply.ts";
import type { SmtpConnection } from "./connection.ts";

/** Name and password of an account at the peer. */
export interface Login {
  /** The authentication identity. */
  readonly username: string;
  /** Its password; never logged. */
  readonly password: string;
}

/** What came of it. `unavailable`: the peer offers no mechanism that we know; nothing secret was sent. */
export type LoginResult =
  | { readonly kind: "ok" }
  | { readonly kind: "refused"; readonly reply: Reply }
  | { readonly kind: "unavailable" };

/** Uses PLAIN (RFC 4616), else LOGIN (draft-murchison-sasl-login). */
export async function authenticate(connection: SmtpConnection, login: Login): Promise<LoginResult> {
  const { authMechanisms } = connection.extensions;
  if (authMechanisms.includes("PLAIN")) {
    const response = base64(`\0${login.username}\0${login.password}`);
    return resultOf(await connection.command(`AUTH PLAIN ${response}`), login);
  }
  if (!authMechanisms.includes("LOGIN")) return { kind: "unavailable" };
  let reply = await connection.command("AUTH LOGIN");
  for (const answer of [login.username, login.password]) {
    if (reply.code !== 334) break;
    reply = await connection.command(base64(answer));
  }
  return resultOf(reply, login);
}

function resultOf(reply: Reply, login: Login): LoginResult {
  return reply.code === 235 ? { kind: "ok" } : { kind: "refused", reply: withoutSecrets(reply, login) };
}

/** Some servers repeat a line that they do not understand; the reply goes to the log, and in the end to senders. */
function withoutSecrets(reply: Reply, { username, password }: Login): Reply {
  const plain = base64(`\0${username}\0${password}`);
  const secrets = [plain, base64(password), password].filter((secret) => secret !== "");
  const hide = (line: string): string => secrets.reduce((text, secret) => text.replaceAll(secret, "[hidden]"), line);
  return { ...reply, lines: reply.lines.map(hide) };
}

function base64(text: string): string {
  return Buffer.from(text, "utf-8").toString("base64");
}
