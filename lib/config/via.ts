/** Values that say where a server is: ours, the one that a route hands mail to, and one that we ask. */

import { isIP } from "node:net";
import { resolve } from "node:path";
import type { Smarthost } from "../delivery/next_hop.ts";
import type { BindAddress } from "./config.ts";
import { scalar, type Type } from "./schema.ts";
import { parseHostPort } from "./values.ts";
import { parseWebhookUrl, WEBHOOK_EXPECTS, type WebhookDraft } from "./webhook.ts";

/** A listener's address, before the path of a socket is resolved against the data folder. */
export type BindDraft =
  | { readonly kind: "tcp"; readonly host: string; readonly port: number }
  | { readonly kind: "unix"; readonly path: string };

/** The control socket, with a path as written; `off`: there is none. */
export type AdminBindDraft = { readonly kind: "unix"; readonly path: string } | { readonly kind: "off" };

/** The server of a route, before its credentials and TLS use are known. */
export type ViaDraft = Pick<Smarthost, "scheme" | "host" | "port" | "socketPath">;

const DEFAULT_PORTS = { smtp: 25, smtps: 465, lmtp: 24 } as const;

/** `[::]:25`, `127.0.0.1:2525`, `localhost:24` or `unix:lmtp.sock`. */
export const bindAddress: Type<BindDraft> = scalar({
  expects: 'an address with a port such as "[::]:25" or "127.0.0.1:2525", or a socket such as "unix:lmtp.sock"',
  parse: (text) => {
    if (text.startsWith("unix:")) return text.length > 5 ? { kind: "unix", path: text.slice(5) } : undefined;
    const at = parseHostPort(text);
    if (at?.port === undefined || (isIP(at.host) === 0 && at.host !== "localhost")) return undefined;
    return { kind: "tcp", host: at.host, port: at.port };
  },
});

/** `unix:admin.sock`, or `off`. */
export const adminBind: Type<AdminBindDraft> = scalar({
  expects: 'a socket such as "unix:admin.sock", or off',
  parse: (text) => {
    if (text === "off") return { kind: "off" };
    return text.startsWith("unix:") && text.length > 5 ? { kind: "unix", path: text.slice(5) } : undefined;
  },
});

/** `smtp://host:25`, `smtps://host`, `lmtp://[::1]:24` or `lmtp://unix:/path`. */
export const via: Type<ViaDraft> = scalar({
  expects: 'a server such as "smtp://smarthost.example:587", "smtps://[2001:db8::1]", "lmtp://127.0.0.1:24" or ' +
    '"lmtp://unix:/run/lmtp.sock" (user name and password have keys of their own)',
  parse: (text, { folder }) => parseVia(text, folder),
  // Somebody may have written smtp://user:password@host.
  isSecret: (text) => text.includes("@"),
});

/** As `via`, or `mx`: the MX hosts of the recipient's domain, or an application. */
export const routeVia: Type<ViaDraft | WebhookDraft | "mx"> = scalar({
  expects: `"mx", ${via.expects}, or ${WEBHOOK_EXPECTS}`,
  parse: (text, { folder }) => text === "mx" ? text : parseVia(text, folder) ?? parseWebhookUrl(text),
  isSecret: (text) => text.includes("@"),
});

/** `unix:/run/dovecot/auth-client`, `127.0.0.1:12345` or `dovecot.example:12345`. */
export const serverSocket: Type<BindAddress> = scalar({
  expects: 'a socket such as "unix:/run/dovecot/auth-client", or a host with a port such as "127.0.0.1:12345"',
  parse: (text, { folder }) => {
    if (text.startsWith("unix:")) {
      return text.length > 5 ? { kind: "unix", path: resolve(folder, text.slice(5)) } : undefined;
    }
    const at = parseHostPort(text);
    return at?.port === undefined ? undefined : { kind: "tcp", host: at.host, port: at.port };
  },
});

/** Reads a `via` that is a server; undefined where it is none. @param folder Where the path of a socket starts. */
export function parseVia(text: string, folder: string): ViaDraft | undefined {
  const [, rawScheme, rest = ""] = /^(smtps?|lmtp):\/\/([^/@]+|unix:.+?)\/?$/.exec(text) ?? [];
  const scheme = rawScheme === "smtp" || rawScheme === "smtps" || rawScheme === "lmtp" ? rawScheme : undefined;
  if (scheme === undefined) return undefined;
  if (rest.startsWith("unix:")) {
    return scheme === "lmtp" ? { scheme, host: "", port: 0, socketPath: resolve(folder, rest.slice(5)) } : undefined;
  }
  const server = parseHostPort(rest);
  return server === undefined ? undefined : { scheme, host: server.host, port: server.port ?? DEFAULT_PORTS[scheme] };
}
