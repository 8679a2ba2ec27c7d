/** The values of webhooks: where an application is, and the secret that it knows us by. */

import { isIP } from "node:net";
import type { Webhook } from "../delivery/next_hop.ts";
import { parseWebhookSecrets } from "../delivery/webhook/secret.ts";
import { isInBlock, parseCidr, parseIpAddress } from "../policy/cidr.ts";
import { scalar, type Type } from "./schema.ts";

/** The application of a route or of accounts, before its secret is known. */
export type WebhookDraft = Omit<Webhook, "secret">;

/** What a webhook URL is, for errors. */
export const WEBHOOK_EXPECTS: string =
  'an application such as "https://app.example/mail" (http:// to an address of this machine ' +
  "or of a private network only; without user name and query)";

/** Loopback, private (RFC 1918, RFC 4193) and link-local addresses: mail goes there in the clear. */
const PRIVATE_BLOCKS = [
  "127.0.0.0/8",
  "10.0.0.0/8",
  "172.16.0.0/12",
  "192.168.0.0/16",
  "169.254.0.0/16",
  "::1/128",
  "fc00::/7",
  "fe80::/10",
].map(parseCidr);

/** One or more secrets. */
export const webhookSecret: Type<string> = scalar({
  expects: 'a secret of at least 16 characters, or "whsec_" and base64 (several with a space between), in quotes, or ' +
    "!file with its path",
  parse: (text) => parseWebhookSecrets(text) === undefined ? undefined : text,
  isSecret: () => true,
});

/**
 * Reads a webhook URL into its one spelling.
 *
 * @returns Undefined where it is none, would send mail in the clear beyond private networks, or holds what must not stand
 * in log lines.
 */
export function parseWebhookUrl(text: string): WebhookDraft | undefined {
  const url = /^https?:\/\//i.test(text) ? URL.parse(text) : null;
  if (url === null || url.username !== "" || url.password !== "" || /[?#\s*]/.test(text)) return undefined;
  if (url.protocol === "https:") return { scheme: "https", url: url.href };
  return isPrivateHost(url.hostname) ? { scheme: "http", url: url.href } : undefined;
}

function isPrivateHost(hostname: string): boolean {
  const host = hostname.replace(/^\[(.*)\]$/, "$1");
  const address = isIP(host) === 0 ? undefined : parseIpAddress(host);
  if (address === undefined) return host === "localhost";
  return PRIVATE_BLOCKS.some((block) => block !== undefined && isInBlock(address, block));
}
