/** Fetches MTA-STS policies over HTTPS (RFC 8461 §3.3), by our own resolver and within bounds. */

import type { Resolver } from "../../dns/resolver.ts";
import { ClientError, errorText } from "../../smtp/client/client_error.ts";
import { race } from "../../smtp/client/race.ts";
import { NEXT_ADDRESS_MS } from "../../smtp/client/time_limits.ts";
import { Wire } from "../../smtp/client/wire.ts";
import type { Clock } from "../../system/clock.ts";
import { HttpError, type HttpResponse, HttpResponseReader } from "./http_response.ts";
import { findAddresses } from "./remote_host.ts";
import type { TlsFailure } from "./tls_results.ts";

/** What came of it. */
export type StsFetched =
  | { readonly kind: "text"; readonly text: string }
  | { readonly kind: "failed"; readonly failure: TlsFailure; /** One line. */ readonly reason: string };

/** Fetches the policy file of a domain; never rejects. */
export type StsFetch = (domain: string, signal: AbortSignal) => Promise<StsFetched>;

/** What fetching needs. */
export interface StsFetchOptions {
  /** For the addresses of `mta-sts.DOMAIN`. */
  readonly resolver: Resolver;
  /** For the time limit. */
  readonly clock: Clock;
  /** PEM; default: the authorities that the runtime trusts. */
  readonly caCertificates?: readonly string[];
  /** Default: 443. */
  readonly port?: number;
  /** For all of it; default 30 s. RFC 8461 §3.3 suggests a minute, but a message waits. */
  readonly limitMs?: number;
}

/** RFC 8461 §3.3 suggests 64 kilobytes. */
const MAX_POLICY_OCTETS = 64 * 1024;
const MAX_ADDRESSES = 4;
const PATH = "/.well-known/mta-sts.txt";
const ENCODER = new TextEncoder();

/** Makes the function that fetches. Redirects are not followed, and the certificate must be valid for the host. */
export function makeStsFetch(options: StsFetchOptions): StsFetch {
  return async (domain, signal) => {
    const host = `mta-sts.${domain}`;
    try {
      return judge(await fetchFrom(host, options, signal));
    } catch (error) {
      const isCertificate = error instanceof ClientError && error.fault === "certificate";
      const failure = isCertificate ? "sts-webpki-invalid" : "sts-policy-fetch-error";
      return { kind: "failed", failure, reason: `${host}: ${errorText(error)}` };
    }
  };
}

function judge({ status, mediaType, body }: HttpResponse): StsFetched {
  const failed = (reason: string): StsFetched => ({ kind: "failed", failure: "sts-policy-fetch-error", reason });
  if (status !== 200) return failed(`the answer to GET is ${status}`);
  if (mediaType !== "text/plain") return failed(`the media type is "${mediaType.slice(0, 40)}", not text/plain`);
  return { kind: "text", text: new TextDecoder().decode(body) };
}

async function fetchFrom(host: string, fetching: StsFetchOptions, signal: AbortSignal): Promise<HttpResponse> {
  const { resolver, clock, port = 443, limitMs = 30_000 } = fetching;
  const deadline = clock.monotonic() + limitMs;
  const found = await findAddresses(resolver, host, signal);
  if (found.kind !== "found") throw new HttpError(found.kind === "failed" ? found.reason : "it has no address");
  const addresses = found.addresses.slice(0, MAX_ADDRESSES);
  const connectMs = Math.max(1, deadline - clock.monotonic());
  const options = { connectMs, nextAddressMs: NEXT_ADDRESS_MS, clock, signal };
  const { winner, failures } = await race(addresses, (address) => new Wire({ host: address, port }, clock), options);
  if (winner === undefined) throw failures.at(-1)?.error ?? new HttpError("it has no address");
  const wire = winner.racer;
  const stop = (): void => void wire.fail(new ClientError("aborted", "given up"));
  signal.addEventListener("abort", stop);
  try {
    if (signal.aborted) stop();
    return await exchange(wire, host, fetching, deadline);
  } finally {
    signal.removeEventListener("abort", stop);
    wire.fail(new ClientError("closed", "Connection is closed"));
  }
}

async function exchange(
  wire: Wire,
  host: string,
  { clock, caCertificates }: StsFetchOptions,
  deadline: number,
): Promise<HttpResponse> {
  const left = (): number => Math.max(1, deadline - clock.monotonic());
  await wire.startTls({ name: host, isVerified: true, ...(caCertificates && { caCertificates }) }, left());
  const lines = [`GET ${PATH} HTTP/1.1`, `Host: ${host}`, "User-Agent: posthorn", "Connection: close", "", ""];
  await wire.write(ENCODER.encode(lines.join("\r\n")), left());
  const reader = new HttpResponseReader(MAX_POLICY_OCTETS);
  wire.startLimit(left());
  for (;;) {
    const response = reader.push(await wire.read());
    if (response !== undefined) return response;
  }
}
