/** An application on loopback that takes mail by webhook: it checks each signature, and answers what a test says. */

import type { WebhookHop } from "../../lib/delivery/webhook/webhook_target.ts";

/** The secret that the receiver and its hop share. */
export const WEBHOOK_SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLSw7MfKQ9r8GKYo=";

/** One request, read to its end. */
export interface WebhookRequest {
  /** Its header fields. */
  readonly headers: Headers;
  /** The field `envelope`, parsed. */
  readonly envelope: Readonly<Record<string, unknown>>;
  /** The file `message`. */
  readonly message: Uint8Array<ArrayBuffer>;
  /** The octets of the body. */
  readonly body: Uint8Array<ArrayBuffer>;
}

/** What to answer; a promise keeps the client waiting. @param index Of the request, from 0. */
export type WebhookAnswering = (request: WebhookRequest, index: number) => Response | Promise<Response>;

/** The receiver. */
export interface WebhookReceiver extends AsyncDisposable {
  /** Of the hop, without credentials. */
  readonly url: string;
  /** Leads here. */
  readonly hop: WebhookHop;
  /** All requests so far, in the order in which they were whole. Each had a right signature, or the answer was 401. */
  readonly requests: readonly WebhookRequest[];
  /** What is answered from now on; 204 at first. */
  answer: WebhookAnswering;
}

/** What a receiver is started with. */
export interface WebhookReceiverOptions {
  /** What it checks with, `whsec_…`; default {@linkcode WEBHOOK_SECRET}. */
  readonly secret?: string;
  /** PEM of a certificate for `localhost`, and its key: then it speaks TLS. */
  readonly tls?: { readonly cert: string; readonly key: string };
}

/** The hop to a URL. */
export function webhookHop(url: string, secret: string = WEBHOOK_SECRET): WebhookHop {
  return { kind: "webhook", webhook: { scheme: url.startsWith("https:") ? "https" : "http", url, secret }, key: url };
}

/** Starts a receiver on a free port. */
export function startWebhookReceiver(options: WebhookReceiverOptions = {}): WebhookReceiver {
  const requests: WebhookRequest[] = [];
  const [, base64 = ""] = /^whsec_(.*)$/.exec(options.secret ?? WEBHOOK_SECRET) ?? [];
  const key = crypto.subtle.importKey("raw", Uint8Array.fromBase64(base64), { name: "HMAC", hash: "SHA-256" }, false, [
    "verify",
  ]);
  const where = { hostname: "127.0.0.1", port: 0, onListen: (): void => {} };
  const handler = async (request: Request): Promise<Response> => {
    const { headers } = request;
    const body = new Uint8Array(await request.arrayBuffer());
    if (!await isSigned(await key, body, headers)) return new Response("bad signature", { status: 401 });
    const form = await new Response(body, { headers: { "content-type": headers.get("content-type") ?? "" } })
      .formData();
    const envelope = form.get("envelope");
    const message = form.get("message");
    if (typeof envelope !== "string" || !(message instanceof File)) return new Response("no form", { status: 400 });
    const taken = {
      headers,
      body,
      envelope: JSON.parse(envelope) as Record<string, unknown>,
      message: new Uint8Array(await message.arrayBuffer()),
    };
    requests.push(taken);
    return await receiver.answer(taken, requests.length - 1);
  };
  const server = options.tls === undefined
    ? Deno.serve(where, handler)
    : Deno.serve({ ...where, ...options.tls }, handler);
  const url = `${options.tls === undefined ? "http" : "https"}://localhost:${server.addr.port}/mail`;
  const receiver: WebhookReceiver = {
    url,
    hop: webhookHop(url),
    requests,
    answer: () => new Response(null, { status: 204 }),
    [Symbol.asyncDispose]: () => server.shutdown(),
  };
  return receiver;
}

/** By Web Crypto, where the program takes `node:crypto`; any of the signatures is enough, and none may be five minutes old. */
async function isSigned(key: CryptoKey, body: Uint8Array<ArrayBuffer>, headers: Headers): Promise<boolean> {
  const [id, timestamp, signatures] = ["id", "timestamp", "signature"].map((name) =>
    headers.get(`webhook-${name}`) ?? ""
  );
  if (Math.abs(Date.now() / 1000 - Number(timestamp)) > 300) return false;
  const signed = new Blob([`${id}.${timestamp}.`, body]);
  const octets = await signed.arrayBuffer();
  for (const [, base64 = ""] of signatures?.matchAll(/(?:^| )v1,([^ ]+)/g) ?? []) {
    if (await crypto.subtle.verify("HMAC", key, Uint8Array.fromBase64(base64), octets)) return true;
  }
  return false;
}
