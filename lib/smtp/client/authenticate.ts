/** Logs in at a smarthost (RFC 4954). Whether it may, in the clear, its caller decides. */

import { Buffer } from "node:buffer";
import type { Reply } from "../reply.ts";
import { ClientError } from "./client_error.ts";
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

/** In a text of a peer such runs may be a piece of what we sent in base64. */
const BASE64_RUN = /[A-Za-z0-9+/]{8,}={0,2}/g;

/**
 * Uses PLAIN (RFC 4616), else LOGIN (draft-murchison-sasl-login). Some servers repeat a line that they do not understand,
 * whole or in part, and their words go to the log, and in the end to senders: what is secret is taken out of them.
 */
export async function authenticate(connection: SmtpConnection, login: Login): Promise<LoginResult> {
  try {
    return await exchange(connection, login);
  } catch (error) {
    if (!(error instanceof ClientError)) throw error;
    throw new ClientError(error.fault, withoutSecrets(error.message, login), { cause: error.cause });
  }
}

async function exchange(connection: SmtpConnection, login: Login): Promise<LoginResult> {
  const { authMechanisms } = connection.extensions;
  if (authMechanisms.includes("PLAIN")) {
    const response = base64(plainText(login));
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
  if (reply.code === 235) return { kind: "ok" };
  return { kind: "refused", reply: { ...reply, lines: reply.lines.map((line) => withoutSecrets(line, login)) } };
}

function withoutSecrets(text: string, login: Login): string {
  const encoded = [base64(plainText(login)), base64(login.password)];
  const secrets = [...encoded, login.password].filter((secret) => secret !== "");
  const pieces = encoded.map((secret) => secret.toLowerCase());
  return secrets.reduce((text, secret) => text.replaceAll(secret, "[hidden]"), text)
    .replace(BASE64_RUN, (run) => pieces.some((piece) => piece.includes(run.toLowerCase())) ? "[hidden]" : run);
}

function plainText({ username, password }: Login): string {
  return `\0${username}\0${password}`;
}

function base64(text: string): string {
  return Buffer.from(text, "utf-8").toString("base64");
}
